"""A local server that speaks the DocDB REST API, over a real MongoDB: ``POST /<version>/<db>/<collection>/aggregate``."""

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pymongo.errors import OperationFailure

from resources.mongo import MongoConnection


class DocdbApi:
    """The responses of the server, and the requests that it received."""

    def __init__(self, docdb_uri):
        self.docdb_uri = docdb_uri
        self.url = ""
        self.asked = []
        self.largest_answer = 6_000_000
        self.delay_s = 0.0
        self.statuses = []  # answers to the next requests, instead of the true one

    def answer(self, path, body):
        """Answer one request like the API: 413 if a response is too large, 400 if MongoDB rejects the query."""
        self.asked.append((path, body))
        time.sleep(self.delay_s)
        if self.statuses:
            return self.statuses.pop(0), b"told so"
        _, version, database, collection, verb = path.split("/")
        if version != "v2" or verb != "aggregate":
            return 404, b"not found"
        try:
            documents = MongoConnection(uri=self.docdb_uri, database=database).collection(collection).raw
            found = list(documents.aggregate(json.loads(body)))
        except OperationFailure as error:
            return 400, json.dumps({"message": error.details["errmsg"]}).encode()
        data = json.dumps(found, default=str).encode()
        return (413, b"too large") if len(data) > self.largest_answer else (200, data)


@contextmanager
def docdb_api(docdb_uri):
    """Serve on loopback for the duration of a block."""
    api = DocdbApi(docdb_uri)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, data = api.answer(self.path, body)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            """Log nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_):
            """Ignore a client that did not wait."""

    with Server(("127.0.0.1", 0), Handler) as server:
        api.url = f"http://127.0.0.1:{server.server_port}/v2"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()
