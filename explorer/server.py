"""The web server of the explorer: authentication, security headers, and files.

It listens on the loopback interface, where it only answers to the host names of this machine (against DNS rebinding),
or elsewhere with a login for every request.
"""

import ipaddress
import logging
import secrets
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import dash
import waitress
from flask import Flask, Response, abort, request
from flask_httpauth import HTTPBasicAuth
from pydantic import SecretStr

from domain.errors import PermanentError, PlatformError, SettingsError, TransientError
from domain.redaction import redacted
from explorer.app import make_app, seen
from explorer.context import ExplorerContext
from explorer.downloads import as_csv, as_parquet
from explorer.files import IMAGES, is_image, open_file, result_named
from explorer.views.table import listed
from resources.result_store.names import METADATA

_THREADS = 8
_LARGEST_QUESTION_BYTES = 4_000_000
_LOOPBACK_NAMES = {"localhost", "127.0.0.1", "::1"}
_FILES = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Login:
    """The name and password of all users.

    Attributes
    ----------
    user : str
        Value of the setting ``EXPLORER_USER``.
    password : SecretStr
        Value of the setting ``EXPLORER_PASSWORD``.
    """

    user: str
    password: SecretStr

    def is_right(self, user: str, password: str) -> bool:
        """Compare name and password in constant time."""
        same_user = secrets.compare_digest(user.encode(), self.user.encode())
        same_password = secrets.compare_digest(password.encode(), self.password.get_secret_value().encode())
        return same_user and same_password


def is_loopback(host: str) -> bool:
    """Return whether an address to listen on can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def make_server(context: ExplorerContext, *, login: Login | None, loopback: bool = True) -> Flask:
    """Return the web application.

    Parameters
    ----------
    context : ExplorerContext
        Tables, records and files to show.
    login : Login or None
        Required for every request; None only on the loopback interface.
    loopback : bool
        Whether only this machine can reach it; other host names are rejected then.

    Raises
    ------
    SettingsError
        If it can be reached from other machines and there is no login.
    """
    if login is None and not loopback:
        msg = (
            "The explorer can be reached from other machines only with a login: set EXPLORER_USER and EXPLORER_PASSWORD, "
            "or omit --host to listen on this machine only."
        )
        raise SettingsError(msg)
    server = Flask("explorer", static_folder=None)
    server.config["MAX_CONTENT_LENGTH"] = _LARGEST_QUESTION_BYTES
    if loopback:
        server.before_request(_only_this_machine)
    if login is not None:
        auth = HTTPBasicAuth(realm="Results explorer")
        auth.verify_password(login.is_right)
        server.before_request(auth.login_required(lambda: None))
    _add_files(server, context)
    server.register_error_handler(PlatformError, _error_response)
    app = make_app(context, server)
    policy = _policy(app)
    server.after_request(lambda response: _with_headers(response, policy))
    return server


def serve(server: Flask, *, host: str, port: int) -> None:
    """Serve until interrupted."""
    waitress.serve(server, host=host, port=port, threads=_THREADS, ident=None)


def _only_this_machine() -> None:
    """Reject requests with another host name than this machine's."""
    try:
        name = urlsplit(f"//{request.host}").hostname
    except ValueError:
        name = None
    if name not in _LOOPBACK_NAMES:
        abort(403, "The explorer answers to localhost and 127.0.0.1 only.")


def _add_files(server: Flask, context: ExplorerContext) -> None:
    """Add the routes of figures, files, records and downloads."""

    @server.get("/figure/<result_id>")
    def figure(result_id: str) -> Response:
        found = result_named(context, result_id)
        if found.figure is None or not is_image(found.figure):
            abort(404, "This result has no figure that can be shown.")
        file = open_file(context, found, found.figure)
        kind = IMAGES[PurePosixPath(found.figure).suffix.lower()]
        return _file(Response(file.pieces, mimetype=kind), file.size, keep=True)

    @server.get("/file/<result_id>/<path:path>")
    def one_file(result_id: str, path: str) -> Response:
        file = open_file(context, result_named(context, result_id), path)
        return _file(_download(file.pieces, file.name), file.size)

    @server.get("/record/<result_id>")
    def record(result_id: str) -> Response:
        file = open_file(context, result_named(context, result_id), METADATA)
        return _file(_download(file.pieces, f"{result_id[:12]}.{METADATA}"), file.size)

    @server.get("/download.<any(csv, parquet):form>")
    def download(form: str) -> Response:
        try:
            table, view, _ = seen(context, request.query_string.decode("ascii", "replace"))
        except KeyError:
            abort(404, "There is no such analysis.")
        rows = listed(table, view)
        content = as_csv(rows) if form == "csv" else as_parquet(rows)
        return _file(_download(content, f"{table.analysis or 'results'}.{form}"), len(content))


def _download(content: object, name: str) -> Response:
    """Return a response that the browser saves."""
    response = Response(content, mimetype="application/octet-stream")  # type: ignore[arg-type]
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _file(response: Response, size: int, *, keep: bool = False) -> Response:
    """Return a response with size and headers that prevent scripts; figures are cached, because they never change."""
    response.headers["Content-Length"] = str(size)
    response.headers["Content-Security-Policy"] = _FILES
    response.headers["Cache-Control"] = "private, max-age=300" if keep else "no-store"
    return response


def _error_response(error: Exception) -> tuple[str, int, dict[str, str]]:
    """Return an error as plain text."""
    _log.info("Rejected: %s", redacted(str(error)))
    status = 404 if isinstance(error, PermanentError) else 503 if isinstance(error, TransientError) else 500
    return redacted(str(error)), status, {"Content-Type": "text/plain; charset=utf-8"}


def _policy(app: dash.Dash) -> str:
    """Return the content security policy: this server, and the inline scripts of the page.

    Plotly's WebGL plots compile their own templates, hence ``unsafe-eval``; values from results are never part of
    them.
    """
    with app.server.test_request_context():
        make_index: Any = app.index
        make_index()  # the scripts of the page are known after it was rendered once
    hashes = " ".join(f"'{one}'" if not one.startswith("'") else one for one in app.csp_hashes())
    return (
        f"default-src 'self'; script-src 'self' 'unsafe-eval' {hashes}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )


def _with_headers(response: Response, policy: str) -> Response:
    """Add security headers to a response."""
    response.headers.setdefault("Content-Security-Policy", policy)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["X-Frame-Options"] = "DENY"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    return response
