"""The metadata records of data assets through the DocDB REST API, for use without direct access to the database.

The client is that of ``aind-data-access-api``. All queries are read-only aggregations, because these are sent in the
body of a request: a URL is too short for a thousand ids. Responses are paged, and a page that is too large for the API
is requested again in smaller parts.
"""

from collections.abc import Iterator, Sequence
from http import HTTPStatus
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import dagster as dg
import requests
from aind_data_access_api.document_db import MetadataDbClient
from pydantic import Field
from requests.adapters import HTTPAdapter

from domain.data_asset.query import projection
from domain.data_asset.record import BASE_FIELDS, AssetRecord, paths_of
from domain.errors import DispatchError, PlatformError, ServerUnavailableError, SettingsError
from domain.messages import shown
from domain.retry import TRANSIENT_STATUSES, Backoff
from resources.clients.http_retry import HttpRetry
from resources.clients.tls import cause_of, tls_problem
from resources.data_assets.records import SAMPLE, plain, too_slow
from resources.mongo_collection import Document

CONNECT_S = 5
_SAMPLE_S = 20.0
_DEFAULT_VERSION = "v1"
_TOO_LARGE = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
_TOO_SLOW = HTTPStatus.GATEWAY_TIMEOUT


class RestAssetRecords(dg.ConfigurableResource["RestAssetRecords"]):
    """Records behind a REST API.

    See https://docs.dagster.io/guides/build/external-resources for how Dagster builds resources.
    """

    url: str = Field(description="ASSETS_API_URL: https://host/version.")
    database: str = Field(description="ASSETS_DATABASE.")
    name: str = Field(description="ASSETS_COLLECTION.")
    page: int = Field(default=500, description="Number of records in one request.")
    pause_s: float = Field(default=0.25, description="Wait before a busy API is queried again (s); doubled each time.")

    @property
    def description(self) -> str:
        """Its name in messages."""
        return f"`{self.database}.{self.name}` at {self.url}"

    def count(self, query: Document, *, time_limit_s: float) -> int:
        """Return the number of records that match a filter."""
        found = self._aggregate([{"$match": query}, {"$count": "records"}], time_limit_s=time_limit_s)
        return int(found[0]["records"]) if found else 0

    def find(self, query: Document, *, fields: Sequence[str] | None, time_limit_s: float) -> Iterator[AssetRecord]:
        """Yield the records that match a filter, with these fields; with None, whole records."""
        first: list[Document] = [{"$match": query}, {"$sort": {"_id": 1}}]
        last: list[Document] = [] if fields is None else [{"$project": projection([*BASE_FIELDS, *fields])}]
        for document in self._paged(first, last, time_limit_s=time_limit_s):
            yield AssetRecord.of(plain(document))

    def has_field(self, field: str, *, time_limit_s: float) -> bool:
        """Return whether any record has a field; also True if the query takes too long."""
        stages: list[Document] = [{"$match": {field: {"$exists": True}}}, {"$limit": 1}, {"$project": {"_id": 1}}]
        try:
            return bool(self._aggregate(stages, time_limit_s=time_limit_s))
        except DispatchError:
            return True

    def known_fields(self) -> set[str]:
        """Return the dotted field names in a sample: ids are random, so the first and last records are a mixture."""
        found: set[str] = set()
        for direction in (1, -1):
            some = self._paged([{"$sort": {"_id": direction}}], [], time_limit_s=_SAMPLE_S)
            found |= {path for document in islice(some, SAMPLE // 2) for path in paths_of(document)}
        return found

    def _paged(self, first: list[Document], last: list[Document], *, time_limit_s: float) -> Iterator[Document]:
        """Yield the records of an aggregation, page by page; a page that is too large is requested in smaller parts."""
        begin, page = 0, self.page if last else SAMPLE // 2
        while True:
            stages = [*first, {"$skip": begin}, {"$limit": page}, *last]
            try:
                found = self._aggregate(stages, time_limit_s=time_limit_s)
            except _TooLargeError:
                if page == 1:
                    msg = f"A record of {self.description} is too large for the API to send. Request fewer fields."
                    raise DispatchError(msg) from None
                page //= 2
                continue
            yield from found
            begin += len(found)
            if len(found) < page:
                return

    def _aggregate(self, stages: list[Document], *, time_limit_s: float) -> list[Document]:
        """Send one request.

        Raises
        ------
        DispatchError
            If the API rejects the query, or it takes too long.
        SettingsError
            If there is no such API, it denies access, or its certificate is not trusted.
        ServerUnavailableError
            If the API does not answer.
        """
        parts = urlsplit(self.url)
        version = parts.path.strip("/") or _DEFAULT_VERSION
        with (
            _Session(
                time_limit_s, self.pause_s, plain_host=parts.netloc if parts.scheme == "http" else None
            ) as session,
            MetadataDbClient(parts.netloc, self.database, self.name, version, session=session) as client,
        ):
            try:
                found: Any = client.aggregate_docdb_records(pipeline=stages)
            except requests.Timeout:
                raise too_slow(self.description, time_limit_s) from None
            except requests.HTTPError as error:
                raise self._meaning(error.response, time_limit_s) from None
            except requests.RequestException as error:
                raise self._no_answer(error) from cause_of(error)
        if not isinstance(found, list) or not all(isinstance(document, dict) for document in found):
            msg = f"The metadata API {self.description} gave no list of records. Check ASSETS_API_URL and its version."
            raise SettingsError(msg)
        return found

    def _no_answer(self, error: requests.RequestException) -> PlatformError:
        """Return the error for a failed connection: an untrusted certificate, or another cause."""
        problem = tls_problem(error, authority="REQUESTS_CA_BUNDLE", plain="http:// or https:// in ASSETS_API_URL")
        if problem is not None and problem.lasting:
            return SettingsError(f"The metadata API {self.description} is not trusted. {problem.advice}")
        msg = f"The metadata API {self.description} did not answer ({type(error).__name__}). Check ASSETS_API_URL."
        return ServerUnavailableError(msg)

    def _meaning(self, answer: requests.Response, time_limit_s: float) -> Exception:
        """Return the error for an unsuccessful response."""
        status = answer.status_code
        if status == _TOO_LARGE:
            return _TooLargeError(self.description)
        if status == _TOO_SLOW:
            return too_slow(self.description, time_limit_s)
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
            msg = f"The metadata API {self.description} denied access (HTTP status {status}). Check ASSETS_API_URL."
            return SettingsError(msg)
        if status in TRANSIENT_STATUSES:
            msg = f"The metadata API {self.description} is unavailable (HTTP status {status}). Try again later."
            return ServerUnavailableError(msg)
        reason = shown(" ".join(answer.text.split()))
        return DispatchError(
            f"The query cannot be used: {self.description} rejected it: {reason} (HTTP status {status})."
        )


class _TooLargeError(DispatchError):
    """A response would be larger than the API allows."""


class _Session(requests.Session):
    """Requests with a time limit, which are repeated if the API is busy, because they only read."""

    def __init__(self, time_limit_s: float, pause_s: float, *, plain_host: str | None) -> None:
        """Set the time limit, the first wait, and a host that is accessed by http (a server on this machine)."""
        super().__init__()
        self._limit = (CONNECT_S, time_limit_s)
        backoff = Backoff(first_s=pause_s, longest_s=120, attempts=4)
        retries = HttpRetry(
            backoff=backoff, read=False, status_forcelist=TRANSIENT_STATUSES - {_TOO_SLOW}, allowed_methods=None
        )
        self.mount("https://", HTTPAdapter(max_retries=retries))
        if plain_host is not None:
            self.mount(f"https://{plain_host}/", _PlainAdapter(max_retries=retries))

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        return super().request(*args, **{"timeout": self._limit, **kwargs})


class _PlainAdapter(HTTPAdapter):
    """Uses http instead of https, which the client always uses, for a server on this machine."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        request.url = (request.url or "").replace("https://", "http://", 1)
        return super().send(request, *args, **kwargs)
