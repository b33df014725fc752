"""Inputs over http(s), downloaded as a stream."""

import socket
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from domain.errors import InputError, ServerUnavailableError
from domain.job.inputs import InputFile
from domain.job.urls import unreachable
from domain.retry import TRANSIENT_STATUSES, Backoff
from resources.clients.http_retry import HttpRetry
from resources.clients.tls import cause_of, tls_problem
from resources.inputs.urls import shown_url

CONNECT_S = 5
READ_S = 60
_CHUNK = 1024 * 1024
_REFUSED = 400


def fetch_http(url: str, place: Path, *, pause_s: float = 0.5) -> InputFile:
    """Download one file.

    Parameters
    ----------
    url : str
        URL of the file.
    place : Path
        Path of the local file.
    pause_s : float
        First wait before a retry if the server is busy (s); doubled each time.

    Raises
    ------
    InputError
        If the server does not have it or denies access, its certificate is not trusted, or the host is
        blocked.
    ServerUnavailableError
        If the server does not answer, or ends the transfer early.
    """
    backoff = Backoff(first_s=pause_s, longest_s=120, attempts=4)
    retries = HttpRetry(backoff=backoff, status_forcelist=TRANSIENT_STATUSES)
    try:
        with requests.Session() as session:
            for scheme in ("http://", "https://"):
                session.mount(scheme, _PublicAdapter(max_retries=retries))
            # Uncompressed: a compressed transfer would not have the size that the server reports.
            headers = {"Accept-Encoding": "identity"}
            with session.get(url, stream=True, timeout=(CONNECT_S, READ_S), headers=headers) as answer:
                _check_status(url, answer.status_code)
                return _saved(url, answer, place)
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
        place.unlink(missing_ok=True)
        problem = tls_problem(error, authority="REQUESTS_CA_BUNDLE", plain="http:// or https:// in the address")
        if problem is not None and problem.lasting:
            msg = f"The server of the input {shown_url(url)} is not trusted. {problem.advice}"
            raise InputError(msg, location=shown_url(url)) from cause_of(error)
        msg = f"The server of the input {shown_url(url)} did not answer ({type(error).__name__}). Try again later."
        raise ServerUnavailableError(msg, location=shown_url(url)) from cause_of(
            error
        )  # the wrapping errors show the whole URL
    except requests.RequestException as error:
        msg = f"The input {shown_url(url)} cannot be read over http ({type(error).__name__}). Check the address."
        raise InputError(msg, location=shown_url(url)) from None


class _PublicAdapter(HTTPAdapter):
    """Blocks requests and redirects to metadata services, which expose credentials of this machine."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request; raise if its host is blocked by name or by address."""
        host = urlsplit(request.url or "").hostname or ""
        for name in (host, *_addresses(host)):
            if (fault := unreachable(name)) is not None:
                msg = f"The input leads to {shown_url(request.url or '')}, which is rejected: {fault}."
                raise InputError(msg, location=shown_url(request.url or ""))
        return super().send(request, *args, **kwargs)


def _addresses(host: str) -> set[str]:
    """Return the IP addresses of a host; empty if it has none, and then the request fails."""
    try:
        return {str(found[4][0]).partition("%")[0] for found in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return set()


def _saved(url: str, answer: requests.Response, place: Path) -> InputFile:
    """Write the body to a file, and return its state."""
    with place.open("wb") as file:
        for chunk in answer.iter_content(_CHUNK):
            file.write(chunk)
    size = place.stat().st_size
    etag = answer.headers.get("ETag", "").removeprefix("W/").strip('"') or None
    return InputFile(url=url, etag=etag, bytes=size, modified=_time(answer.headers.get("Last-Modified")))


def _check_status(url: str, status: int) -> None:
    """Raise for an error status: transient for a busy server, permanent if access is denied."""
    if status in TRANSIENT_STATUSES:
        msg = f"The server of the input {shown_url(url)} is in trouble (HTTP status {status}). Try again later."
        raise ServerUnavailableError(msg, location=shown_url(url))
    if status >= _REFUSED:
        msg = (
            f"The input {shown_url(url)} cannot be read (HTTP status {status}). Check the address and its permissions."
        )
        raise InputError(msg, location=shown_url(url))


def _time(header: str | None) -> datetime | None:
    """Return the time of the last change; None if the server does not report a valid one."""
    try:
        found = parsedate_to_datetime(header) if header else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None
