"""Inputs on disk: linked, not copied; a change during reading is detected afterwards."""

import hashlib
import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from domain.errors import InputChangedError, InputError
from domain.job.inputs import InputFile
from resources.inputs.urls import is_nwb, local_path, shown_url
from resources.process import host_name

MAX_DEPTH = 5
"""Maximum depth of the search for the NWB file of an asset."""

_ON_EVERY_HOST = "Check the path and its permissions; it must exist on every host that executes runs."

MAX_FOUND = 11
"""Maximum number of candidates in a search: one more than a message names."""


def find_local(location: str) -> list[str]:
    """Return the NWB files and directories at or under a ``file://`` location, nearest first.

    Parameters
    ----------
    location : str
        URL of a folder.

    Raises
    ------
    InputError
        If it does not exist, or access is denied.
    """
    top = local_path(location)
    found: list[str] = []
    level = [top]
    for _ in range(MAX_DEPTH + 1):
        below: list[Path] = []
        for folder in level:
            for entry in _entries(folder, location):
                if is_nwb(entry.name):
                    found.append(Path(entry.path).as_uri())
                elif entry.is_dir(follow_symlinks=False) and not entry.name.lower().endswith(".zarr"):
                    below.append(Path(entry.path))
            if len(found) >= MAX_FOUND:
                return found[:MAX_FOUND]
        level = below
    return found


def fetch_local(url: str, place: Path) -> InputFile:
    """Link to a local file or directory.

    Parameters
    ----------
    url : str
        URL of the file or directory.
    place : Path
        Path of the link.

    Raises
    ------
    InputError
        If it does not exist, or access is denied.
    """
    target = _target(url)
    described = _described(url, _stats(url, target))
    place.symlink_to(target)
    return described


def describe_local(url: str) -> InputFile:
    """Return the current state of a file or directory; raises as `fetch_local`."""
    return _described(url, _stats(url, _target(url)))


def stamp_local(url: str) -> str:
    """Return a digest over size, time and change of status of every file: it differs after any write or replacement.

    Size and time can be those of the earlier file, as `cp -p` and `rsync -t` leave them. The time of the last change of
    status (ctime) is set by the system alone. It also changes with permissions, owner and number of hard links, so it is
    compared during a run only and is not recorded.

    Parameters
    ----------
    url : str
        URL of the file or directory.

    Raises
    ------
    InputError
        If it does not exist, or access is denied.
    """
    return _stamp(_stats(url, _target(url)))


def check_local(fetched: InputFile, *, stamp: str | None = None) -> None:
    """Raise if a local input has changed.

    Parameters
    ----------
    fetched : InputFile
        State that `fetch_local` has returned.
    stamp : str, optional
        Digest that `stamp_local` had returned before; None compares sizes and times only.

    Raises
    ------
    InputChangedError
        If it was written to, replaced or removed.
    """
    try:
        stats = _stats(fetched.url, _target(fetched.url))
        now, is_same = _described(fetched.url, stats), stamp is None or _stamp(stats) == stamp
    except InputError as error:
        msg = f"The input {shown_url(fetched.url)} cannot be read any more: was it moved while the job ran?"
        raise InputChangedError(msg, location=shown_url(fetched.url)) from error
    if not now.same_state(fetched):
        was, found = ((f.bytes, f.files, f.modified and f.modified.isoformat()) for f in (fetched, now))
        msg = (
            f"The input {shown_url(fetched.url)} changed while the job ran: (bytes, files, last change) were {was}, "
            f"and are {found}. Run the job again when no program writes to it."
        )
        raise InputChangedError(msg, location=shown_url(fetched.url))
    if not is_same:
        msg = (
            f"The input {shown_url(fetched.url)} was replaced while the job ran, by one of the same size and time, or its "
            "permissions or links changed. Run the job again when no program changes it."
        )
        raise InputChangedError(msg, location=shown_url(fetched.url))


def _target(url: str) -> Path:
    """Return the target of a URL, following links."""
    return Path(os.path.realpath(local_path(url)))  # Path.resolve raises for a link to itself


def _entries(folder: Path, location: str) -> "list[os.DirEntry[str]]":
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        msg = f"The input {shown_url(location)} cannot be searched on host {host_name()}: {error.strerror}. {_ON_EVERY_HOST}"
        raise InputError(msg, location=shown_url(location)) from error


@dataclass(frozen=True)
class _Stats:
    """The state of each file of an input, by path; and the last change of the file or directory itself (ns)."""

    files: dict[Path, os.stat_result]
    modified_ns: int


def _stats(url: str, target: Path) -> _Stats:
    """Return the state of a file, or of every file of a directory."""
    try:
        files = {path: path.stat() for path in (sorted(_files_in(target)) if target.is_dir() else [target])}
        return _Stats(files, target.stat().st_mtime_ns)
    except OSError as error:
        msg = f"The input {shown_url(url)} cannot be read on host {host_name()}: {error.strerror}. {_ON_EVERY_HOST}"
        raise InputError(msg, location=shown_url(url)) from error


def _described(url: str, stats: _Stats) -> InputFile:
    """Return what is recorded of a file or directory."""
    files = stats.files.values()
    _check_ordinary(url, files)
    newest = max((found.st_mtime_ns for found in files), default=stats.modified_ns)
    modified = datetime.fromtimestamp(newest // 1000 / 1_000_000, UTC)
    return InputFile(url=url, bytes=sum(found.st_size for found in files), files=len(files), modified=modified)


def _stamp(stats: _Stats) -> str:
    """Return the digest of `stamp_local`."""
    digest = hashlib.sha256()
    for path, found in stats.files.items():
        line = f"{path}\0{found.st_size}\0{found.st_mtime_ns}\0{found.st_ctime_ns}\n"
        digest.update(line.encode(errors="surrogateescape"))
    return digest.hexdigest()


def _check_ordinary(url: str, facts: Collection[os.stat_result]) -> None:
    """Raise for devices, pipes and sockets: reading them may block or never end."""
    if not all(stat.S_ISREG(found.st_mode) for found in facts):
        msg = f"The input {shown_url(url)} is, or holds, something else than ordinary files: a device, a pipe or a socket."
        raise InputError(msg, location=shown_url(url))


def _files_in(folder: Path) -> Iterator[Path]:
    """Yield all files below a folder; raise for a folder that cannot be listed."""

    def fail(error: OSError) -> None:
        """Raise instead of skipping."""
        raise error

    for parent, _, names in os.walk(folder, onerror=fail):
        yield from (Path(parent) / name for name in names)
