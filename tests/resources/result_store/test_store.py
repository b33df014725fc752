"""Result files in S3, on the real server: what is put is listed, read and deleted as it was."""

import hashlib
import uuid

import pytest
import requests

from domain.errors import OutputError, PlatformError, ServerUnavailableError, SettingsError
from resources.result_store.attempts import ForeignObject, complete_attempts, stored_attempts
from resources.result_store.store import ResultsStore
from resources.result_store.stored_file import StoredFile
from resources.s3.connection import S3Connection
from resources.s3.server import SINGLE_PUT_BYTES
from tests.waiting import wait_for

RESULT = "0123456789abcdef" * 4
ATTEMPTS = [str(uuid.UUID(int=i)) for i in range(3)]
NAMES = ["a b+c%2F.txt", "deep/er/é.txt", "figure.png", "metadata.nd.json", "q?x=1&y#z.txt", "x" * 255, "ü/'\"<>&.json"]


@pytest.fixture
def location(results_store):
    """Give the folder of a first attempt."""
    return results_store.location(RESULT, ATTEMPTS[0])


def md5(data):
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def test_a_location_names_result_and_attempt(results_store):
    assert results_store.location(RESULT, ATTEMPTS[1]) == f"s3://{results_store.root}/{RESULT}/{ATTEMPTS[1]}"
    with pytest.raises(OutputError, match="Not a result's id"):
        results_store.location("../x", ATTEMPTS[0])
    with pytest.raises(OutputError, match="Not an attempt"):
        results_store.location(RESULT, "..")


def test_what_is_put_is_listed_and_read_as_it_was(results_store, location, tmp_path):
    put = []
    for number, name in enumerate(NAMES):
        file = tmp_path / "local"
        file.write_bytes(b"x" * number)
        put.append(results_store.put_file(location, name, file))
    assert put[3] == StoredFile("metadata.nd.json", 3, md5(b"xxx"))
    assert results_store.list_files(location) == sorted(put, key=lambda f: f.path)
    assert [results_store.get_bytes(location, name) for name in NAMES] == [b"x" * i for i in range(len(NAMES))]


def test_bytes_are_put_with_their_content_type(results_store, location, s3):
    results_store.put_bytes(location, "a.json", b"{}", "application/json; charset=utf-8")
    results_store.put_bytes(location, "b.png", b"png")
    results_store.put_bytes(location, "c.csv.gz", b"gz")
    bucket, _, prefix = location.removeprefix("s3://").partition("/")
    types = [
        s3.client.head_object(Bucket=bucket, Key=f"{prefix}/{n}")["ContentType"]
        for n in ("a.json", "b.png", "c.csv.gz")
    ]
    assert types == ["application/json; charset=utf-8", "image/png", "application/octet-stream"]


def test_a_large_file_arrives_whole_with_the_tag_that_a_listing_shows(results_store, location, tmp_path):
    data = bytes(range(256)) * (65 * 1024)
    (tmp_path / "large.bin").write_bytes(data)
    stored = results_store.put_file(location, "large.bin", tmp_path / "large.bin")
    assert stored.bytes == len(data) > SINGLE_PUT_BYTES
    assert results_store.list_files(location) == [stored]
    results_store.download(location, "large.bin", tmp_path / "new" / "copy.bin")
    assert (tmp_path / "new" / "copy.bin").read_bytes() == data


def test_long_listings_are_read_to_the_end(results_store, location, home):
    folder = home / "s3" / location.removeprefix("s3://")
    folder.mkdir(parents=True)
    for number in range(1005):
        (folder / f"{number:04}.txt").touch()
    results_store.put_bytes(location, "last.txt", b"")
    assert len(results_store.list_files(location)) == 1006
    results_store.discard(location)
    assert results_store.list_files(location) == []


def test_attempts_are_apart_and_an_empty_one_has_no_files(results_store, location):
    other = results_store.location(RESULT, ATTEMPTS[1])
    results_store.put_bytes(location, "a.txt", b"1")
    assert results_store.list_files(other) == []
    assert results_store.get_bytes(other, "a.txt") is None
    results_store.discard(other)
    assert results_store.get_bytes(location, "a.txt") == b"1"


