"""Opens the files of a result by name. Each is downloaded once, because the files of an attempt never change."""

import base64
import mimetypes
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import IO, Any, Literal

from domain.errors import OutputError
from domain.messages import shown
from resources.result_store.names import key_of, split_location
from resources.result_store.store import ResultsStore
from resources.result_store.stored_file import StoredFile
from results.frames import Engine, read_table, tables_among

_PICTURES = {"image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml"}
_TOLD = 20


@dataclass(frozen=True)
class Figure:
    """A figure of a result; Jupyter shows it when it is the last value of a cell.

    Attributes
    ----------
    name : str
        Path below the result's folder.
    content : bytes
        Content of the file, as the analysis wrote it.
    """

    name: str
    content: bytes

    def __bytes__(self) -> bytes:
        """Return the file's content."""
        return self.content

    def __repr__(self) -> str:
        return f"<Figure {self.name!r}, {len(self.content):,} bytes>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:  # noqa: ARG002  Jupyter's
        """Return PNG as it is, and other formats as an image element, which runs no scripts."""
        kind = mimetypes.guess_type(self.name)[0]
        text = base64.b64encode(self.content).decode()
        if kind not in _PICTURES:
            return {"text/plain": repr(self)}
        if kind == "image/png":
            return {"image/png": text, "text/plain": repr(self)}
        picture = f'<img alt="{escape(self.name)}" src="data:{kind};base64,{text}">'
        return {"text/html": picture, "text/plain": repr(self)}


@dataclass(frozen=True)
class ResultFiles:
    """The files of a result, with a local cache.

    Attributes
    ----------
    store : ResultsStore
        Store to download from.
    location : str
        URL of the attempt's folder.
    cache : Path
        Folder of downloaded files; can be deleted at any time.
    """

    store: ResultsStore
    location: str
    cache: Path

    def listed(self) -> list[StoredFile]:
        """Return name, size and ETag of every file."""
        return self.store.list_files(self.location)

    def path(self, name: str) -> Path:
        """Return a local copy of a file.

        Raises
        ------
        OutputError
            If there is no file of this name; the message lists the files.
        """
        key_of(self.location, name)  # rejects names that must not become paths
        _, folder = split_location(self.location)
        local = self.cache.joinpath(*folder.split("/")[-2:], name)
        if not local.is_file():
            names = [file.path for file in self.listed()]
            if name not in names:
                msg = f"There is no file {name!r} in {self.location}. {_file_list(names)}"
                raise OutputError(msg, location=self.location)
            self.store.download(self.location, name, local)
        return local

    def open(self, name: str, mode: Literal["rb", "r"]) -> IO[Any]:
        """Open a local copy of a file for reading, as bytes or as UTF-8 text."""
        if mode not in {"rb", "r"}:
            msg = f"mode={shown(repr(mode))}: a result's files are only read. Expected 'rb' for bytes or 'r' for text."
            raise OutputError(msg, location=self.location)
        return self.path(name).open(mode, encoding=None if mode == "rb" else "utf-8")

    def table(self, name: str | None, engine: Engine) -> Any:
        """Read a table; without a name, the only one."""
        return read_table(self.path(self._only_table() if name is None else name), engine)

    def _only_table(self) -> str:
        names = [file.path for file in self.listed()]
        tables = tables_among(names)
        if len(tables) != 1:
            found = "none" if not tables else ", ".join(tables)
            msg = f"Give the name of the table: {self.location} must have exactly one .parquet or .csv file; it has {found}. {_file_list(names)}"
            raise OutputError(msg, location=self.location)
        return tables[0]


def _file_list(names: list[str]) -> str:
    """Return the list of files for a message."""
    if not names:
        return "It has no files: `analysis audit` lists what is missing."
    more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    return f"There are: {', '.join(map(repr, names[:_TOLD]))}{more}."
