"""Looking into many assets at once, before anything is asked of them: which files they have, and whether they exist.

Nothing is downloaded. One asset that cannot be looked into is reported and holds up no other; a server that does not
answer ends the whole look, because nothing could be said then.
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
"""Told what is being done, how much of it is done, and how much there is."""

THREADS = 16
_NOT_ENTERED = (".zarr", ".nwb")
"""Directories that are files in all but name: thousands of chunks, and none of them an input."""


@dataclass(frozen=True)
class LookingReader(InputReader):
    """A reader for one look at many addresses: it asks only once which server has a bucket.

    Attributes
    ----------
    known : dict
        Servers by bucket.
    """

    known: dict[str, S3Server] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, reader: InputReader) -> Self:
        """Take the servers and limits of another reader."""
        return cls(**{f.name: getattr(reader, f.name) for f in fields(InputReader)})

    def server_of(self, url: str) -> S3Server:
        """Return the S3 server that has a bucket.

        Parameters
        ----------
        url : str
            An address in the bucket.
        """
        bucket, _ = split_s3_url(url)
        if bucket not in self.known:
            self.known[bucket] = super().server_of(url)
        return self.known[bucket]


def look_at(
    urls: Sequence[str], look: Callable[[str], T], *, what: str, progress: Progress, threads: int = THREADS
) -> dict[str, T | PermanentError]:
    """Look at many addresses in parallel.

    Parameters
    ----------
    urls : sequence of str
        Addresses, each once.
    look : callable
        What to do with each.
    what : str
        What is being done, for the progress.
    progress : callable
        Told after each address.
    threads : int
        So many at once.

    Returns
    -------
    dict
        By address what was found, or why it could not be looked at.

    Raises
    ------
    TransientError
        If a server does not answer.
    """

    def one(url: str) -> T | PermanentError:
        """Look at one address; a fault of its own is an answer, missing credentials for its bucket included."""
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
    """Return the files and directories of one asset that a file extension means, sorted.

    Parameters
    ----------
    reader : InputReader
        Knows which server has the asset.
    location : str
        Its address; itself the file when its name is meant.
    extension : str
        As `dispatch.model.found_files.matches` reads it.

    Raises
    ------
    InputError
        If the asset cannot be searched: no such bucket or folder, access refused, an address over http, or far too many
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
    """Refuse an input's address where nothing is.

    Raises
    ------
    InputError
        If nothing is there. Addresses over http are believed.
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
    """Return what is meant below an asset, level by level; what is found is not searched further."""
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
