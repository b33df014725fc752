"""A proxy in front of S3 that sees every request and can spoil it.

It passes requests on byte for byte, the `Host` header too, because that is signed. Looked at first: toxiproxy, which
knows no HTTP and so cannot tell the upload of a manifest from that of a file.
"""

import http.client
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

from tests.faults.injection import How, Injection

_ERRORS = {"500": ("InternalError", 500), "503": ("SlowDown", 503)}
_SILENCE_S = 70.0  # longer than any client waits


class S3Proxy(ThreadingHTTPServer):
    """Listens on a free port of the loopback interface from the moment when it is made."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, injection: Injection, *, without: frozenset[str] = frozenset()) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target, self.injection = port, injection
        self.left_out = without | {"expect", "connection"}
        self.closing = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def endpoint(self) -> str:
        """Address for clients."""
        return f"http://127.0.0.1:{self.server_port}"

    def close(self) -> None:
        """Take no more requests."""
        self.closing.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: object) -> None:
        """Log nothing: killed clients leave broken connections."""


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    server: S3Proxy

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _pass_on(self) -> None:
        """Pass one request on and its answer back, unless a fault strikes."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        description = f"{self.command} {unquote(self.path)}"
        how = self.server.injection.strike(description, "before")
        if how in {"half", None}:
            answer = self._ask(body)
            how = self.server.injection.strike(description, "after") or how if answer else "drop"
        if how is None:
            self._answer(*answer)
        else:
            self._spoil(how, answer if how == "half" else None)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass_on  # noqa: N815  the names are http.server's

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes] | None:
        """Ask the server; None when it is not there."""
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.target, timeout=30)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in self.server.left_out:
                    upstream.putheader(name, value)
            upstream.endheaders(body or None)
            found = upstream.getresponse()
            return found.status, found.getheaders(), found.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            upstream.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, *, sent: int | None = None) -> None:
        """Answer the client, with only a part of the body if requested."""
        self.send_response_only(status)
        length = str(len(body))
        for name, value in headers:
            if name.lower() == "content-length" and self.command == "HEAD":
                length = value
            elif name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                self.send_header(name, value)
        if status != http.client.NO_CONTENT:
            self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(body if sent is None else body[:sent])
        self.wfile.flush()

    def _spoil(self, how: How, answer: tuple[int, list[tuple[str, str]], bytes] | None) -> None:
        """Give the client what the fault says instead of the answer."""
        self.close_connection = True
        if how in _ERRORS:
            code, status = _ERRORS[how]
            body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>a test</Message></Error>".encode()
            self._answer(status, [("Content-Type", "application/xml")], body if self.command != "HEAD" else b"")
        elif how == "silence":
            self.server.closing.wait(_SILENCE_S)
        elif how == "half" and answer is not None and answer[2] and self.command != "HEAD":
            self._answer(*answer, sent=len(answer[2]) // 2)
            self.connection.shutdown(socket.SHUT_RDWR)
        elif how == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        else:
            self.connection.shutdown(socket.SHUT_RDWR)
