"""A proxy in front of MongoDB that understands as much of its wire protocol as is needed to name a request.

See https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/ (OP_MSG). Everything is passed on unchanged.
"""

import contextlib
import socket
import socketserver
import struct
import threading

import bson

from tests.faults.injection import Injection

_OP_MSG = 2013
_HEADER = struct.Struct("<iiii")
_PLUMBING = {"hello", "ismaster", "isMaster", "endSessions", "ping", "buildInfo"}


class MongoProxy(socketserver.ThreadingTCPServer):
    """Listens on a free port of the loopback interface from the moment when it is made."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, port: int, injection: Injection) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target, self.injection = port, injection
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def port(self) -> int:
        """Port for clients."""
        return int(self.server_address[1])

    def close(self) -> None:
        """Take no more connections."""
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: object) -> None:
        """Log nothing: killed clients leave broken connections."""


class _Handler(socketserver.BaseRequestHandler):
    """One connection of a client: requests here, answers in a second thread."""

    server: MongoProxy

    def handle(self) -> None:
        """Pass messages on until either side ends."""
        self.asked: dict[int, str] = {}
        try:
            upstream = socket.create_connection(("127.0.0.1", self.server.target), timeout=5)
        except OSError:
            return
        with upstream:
            upstream.settimeout(None)
            answers = threading.Thread(target=self._answers, args=(upstream,), daemon=True)
            answers.start()
            with contextlib.suppress(OSError):
                self._requests(upstream)
            self._end(upstream)
            answers.join()

    def _requests(self, upstream: socket.socket) -> None:
        """Pass requests on."""
        while (message := _message(self.request)) is not None:
            description = describe(message)
            if description is not None:
                if self.server.injection.strike(description, "before"):
                    return
                self.asked[_HEADER.unpack_from(message)[1]] = description
            upstream.sendall(message)

    def _answers(self, upstream: socket.socket) -> None:
        """Pass answers back."""
        with contextlib.suppress(OSError):
            while (message := _message(upstream)) is not None:
                description = self.asked.pop(_HEADER.unpack_from(message)[2], None)
                if description is not None and self.server.injection.strike(description, "after"):
                    break
                self.request.sendall(message)
        self._end(upstream)

    def _end(self, upstream: socket.socket) -> None:
        """End both sides' waiting."""
        for end in (self.request, upstream):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def describe(message: bytes) -> str | None:
    """Return the name of a request: command, collection, and changed fields; None for requests of the driver itself."""
    if _HEADER.unpack_from(message)[3] != _OP_MSG:
        return None
    command, updates = _sections(message)
    name = next(iter(command))
    if name in _PLUMBING:
        return None
    words = [name, str(command[name])]
    all_changes = [update.get("u", {}) for update in (*command.get("updates", ()), *updates)]
    for changes in [*all_changes, command["update"]] if name == "findAndModify" else all_changes:
        words += [
            f"{operator}:{','.join(sorted(fields))}" for operator, fields in changes.items() if operator[0] == "$"
        ]
        if "state" in (fields := changes.get("$set", {})):
            words.append(f"state={fields['state']}")
    if name == "find":
        words.append(f"fields={','.join(sorted(command.get('projection', {})))}")
    return " ".join(words)


def _sections(message: bytes) -> tuple[dict, list[dict]]:
    """Take a message apart: the command, and the updates that are sent beside it."""
    position, updates, command = _HEADER.size + 4, [], {}
    while position < len(message):
        kind, size = message[position], struct.unpack_from("<i", message, position + 1)[0]
        section = message[position + 1 : position + 1 + size]
        if kind == 0:
            command = bson.decode(section)
        elif kind == 1:
            name, _, documents = section[4:].partition(b"\0")
            updates += bson.decode_all(documents) if name == b"updates" else []
        else:
            break
        position += 1 + size
    return command, updates


def _message(end: socket.socket) -> bytes | None:
    """Read one whole message; None at the end of the stream."""
    head = _exactly(end, 4)
    if head is None:
        return None
    rest = _exactly(end, struct.unpack("<i", head)[0] - 4)
    return None if rest is None else head + rest


def _exactly(end: socket.socket, size: int) -> bytes | None:
    """Read a number of bytes."""
    chunks = []
    while size:
        chunk = end.recv(min(size, 1 << 20))
        if not chunk:
            return None
        chunks.append(chunk)
        size -= len(chunk)
    return b"".join(chunks)
