"""The inbox of job files: a folder or a prefix of an S3 bucket.

``<inbox>/<analysis>/…/<any name>.json``, at any depth, requests a job, and
``<inbox>/<analysis>/analysis_parameters.json`` has fixed parameters. The platform reads and adds files, and never moves
or deletes any.
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
    """Access to the job files of an inbox.

    A failed read raises, and never looks like an empty inbox. See
    https://docs.dagster.io/guides/build/external-resources for how Dagster builds resources.
    """

    s3: dg.ResourceDependency[S3Connection]
    root: str = Field(description="JOB_INBOX: a folder, or s3://bucket/prefix.")
    page_size: int = Field(
        default=1000, description="How many objects S3 lists at once, at most; it knows no more than 1000."
    )

    @property
    def place(self) -> FolderInbox | BucketInbox:
        """The folder or bucket, for access without the checks of this class."""
        if self.in_parts:
            return BucketInbox(self.root.rstrip("/"), self.s3, page_size=self.page_size)
        return FolderInbox(Path(self.root))

    @property
    def in_parts(self) -> bool:
        """Whether a listing can be continued where an earlier one stopped."""
        return self.root.startswith("s3://")

    def ensure(self) -> None:
        """Create the inbox: a folder, or a bucket of the embedded S3 server.

        Raises
        ------
        SettingsError
            If it cannot be created.
        """
        self.place.ensure()

    def list_files(self, analysis: str) -> list[InboxFile]:
        """List the job files of an analysis, by name.

        Parameters
        ----------
        analysis : str
            Name of the analysis, and of its folder.

        Returns
        -------
        list of InboxFile
            Empty if the analysis has no folder. Files that cannot be read as job files have the reason in `problem`.

        Raises
        ------
        SettingsError
            If the inbox is missing, or access is denied.
        ServerUnavailableError
            If the disk or S3 does not answer.
        """
        files = chain.from_iterable(page.files for page in self.pages(analysis))
        return sorted(files, key=lambda file: file.name)

    def pages(self, analysis: str, *, after: str = "") -> Iterator[InboxPage]:
        """List the job files of an analysis in pages, so that a long listing can be continued later.

        Parameters
        ----------
        analysis : str
            Name of the analysis, and of its folder.
        after : str
            `InboxPage.upto` of the last page of an earlier listing; empty to start from the beginning.

        Returns
        -------
        iterator of InboxPage
            At least one page. A folder has one page; a page of S3 has up to a thousand files.

        Raises
        ------
        SettingsError, ServerUnavailableError
            As in `list_files`.
        """
        return self.place.pages(check_analysis(analysis), after=after)

    def look_at(self, analysis: str, name: str) -> InboxFile | None:
        """Return one file as in a listing.

        Parameters
        ----------
        analysis : str
            Name of the analysis, and of its folder.
        name : str
            Name below the analysis's folder, from `list_files`.

        Returns
        -------
        InboxFile or None
            None if it does not exist.

        Raises
        ------
        JobFileError
            If the name is outside of the inbox.
        SettingsError, ServerUnavailableError
            If the inbox cannot be read.
        """
        return self.place.look_at(check_analysis(analysis), raw_name(name))

    def place_of(self, bucket: str, key: str) -> tuple[str, str] | None:
        """Return the job file of an S3 object.

        Parameters
        ----------
        bucket, key : str
            Bucket and key of the object.

        Returns
        -------
        tuple of str or None
            Name of the analysis, which need not exist, and of the file; None if it is not a job file of this inbox.
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
            Name of the analysis, and of its folder.
        name : str
            Name below the analysis's folder, from `list_files`.

        Raises
        ------
        FileNotFoundError
            If it does not exist, or no longer.
        JobFileError
            If the name is outside of the inbox, or the file is not a regular file, a link, or larger than 1 MiB.
        """
        return self.place.read(check_analysis(analysis), raw_name(name))

    def read_fixed_parameters(self, analysis: str) -> bytes | None:
        """Return the content of ``analysis_parameters.json``.

        Parameters
        ----------
        analysis : str
            Name of the analysis, and of its folder.

        Returns
        -------
        bytes or None
            None if there is no such file.

        Raises
        ------
        JobFileError
            If it is not a regular file, a link, or larger than 1 MiB.
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
        """Return a text that changes whenever ``analysis_parameters.json`` does.

        Parameters
        ----------
        analysis : str
            Name of the analysis, and of its folder.

        Returns
        -------
        str
            Empty if there is no such file.

        Raises
        ------
        SettingsError, ServerUnavailableError
            If the inbox cannot be read.
        """
        found = self.place.look_at(check_analysis(analysis), PARAMETERS_FILE)
        return found.fingerprint if found else ""

    def write(self, analysis: str, name: str, data: bytes) -> None:
        """Write one file atomically, replacing an earlier one of this name.

        Parameters
        ----------
        analysis : str
            Name of the analysis, and of its folder.
        name : str
            Name as in `list_files`.
        data : bytes
            Content of the file, at most 1 MiB.

        Raises
        ------
        JobFileError
            If the name is outside of the inbox, the content is too large, or the file cannot be written.
        """
        if (problem := too_large(len(data))) is not None:
            msg = f"Not allowed to write {name!r} to the inbox: it {problem}."
            raise JobFileError(msg)
        self.place.write(check_analysis(analysis), raw_name(name), data)

    def url(self, analysis: str, name: str) -> str:
        """Return the URL of one file, to show and to record.

        Parameters
        ----------
        analysis : str
            Name of the analysis, and of its folder.
        name : str
            Name from `list_files`, also of a file that cannot be read.

        Returns
        -------
        str
            ``file://…`` or ``s3://…``.
        """
        return self.place.url(check_analysis(analysis), decoded_name(name))
