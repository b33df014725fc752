"""Selects the files of an inbox that a tick reads: new and changed ones, from a full or partial listing.

A folder is listed at once. A listing of S3 takes seconds per 10,000 files: it stops after a time limit or when there are
enough files to read, and the next tick continues it.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from resources.inbox.job_inbox import InboxFile, JobInbox
from resources.inbox.names import decoded_name
from resources.inbox.notes import FileNote, InboxNotes
from sensors.limits import TickLimits


@dataclass(frozen=True)
class Plan:
    """The files that a tick reads, and those it leaves.

    Attributes
    ----------
    to_read : tuple of InboxFile
        Files that are new or changed, and rejected ones whose reason may no longer apply.
    gone : tuple of str
        Names of noted files that no longer exist.
    left : int
        Number of files left for the next tick.
    upto : str
        Path up to which the inbox is listed; empty if the listing is complete.
    """

    to_read: tuple[InboxFile, ...]
    gone: tuple[str, ...]
    left: int
    upto: str = ""

    def ended_at(self, reached: int, *, before: str) -> str:
        """Return the path after which the next listing starts.

        Parameters
        ----------
        reached : int
            Number of processed files of `to_read`.
        before : str
            Path after which this listing started.
        """
        if not self.left and reached == len(self.to_read):
            return self.upto
        return decoded_name(self.to_read[reached - 1].name) if reached else before


def plan(files: Sequence[InboxFile], known: Mapping[str, FileNote], *, judged_with: str, limit: int) -> Plan:
    """Select the files that a tick reads.

    Parameters
    ----------
    files : sequence of InboxFile
        All files of the inbox folder.
    known : mapping of str to FileNote
        Earlier notes, by name of the file.
    judged_with : str
        Current digest of what a check depends on besides the file; see `Intake.judged_with`.
    limit : int
        Maximum number of files to read.
    """
    wanted = _wanted(files, known, judged_with)
    gone = known.keys() - {file.name for file in files}
    return Plan(tuple(wanted[:limit]), tuple(sorted(gone)), max(0, len(wanted) - limit))


def worth_reading(file: InboxFile, note: FileNote | None, judged_with: str) -> bool:
    """Return whether reading a file could have a new outcome.

    Parameters
    ----------
    file : InboxFile
        The file as listed, with its fingerprint.
    note : FileNote or None
        The earlier note on it, if any.
    judged_with : str
        Current digest of what a check depends on besides the file; see `Intake.judged_with`.
    """
    if note is None or note.fingerprint != file.fingerprint:
        return True
    return note.problem is not None and note.judged_with != judged_with


def list_some(
    inbox: JobInbox, notes: InboxNotes, analysis: str, *, after: str, judged_with: str, limits: TickLimits
) -> Plan:
    """List an inbox, fully or in part, and select the files that a tick reads.

    Parameters
    ----------
    inbox, notes : JobInbox, InboxNotes
        The files, and the earlier notes on them.
    analysis : str
        Name of the analysis.
    after : str
        Path at which an earlier listing stopped; empty to start from the beginning.
    judged_with : str
        Current digest of what a check depends on besides the file; see `Intake.judged_with`.
    limits : TickLimits
        Maximum number of files to read, and maximum time of the listing.
    """
    known, upto = notes.remembered(analysis), None
    wanted: list[InboxFile] = []
    gone = set(known)
    end = time.monotonic() + limits.listing_s
    for page in inbox.pages(analysis, after=after):
        upto = page.upto
        wanted += _wanted(page.files, known, judged_with)
        gone.difference_update(file.name for file in page.files)
        if len(wanted) >= limits.files or time.monotonic() > end:
            break
    if after or upto is not None:  # a partial listing says nothing about the other files
        gone = {name for name in gone if _is_between(decoded_name(name), after, upto)}
    return Plan(tuple(wanted[: limits.files]), tuple(sorted(gone)), max(0, len(wanted) - limits.files), upto or "")


def _wanted(files: Sequence[InboxFile], known: Mapping[str, FileNote], judged_with: str) -> list[InboxFile]:
    return [file for file in files if worth_reading(file, known.get(file.name), judged_with)]


def rejected_to_read(bad: Sequence[FileNote], *, judged_with: str, limit: int) -> Plan:
    """Select, without a listing, the rejected files whose reason may no longer apply.

    Parameters
    ----------
    bad : sequence of FileNote
        Notes on the rejected files.
    judged_with : str
        Current digest of what a check depends on besides the file; see `Intake.judged_with`.
    limit : int
        Maximum number of files to read.
    """
    wanted = [InboxFile(note.name, note.fingerprint) for note in bad if note.judged_with != judged_with]
    return Plan(tuple(wanted[:limit]), (), max(0, len(wanted) - limit))


def _is_between(path: str, after: str, upto: str | None) -> bool:
    """Return whether a path is in the listed part of the inbox; S3 orders keys as Python orders strings."""
    return after < path and (upto is None or path <= upto)
