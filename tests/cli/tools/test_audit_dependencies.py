"""Three verdicts on the locked packages: nothing known, vulnerable, and not known."""

import json
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cli.tools.audit_dependencies import SAFE, UNKNOWN, VULNERABLE, audit, verdict
from resources.embedded.server_process import free_port
from resources.settings import PROJECT_ROOT

HASH = f"--hash=sha256:{'0' * 64}"
FIXED = {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.0"}]}
FAULT = {
    "id": "TEST-1",
    "summary": "bad",
    "affected": [{"package": {"name": "leaky", "ecosystem": "PyPI"}, "ranges": [FIXED]}],
}


@pytest.fixture
def requirements(tmp_path):
    """Write a locked requirement file."""
    path = tmp_path / "base.txt"
    path.write_text(f"leaky==1.0 {HASH}\nsound==1.0 {HASH}\n", encoding="utf-8")
    return path


@contextmanager
def database(vulnerable):
    """Serve a database of vulnerabilities on loopback, in the form of OSV."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            requested = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            data = json.dumps({"vulns": [FAULT]} if requested["package"]["name"] in vulnerable else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield ["--vulnerability-service", "osv", "--osv-url", f"http://127.0.0.1:{server.server_port}/v1/query"]
        finally:
            server.shutdown()
            thread.join()


def test_a_vulnerability_is_reported_with_the_version_that_fixes_it(requirements):
    with database({"leaky"}) as options:
        code, reported = audit(["-r", str(requirements), *options])
    assert (code, reported) == (VULNERABLE, "VULNERABLE: 1 known vulnerabilities\n  leaky 1.0: TEST-1, fixed in 2.0")


def test_a_database_that_cannot_be_reached_is_distinguished_from_a_vulnerability(requirements, monkeypatch, tmp_path):
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    words = [
        "-r",
        requirements,
        "--timeout",
        "2",
        "--cache-dir",
        tmp_path / "cache",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "cli.tools.audit_dependencies", *words],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == UNKNOWN
    assert done.stdout.startswith(
        "NOT AUDITED: the database of vulnerabilities cannot be reached. pip-audit reported: "
    )


def test_a_file_that_cannot_be_read_is_not_an_error_of_the_network(tmp_path):
    (tmp_path / "base.txt").write_text("leaky>=1\n", encoding="utf-8")
    code, reported = audit(["-r", str(tmp_path / "base.txt")])
    assert (code, reported.partition(".")[0]) == (UNKNOWN, "NOT AUDITED: pip-audit failed")


def test_packages_that_the_database_does_not_know_are_not_taken_for_safe():
    known = {"name": "sound", "version": "1.0", "vulns": []}
    unknown = [{"name": f"p{n}", "skip_reason": "not found"} for n in range(7)]
    assert verdict([known]) == (SAFE, "None of 1 packages has a known vulnerability.")
    code, reported = verdict([known, *unknown])
    assert code == UNKNOWN
    assert reported == "NOT AUDITED: the database does not know 7 of 8 packages: p0, p1, p2, p3, p4, ..."
    leaky = {"name": "leaky", "version": "1", "vulns": [{"id": "TEST-2", "fix_versions": []}]}
    code, reported = verdict([leaky, *unknown[:1]])
    assert code == VULNERABLE
    assert reported.splitlines()[1:] == [
        "  leaky 1: TEST-2, fixed in no version yet",
        "NOT AUDITED: the database does not know 1 of 2 packages: p0",
    ]
    assert verdict([])[0] == UNKNOWN
    assert "Probably a mirror of packages answers in its place." in verdict(unknown)[1]
