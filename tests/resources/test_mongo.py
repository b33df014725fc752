import os
import signal
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from pymongo import UpdateOne
from pymongo.errors import AutoReconnect, DuplicateKeyError, OperationFailure

from domain.errors import ServerUnavailableError, SettingsError
from resources.embedded.embedded import server_pids, serving
from resources.embedded.server_process import free_port
from resources.mongo import MongoConnection
from resources.mongo_collection import RetryingCursor
from tests import secure_servers
from tests.raw import database_of

SECRET = "t0p-s3cret"  # noqa: S105 - the point of the tests


@pytest.fixture
def connection(docdb_uri, database):
    """Give a connection to a database of its own."""
    return MongoConnection(uri=docdb_uri, database=database)


@pytest.fixture
def impatient():
    """Give a function that connects to an address, waits briefly for a server, and closes its clients at the end."""
    opened = []

    def connect(uri):
        patience = f"{'&' if '?' in uri else '?'}serverSelectionTimeoutMS=20"
        opened.append(MongoConnection(uri=f"{uri}{patience}", database="d", attempts=1))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()


def test_a_collection_gives_aware_times_back(connection):
    things = connection.collection("things").raw
    things.insert_one({"_id": 1, "when": datetime(2025, 1, 1, tzinfo=UTC)})
    assert things.find_one()["when"] == datetime(2025, 1, 1, tzinfo=UTC)


def test_indexes_are_made_once_in_the_named_direction(connection):
    things = connection.collection("things", indexes=(("a", "-b.c"), ("d",))).raw
    keys = [index["key"] for index in things.index_information().values()]
    assert keys == [[("_id", 1)], [("a", 1), ("b.c", -1)], [("d", 1)]]
    things.drop_indexes()
    connection.collection("things", indexes=(("a", "-b.c"), ("d",)))
    assert len(things.index_information()) == 1


def test_writes_that_commit_are_journaled(connection):
    assert connection.collection("things", durable=True).raw.write_concern.document == {"w": "majority", "j": True}
    assert connection.collection("things").raw.write_concern.document["w"] == "majority"


def test_the_time_is_the_servers_and_has_a_zone(connection):
    before = connection.now()
    assert before.tzinfo is not None
    assert abs(before - datetime.now(UTC)) < timedelta(seconds=5)
    assert connection.now() >= before


def test_one_client_serves_a_whole_process(connection, database):
    other = MongoConnection(uri=connection.uri, database=f"{database}_b")
    assert database_of(connection).client is database_of(other).client


def test_a_closed_client_is_replaced_by_another(docdb_uri, database):
    connection = MongoConnection(uri=f"{docdb_uri}&appName=closed", database=database)
    connection.collection("things", indexes=(("a",),)).insert_one({"_id": 1})
    first = database_of(connection).client
    connection.close()
    connection.close()
    assert connection.collection("things").find_one({}) == {"_id": 1}
    assert database_of(connection).client is not first
    connection.close()


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("", (10.0, 5.0, 60.0, "analysis-assets")),
        ("&serverSelectionTimeoutMS=20", (0.02, 5.0, 60.0, "analysis-assets")),
        ("&connectTimeoutms=30&SOCKETTIMEOUTMS=40", (10.0, 0.03, 0.04, "analysis-assets")),
        ("&appname=ours&retryWrites=true", (10.0, 5.0, 60.0, "ours")),
    ],
)
def test_options_in_the_address_count_except_that_writes_are_never_retried(docdb_uri, given, found):
    connection = MongoConnection(uri=f"{docdb_uri}{given}", database="d")
    options = database_of(connection).client.options
    pool = options.pool_options
    assert (options.server_selection_timeout, pool.connect_timeout, pool.socket_timeout, pool.appname) == found
    assert not options.retry_writes
    if given:
        connection.close()


def test_a_call_is_tried_as_often_as_the_connection_says(docdb_uri, database):
    connection, tries = MongoConnection(uri=docdb_uri, database=database, attempts=2), []

    def lost():
        tries.append(1)
        message = "lost"
        raise AutoReconnect(message)

    with pytest.raises(ServerUnavailableError):
        connection.calls(lost)
    assert len(tries) == 2


def test_the_embedded_server_is_found_by_its_folder(home, servers, database):
    connection = MongoConnection(database=database, embedded_home=str(home))
    connection.collection("things").insert_one({"_id": 1})
    assert MongoConnection(uri=servers.docdb_uri, database=database).collection("things").find_one({}) == {"_id": 1}


def test_an_embedded_server_that_does_not_run_is_named_with_what_to_do(tmp_path):
    with pytest.raises(ServerUnavailableError) as caught:
        MongoConnection(database="d", embedded_home=str(tmp_path)).now()
    assert str(tmp_path) in str(caught.value)
    assert "make dev" in str(caught.value)


