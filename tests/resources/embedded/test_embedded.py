"""The embedded servers: shared by those who need them, brought back when they die, gone with their last user."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import psutil
import pymongo
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import ClientError

from domain.errors import ServerUnavailableError, SettingsError
from resources.embedded import embedded
from resources.settings import PROJECT_ROOT
from tests.waiting import PATIENCE_S, wait_for

SERVERS = {"mongo", "s3", "browse"}
USER = """
import sys, time
from pathlib import Path
from resources.embedded.embedded import serving
with serving(Path(sys.argv[1])) as addresses:
    print(addresses.docdb_uri, flush=True)
    time.sleep(600)
"""


def s3_client(addresses, *, secret_key=None):
    return boto3.client(
        "s3",
        endpoint_url=addresses.s3_endpoint,
        aws_access_key_id=addresses.access_key,
        aws_secret_access_key=secret_key or addresses.secret_key,
        region_name="us-east-1",
        config=Config(
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"mode": "standard", "total_max_attempts": 10},
        ),
    )


@pytest.fixture
def user(tmp_path):
    """Start another process that uses the servers of a new folder."""
    command = [sys.executable, "-c", USER, str(tmp_path)]
    with subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().startswith("mongodb://127.0.0.1:")
        yield process
        process.kill()
    wait_for(lambda: not embedded.supervised(tmp_path), "the servers still run")


def test_all_servers_answer_on_loopback_alone(servers, home):
    with pymongo.MongoClient(servers.docdb_uri) as client:
        assert client.admin.command("hello")["isWritablePrimary"]
    s3_client(servers).create_bucket(Bucket="by-hand")
    s3_client(servers).put_object(Bucket="by-hand", Key="a/b.txt", Body=b"hello")
    assert requests.get(f"{servers.browse_url}/by-hand/a/b.txt", timeout=60).content == b"hello"
    assert (home / "s3" / "by-hand" / "a" / "b.txt").read_bytes() == b"hello"
    for name in SERVERS:
        process = psutil.Process(embedded.server_pids(home)[name])
        listening = [c.laddr.ip for c in process.net_connections(kind="inet") if c.status == psutil.CONN_LISTEN]
        assert listening == ["127.0.0.1"]


def test_the_web_server_is_read_only(servers):
    assert requests.put(f"{servers.browse_url}/by-hand/x.txt", data=b"x", timeout=60).status_code == 405


def test_s3_refuses_wrong_keys(servers):
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        s3_client(servers, secret_key="x" * 40).list_buckets()


def test_keys_are_private(servers, home):
    for name in ("servers.json", "keys.json", "ports.json"):
        assert (home / name).stat().st_mode & 0o777 == 0o600
    assert servers.secret_key not in repr(servers)
    for pid in embedded.server_pids(home).values():
        assert servers.secret_key not in " ".join(psutil.Process(pid).cmdline())


def test_a_file_put_straight_into_the_folder_is_listed_soon(servers, home):
    client = s3_client(servers)
    client.create_bucket(Bucket="straight")
    client.put_object(Bucket="straight", Key="through.txt", Body=b"1")
    (home / "s3" / "straight" / "beside.txt").write_bytes(b"2")
    keys = ["beside.txt", "through.txt"]
    wait_for(
        lambda: [item["Key"] for item in client.list_objects_v2(Bucket="straight")["Contents"]] == keys,
        "it is not listed",
    )


def test_nothing_runs_in_a_folder_that_is_not_used(tmp_path):
    assert embedded.running(tmp_path) is None
    assert embedded.running(tmp_path / "missing") is None
    assert embedded.server_pids(tmp_path) == {}


def test_addresses_and_data_stay_when_servers_stop_and_start(tmp_path):
    with embedded.serving(tmp_path) as first:
        with pymongo.MongoClient(first.docdb_uri) as client:
            client.a.b.insert_one({"_id": 1})
        client = s3_client(first)
        client.create_bucket(Bucket="bucket")
        small = client.put_object(Bucket="bucket", Key="small", Body=b"hello")["ETag"]
        large = tmp_path / "large"
        large.write_bytes(os.urandom(17 * 1024 * 1024))
        client.upload_file(str(large), "bucket", "large")
        tags = [small, client.head_object(Bucket="bucket", Key="large")["ETag"]]
        pids = embedded.server_pids(tmp_path)
    wait_for(lambda: not any(is_running(pid) for pid in pids.values()), "a server still runs")
    assert embedded.running(tmp_path) is None
    with embedded.serving(tmp_path) as second:
        assert second == first
        with pymongo.MongoClient(second.docdb_uri) as client:
            assert client.a.b.count_documents({}) == 1
        client = s3_client(second)
        assert [client.head_object(Bucket="bucket", Key=key)["ETag"] for key in ("small", "large")] == tags
        (mongo_log,) = (tmp_path / "logs").glob("mongo.log")
        assert '"Shutting down","attr":{"exitCode":0}' in mongo_log.read_text()


def test_users_of_one_folder_share_its_servers_and_the_last_one_stops_them(tmp_path, user):
    pids = embedded.server_pids(tmp_path)
    with embedded.serving(tmp_path) as addresses:
        with embedded.serving(tmp_path) as again:
            assert again == addresses
        assert embedded.running(tmp_path) == addresses
        user.kill()  # the one that started them
        user.wait()
        time.sleep(1.5)  # the supervisor notices within a moment
        assert embedded.running(tmp_path) == addresses
        assert embedded.server_pids(tmp_path) == pids
    assert embedded.running(tmp_path) is None


def test_leaving_does_not_wait_for_other_users(tmp_path, user):
    with embedded.serving(tmp_path):
        pass
    assert embedded.running(tmp_path) is not None
    assert user.poll() is None


def test_two_that_start_at_once_share_one_set(tmp_path):
    together = threading.Barrier(2)

    def use():
        with embedded.serving(tmp_path) as addresses:
            together.wait(PATIENCE_S)  # both are inside at the same time
            return addresses, embedded.server_pids(tmp_path)

    with ThreadPoolExecutor(2) as threads:
        first, second = (future.result() for future in [threads.submit(use), threads.submit(use)])
    assert first == second
    assert embedded.running(tmp_path) is None


def test_no_server_outlives_a_killed_user(tmp_path, user):
    pids = embedded.server_pids(tmp_path)
    assert set(pids) == SERVERS | {"supervisor"}
    user.kill()
    user.wait()
    wait_for(lambda: not any(is_running(pid) for pid in pids.values()), "a server still runs")
    assert embedded.running(tmp_path) is None


def is_running(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_the_thread_that_started_it_may_end(tmp_path):
    leave, entered = threading.Event(), threading.Event()

    def start_and_end():
        context = embedded.serving(tmp_path)
        contexts.append((context, context.__enter__()))
        entered.set()

    contexts = []
    threading.Thread(target=start_and_end).start()
    assert entered.wait(PATIENCE_S)
    time.sleep(0.5)
    context, addresses = contexts[0]
    assert embedded.running(tmp_path) == addresses
    leave.set()
    context.__exit__(None, None, None)
    assert embedded.running(tmp_path) is None


@pytest.mark.parametrize("name", sorted(SERVERS))
def test_a_killed_server_comes_back_on_its_port_with_its_data(tmp_path, name):
    with embedded.serving(tmp_path) as addresses, pymongo.MongoClient(addresses.docdb_uri) as client:
        client.a.b.insert_many([{"_id": i} for i in range(50)])
        s3_client(addresses).create_bucket(Bucket="bucket")
        s3_client(addresses).put_object(Bucket="bucket", Key="key", Body=b"kept")
        killed = embedded.server_pids(tmp_path)[name]
        os.kill(killed, signal.SIGKILL)
        wait_for(lambda: embedded.server_pids(tmp_path)[name] != killed, "the server is not started again")
        assert embedded.running(tmp_path) == addresses  # waits while it starts
        assert client.a.b.count_documents({}) == 50
        assert s3_client(addresses).get_object(Bucket="bucket", Key="key")["Body"].read() == b"kept"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_a_killed_supervisor_takes_its_servers_along_and_the_next_user_starts_new_ones(tmp_path):
    with embedded.serving(tmp_path) as addresses:
        pids = embedded.server_pids(tmp_path)
        os.kill(pids["supervisor"], signal.SIGKILL)
        wait_for(lambda: not any(is_running(pid) for pid in pids.values()), "a server still runs")
        assert (tmp_path / "servers.json").exists()  # stale
        assert embedded.running(tmp_path) is None
        with embedded.serving(tmp_path) as again:
            assert again.docdb_uri == addresses.docdb_uri
            assert not set(embedded.server_pids(tmp_path).values()) & set(pids.values())


def test_stale_or_broken_addresses_are_not_believed(tmp_path):
    addresses = embedded.ServerAddresses("mongodb://127.0.0.1:1/", "http://127.0.0.1:1", "http://127.0.0.1:1", "a", "b")
    embedded.write_state(tmp_path, addresses, {"mongo": 1, "supervisor": os.getpid()})
    assert embedded.running(tmp_path) is None
    for text in ("{", "[]", '{"pids": {}}'):
        (tmp_path / "servers.json").write_text(text)
        assert embedded.read_state(tmp_path) is None
    with embedded.serving(tmp_path) as found:
        assert found != addresses


def test_a_supervisor_whose_servers_do_not_answer_counts_as_not_running(tmp_path):
    addresses = embedded.ServerAddresses("mongodb://127.0.0.1:1/", "http://127.0.0.1:1", "http://127.0.0.1:1", "a", "b")
    embedded.write_state(tmp_path, addresses, {})
    with (tmp_path / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert embedded.supervised(tmp_path)
        assert embedded.running(tmp_path, restart_s=0.2) is None


def test_a_remembered_port_that_is_taken_is_left_to_its_owner(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (tmp_path / "ports.json").write_text(json.dumps({"mongo": port, "s3": port, "browse": "x"}))
        with embedded.serving(tmp_path) as addresses:
            ports = {url.rpartition(":")[2].partition("/")[0] for url in (addresses.docdb_uri, addresses.s3_endpoint)}
            assert str(port) not in ports


def test_a_server_that_cannot_start_is_reported_with_its_last_words(tmp_path):
    (tmp_path / "mongo").mkdir()
    (tmp_path / "mongo" / "WiredTiger").write_text("not a database")
    (tmp_path / "mongo" / "WiredTiger.turtle").write_text("not a database")
    with pytest.raises(ServerUnavailableError, match=r"server `mongo` .*did not start.*DOCDB_URI.*WiredTiger"):
        embedded.serving(tmp_path).__enter__()
    assert embedded.running(tmp_path) is None
    assert embedded.users(tmp_path) == []


def test_a_folder_that_cannot_be_used_is_a_fault_of_the_settings(tmp_path):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(SettingsError, match="ANALYSIS_HOME"), embedded.serving(file):
        pass


def test_a_start_that_takes_too_long_is_given_up(tmp_path):
    started = embedded.serving(tmp_path, start_s=0.001)
    with pytest.raises(ServerUnavailableError, match="did not start within"), started:
        pass


@pytest.mark.parametrize(
    ("answer", "errors", "kind", "text"),
    [
        ("SettingsError: no mongod", "", SettingsError, "^no mongod"),
        ("ServerUnavailableError: not now", "", ServerUnavailableError, "^not now"),
        ("", "Traceback: boom", ServerUnavailableError, "boom"),
        ("", "", ServerUnavailableError, "it reported nothing"),
    ],
)
def test_what_the_supervisor_says_becomes_the_matching_error(answer, errors, kind, text):
    error = embedded.start_error(Path("/home"), answer, errors)
    assert type(error) is kind
    with pytest.raises(kind, match=text):
        raise error
