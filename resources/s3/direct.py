"""Small objects put into S3 by the shortest way: a request signed by botocore's signer, over a connection that is kept.

A put by boto3 costs 1.1 to 1.5 ms of CPU on this side, most of it for finding the endpoint, validating, serializing and
parsing again what never changes; this way costs 0.5 ms. A job makes about five puts, so a thousand small jobs feel it.
Looked at and not taken: s3fs (aiobotocore, so the same cost and an event loop), obstore and boto3's CRT (compiled; other
rules for credentials, certificates and proxies than the rest of the platform has).

Only the good case is known here. Whatever else happens, `DirectPuts.put` gives no answer, the caller asks the ordinary
client, and boto3's own retries, redirects and errors count. When no answer came or it was a refusal, the direct way then
rests for a while: nothing is waited for or refused twice each time. Where something unusual is configured, it is never
taken.

Nothing is lost in safety: the sha256 of the manifest is part of the signature, also by TLS, so a server that checks it
(AWS does) stores exactly the bytes that were read. Not every server does (rclone's does not), so the MD5 goes along.
"""

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError
from botocore.httpsession import get_cert_path
from botocore.utils import get_environ_proxies
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, PoolManager, Timeout
from urllib3.exceptions import HTTPError

_log = logging.getLogger(__name__)

if TYPE_CHECKING:  # stubs are installed for development only
    from mypy_boto3_s3 import S3Client

REST_S = 30.0

_GLOBAL = ".s3.amazonaws.com"
_OK = 200
_PASSES = 429  # from here on, an answer says nothing against the next put; rclone's server gives a 500 now and then
_EXPRESS = "--x-s3"  # directory buckets have sessions and a signature of their own


@dataclass(frozen=True)
class _Place:
    """Where the objects of one bucket go: the connections, and the address and path before the key."""

    pool: HTTPConnectionPool
    url: str
    path: str


class _Signer(S3SigV4Auth):
    """Botocore's signer, told the digest of the body instead of computing it again."""

    def payload(self, request: Any) -> str:
        """Return the sha256 that the caller has."""
        return str(request.context["sha256"])


class DirectPuts:
    """Puts small objects for one client of boto3, with its address, region and credentials.

    Safe to share between threads; not between processes.

    Parameters
    ----------
    client : S3Client
        The ordinary client.
    credentials : Credentials or None
        As botocore found them; they are asked at each put, which renews them when they expire.
    authorities : str or None
        The file of trusted authorities, as botocore found it; None means its own.
    usual : bool
        False where something is configured that only the ordinary client knows; then nothing is put directly.
    rest_s : float
        For how long the ordinary client does all the work after the direct way gave no answer.
    """

    def __init__(
        self, client: "S3Client", credentials: Any, *, authorities: str | None, usual: bool, rest_s: float = REST_S
    ) -> None:
        self._client, self._credentials = client, credentials
        self._usual = usual and credentials is not None
        self._places: dict[str, _Place | None] = {}
        self._rest_s, self._rests_until = rest_s, 0.0
        self._lock = threading.Lock()
        config: Any = client.meta.config  # the stubs know no value of it
        self._region, self._user_agent = client.meta.region_name, config.user_agent
        trusted: Any = authorities or True
        self._manager = PoolManager(
            timeout=Timeout(connect=config.connect_timeout, read=config.read_timeout),
            maxsize=config.max_pool_connections,
            cert_reqs="CERT_REQUIRED",
            ca_certs=get_cert_path(trusted),
        )

    def put(self, bucket: str, key: str, body: bytes, *, sha256: str, headers: Mapping[str, str]) -> str | None:
        """Put one object, if that is possible by the direct way.

        Parameters
        ----------
        bucket, key : str
            Where.
        body : bytes
            The content.
        sha256 : str
            Its sha256, hexadecimal.
        headers : mapping
            Further headers of the request; they are signed too.

        Returns
        -------
        str or None
            The ETag as the server gives it; None when the ordinary client is to be asked.
        """
        if not self._usual or time.monotonic() < self._rests_until:
            return None
        try:
            place = self._place(bucket)
            answer = None if place is None else self._asked(place, key, body, sha256, headers)
        except (HTTPError, BotoCoreError, OSError, ValueError) as error:  # the ordinary client will say what is wrong
            self._rest(type(error).__name__)
            return None
        etag = answer.headers.get("ETag") if answer is not None and answer.status == _OK else None
        if etag is None and answer is not None and answer.status < _PASSES:
            self._rest(f"HTTP status {answer.status}")
        return etag

    def address_of(self, bucket: str) -> str | None:
        """Return the address that a bucket's objects lie below; None where the ordinary client is to be asked.

        Parameters
        ----------
        bucket : str
            Its name.
        """
        place = self._place(bucket)
        return None if place is None else place.url

    def _rest(self, why: str) -> None:
        """Leave all puts to the ordinary client for a while."""
        _log.debug("Puts go by boto3 for %.0f s: %s.", self._rest_s, why)
        self._rests_until = time.monotonic() + self._rest_s

    def _asked(self, place: _Place, key: str, body: bytes, sha256: str, headers: Mapping[str, str]) -> BaseHTTPResponse:
        """Sign the request and send it."""
        quoted = quote(key, safe="/~")
        request = AWSRequest("PUT", f"{place.url}{quoted}", headers=headers)
        request.context["sha256"] = sha256
        frozen = self._credentials.get_frozen_credentials()
        _Signer(frozen, "s3", self._region).add_auth(request)
        signed = {**dict(request.headers.items()), "User-Agent": self._user_agent}
        return place.pool.urlopen("PUT", f"{place.path}{quoted}", body=body, headers=signed, retries=False)

    def _place(self, bucket: str) -> _Place | None:
        """Return where a bucket's objects go; None where only the ordinary client knows the way."""
        with self._lock:
            if bucket not in self._places:
                self._places[bucket] = self._found(bucket)
            return self._places[bucket]

    def _found(self, bucket: str) -> _Place | None:
        """Ask boto3 for a link to an object of the bucket: it knows how buckets are addressed on this server.

        Links lead to AWS as a whole, requests to the region; any other difference is left to the ordinary client.
        """
        if bucket.endswith(_EXPRESS) or ":" in bucket:
            return None
        link = self._client.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "k"})
        regional = urlsplit(self._client.meta.endpoint_url).netloc
        url = link.partition("?")[0].removesuffix("k").replace(f"//{bucket}{_GLOBAL}/", f"//{bucket}.{regional}/")
        if urlsplit(url).netloc not in {regional, f"{bucket}.{regional}"} or get_environ_proxies(url):
            return None
        return _Place(self._manager.connection_from_url(url), url, urlsplit(url).path)