def test_a_lost_connection_is_ridden_out(connection):
    answers = iter([AutoReconnect("lost"), AutoReconnect("lost"), 7])

    def work():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert connection.calls(work) == 7


def test_other_errors_are_not_repeated(connection):
    calls = []

    def twice():
        calls.append(1)
        connection.collection("things").insert_one({"_id": 1})
        connection.collection("things").insert_one({"_id": 1})

    with pytest.raises(DuplicateKeyError):
        connection.calls(twice)
    assert len(calls) == 1


def test_an_error_of_the_command_itself_stays_what_it_is(connection):
    with pytest.raises(OperationFailure, match="noSuchCommand"):
        connection.calls(database_of(connection).command, "noSuchCommand")


@pytest.mark.parametrize(
    ("user", "end"), [("", ""), (f"analyst:{SECRET}@", "/"), (f"analyst:{SECRET}%2F%40x@", "/?appName=x")]
)
def test_a_server_that_is_down_is_named_by_address_and_setting_never_by_password(user, end, impatient):
    port = free_port()
    connection = impatient(f"mongodb://{user}127.0.0.1:{port}{end}")
    with pytest.raises(ServerUnavailableError) as caught:
        connection.now()
    reported = str(caught.value)
    assert f"127.0.0.1:{port} did not answer" in reported
    assert "DOCDB_URI" in reported
    assert SECRET not in reported
    assert caught.value.__suppress_context__


def test_every_host_of_a_server_that_is_down_is_named(impatient):
    ports = free_port(), free_port()
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    with pytest.raises(ServerUnavailableError, match=hosts):
        impatient(f"mongodb://a:{SECRET}@{hosts}/").now()


def test_options_are_not_taken_for_a_part_of_the_address(impatient):
    port = free_port()
    uri = f"mongodb://127.0.0.1:{port}?authMechanismProperties=AWS_SESSION_TOKEN:{SECRET}"
    with pytest.raises(ServerUnavailableError) as caught:
        impatient(uri).now()
    assert SECRET not in str(caught.value)


def test_a_server_that_goes_away_while_documents_are_read_is_named(impatient):
    connection = impatient(f"mongodb://127.0.0.1:{free_port()}/")
    things = connection.collection("things")
    with pytest.raises(ServerUnavailableError, match="did not answer"):
        list(things.find({}))


@pytest.fixture(scope="module")
def failing(tmp_path_factory):
    """Give a connection to a server that fails commands on demand, and a function that demands it."""
    with secure_servers.serving(
        tmp_path_factory.mktemp("failing"), "mongo", "--setParameter", "enableTestCommands=1"
    ) as host:
        mongo = MongoConnection(
            uri=f"mongodb://{host}/?directConnection=true&serverMonitoringMode=poll&heartbeatFrequencyMS=500",
            database="d",
        )

        def fail(times, command, **how):
            point = {"configureFailPoint": "failCommand", "mode": {"times": times}}
            database_of(mongo).client.admin.command({**point, "data": {"failCommands": [command], **how}})

        yield mongo, fail
        mongo.close()


