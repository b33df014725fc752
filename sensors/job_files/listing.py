"""Which files of an inbox a tick reads: those that a listing, or a part of one, shows to be new or changed.

A folder is listed as a whole. A listing of S3 takes seconds for every ten thousand files: it stops when its time is up
or there is enough to read, and the next tick goes on from there.
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
    """What a tick has to look at.

    Attributes
    ----------
    to_read : tuple of InboxFile
        Files that are new, changed, or refused for a reason that may be gone.
    gone : tuple of str
        Names of noted files that are no longer there.
    left : int
        Files that wait for the next tick.
    upto : str
        Path up to which the inbox is listed; empty: to its end.
    """

    to_read: tuple[InboxFile, ...]
    gone: tuple[str, ...]
    left: int
    upto: str = ""

    def ended_at(self, reached: int, *, before: str) -> str:
        """Return the path after which the next listing begins.

        Parameters
        ----------
        reached : int
            How many of `to_read` are done with.
        before : str
            Where this listing began.
        """
        if not self.left and reached == len(self.to_read):
            return self.upto
        return decoded_name(self.to_read[reached - 1].name) if reached else before


def plan(files: Sequence[InboxFile], known: Mapping[str, FileNote], *, judged_with: str, limit: int) -> Plan:
    """Choose the files that a tick reads.

    Parameters
    ----------
    files : sequence of InboxFile
        Everything in the inbox folder.
    known : mapping of str to FileNote
        What was noted before, by name.
    judged_with : str
        What judgements depend on now.
    limit : int
        Files to read, at most.
    """
    wanted = _wanted(files, known, judged_with)
    gone = known.keys() - {file.name for file in files}
    return Plan(tuple(wanted[:limit]), tuple(sorted(gone)), max(0, len(wanted) - limit))


def worth_reading(file: InboxFile, note: FileNote | None, judged_with: str) -> bool:
    """Tell whether reading a file could bring anything new.

    Parameters
    ----------
    file : InboxFile
        The file.
    note : FileNote or None
        What was noted on it.
    judged_with : str
        What judgements depend on now.
    """
    if note is None or note.fingerprint != file.fingerprint:
        return True
    return note.problem is not None and note.judged_with != judged_with


def list_some(
    inbox: JobInbox, notes: InboxNotes, analysis: str, *, after: str, judged_with: str, limits: TickLimits
) -> Plan:
    """List an inbox, or a part of it, and choose the files that a tick reads.

    Parameters
    ----------
    inbox, notes : JobInbox, InboxNotes
        Where the files are, and what is known of them.
    analysis : str
        The analysis.
    after : str
        Where an earlier listing stopped; empty: from the beginning.
    judged_with : str
        What judgements depend on now.
    limits : TickLimits
        How many files to read, and how long to list.
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
    if after or upto is not None:  # nothing is known of the rest
        gone = {name for name in gone if _is_between(decoded_name(name), after, upto)}
    return Plan(tuple(wanted[: limits.files]), tuple(sorted(gone)), max(0, len(wanted) - limits.files), upto or "")


def _wanted(files: Sequence[InboxFile], known: Mapping[str, FileNote], judged_with: str) -> list[InboxFile]:
    """Return the files that are worth reading."""
    return [file for file in files if worth_reading(file, known.get(file.name), judged_with)]


def refused_to_read(bad: Sequence[FileNote], *, judged_with: str, limit: int) -> Plan:
    """Choose, without any listing, the refused files whose reason may be gone.

    Parameters
    ----------
    bad : sequence of FileNote
        The notes on refused files.
    judged_with : str
        What judgements depend on now.
    limit : int
        Files to read, at most.
    """
    wanted = [InboxFile(note.name, note.fingerprint) for note in bad if note.judged_with != judged_with]
    return Plan(tuple(wanted[:limit]), (), max(0, len(wanted) - limit))


def _is_between(path: str, after: str, upto: str | None) -> bool:
    """Tell whether a path is in the part of the inbox that was listed: S3's order is that of Python's texts."""
    return after < path and (upto is None or path <= upto)
