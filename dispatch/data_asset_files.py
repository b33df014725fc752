"""Checks many data assets in parallel before a dispatch: which files they have, and whether they exist.

Nothing is downloaded. An asset that cannot be listed is reported and does not delay others; a server that does not
answer ends the whole check.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Self, TypeVar

from dispatch.model.found_files import matches
from domain.errors import InputError, PermanentError
from resources.inputs.reader import InputReader
from resources.inputs.s3 import exists_s3, list_folder
from resources.inputs.urls import local_path, scheme_of, shown_url
from resources.s3.server import S3Server, split_s3_url

T = TypeVar("T")
Progress = Callable[[str, int, int], None]
"""Called with the step, the number of done items, and the total."""

THREADS = 16
_NOT_ENTERED = (".zarr", ".nwb")
"""Directories that count as files: they consist of thousands of chunks, none of which is an input."""


@dataclass(frozen=True)
class LookingReader(InputReader):
    """An input reader for many URLs, which looks up the server of each bucket once.

    Attributes
    ----------
    known : dict
        Cache of the S3 server of each bucket.
    """

    known: dict[str, S3Server] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, reader: InputReader) -> Self:
        """Return a reader with the servers and limits of another one."""
        return cls(**{f.name: getattr(reader, f.name) for f in fields(InputReader)})

    def server_of(self, url: str) -> S3Server:
        """Return the S3 server that has a bucket.

        Parameters
        ----------
        url : str
            URL of an object in the bucket.
        """
        bucket, _ = split_s3_url(url)
        if bucket not in self.known:
            self.known[bucket] = super().server_of(url)
        return self.known[bucket]


def look_at(
    urls: Sequence[str], look: Callable[[str], T], *, what: str, progress: Progress, threads: int = THREADS
) -> dict[str, T | PermanentError]:
    """Check many URLs in parallel.

    Parameters
    ----------
    urls : sequence of str
        URLs to check, without duplicates.
    look : callable
        Called with each URL, in a thread.
    what : str
        Name of the step, for `progress`.
    progress : callable
        Called after each URL.
    threads : int
        Maximum number of concurrent checks.

    Returns
    -------
    dict
        Result of `look` by URL, or the error why it could not be checked.

    Raises
    ------
    TransientError
        If a server does not answer.
    """

    def one(url: str) -> T | PermanentError:
        """Check one URL. An error of this URL is its result, for example missing credentials for its bucket."""
        try:
            return look(url)
        except PermanentError as error:
            return error

    found: dict[str, T | PermanentError] = {}
    pool = ThreadPoolExecutor(threads)
    try:
        for url, answer in zip(urls, pool.map(one, urls), strict=True):
            found[url] = answer
            progress(what, len(found), len(urls))
    finally:
        pool.shutdown(cancel_futures=True)
    return found


def find_files(reader: InputReader, location: str, extension: str) -> list[str]:
    """Return the files and directories of one data asset that match a file extension, sorted.

    Parameters
    ----------
    reader : InputReader
        Reader of the asset's server.
    location : str
        URL of the asset; it is the result itself if its name matches.
    extension : str
        Extension or pattern; see `dispatch.model.found_files.matches`.

    Raises
    ------
    InputError
        If the asset cannot be listed: no such bucket or folder, access denied, an http URL, or too many
        folders.
    ServerUnavailableError
        If S3 does not answer.
    """
    location, limit = location.rstrip("/"), reader.max_folders
    scheme, name = scheme_of(location), location.rpartition("/")[2]
    if matches(name, extension):
        return [location]
    if scheme.startswith("http"):
        msg = f"{shown_url(location)} cannot be searched over http."
        raise InputError(msg)
    if scheme == "s3":
        bucket, key = split_s3_url(location)
        server = reader.server_of(location)
        top = f"{key}/" if key else ""
        found = _walk(
            lambda below: _s3_entries(list_folder(server, bucket, top + below), top), location, extension, limit
        )
        return [f"s3://{bucket}/{top}{path}" for path in found]
    folder = local_path(location)
    found = _walk(lambda below: _local_entries(folder, below), location, extension, limit)
    return [(folder / path).as_uri() for path in found]


def check_exists(reader: InputReader, url: str) -> None:
    """Raise if an input does not exist.

    Raises
    ------
    InputError
        If the input does not exist; http URLs are not checked.
    ServerUnavailableError
        If S3 does not answer.
    """
    scheme = scheme_of(url)
    is_there = True
    if scheme == "s3":
        is_there = exists_s3(reader.server_of(url), url)
    elif scheme == "file":
        is_there = local_path(url).exists()
    if not is_there:
        msg = f"Nothing is at {shown_url(url)} (yet). Check the address, or dispatch again when the upload is done."
        raise InputError(msg)


def _walk(
    list_below: Callable[[str], tuple[list[str], list[str]]], location: str, extension: str, max_folders: int
) -> list[str]:
    """Return the matches below an asset, level by level; the content of a match is not searched."""
    found: list[str] = []
    todo, listed = [""], 0
    while todo:
        listed += 1
        if listed > max_folders:
            msg = f"More than {max_folders} folders are under {shown_url(location)}: too many to look for files in."
            raise InputError(msg)
        folders, files = list_below(todo.pop())
        found += [path for path in (*files, *folders) if matches(path, extension)]
        todo += [
            f"{path}/" for path in folders if not matches(path, extension) and not path.lower().endswith(_NOT_ENTERED)
        ]
    return sorted(found)


def _s3_entries(listing: tuple[list[str], list[str]], top: str) -> tuple[list[str], list[str]]:
    """Return folders and files of a listing as paths below the asset."""
    folders, files = listing
    return [p.removeprefix(top).rstrip("/") for p in folders], [p.removeprefix(top) for p in files]


def _local_entries(folder: Path, below: str) -> tuple[list[str], list[str]]:
    """Return folders and files of a local folder as paths below the asset; links to folders are not followed."""
    try:
        with os.scandir(folder / below) as entries:
            listed = [(below + entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    except OSError as error:
        msg = f"{folder / below} cannot be searched: {error.strerror}."
        raise InputError(msg) from error
    return [path for path, is_folder in listed if is_folder], [path for path, is_folder in listed if not is_folder]
