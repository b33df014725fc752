"""An inbox that is a prefix of an S3 bucket."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from domain.errors import JobFileError
from resources.inbox.names import (
    PARAMETERS_FILE,
    InboxFile,
    InboxPage,
    is_job_name,
    raw_name,
    shown_name,
    too_large,
)
from resources.s3.connection import S3Connection
from resources.s3.errors import etag_of, is_missing, s3_errors
from resources.s3.server import split_s3_url

_HINT = "Check JOB_INBOX, AWS_ENDPOINT_URL and the AWS_* credentials."


@dataclass(frozen=True)
class BucketInbox:
    """An inbox below ``s3://bucket/prefix``.

    Attributes
    ----------
    root : str
        URL of the inbox; each analysis has a prefix in it.
    s3 : S3Connection
        Connection to the server of the bucket.
    page_size : int
        Maximum number of objects in a page.
    """

    root: str
    s3: S3Connection
    page_size: int = 1000

    def ensure(self) -> None:
        """Create the bucket, only on the embedded server."""
        self.s3.ensure_bucket(split_s3_url(self.root)[0])

    def pages(self, analysis: str, *, after: str = "") -> Iterator[InboxPage]:
        """List the job files of an analysis, `page_size` keys at a time, in S3's order.

        Parameters
        ----------
        analysis : str
            Name of the analysis.
        after : str
            Path after which the listing starts; empty for all.

        Raises
        ------
        SettingsError, ServerUnavailableError
            If the bucket is missing, access is denied, or S3 does not answer.
        """
        bucket, prefix = self._key(analysis, "")
        pages = self.s3.client.get_paginator("list_objects_v2")
        with self._errors(f"list the job files in {self.root}/{analysis}"):
            found = pages.paginate(
                Bucket=bucket,
                Prefix=prefix,
                StartAfter=prefix + after,
                PaginationConfig={"PageSize": self.page_size},
            )
            for page in found:
                items = [(item["Key"].removeprefix(prefix), item) for item in page.get("Contents", [])]
                upto = items[-1][0] if items and page.get("IsTruncated") else None
                if items or not page.get("IsTruncated"):
                    yield InboxPage(tuple(_listed(raw, item) for raw, item in items if _is_job(raw)), upto)

    def look_at(self, analysis: str, raw: str) -> InboxFile | None:
        """Return one file as in a listing; None if it does not exist.

        Parameters
        ----------
        analysis, raw : str
            Name of the analysis, and path below its prefix.
        """
        bucket, key = self._key(analysis, raw)
        with self._errors(f"look at {self.url(analysis, raw)}"):
            try:
                head = self.s3.client.head_object(Bucket=bucket, Key=key)
            except ClientError as error:
                self._check_missing(error, bucket)
                return None
        return InboxFile(shown_name(raw), _fingerprint(head, head["ContentLength"]), _fault(raw, head["ContentLength"]))

    def read(self, analysis: str, raw: str) -> bytes:
        """Return the content of one file.

        Parameters
        ----------
        analysis, raw : str
            Name of the analysis, and path below its prefix.

        Raises
        ------
        FileNotFoundError
            If it does not exist, or no longer.
        JobFileError
            If it is too large.
        """
        bucket, key = self._key(analysis, raw)
        with self._errors(f"read {self.url(analysis, raw)}"):
            try:
                answer = self.s3.client.get_object(Bucket=bucket, Key=key)
            except ClientError as error:
                self._check_missing(error, bucket)
                raise FileNotFoundError(self.url(analysis, raw)) from None
            with answer["Body"] as body:
                if (problem := too_large(answer["ContentLength"])) is not None:
                    msg = f"The inbox file {shown_name(raw)} {problem}."
                    raise JobFileError(msg)
                data = body.read()  # in one call: only then botocore detects a truncated body
        return data

    def write(self, analysis: str, raw: str, data: bytes) -> None:
        """Write one file atomically.

        Parameters
        ----------
        analysis, raw : str
            Name of the analysis, and path below its prefix.
        data : bytes
            Content of the file.
        """
        bucket, key = self._key(analysis, raw)
        with self._errors(f"write {self.url(analysis, raw)}"):
            self.s3.client.put_object(Bucket=bucket, Key=key, Body=data, ContentType="application/json")

    def path_of(self, bucket: str, key: str) -> str | None:
        """Return the path of an object below the inbox, analysis first; None if it is elsewhere.

        Parameters
        ----------
        bucket, key : str
            Bucket and key of the object.
        """
        mine, prefix = split_s3_url(self.root)
        below = f"{prefix}/" if prefix else ""
        return key.removeprefix(below) if bucket == mine and key.startswith(below) else None

    def url(self, analysis: str, raw: str) -> str:
        """Return the URL of one file.

        Parameters
        ----------
        analysis, raw : str
            Name of the analysis, and path below its prefix.
        """
        return f"{self.root}/{analysis}/{shown_name(raw)}"

    def _key(self, analysis: str, raw: str) -> tuple[str, str]:
        bucket, prefix = split_s3_url(self.root)
        if any("\ud800" <= character <= "\udfff" for character in raw):
            msg = f"The inbox file {shown_name(raw)} cannot be in S3: its name is not UTF-8."
            raise JobFileError(msg)
        return bucket, "/".join(part for part in (prefix, analysis) if part) + f"/{raw}"

    def _check_missing(self, error: ClientError, bucket: str) -> None:
        """Ignore that a file is missing; raise if the bucket is missing, which some requests report equally."""
        if not is_missing(error):
            raise error
        self.s3.client.list_objects_v2(Bucket=bucket, MaxKeys=1)

    def _errors(self, what: str) -> AbstractContextManager[None]:
        return s3_errors(what, server=self.s3.server_name, hint=_HINT)


def _is_job(raw: str) -> bool:
    """Return whether an object is a job file."""
    return is_job_name(raw) and raw != PARAMETERS_FILE


def _listed(raw: str, item: Any) -> InboxFile:
    """Return a listed object as an inbox file."""
    return InboxFile(shown_name(raw), _fingerprint(item, item["Size"]), _fault(raw, item["Size"]))


def _fingerprint(answer: Any, size: int) -> str:
    """Return a text that changes whenever the file does."""
    return f"{etag_of(answer)}-{size}"


def _fault(raw: str, size: int) -> str | None:
    """Return why an object cannot be read as a job file; None if it can."""
    try:
        raw_name(shown_name(raw))
    except JobFileError:
        return "has a name that could not be a path: rename it"
    return too_large(size)