def test_only_attempts_with_their_last_file_are_complete_the_earliest_first(results_store, s3):
    assert complete_attempts(results_store, RESULT) == []
    for attempt in reversed(ATTEMPTS):
        results_store.put_bytes(results_store.location(RESULT, attempt), "deep/a.txt", b"")
    for attempt in (ATTEMPTS[2], ATTEMPTS[0]):
        results_store.put_bytes(results_store.location(RESULT, attempt), "metadata.nd.json", b"{}")
    bucket, _, prefix = results_store.root.partition("/")
    s3.client.put_object(Bucket=bucket, Key=f"{prefix}/{RESULT}/no-attempt/metadata.nd.json", Body=b"")
    assert sorted(complete_attempts(results_store, RESULT)) == [ATTEMPTS[0], ATTEMPTS[2]]
    with pytest.raises(OutputError, match="Not a result's id"):
        complete_attempts(results_store, "x")


def test_discarding_deletes_the_last_file_first(results_store, location):
    for name in ("a.txt", "metadata.nd.json", "z/y.txt"):
        results_store.put_bytes(location, name, b"1")

    class Dying(ResultsStore):
        """A store whose process dies when the last file is deleted."""

        def objects_below(self, *_):
            message = "crash"
            raise ServerUnavailableError(message)

    with pytest.raises(ServerUnavailableError):
        Dying(s3=results_store.s3, root=results_store.root).discard(location)
    assert [file.path for file in results_store.list_files(location)] == ["a.txt", "z/y.txt"]
    assert complete_attempts(results_store, RESULT) == []
    results_store.discard(location)
    results_store.discard(location)
    assert results_store.list_files(location) == []


def test_nothing_is_written_or_deleted_outside_the_root(results_store, s3, tmp_path):
    elsewhere = ResultsStore(s3=s3, root="analysis-results/elsewhere")
    location = elsewhere.location(RESULT, ATTEMPTS[0])
    elsewhere.put_bytes(location, "a.txt", b"1")
    (tmp_path / "f").touch()
    for act in (
        lambda: results_store.put_bytes(location, "a.txt", b"2"),
        lambda: results_store.put_file(location, "a.txt", tmp_path / "f"),
        lambda: results_store.discard(location),
    ):
        with pytest.raises(OutputError, match="is not below"):
            act()
    assert results_store.get_bytes(location, "a.txt") == b"1"  # reading what an earlier setting wrote is fine


@pytest.mark.parametrize("name", ["../up", "/abs", "a//b", "n\nl", "x" * 256])
def test_a_name_that_cannot_be_stored_is_refused_everywhere(results_store, location, tmp_path, name):
    for act in (
        lambda: results_store.put_bytes(location, name, b""),
        lambda: results_store.get_bytes(location, name),
        lambda: results_store.download(location, name, tmp_path / "x"),
    ):
        with pytest.raises(OutputError, match="cannot be stored"):
            act()


def test_downloading_what_is_not_there_says_so(results_store, location, tmp_path):
    with pytest.raises(OutputError, match=r"There is no file 'a\.txt'"):
        results_store.download(location, "a.txt", tmp_path / "a.txt")
    assert list(tmp_path.glob("a*")) == []


def test_links_to_embedded_results_open(results_store, location):
    results_store.put_bytes(location, "a b/ü#1.txt", b"hello")
    assert requests.get(results_store.browse_url(location, "a b/ü#1.txt"), timeout=60).content == b"hello"
    assert "a%20b" in requests.get(results_store.browse_url(location), timeout=60).text


@pytest.mark.parametrize(
    ("endpoint", "browser", "path", "url"),
    [
        (None, "https://see.example/r/", "a b.png", f"https://see.example/r/{RESULT}/{ATTEMPTS[0]}/a%20b.png"),
        ("http://minio:9000", None, "", f"http://minio:9000/lab/pre/{RESULT}/{ATTEMPTS[0]}/"),
        (None, None, "", f"https://s3.console.aws.amazon.com/s3/buckets/lab?prefix=pre/{RESULT}/{ATTEMPTS[0]}/"),
        (None, None, "a", f"https://s3.console.aws.amazon.com/s3/object/lab?prefix=pre/{RESULT}/{ATTEMPTS[0]}/a"),
    ],
)
def test_links_to_other_results_lead_where_the_settings_say(endpoint, browser, path, url):
    store = ResultsStore(s3=S3Connection(endpoint_url=endpoint), root="lab/pre", browser_url=browser)
    assert store.browse_url(store.location(RESULT, ATTEMPTS[0]), path) == url


def test_results_of_another_root_are_not_looked_for_below_the_browser_address():
    store = ResultsStore(s3=S3Connection(), root="lab/pre", browser_url="https://see.example")
    assert "console.aws" in store.browse_url(f"s3://old/{RESULT}/{ATTEMPTS[0]}")


