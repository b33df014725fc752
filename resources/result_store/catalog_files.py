"""The files in S3 with all results of an analysis: results table and report, beside the results.

They are at ``s3://<ANALYSIS_BUCKET>/catalog/<analysis>/`` and can be regenerated at any time. A result id has 64 digits, so
``catalog`` is not a result.
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
"""Folder of all results tables below the root of the results."""

TABLE = "results.parquet"
REPORT = "report.html"


@dataclass(frozen=True)
class CatalogFile:
    """A file with the tag of its version.

    Attributes
    ----------
    content : bytes
        Complete content.
    etag : str
        ETag of the server; a newer file has another one.
    """

    content: bytes
    etag: str


class CatalogFiles(dg.ConfigurableResource["CatalogFiles"]):
    """Reads and writes the files of results tables; see `resources.result_store.catalog_tables` for their content."""

    s3: dg.ResourceDependency[S3Connection]
    root: str = Field(description="ANALYSIS_BUCKET: `bucket` or `bucket/prefix`.")
    browser_url: str | None = Field(default=None, description="RESULTS_BROWSER_URL: serves the root over http.")

    def address(self, analysis: str, name: str = TABLE) -> str:
        """Return the S3 address of a file of an analysis."""
        return f"s3://{self.root}/{CATALOGS}{analysis}/{name}"

    def browse_url(self, analysis: str, name: str = TABLE) -> str:
        """Return a link to a file of an analysis for a browser."""
        bucket, key = split_s3_url(self.address(analysis, name))
        return link_to(self.s3, bucket, key, root=self.root, browser_url=self.browser_url)

    def etag(self, analysis: str, name: str = TABLE) -> str | None:
        """Return the ETag of a file of an analysis; None if it does not exist."""
        response = self._response("head_object", analysis, name)
        return None if response is None else etag_of(response)

    def get(self, analysis: str, name: str = TABLE) -> CatalogFile | None:
        """Return a file of an analysis; None if it does not exist.

        Raises
        ------
        ServerUnavailableError
            If S3 does not response.
        """
        response = self._response("get_object", analysis, name)
        if response is None:
            return None
        with self._errors("read", analysis, name):
            return CatalogFile(response["Body"].read(), etag_of(response))

    def put(self, analysis: str, name: str, content: bytes, *, content_type: str) -> None:
        """Store a file of an analysis, atomically.

        Raises
        ------
        ServerUnavailableError
            If S3 does not response.
        """
        bucket, key = split_s3_url(self.address(analysis, name))
        with self._errors("write", analysis, name):
            self.s3.client.put_object(Bucket=bucket, Key=key, Body=content, ContentType=content_type)

    def _response(self, verb: str, analysis: str, name: str) -> Any:
        """Call a method of the client for a file; return None if the file does not exist."""
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
        """Convert errors of S3 into those of the platform."""
        address = self.address(analysis, name)
        with (
            error_context(analysis=analysis),
            s3_errors(f"{verb} {address}", server=self.s3.server_name, location=address),
        ):
            yield
