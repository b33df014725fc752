"""An inbox that is a folder on disk. Links are never followed, so that nothing outside the inbox is ever read."""

import errno
import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from domain.errors import JobFileError, PlatformError, ServerUnavailableError, SettingsError
from resources.inbox.names import MAX_BYTES, PARAMETERS_FILE, InboxFile, InboxPage, is_job_name, shown_name, too_large

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_REFUSED = {errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.ENXIO, errno.ENAMETOOLONG}
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # opening a FIFO must not wait for a writer


@dataclass(frozen=True)
class FolderInbox:
    """An inbox below a folder.

    Attributes
    ----------
    root : Path
        Path of the inbox; each analysis has a folder in it.
    """

    root: Path

    def ensure(self) -> None:
        """Create the inbox.

        Raises
        ------
        SettingsError
            If it cannot be created.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._problem(error) from error

    def pages(self, analysis: str, *, after: str = "") -> Iterator[InboxPage]:  # noqa: ARG002  as in a bucket
        """List the job files of an analysis by name in one page: a hundred thousand take a second.

        Parameters
        ----------
        analysis : str
            Name of the analysis.
        after : str
            Ignored, because there is only one page.

        Raises
        ------
        SettingsError, ServerUnavailableError
            If the inbox, or a folder in it, cannot be read.
        """
        self.check_root()
        try:
            yield InboxPage(tuple(sorted(self._walk(analysis), key=attrgetter("name"))), None)
        except OSError as error:
            raise self._problem(error) from error

    def look_at(self, analysis: str, raw: str) -> InboxFile | None:
        """Return one file as in a listing; None if it does not exist.

        Parameters
        ----------
        analysis, raw : str
            Name of the analysis, and path below its folder.
        """
        try:
            facts = (self.root / analysis / raw).lstat()
            return InboxFile(shown_name(raw), _fingerprint(facts), _fault(facts))
        except FileNotFoundError:
            self.check_root()
            return None
        except OSError as error:
            raise self._problem(error) from error

    def check_root(self) -> None:
        """Check the inbox itself: a file is only missing if the inbox exists.

        Raises
        ------
        SettingsError, ServerUnavailableError
            If the inbox cannot be read.
        """
        try:
            os.scandir(self.root).close()
        except OSError as error:
            raise self._problem(error) from error

    def read(self, analysis: str, raw: str) -> bytes:
        """Return the content of one file.

        Parameters
        ----------
        analysis, raw : str
            Name of the analysis, and path below its folder.

        Raises
        ------
        FileNotFoundError
            If it does not exist, or no longer.
        JobFileError
            If it is not a regular file, is reached through a link, or is too large.
        """
        *folders, name = [analysis, *raw.split("/")]
        try:
            with self._opened(folders) as folder, os.fdopen(os.open(name, _FILE_FLAGS, dir_fd=folder), "rb") as file:
                data = file.read(MAX_BYTES + 1) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
        except FileNotFoundError:
            raise
        except OSError as error:
            if error.errno not in _REFUSED:
                raise self._problem(error) from error
            msg = f"The inbox file {shown_name(raw)} cannot be read ({error.strerror}); links are never followed."
            raise JobFileError(msg) from error
        problem = "is not a regular file" if data is None else too_large(len(data))
        if data is None or problem is not None:
            msg = f"The inbox file {shown_name(raw)} {problem}."
            raise JobFileError(msg)
        return data

    def write(self, analysis: str, raw: str, data: bytes) -> None:
        """Write one file atomically; folders are created.

        Parameters
        ----------
        analysis, raw : str
            Name of the analysis, and path below its folder.
        data : bytes
            Content of the file.

        Raises
        ------
        JobFileError
            If the file cannot be written.
        """
        *folders, name = [analysis, *raw.split("/")]
        temporary = f".{uuid.uuid4().hex}.part"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            with self._opened(folders, make=True) as folder:
                try:
                    with os.fdopen(os.open(temporary, flags, 0o644, dir_fd=folder), "wb") as file:
                        file.write(data)
                        file.flush()
                        os.fsync(file.fileno())
                    os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
                finally:
                    with suppress(FileNotFoundError):
                        os.unlink(temporary, dir_fd=folder)
        except OSError as error:
            msg = f"The inbox file {shown_name(raw)} of {analysis} cannot be written to {self.root}: {error.strerror}."
            raise JobFileError(msg) from error

    def url(self, analysis: str, raw: str) -> str:
        """Return the URL of one file.

        Parameters
        ----------
        analysis, raw : str
            Name of the analysis, and path below its folder.
        """
        return (self.root / analysis / raw).as_uri()

    @contextmanager
    def _opened(self, folders: list[str], *, make: bool = False) -> Iterator[int]:
        """Open a folder below the inbox step by step, so that no link leads elsewhere."""
        with ExitStack() as opened:
            current = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
            opened.callback(os.close, current)
            for name in folders:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(name, dir_fd=current)
                current = os.open(name, _FOLDER_FLAGS, dir_fd=current)
                opened.callback(os.close, current)
            yield current

    def _walk(self, analysis: str) -> Iterator[InboxFile]:
        top = self.root / analysis
        if top.is_symlink():
            msg = f"The inbox folder {top} is a symbolic link, and links are never followed: make it a folder."
            raise SettingsError(msg)
        todo = [""]
        while todo:
            prefix = todo.pop()
            try:
                yield from self._folder(top, prefix, todo)
            except FileNotFoundError:  # no folder for this analysis, or moved since its parent was listed
                continue
            except OSError as error:
                if error.errno != errno.ENAMETOOLONG:
                    raise
                yield InboxFile(shown_name(prefix), "", "is a folder deeper than a path can be long: move it up")

    @staticmethod
    def _folder(top: Path, prefix: str, todo: list[str]) -> Iterator[InboxFile]:
        """Yield the job files of one folder, and append its subfolders."""
        with os.scandir(top / prefix) as entries:
            for entry in entries:
                raw = prefix + entry.name
                if entry.is_dir(follow_symlinks=False):
                    todo.append(f"{raw}/")
                elif (is_job_name(raw) and raw != PARAMETERS_FILE) or _is_linked_folder(entry):
                    listed = _listed(entry, raw)
                    if listed is not None:
                        yield listed

    def _problem(self, error: OSError) -> PlatformError:
        """Return the error for an inbox that cannot be used: transient or permanent."""
        where = error.filename if isinstance(error.filename, str) else self.root
        shown = f"The job inbox {self.root} cannot be used: {shown_name(str(where))}: {error.strerror}."
        lasting = (FileNotFoundError, PermissionError, NotADirectoryError, FileExistsError)
        if isinstance(error, lasting):
            return SettingsError(f"{shown} Create it, make it readable, or set JOB_INBOX.")
        return ServerUnavailableError(f"{shown} Check the disk or the share, and JOB_INBOX.")


def _listed(entry: "os.DirEntry[str]", raw: str) -> InboxFile | None:
    """Return one entry; None if it was removed in the meantime."""
    try:
        facts = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    return InboxFile(shown_name(raw), _fingerprint(facts), _fault(facts))


def _is_linked_folder(entry: "os.DirEntry[str]") -> bool:
    """Return whether an entry is a link to a folder or to an unknown target, which may hide jobs."""
    try:
        return entry.is_symlink() and entry.is_dir()
    except OSError:  # a link to itself, or to a path without permission
        return True


def _fingerprint(facts: os.stat_result) -> str:
    """Return a text that changes whenever the file does, even if its time was reset."""
    return f"{facts.st_size}-{facts.st_mtime_ns}-{facts.st_ino}-{facts.st_ctime_ns}"


def _fault(facts: os.stat_result) -> str | None:
    """Return why an entry cannot be read as a job file; None if it can."""
    if stat.S_ISLNK(facts.st_mode):
        return "is a symbolic link: links are never followed"
    if not stat.S_ISREG(facts.st_mode):
        return "is not a regular file"
    return too_large(facts.st_size)