def test_a_missing_bucket_is_named_and_made_where_it_may_be(s3):
    store = ResultsStore(s3=s3, root=f"bucket-{uuid.uuid4().hex[:8]}/x")
    location = store.location(RESULT, ATTEMPTS[0])
    for act in (lambda: store.put_bytes(location, "a", b""), lambda: store.list_files(location)):
        with pytest.raises(SettingsError, match="has no such bucket"):
            act()
    store.ensure_bucket()
    store.ensure_bucket()
    store.put_bytes(location, "a", b"")


def test_trouble_of_the_server_is_transient(failing_s3, tmp_path):
    (tmp_path / "large").write_bytes(b"x" * (SINGLE_PUT_BYTES + 1))
    with failing_s3(503, "SlowDown") as address:
        store = ResultsStore(s3=S3Connection(endpoint_url=address), root="lab")
        location = store.location(RESULT, ATTEMPTS[0])
        for act in (
            lambda: store.put_bytes(location, "a", b""),
            lambda: store.put_file(location, "a", tmp_path / "large"),
            lambda: store.get_bytes(location, "a"),
            lambda: store.download(location, "a", tmp_path / "a"),
            lambda: store.list_files(location),
            lambda: complete_attempts(store, RESULT),
            lambda: store.discard(location),
        ):
            with pytest.raises(ServerUnavailableError, match=r"SlowDown|503"):
                act()


def test_trouble_while_attempts_are_looked_at_is_transient(serve_http, failing_s3):
    attempt = f"<CommonPrefixes><Prefix>{RESULT}/{ATTEMPTS[0]}/</Prefix></CommonPrefixes>"
    listing = f"<ListBucketResult>{attempt}</ListBucketResult>".encode()
    with serve_http(lambda path: (200, {}, listing) if "list-type" in path else (503, {}, b"")) as (address, _):
        store = ResultsStore(s3=S3Connection(endpoint_url=address), root="lab")
        with pytest.raises(ServerUnavailableError, match=rf"look at attempt {ATTEMPTS[0]}.*503"):
            complete_attempts(store, RESULT)


def test_a_file_that_s3_keeps_is_reported(serve_http, failing_s3):
    listing = f"<ListBucketResult><Contents><Key>{RESULT}/x</Key></Contents></ListBucketResult>".encode()
    kept = b"<DeleteResult><Error><Key>x</Key><Code>Locked</Code></Error></DeleteResult>"
    with serve_http(lambda path: (200, {}, kept if "?delete" in path else listing)) as (address, _):
        store = ResultsStore(s3=S3Connection(endpoint_url=address), root="lab")
        with pytest.raises(OutputError, match=r"Could not delete 1 object.*Locked"):
            store.discard(store.location(RESULT, ATTEMPTS[0]))


def test_more_objects_than_one_page_holds_are_all_listed_attempt_by_attempt(results_store, s3, home):
    bucket, _, root = results_store.root.partition("/")
    folder = home / "s3" / bucket / root
    wanted = set()
    for number in range(21):
        attempt = folder / f"{number:02x}{'0' * 62}" / str(uuid.uuid4())
        attempt.mkdir(parents=True)
        for file in range(50):
            (attempt / f"{file}.txt").write_bytes(b"x")
        wanted.add((attempt.parent.name, attempt.name, 50))
    (folder / "notes").mkdir()
    (folder / "notes" / "a.txt").write_bytes(b"x")
    # the server notices what was put into its folder after two seconds
    found = wait_for(
        lambda: len(found := list(stored_attempts(results_store))) == len(wanted) and found,
        "the server does not list what was put into its folder",
    )
    assert {(one.result_id, one.attempt, len(one.files)) for one in found} == wanted
    assert len(found) == 21
    others = [one.key for one in stored_attempts(results_store, others=True) if isinstance(one, ForeignObject)]
    assert others == ["notes/a.txt"]


def test_errors_name_the_folder_of_the_attempt(results_store, location, tmp_path):
    with pytest.raises(OutputError) as raised:
        results_store.download(location, "nothing.txt", tmp_path / "nothing.txt")
    assert raised.value.location == location
    with pytest.raises(OutputError) as raised:
        results_store.put_bytes(location, "a\nb", b"")
    assert raised.value.location == location
    elsewhere = location.replace(RESULT, f"elsewhere/{RESULT}")
    with pytest.raises(OutputError, match="Not allowed") as raised:
        results_store.put_bytes(elsewhere, "a.txt", b"")
    assert raised.value.location == elsewhere
    away = ResultsStore(s3=S3Connection(endpoint_url="http://127.0.0.1:9"), root=results_store.root)
    with pytest.raises(PlatformError) as raised:
        away.get_bytes(location, "a.txt")
    assert raised.value.location == location
