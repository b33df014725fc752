"""Matches files of data assets by a file extension, and makes them inputs of jobs."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from dispatch.model.groups import Candidate
from dispatch.model.skips import Reason, Skip
from domain.errors import DispatchError

_PATTERN = re.compile(r"[*?\[]")
_UNUSABLE = re.compile(r"[\x00-\x1f\x7f]")


def check_extension(extension: str) -> None:
    """Raise if a file extension cannot match any name.

    Raises
    ------
    DispatchError
        If it ends with a slash, or contains control characters.
    """
    if extension.endswith("/") or _UNUSABLE.search(extension):
        msg = f"`file_extension`: found {extension!r}, expected the end of a name (.nwb) or a pattern (*_spikes.nwb)."
        raise DispatchError(msg)


def matches(path: str, extension: str) -> bool:
    """Return whether a file or directory matches an extension.

    Parameters
    ----------
    path : str
        Path below the asset, without a trailing slash.
    extension : str
        End of the name; with ``*``, ``?`` or ``[`` a pattern of the name, and with ``/`` of the whole path. It is
        case-sensitive.
    """
    name = path.rpartition("/")[2]
    if not _PATTERN.search(extension):
        return name.endswith(extension)
    return fnmatchcase(path if "/" in extension else name, extension)


def with_files(
    candidates: Iterable[Candidate], found: Mapping[str, Sequence[str] | str], *, split: bool, skips: list[Skip]
) -> list[Candidate]:
    """Return candidates with the files that were found in their assets.

    Parameters
    ----------
    candidates : iterable of Candidate
        Candidates whose `files` are empty.
    found : mapping of str to sequence of str, or str
        URLs of files by location, or why the location could not be listed.
    split : bool
        Return a candidate for each file of a single asset. A group always stays one job.
    skips : list of Skip
        Assets without files are appended; a group is kept without them.

    Returns
    -------
    list of Candidate
        Candidates with at least one file.
    """
    complete: list[Candidate] = []
    for candidate in candidates:
        having = [record for record in candidate.records if not _is_missing(record.location, found, skips)]
        files = [url for record in having for url in sorted(found[record.location])]
        if not files:
            continue
        if split and candidate.group is None:
            complete += [replace(candidate, files=(url,)) for url in files]
        else:
            complete.append(replace(candidate, records=tuple(having), files=tuple(files)))
    return complete


def _is_missing(location: str, found: Mapping[str, Sequence[str] | str], skips: list[Skip]) -> bool:
    """Append a skip if an asset has no files, and return whether it has none."""
    files = found[location]
    if isinstance(files, str):
        skips.append(Skip(Reason.NO_INPUT, location, files))
    elif not files:
        skips.append(Skip(Reason.NO_FILE, location))
    return isinstance(files, str) or not files
