"""The catalog in S3: the files that gather all results of an analysis, beside the results themselves.

They lie at ``s3://<ANALYSIS_BUCKET>/catalog/<analysis>/`` and can be made anew at any time. A result's id has 64 digits,
so no result is ever called ``catalog``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dagster as dg
from botocore.exceptions import ClientError
from pydantic import Field

from domain.errors import error_context
from resources.s3.connection import S3Connection
from resources.s3.errors import etag_of, is_missing, s3_errors
from resources.s3.links import link_to
from resources.s3.server import split_s3_url

CATALOGS = "catalog/"
"""Folder of all catalogs below the root of the results."""

TABLE = "results.parquet"
REPORT = "report.html"


@dataclass(frozen=True)
class CatalogFile:
    """One file as it was read.

    Attributes
    ----------
    content : bytes
        All of it.
    etag : str
        The server's tag: another one means that there is a newer file.
    """

    content: bytes
    etag: str


class CatalogFiles(dg.ConfigurableResource["CatalogFiles"]):
    """Small verbs on the files of catalogs; what is in the tables is the business of `resources.result_store.catalog_tables`."""

    s3: dg.ResourceDependency[S3Connection]
    root: str = Field(description="ANALYSIS_BUCKET: `bucket` or `bucket/prefix`.")
    browser_url: str | None = Field(default=None, description="RESULTS_BROWSER_URL: serves the root over http.")

    def address(self, analysis: str, name: str = TABLE) -> str:
        """Return the address of one of an analysis's files."""
        return f"s3://{self.root}/{CATALOGS}{analysis}/{name}"

    def browse_url(self, analysis: str, name: str = TABLE) -> str:
        """Return a link to one of an analysis's files that a person can open."""
        bucket, key = split_s3_url(self.address(analysis, name))
        return link_to(self.s3, bucket, key, root=self.root, browser_url=self.browser_url)

    def etag(self, analysis: str, name: str = TABLE) -> str | None:
        """Return the tag of one of an analysis's files; None when there is none."""
        answer = self._asked("head_object", analysis, name)
        return None if answer is None else etag_of(answer)

    def get(self, analysis: str, name: str = TABLE) -> CatalogFile | None:
        """Return one of an analysis's files; None when there is none.

        Raises
        ------
        ServerUnavailableError
            If S3 does not answer.
        """
        answer = self._asked("get_object", analysis, name)
        if answer is None:
            return None
        with self._errors("read", analysis, name):
            return CatalogFile(answer["Body"].read(), etag_of(answer))

    def put(self, analysis: str, name: str, content: bytes, *, content_type: str) -> None:
        """Store one of an analysis's files, whole or not at all.

        Raises
        ------
        ServerUnavailableError
            If S3 does not answer.
        """
        bucket, key = split_s3_url(self.address(analysis, name))
        with self._errors("write", analysis, name):
            self.s3.client.put_object(Bucket=bucket, Key=key, Body=content, ContentType=content_type)

    def _asked(self, verb: str, analysis: str, name: str) -> Any:
        """Ask the server about a file; None when there is no such file."""
        bucket, key = split_s3_url(self.address(analysis, name))
        with self._errors("read", analysis, name):
            try:
                return getattr(self.s3.client, verb)(Bucket=bucket, Key=key)
            except ClientError as error:
                if is_missing(error):
                    return None
                raise

    @contextmanager
    def _errors(self, verb: str, analysis: str, name: str) -> Iterator[None]:
        """Turn S3's errors into the platform's."""
        address = self.address(analysis, name)
        with (
            error_context(analysis=analysis),
            s3_errors(f"{verb} {address}", server=self.s3.server_name, location=address),
        ):
            yield
