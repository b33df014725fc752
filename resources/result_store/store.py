"""The results in S3: operations on the files of one attempt. The publisher decides on their order.

Results are at ``s3://<root>/<result_id>/<attempt>/<path>``. An attempt only writes below its own folder, and every text from
outside is checked before it becomes part of a key.
"""

import hashlib
import mimetypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError
from pydantic import Field

from domain.batching import in_batches
from domain.errors import OutputError
from domain.messages import counted
from resources.result_store.names import METADATA, check_result, key_of, split_location
from resources.result_store.stored_file import StoredFile
from resources.result_store.uploads import FileState, check_unchanged, upload_in_parts, upload_whole
from resources.s3.connection import S3Connection
from resources.s3.errors import etag_of, is_missing, s3_errors
from resources.s3.links import link_to, link_to_input
from resources.s3.server import SINGLE_PUT_BYTES

_DELETE_AT_ONCE = 1000
_PIECE_BYTES = 1024 * 1024
_TRANSFER = TransferConfig(
    multipart_threshold=SINGLE_PUT_BYTES, multipart_chunksize=SINGLE_PUT_BYTES, max_concurrency=4
)


class ResultsStore(dg.ConfigurableResource["ResultsStore"]):
    """Reads and writes the files of results in S3.

    See https://docs.dagster.io/guides/build/external-resources for how Dagster builds resources.
    """

    s3: dg.ResourceDependency[S3Connection]
    root: str = Field(description="ANALYSIS_BUCKET: `bucket` or `bucket/prefix`.")
    browser_url: str | None = Field(default=None, description="RESULTS_BROWSER_URL: serves the root over http.")
    explorer_url: str | None = Field(default=None, description="EXPLORER_URL: shows results beside each other.")
    input_endpoint_url: str | None = Field(default=None, description="INPUT_S3_ENDPOINT_URL, for links to inputs.")

    def location(self, result_id: str, attempt: str) -> str:
        """Return the S3 address of an attempt's folder.

        Parameters
        ----------
        result_id : str
            64 hexadecimal digits.
        attempt : str
            UUID of the attempt.

        Returns
        -------
        str
            ``s3://<root>/<result_id>/<attempt>``.

        Raises
        ------
        OutputError
            If one of them has another format.
        """
        check_result(result_id, attempt)
        return f"s3://{self.root}/{result_id}/{attempt}"

    def put_file(self, location: str, path: str, local_file: Path) -> StoredFile:
        """Upload one file.

        Parameters
        ----------
        location : str
            S3 address of the attempt's folder.
        path : str
            Path of the file below the location, with ``/``.
        local_file : Path
            File to upload; it must not change meanwhile.

        Returns
        -------
        StoredFile
            The file as stored on the server.

        Raises
        ------
        OutputError
            If the name cannot be stored, the location is not below this store's root, or the file changed during the upload.
        ServerUnavailableError
            If S3 does not answer.
        """
        bucket, key = self._key_to_write(location, path)
        with self._errors(f"upload {path} to {location}", location), local_file.open("rb") as content:
            before, kind = FileState.of(content), _content_type(path)
            if before.size > SINGLE_PUT_BYTES:
                sent = upload_in_parts(self.s3, bucket, key, content, content_type=kind)
            else:  # reads one byte more than the size, to detect a growing file
                sent = upload_whole(self.s3, bucket, key, content.read(before.size + 1), content_type=kind)
            check_unchanged(content, before, sent)
        return StoredFile(path, sent.bytes, sent.etag, sent.sha256)

    def put_bytes(self, location: str, path: str, data: bytes, content_type: str = "") -> StoredFile:
        """Upload bytes as a file.

        Parameters
        ----------
        location : str
            S3 address of the attempt's folder.
        path : str
            Path of the file below the location, with ``/``.
        data : bytes
            Content of the file.
        content_type : str
            MIME type; by default guessed from the name.

        Returns
        -------
        StoredFile
            The file as stored on the server.

        Raises
        ------
        OutputError
            If the name cannot be stored, or the location is not below this store's root.
        ServerUnavailableError
            If S3 does not answer.
        """
        bucket, key = self._key_to_write(location, path)
        kind = content_type or _content_type(path)
        with self._errors(f"upload {path} to {location}", location):
            sent = upload_whole(self.s3, bucket, key, data, content_type=kind)
        return StoredFile(path, sent.bytes, sent.etag, sent.sha256)

    def list_files(self, location: str) -> list[StoredFile]:
        """List the files of one attempt, by path.

        Parameters
        ----------
        location : str
            The attempt's folder; may be below another root than this store's, as in old records.

        Returns
        -------
        list of StoredFile
            Empty if there are none.
        """
        bucket, folder = split_location(location)
        found = []
        for item in self.objects_below(bucket, f"{folder}/"):
            path = item["Key"].removeprefix(f"{folder}/")
            if path and not path.endswith("/"):  # consoles create empty objects to show a folder
                found.append(StoredFile(path, item["Size"], etag_of(item)))
        return sorted(found, key=lambda file: file.path)

    def get_bytes(self, location: str, path: str) -> bytes | None:
        """Return the content of one file.

        Parameters
        ----------
        location : str
            S3 address of the attempt's folder.
        path : str
            Path of the file below the location.

        Returns
        -------
        bytes or None
            None if the file does not exist.
        """
        with self._errors(f"read {path} of {location}", location):
            body = self._body(location, path)
            return None if body is None else body.read()

    def sha256_of(self, location: str, path: str) -> str | None:
        """Return the sha256 of one file's content, read in chunks; None if the file does not exist."""
        digest = hashlib.sha256()
        with self._errors(f"read {path} of {location}", location):
            body = self._body(location, path)
            for piece in () if body is None else body.iter_chunks(_PIECE_BYTES):
                digest.update(piece)
        return None if body is None else digest.hexdigest()

    def discard(self, location: str) -> None:
        """Delete an attempt, its last-written file first, so that an interrupted deletion leaves no complete attempt.

        Parameters
        ----------
        location : str
            The attempt's folder; may be empty.

        Raises
        ------
        OutputError
            If it is not below this store's root, or S3 does not delete a file.
        """
        bucket, metadata = self._key_to_write(location, METADATA)
        folder = metadata.removesuffix(METADATA)
        with self._errors(f"delete {location}", location):
            self.s3.client.delete_object(Bucket=bucket, Key=metadata)
        keys = [item["Key"] for item in self.objects_below(bucket, folder)]
        for some in in_batches(keys, _DELETE_AT_ONCE):
            objects: Any = [{"Key": key} for key in some]
            with self._errors(f"delete {location}", location):
                answer = self.s3.client.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
            if errors := answer.get("Errors"):
                msg = f"Could not delete {counted(len(errors), 'object')} under {location} (first error: {errors[0].get('Code')})."
                raise OutputError(msg, location=location)

    def download(self, location: str, path: str, destination: Path) -> None:
        """Download a file, atomically.

        Parameters
        ----------
        location : str
            S3 address of the attempt's folder.
        path : str
            Path of the file below the location.
        destination : Path
            File to write; its folder is created.

        Raises
        ------
        OutputError
            If the file does not exist.
        """
        bucket, key = key_of(location, path)
        destination.parent.mkdir(parents=True, exist_ok=True)
        with self._errors(f"download {path} of {location}", location):
            try:
                self.s3.client.download_file(bucket, key, str(destination), Config=_TRANSFER)
            except ClientError as error:
                if not is_missing(error):
                    raise
                msg = f"There is no file {path!r} in {location}: list what is there, or audit the result."
                raise OutputError(msg, location=location) from None

    def browse_url(self, location: str, path: str = "") -> str:
        """Return a link for a browser.

        Parameters
        ----------
        location : str
            S3 address of the attempt's folder.
        path : str
            Path of a file below the location; by default the folder.

        Returns
        -------
        str
            URL on the embedded web server, else below ``RESULTS_BROWSER_URL``, else on the configured S3 server, else on
            the AWS console.
        """
        bucket, folder = split_location(location)
        return link_to(self.s3, bucket, f"{folder}/{path}", root=self.root, browser_url=self.browser_url)

    def input_url(self, url: str) -> str | None:
        """Return a link to an input for a browser; None if there is none."""
        return link_to_input(self.s3, url, endpoint_url=self.input_endpoint_url)

    def ensure_bucket(self) -> None:
        """Create the bucket on the embedded server; on other servers it must exist."""
        self.s3.ensure_bucket(self.root.partition("/")[0])

    def _key_to_write(self, location: str, path: str) -> tuple[str, str]:
        """Return bucket and key of a file below this store's root."""
        bucket, key = key_of(location, path)
        if location != self.location(*location.split("/")[-2:]):
            msg = f"Not allowed to write {path!r} to {location}: it is not below s3://{self.root}."
            raise OutputError(msg, location=location)
        return bucket, key

    def objects_below(self, bucket: str, prefix: str) -> Iterator[Any]:
        """Yield every object below a prefix, as returned by boto3."""
        with self._errors(f"list s3://{bucket}/{prefix}", f"s3://{bucket}/{prefix}".rstrip("/")):
            # boto3 requests encoded keys and decodes them; KeyCount is not reliable.
            for page in self.s3.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                yield from page.get("Contents", [])

    def _body(self, location: str, path: str) -> Any:
        """Return the content of one file, to be read; None if the file does not exist."""
        bucket, key = key_of(location, path)
        try:
            return self.s3.client.get_object(Bucket=bucket, Key=key)["Body"]
        except ClientError as error:
            if is_missing(error):
                return None
            raise

    def _errors(self, what: str, location: str) -> Any:
        """Convert errors of S3 into those of the platform."""
        return s3_errors(what, server=self.s3.server_name, location=location)


def _content_type(path: str) -> str:
    """Return the MIME type of a file, guessed from its name."""
    kind, encoding = mimetypes.guess_type(path)
    return kind if kind and not encoding else "application/octet-stream"
