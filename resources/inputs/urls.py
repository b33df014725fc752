"""URLs of inputs: their form in messages, local paths of ``file://`` URLs, and paths of local copies."""

import os
import re
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from domain.errors import InputError

SCHEMES = ("s3", "file", "https", "http")
_NWB = (".nwb", ".nwb.zarr")
_MAX_NAME = 150


def scheme_of(url: str) -> str:
    """Return the scheme of an input's URL.

    Raises
    ------
    InputError
        If the scheme is not supported.
    """
    scheme, separator, _ = url.partition("://")
    if not separator or scheme.lower() not in SCHEMES:
        msg = f"The input {shown_url(url)} cannot be read. Expected an address with one of {', '.join(SCHEMES)}."
        raise InputError(msg, location=shown_url(url))
    return scheme.lower()


def shown_url(url: str) -> str:
    """Return a URL for a message: without user, password, query and control characters."""
    scheme, separator, rest = url.partition("://")
    if separator and scheme.lower() in {"http", "https"}:
        rest = re.split(r"[?#]", rest, maxsplit=1)[0]
    host, slash, path = rest.partition("/")
    shown = f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}" if separator else url
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown)


def is_nwb(path: str) -> bool:
    """Return whether a path is that of an NWB file or directory."""
    return path.rstrip("/").lower().endswith(_NWB)


def local_path(url: str) -> Path:
    """Return the path of a ``file://`` URL.

    Raises
    ------
    InputError
        If it has another host, is not an absolute path, or contains control characters.
    """
    parts = urlsplit(url)
    rest = url.partition("://")[2]
    path = os.fsdecode(unquote_to_bytes(rest[rest.find("/") :] if "/" in rest else ""))
    if parts.netloc not in {"", "localhost"} or not path.startswith("/"):
        msg = f"The input {shown_url(url)} is not a local file. Expected file:///absolute/path."
        raise InputError(msg, location=shown_url(url))
    if re.search(r"[\x00-\x1f\x7f]", path):
        msg = f"The input {shown_url(url)} holds control characters: rename the file."
        raise InputError(msg, location=shown_url(url))
    return Path(path)


def new_place(folder: Path, url: str) -> Path:
    """Return a path for the local copy of an input, in a new numbered folder.

    The inputs of a job often have equal names, which the analysis should see.

    Parameters
    ----------
    folder : Path
        The job's private folder for inputs.
    url : str
        URL of the input; its last part is the file name.

    Returns
    -------
    Path
        A free path in an existing folder.
    """
    name = url.partition("://")[2].rstrip("/").rpartition("/")[2]
    if scheme_of(url) in {"http", "https"}:
        name = re.split(r"[?#]", name, maxsplit=1)[0]
    if scheme_of(url) != "s3":
        name = unquote(name)
    name = re.sub(r"[^\w.+\- ]", "_", name)
    name = name if len(name.encode()) <= _MAX_NAME else name.encode()[-_MAX_NAME:].decode(errors="ignore")
    number = 0
    while True:
        try:
            (folder / str(number)).mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return folder / str(number) / (name if name.strip(".") else "input")
