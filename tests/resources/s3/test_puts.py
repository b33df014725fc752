"""Objects that are put in one request: the server stores exactly what was read, and boto3's rules hold for everything else."""

import hashlib
import json
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from domain.errors import ServerUnavailableError, SettingsError
from resources.result_store.uploads import upload_whole
from resources.s3.connection import S3Connection
from resources.s3.errors import s3_errors
from resources.s3.server import EXPECT_FROM_BYTES, forget_clients
from tests.conftest import BUCKET

TYPE = "text/plain"
SECRET = "synthetic" * 4
GOOD = (200, {"ETag": '"tag"'}, b"")
ERROR = b"<?xml version='1.0'?><Error><Code>%s</Code></Error>"


@pytest.fixture
def keys(monkeypatch):
    """Set synthetic credentials; a request is sent twice at most."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    yield monkeypatch
    forget_clients()


@contextmanager
def before_sending(connection, act):
    """Call a function with each request that puts an object, just before it is sent."""

    def called(request, **_):
        act(request)

    events = connection.client.meta.events
    events.register("before-send.s3.PutObject", called)
    try:
        yield
    finally:
        events.unregister("before-send.s3.PutObject", called)


def put(connection, key, data=b"x"):
    """Put something the way that results are put."""
    with s3_errors("put it", server="the server"):
        return upload_whole(connection, BUCKET, key, data, content_type=TYPE)


@pytest.mark.parametrize("key", ["puts/a b+c%2F~é.txt", "puts/q?x=1&y#z", "puts/'()*!@$,;:=\"<>"])
def test_an_object_is_stored_under_its_key_with_type_and_digest(s3, key):
    sent = put(s3, key, b"hello")
    found = s3.client.get_object(Bucket=BUCKET, Key=key)
    assert found["Body"].read() == b"hello"
    assert found["ContentType"] == TYPE
    assert (found["ETag"].strip('"'), hashlib.sha256(b"hello").hexdigest(), 5) == (sent.etag, sent.sha256, sent.bytes)


def test_a_body_that_is_damaged_on_its_way_is_not_stored(s3):
    def damage(request):
        request.body = b"abx"

    with before_sending(s3, damage), pytest.raises(ServerUnavailableError, match="BadDigest"):
        put(s3, "puts/damaged", b"abc")
    assert "Contents" not in s3.client.list_objects_v2(Bucket=BUCKET, Prefix="puts/damaged")


@pytest.mark.parametrize(("size", "waits"), [(0, False), (EXPECT_FROM_BYTES - 1, False), (EXPECT_FROM_BYTES, True)])
def test_only_a_large_body_waits_for_the_servers_consent(s3, size, waits):
    seen = []
    with before_sending(s3, lambda request: seen.append("Expect" in request.headers)):
        put(s3, "puts/body", bytes(size))
    assert seen == [waits]


def test_a_put_that_fails_once_is_repeated(serve_http, keys):
    answers = iter([(503, {}, ERROR % b"SlowDown"), GOOD])
    with serve_http(lambda _: next(answers)) as (address, requested):
        assert put(S3Connection(endpoint_url=address), "a").etag == "tag"
    assert requested == 2 * [f"/{BUCKET}/a"]


def test_a_put_that_is_denied_is_sent_once_and_the_error_has_no_credentials(serve_http, keys):
    with (
        serve_http(lambda _: (403, {}, ERROR % b"AccessDenied")) as (address, requested),
        pytest.raises(SettingsError, match=r"denied access \(AccessDenied") as caught,
    ):
        put(S3Connection(endpoint_url=address), "a")
    assert SECRET not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
    assert requested == [f"/{BUCKET}/a"]


def test_a_server_that_does_not_run_is_unavailable(keys):
    keys.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(ServerUnavailableError, match="EndpointConnectionError"):
        put(S3Connection(endpoint_url="http://127.0.0.1:9"), "a")


def test_credentials_that_expire_are_renewed(servers, monkeypatch, tmp_path):
    soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    names = {"AccessKeyId": servers.access_key, "SecretAccessKey": servers.secret_key, "Expiration": soon}
    script, count = tmp_path / "keys.py", tmp_path / "count"
    script.write_text(f"open({str(count)!r}, 'a').write('x'); print({json.dumps({'Version': 1, **names})!r})")
    (tmp_path / "config").write_text(f"[default]\nregion = us-east-1\ncredential_process = {sys.executable} {script}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    connection = S3Connection(endpoint_url=servers.s3_endpoint)
    try:
        put(connection, "puts/first")
        before = len(count.read_text())
        put(connection, "puts/second")
        assert len(count.read_text()) > before
    finally:
        forget_clients()


def test_session_token_and_digest_are_part_of_the_signed_request(serve_http, keys):
    keys.setenv("AWS_SESSION_TOKEN", "token" * 5)
    heard = []
    with serve_http(lambda _: GOOD, heard=heard) as (address, _):
        put(S3Connection(endpoint_url=address), "k", b"abc")
    (seen,) = heard
    assert seen["X-Amz-Security-Token"] == "token" * 5
    assert seen["X-Amz-Content-SHA256"] == hashlib.sha256(b"abc").hexdigest()
    assert seen["Content-MD5"] == "kAFQmDzST7DWlj99KOF/cg=="
    assert (
        "SignedHeaders=content-md5;content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token"
        in seen["Authorization"]
    )


def test_a_proxy_of_the_environment_is_used(keys, serve_http):
    with serve_http(lambda _: GOOD) as (proxy, requested):
        keys.setenv("http_proxy", proxy)
        keys.setenv("no_proxy", "")
        assert put(S3Connection(endpoint_url="http://s3.example.org"), "a").etag == "tag"
    assert requested == [f"http://s3.example.org/{BUCKET}/a"]
