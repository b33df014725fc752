"""One server process: it starts, overcomes what can be overcome, and says why when it cannot."""

import signal
import socket
import stat
import sys
import threading
from pathlib import Path

import pytest

from domain.errors import ServerUnavailableError
from resources.embedded.programs import Program, find_mongod
from resources.embedded.server_process import Patience, Server, free_port, is_free, listens
from resources.process import parent_death_signal

LISTEN = "import socket, time; s = socket.create_server(('127.0.0.1', {port})); time.sleep(600)"


@pytest.fixture
def make(tmp_path):
    """Make servers that are ended after the test."""
    made = []

    def _make(code, *, port=None, name="mongo", arguments=None, environment=None, **patience):
        (tmp_path / "logs").mkdir(exist_ok=True)
        program = Program(name, tuple(arguments or (sys.executable, "-c", code)), environment or {})
        made.append(Server(program, home=tmp_path, port=port or free_port(), patience=Patience(**patience)))
        return made[-1]

    yield _make
    for server in made:
        server.ask_to_stop()
        server.wait_until_ended()


def test_it_is_ready_when_it_listens(make):
    server = make(LISTEN)
    assert server.pid == 0
    server.start()
    server.wait_until_ready()
    with socket.create_connection(("127.0.0.1", server.port), timeout=1):
        assert not server.has_ended()
    assert not server.restart_if_ended()


def test_a_port_that_was_taken_meanwhile_is_exchanged(make):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = make(LISTEN, port=taken.getsockname()[1])
        server.start()
        server.wait_until_ready()
        assert server.port != taken.getsockname()[1]


def test_its_last_words_are_reported(make):
    server = make("print('first'); print('no space left'); raise SystemExit(1)", name="s3")
    server.start()
    with pytest.raises(ServerUnavailableError, match=r"`s3` .*did not start.*ANALYSIS_BUCKET.*first \| no space left"):
        server.wait_until_ready()


def test_errors_in_the_log_of_mongod_come_first(make):
    server = make("""print('{"s":"I"}'); print('{"s":"E","msg":"corrupt"}'); print('{"s":"I"}')""")
    server.start()
    with pytest.raises(ServerUnavailableError) as error:
        server.wait_until_ready()
    assert '"s":"I"' not in str(error.value)
    assert "corrupt" in str(error.value)


def test_one_that_never_listens_is_given_up(make):
    server = make("import time; time.sleep(600)", name="browse", ready_s=0.3)
    server.start()
    with pytest.raises(ServerUnavailableError, match="It reported: nothing"):
        server.wait_until_ready()


def test_one_that_dies_at_once_is_not_started_in_a_tight_loop(make):
    for restart_s, restarted in ((60, False), (0, True)):
        server = make("raise SystemExit(1)", restart_s=restart_s)
        server.start()
        server.wait_until_ended()
        assert server.restart_if_ended() == restarted


def test_one_that_ignores_the_signal_is_killed(make):
    server = make(f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {LISTEN}", stop_s=0.2)
    server.start()
    server.wait_until_ready()
    server.ask_to_stop()
    server.wait_until_ended()
    assert server.has_ended()


def test_a_long_log_is_put_aside(make, tmp_path):
    server = make(LISTEN, log_bytes=3)
    (tmp_path / "logs" / "mongo.log").write_text("long")
    server.start()
    assert (tmp_path / "logs" / "mongo.log.1").read_text() == "long"


def test_a_missing_libcurl_is_replaced_by_the_one_of_pycurl(make, tmp_path):
    """A stand-in fails as the loader does, unless the library path leads to a libcurl that the real mongod can use."""
    stand_in = tmp_path / "mongod"
    stand_in.write_text(
        "#!/bin/sh\n"
        'case "$LD_LIBRARY_PATH" in *lib:*) exec "$@";; esac\n'
        'echo "mongod: error while loading shared libraries: libcurl.so.4: cannot open shared object file" >&2\n'
        "exit 127\n"
    )
    stand_in.chmod(stand_in.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "mongo").mkdir()
    flags = ("--dbpath", str(tmp_path / "mongo"), "--bind_ip", "127.0.0.1", "--port", "{port}", "--nounixsocket")
    server = make("", arguments=(str(stand_in), str(find_mongod()), *flags))
    server.start()
    server.wait_until_ready()
    if sys.platform == "linux":
        mapped = Path(f"/proc/{server.pid}/maps").read_text()
        assert "pycurl.libs/libcurl" in mapped


def test_a_libcurl_that_is_nowhere_is_named_with_its_package(make):
    server = make(
        "print('mongod: error while loading shared libraries: libcurl.so.4: no such file'); raise SystemExit(1)",
        environment={"LD_LIBRARY_PATH": "/nowhere"},  # so pycurl's was tried already
    )
    server.start()
    with pytest.raises(ServerUnavailableError, match="apt-get install libcurl4"):
        server.wait_until_ready()


def test_asking_what_never_started_to_stop_does_nothing(make):
    server = make(LISTEN)
    assert server.has_ended()
    server.ask_to_stop()
    server.wait_until_ended()


def test_a_free_port_is_free_and_a_served_one_is_not():
    assert is_free(free_port())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert not is_free(taken.getsockname()[1])
    assert not is_free(70000)


def test_a_port_of_another_process_does_not_count():
    with socket.create_server(("127.0.0.1", 0)) as ours:
        port = ours.getsockname()[1]
        assert not listens(1, port)
        assert not listens(2**22 + 1, port)


def test_kernels_that_cannot_do_it_are_not_called(monkeypatch):
    monkeypatch.setattr("sys.platform", "darwin")
    assert parent_death_signal(signal.SIGTERM) is None
    assert threading.active_count() >= 1