UNCONFIRMED = {"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}}
STEPPED_DOWN = {"writeConcernError": {"code": 189, "errmsg": "primary stepped down"}}
WRITES = {
    "insert": lambda things: things.insert_one({"_id": uuid.uuid4().hex}),
    "update": lambda things: things.update_one({"_id": 1}, {"$set": {"n": 1}}, upsert=True),
    "findAndModify": lambda things: things.find_one_and_update({"_id": 1}, {"$set": {"n": 2}}),
    "delete": lambda things: things.delete_one({"_id": 9}),
}
BULK = {"update": lambda things: things.bulk_write([UpdateOne({"_id": 1}, {"$set": {"n": 3}}, upsert=True)])}


@pytest.mark.parametrize(
    "how", [UNCONFIRMED, STEPPED_DOWN, {"errorCode": 11602}], ids=["unconfirmed", "stepped", "interrupted"]
)
@pytest.mark.parametrize(("command", "write"), [*WRITES.items(), *BULK.items()], ids=[*WRITES, "bulk"])
def test_a_write_that_the_replica_set_does_not_confirm_is_repeated(failing, command, write, how):
    mongo, fail = failing
    things = mongo.collection("things")
    fail(2, command, **how)
    try:
        write(things)
    except DuplicateKeyError:
        assert command == "insert", "the first one has arrived"
    fail(0, command, **how)


@pytest.mark.parametrize("how", [UNCONFIRMED, {"errorCode": 189}], ids=["unconfirmed", "stepped"])
@pytest.mark.parametrize(
    ("command", "write"), [("update", WRITES["update"]), ("update", BULK["update"])], ids=["one", "bulk"]
)
def test_a_write_that_is_never_confirmed_ends_with_an_error_that_names_the_server(failing, command, write, how):
    mongo, fail = failing
    impatient = MongoConnection(uri=mongo.uri, database="d", attempts=2)
    fail(2, command, **how)
    with pytest.raises(ServerUnavailableError, match=r"MongoDB at 127\.0\.0\.1:\d+ did not answer"):
        write(impatient.collection("things"))


def test_a_list_is_read_again_when_the_server_has_forgotten_its_cursor(failing):
    mongo, fail = failing
    many = mongo.collection("many")
    many.raw.insert_many([{"_id": n} for n in range(300)])
    fail(1, "getMore", errorCode=43)
    assert len(many.find({}).to_list()) == 300


def test_documents_are_read_one_by_one(connection):
    things = connection.collection("things")
    things.raw.insert_many([{"_id": i} for i in range(300)])
    assert [d["_id"] for d in things.find({}, sort=[("_id", 1)])] == list(range(300))


def test_a_list_is_read_again_as_a_whole_after_a_lost_connection(connection):
    raw = connection.collection("things").raw
    raw.insert_many([{"_id": i} for i in range(3)])
    answers, read = iter([1, 3]), []

    def lost_after_the_first(documents):
        for _, document in zip(range(next(answers)), documents, strict=False):
            read.append(document["_id"])
        if len(read) == 1:
            message = "lost"
            raise AutoReconnect(message)
        return len(read)

    assert RetryingCursor(connection.calls, raw.find).collect(lost_after_the_first) == 4
    assert read == [0, 0, 1, 2]


def test_documents_that_are_read_one_by_one_are_not_read_again(connection):
    opened = []

    def lost():
        opened.append(1)
        message = "lost"
        raise AutoReconnect(message)

    with pytest.raises(ServerUnavailableError):
        list(RetryingCursor(connection.calls, lost))
    assert len(opened) == 1


@pytest.mark.parametrize("login", [f"nobody:{SECRET}", f"analyst:{SECRET}2"])
@pytest.mark.parametrize("bare", [True, False])
def test_wrong_credentials_are_refused_without_showing_them(login, bare, docdb_uri):
    uri = docdb_uri.replace("mongodb://", f"mongodb://{login}@")
    connection = MongoConnection(uri=uri.partition("/?")[0] if bare else uri, database="records")
    with pytest.raises(SettingsError) as caught:
        connection.now()
    connection.close()
    reported = str(caught.value)
    assert f"MongoDB at {urlsplit(docdb_uri).netloc} denied access to `records`" in reported
    assert "DOCDB_URI" in reported
    assert SECRET not in reported


@pytest.mark.parametrize(
    "uri",
    [
        f"mongodb://a:{SECRET}@host:port/",
        f"mongodb://a:{SECRET}/b@host:1/",
        f"mongodb://a:{SECRET}:b@host/",
        f"mongodb://a:{SECRET}@/",
        f"http://a:{SECRET}@host/",
        f"mongodb+srv://a:{SECRET}@host:1/",
    ],
)
def test_a_malformed_address_is_refused_without_showing_it(uri):
    with pytest.raises(SettingsError) as caught:
        MongoConnection(uri=uri, database="d").now()
    assert "DOCDB_URI is not a MongoDB address" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_killed_server_costs_nothing_but_time(tmp_path, database):
    with serving(tmp_path) as addresses:
        by_uri = MongoConnection(uri=addresses.docdb_uri, database=database)
        by_folder = MongoConnection(database=database, embedded_home=str(tmp_path))
        for connection, killed in ((by_uri, "one"), (by_folder, "two")):
            things = connection.collection("things", durable=True)
            things.insert_one({"_id": f"before {killed}"})
            os.kill(server_pids(tmp_path)["mongo"], signal.SIGKILL)
            things.replace_one({"_id": f"after {killed}"}, {}, upsert=True)
        found = {d["_id"] for d in by_uri.collection("things").find({})}
        by_uri.close()
    assert found == {"before one", "after one", "before two", "after two"}


def test_a_server_killed_between_many_writers_loses_no_write(tmp_path, database):
    with serving(tmp_path) as addresses:
        connection = MongoConnection(uri=addresses.docdb_uri, database=database)
        things = connection.collection("things", durable=True)
        acknowledged = []

        def write(writer):
            for i in range(30):
                name = f"{writer}/{i}"
                things.replace_one({"_id": name}, {"_id": name}, upsert=True)
                acknowledged.append(name)

        threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        while len(acknowledged) < 20:
            time.sleep(0.001)
        os.kill(server_pids(tmp_path)["mongo"], signal.SIGKILL)
        for thread in threads:
            thread.join()
        found = {d["_id"] for d in things.find({})}
        connection.close()
    assert len(acknowledged) == 120
    assert found == set(acknowledged)
