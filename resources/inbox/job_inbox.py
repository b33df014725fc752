"""The inbox: where dispatchers put job files, a folder or a prefix of an S3 bucket.

``<inbox>/<analysis>/…/<any name>.json``, at any depth, asks for a job; ``<inbox>/<analysis>/analysis_parameters.json``
gives fixed parameters. The platform reads here and adds files; it never moves or deletes any.
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import dagster as dg
from pydantic import Field

from domain.errors import JobFileError
from resources.inbox.bucket import BucketInbox
from resources.inbox.folder import FolderInbox
from resources.inbox.names import (
    PARAMETERS_FILE,
    InboxFile,
    InboxPage,
    check_analysis,
    decoded_name,
    is_job_name,
    raw_name,
    shown_name,
    too_large,
)
from resources.s3.connection import S3Connection

__all__ = ["InboxFile", "InboxPage", "JobInbox"]


class JobInbox(dg.ConfigurableResource["JobInbox"]):
    """Small verbs on the job files of an inbox.

    A read that fails is an error, never an empty inbox. See
    https://docs.dagster.io/guides/build/external-resources for how Dagster builds resources.
    """

    s3: dg.ResourceDependency[S3Connection]
    root: str = Field(description="JOB_INBOX: a folder, or s3://bucket/prefix.")
    page_size: int = Field(
        default=1000, description="How many objects S3 lists at once, at most; it knows no more than 1000."
    )

    @property
    def place(self) -> FolderInbox | BucketInbox:
        """The folder or the bucket, for reads and writes past the checks of this class."""
        if self.in_parts:
            return BucketInbox(self.root.rstrip("/"), self.s3, page_size=self.page_size)
        return FolderInbox(Path(self.root))

    @property
    def in_parts(self) -> bool:
        """Whether a listing may be gone on with where an earlier one stopped."""
        return self.root.startswith("s3://")

    def ensure(self) -> None:
        """Make the inbox itself: a folder, or a bucket of the embedded S3 server.

        Raises
        ------
        SettingsError
            If it cannot be made.
        """
        self.place.ensure()

    def list_files(self, analysis: str) -> list[InboxFile]:
        """List the job files of an analysis, by name.

        Parameters
        ----------
        analysis : str
            Its name.

        Returns
        -------
        list of InboxFile
            Empty when the analysis has no folder. Files that cannot be read as job files carry the reason.

        Raises
        ------
        SettingsError
            If the inbox is missing or may not be read.
        ServerUnavailableError
            If the disk or S3 does not answer.
        """
        files = chain.from_iterable(page.files for page in self.pages(analysis))
        return sorted(files, key=lambda file: file.name)

    def pages(self, analysis: str, *, after: str = "") -> Iterator[InboxPage]:
        """List the job files of an analysis in parts, so that a listing that takes long can be gone on with later.

        Parameters
        ----------
        analysis : str
            Its name.
        after : str
            Where an earlier listing stopped, as its last page says; empty: from the beginning.

        Returns
        -------
        iterator of InboxPage
            At least one. A folder has one page; one of S3 has up to a thousand files.

        Raises
        ------
        SettingsError, ServerUnavailableError
            As `list_files` does.
        """
        return self.place.pages(check_analysis(analysis), after=after)

    def look_at(self, analysis: str, name: str) -> InboxFile | None:
        """Return one file as a listing would show it.

        Parameters
        ----------
        analysis : str
            The analysis.
        name : str
            As `list_files` names it.

        Returns
        -------
        InboxFile or None
            None when it is not there.

        Raises
        ------
        JobFileError
            If the name leads out of the inbox.
        SettingsError, ServerUnavailableError
            If the inbox cannot be read.
        """
        return self.place.look_at(check_analysis(analysis), raw_name(name))

    def place_of(self, bucket: str, key: str) -> tuple[str, str] | None:
        """Tell which job file an object of S3 is.

        Parameters
        ----------
        bucket, key : str
            The object.

        Returns
        -------
        tuple of str or None
            What its analysis would be called, which need not exist, and its name; None when it is no job file of this inbox.
        """
        place = self.place
        path = place.path_of(bucket, key) if isinstance(place, BucketInbox) else None
        analysis, slash, raw = (path or "").partition("/")
        if not slash or not is_job_name(raw) or raw == PARAMETERS_FILE:
            return None
        return analysis, shown_name(raw)

    def read(self, analysis: str, name: str) -> bytes:
        """Return the content of one file.

        Parameters
        ----------
        analysis : str
            The analysis.
        name : str
            As `list_files` names it.

        Raises
        ------
        FileNotFoundError
            If it is not there (any more).
        JobFileError
            If the name leads out of the inbox, or the file is no regular file, a link, or larger than 1 MiB.
        """
        return self.place.read(check_analysis(analysis), raw_name(name))

    def read_fixed_parameters(self, analysis: str) -> bytes | None:
        """Return the content of ``analysis_parameters.json``.

        Parameters
        ----------
        analysis : str
            The analysis.

        Returns
        -------
        bytes or None
            None when there is no such file.

        Raises
        ------
        JobFileError
            If it is no regular file, a link, or larger than 1 MiB.
        SettingsError, ServerUnavailableError
            If the inbox cannot be read.
        """
        if not self.fixed_fingerprint(analysis):
            return None
        try:
            return self.read(analysis, PARAMETERS_FILE)
        except FileNotFoundError:
            return None

    def fixed_fingerprint(self, analysis: str) -> str:
        """Return what changes whenever ``analysis_parameters.json`` does.

        Parameters
        ----------
        analysis : str
            The analysis.

        Returns
        -------
        str
            Empty when there is no such file.

        Raises
        ------
        SettingsError, ServerUnavailableError
            If the inbox cannot be read.
        """
        found = self.place.look_at(check_analysis(analysis), PARAMETERS_FILE)
        return found.fingerprint if found else ""

    def write(self, analysis: str, name: str, data: bytes) -> None:
        """Write one file, whole or not at all, over an earlier one of this name.

        Parameters
        ----------
        analysis : str
            The analysis.
        name : str
            As `list_files` will name it.
        data : bytes
            The content, at most 1 MiB.

        Raises
        ------
        JobFileError
            If the name leads out of the inbox, the content is too large, or the file cannot be written.
        """
        if (problem := too_large(len(data))) is not None:
            msg = f"Not allowed to write {name!r} to the inbox: it {problem}."
            raise JobFileError(msg)
        self.place.write(check_analysis(analysis), raw_name(name), data)

    def url(self, analysis: str, name: str) -> str:
        """Return the address of one file, to show and to record.

        Parameters
        ----------
        analysis : str
            The analysis.
        name : str
            As `list_files` names it; also that of a file which could not be read.

        Returns
        -------
        str
            ``file://…`` or ``s3://…``.
        """
        return self.place.url(check_analysis(analysis), decoded_name(name))
