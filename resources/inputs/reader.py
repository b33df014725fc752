"""Resolves and fetches inputs. Dagster is not imported, because worker processes start without it.

Inputs are read from S3, from disk (by links, without copies) and over http(s). Their sources are never written to, and
local files are only written below the folder of the job.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from domain.errors import InputError
from domain.job.inputs import InputFile
from resources.inputs.digests import LARGE_LOCAL_BYTES, content_digest
from resources.inputs.http import fetch_http
from resources.inputs.local import check_local, describe_local, fetch_local, find_local, stamp_local
from resources.inputs.s3 import LARGE_BYTES, MAX_FOLDERS, describe_s3, fetch_s3, find_s3
from resources.inputs.urls import is_nwb, new_place, scheme_of, shown_url
from resources.s3.server import S3Server, split_s3_url

_SHOWN = 10


@dataclass(frozen=True)
class InputReader:
    """Access to inputs.

    Attributes
    ----------
    s3 : S3Server
        The server of the platform's results.
    input_endpoint_url : str or None
        Another server for the inputs (``INPUT_S3_ENDPOINT_URL``).
    input_unsigned : bool
        Read without credentials (``INPUT_S3_UNSIGNED``).
    max_folders : int
        Maximum number of listed folders in a search; more raise.
    large_bytes : int
        Size of the parts in which larger S3 objects are downloaded.
    large_local_bytes : int
        Size up to which inputs on disk are hashed.
    """

    s3: S3Server
    input_endpoint_url: str | None = None
    input_unsigned: bool = False
    max_folders: int = MAX_FOLDERS
    large_bytes: int = LARGE_BYTES
    large_local_bytes: int = LARGE_LOCAL_BYTES

    def resolve(self, location: str) -> str:
        """Return the NWB file of a location.

        Parameters
        ----------
        location : str
            URL of a data asset, or of an NWB file or directory.

        Returns
        -------
        str
            The location itself if it is an NWB file or directory (``.nwb``, ``.nwb.zarr``), otherwise the only one
            below it.

        Raises
        ------
        InputError
            If there is none, or there are several; the message names the first ten.
        ServerUnavailableError
            If S3 does not answer.
        """
        found = self.candidates(location)
        if len(found) != 1:
            raise InputError(ambiguous(location, found), location=shown_url(location))
        return found[0]

    def candidates(self, location: str) -> list[str]:
        """Return all NWB files of a location; `resolve` requires exactly one.

        Parameters
        ----------
        location : str
            URL as in `resolve`.

        Raises
        ------
        InputError
            If the location cannot be listed.
        ServerUnavailableError
            If S3 does not answer.
        """
        scheme = scheme_of(location)
        if is_nwb(location.partition("?")[0] if scheme.startswith("http") else location):
            return [location.rstrip("/")]
        if scheme.startswith("http"):
            msg = f"The input {shown_url(location)} cannot be searched over http: name the file in `file_location`."
            raise InputError(msg, location=shown_url(location))
        if scheme == "file":
            return find_local(location)
        return find_s3(self.server_of(location), location, max_folders=self.max_folders)

    def fetch(self, url: str, folder: Path) -> tuple[Path, InputFile]:
        """Make one input available on the local disk.

        Parameters
        ----------
        url : str
            URL of a file, or of a directory (on disk or in S3).
        folder : Path
            A folder private to the job; each input gets a numbered folder in it.

        Returns
        -------
        tuple of Path and InputFile
            Path of the file or directory, and its recorded state, with the sha256 of its content; an input on disk that
            is larger than `large_local_bytes` has none.

        Raises
        ------
        InputError
            If it does not exist, or access is denied.
        InputChangedError
            If it changed while it was read.
        ServerUnavailableError
            If its server does not answer.
        """
        scheme, place = scheme_of(url), new_place(folder, url)
        fetched = self._fetch(scheme, url, place)
        if scheme == "file" and (fetched.bytes or 0) > self.large_local_bytes:
            return place, fetched
        try:
            return place, fetched.model_copy(update={"sha256": content_digest(place)})
        except OSError as error:
            msg = f"The input {shown_url(url)} cannot be read: {error.strerror}. Check the address and its permissions."
            raise InputError(msg, location=shown_url(url)) from error

    def _fetch(self, scheme: str, url: str, place: Path) -> InputFile:
        """Link or download one input."""
        if scheme == "file":
            return fetch_local(url, place)
        if scheme == "s3":
            return fetch_s3(self.server_of(url), url, place, large_bytes=self.large_bytes)
        return fetch_http(url, place)

    def describe(self, url: str) -> InputFile | None:
        """Return the current state of an input without reading it.

        Parameters
        ----------
        url : str
            URL of the input.

        Returns
        -------
        InputFile or None
            None for a URL whose state is unknown without a download (http).

        Raises
        ------
        InputError
            If it no longer exists, or access is denied.
        ServerUnavailableError
            If its server does not answer.
        """
        scheme = scheme_of(url)
        if scheme == "file":
            return describe_local(url)
        return describe_s3(self.server_of(url), url) if scheme == "s3" else None

    def stamp(self, url: str) -> str | None:
        """Return a digest of the present state of a local input, for `check`; take it before `fetch`.

        Parameters
        ----------
        url : str
            URL of the input.

        Returns
        -------
        str or None
            None for an input that is copied, since a copy cannot change.

        Raises
        ------
        InputError
            If it does not exist, or access is denied.
        """
        return stamp_local(url) if scheme_of(url) == "file" else None

    def check(self, fetched: InputFile, *, stamp: str | None = None) -> None:
        """Raise if a local input has changed since it was fetched; copies cannot change.

        Parameters
        ----------
        fetched : InputFile
            State that `fetch` has returned.
        stamp : str, optional
            Digest that `stamp` had returned before; without it, a file of the same size and time counts as unchanged.

        Raises
        ------
        InputChangedError
            If it was written to, replaced or removed.
        """
        if scheme_of(fetched.url) == "file":
            check_local(fetched, stamp=stamp)

    def server_of(self, url: str) -> S3Server:
        """Return the S3 server of a bucket: the embedded one, the one configured for inputs, or the platform's.

        Parameters
        ----------
        url : str
            URL of an object in the bucket.
        """
        if self.s3.embedded_home is not None and self.s3.has_bucket(split_s3_url(url)[0]):
            return self.s3
        if self.input_endpoint_url is not None:
            return S3Server(endpoint_url=self.input_endpoint_url, unsigned=self.input_unsigned)
        return replace(self.s3, embedded_home=None, unsigned=self.input_unsigned or self.s3.unsigned)


def ambiguous(location: str, found: list[str]) -> str:
    """Return the error for a location without exactly one file.

    Parameters
    ----------
    location : str
        URL of the location, for the message.
    found : list of str
        Candidates; empty if there are none.
    """
    where = shown_url(location)
    if not found:
        return (
            f"No NWB file (*.nwb, *.nwb.zarr) was found under {where}. Check the address, or name the file in "
            "`file_location`."
        )
    shown = ", ".join(shown_url(url) for url in found[:_SHOWN])
    more = ", and more" if len(found) > _SHOWN else ""
    return f"Several NWB files are under {where}: {shown}{more}. Name the one that is meant in `file_location`."
