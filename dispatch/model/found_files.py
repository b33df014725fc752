"""Which of an asset's files are meant by a file extension, and how they become inputs of jobs."""

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
    """Refuse a file extension that could not match a name.

    Raises
    ------
    DispatchError
        If it ends in a slash, or holds control characters.
    """
    if extension.endswith("/") or _UNUSABLE.search(extension):
        msg = f"`file_extension`: found {extension!r}, expected the end of a name (.nwb) or a pattern (*_spikes.nwb)."
        raise DispatchError(msg)


def matches(path: str, extension: str) -> bool:
    """Tell whether a file or directory is meant.

    Parameters
    ----------
    path : str
        Below its asset, without a slash at its end.
    extension : str
        The end of a name; with ``*``, ``?`` or ``[`` a pattern of the name, and with ``/`` of the whole path. Capital
        letters count.
    """
    name = path.rpartition("/")[2]
    if not _PATTERN.search(extension):
        return name.endswith(extension)
    return fnmatchcase(path if "/" in extension else name, extension)


def with_files(
    candidates: Iterable[Candidate], found: Mapping[str, Sequence[str] | str], *, split: bool, skips: list[Skip]
) -> list[Candidate]:
    """Give candidates the files that were found in their assets.

    Parameters
    ----------
    candidates : iterable of Candidate
        Without files.
    found : mapping of str to sequence of str, or str
        By location: addresses of files, or why they could not be looked for.
    split : bool
        A candidate of one asset becomes one for each file. A group always stays one job.
    skips : list of Skip
        Assets without files are added here; a group goes on without them.

    Returns
    -------
    list of Candidate
        With files.
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
    """Keep why an asset has no files."""
    files = found[location]
    if isinstance(files, str):
        skips.append(Skip(Reason.NO_INPUT, location, files))
    elif not files:
        skips.append(Skip(Reason.NO_FILE, location))
    return isinstance(files, str) or not files
