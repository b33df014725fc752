"""Small objects by the short way: the same objects, and in every other case exactly what boto3 does."""

import hashlib
import json
import sys
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.errors import ServerUnavailableError, SettingsError
from resources.result_store.uploads import send_bytes
from resources.s3.connection import S3Connection
from resources.s3.errors import s3_errors
from resources.s3.server import S3Server, forget_clients
from tests.conftest import BUCKET

TYPE = "text/plain"
GOOD = (200, {"ETag": '"tag"'}, b"")
ERROR = b"<?xml version='1.0'?><Error><Code>%s</Code></Error>"


@contextmanager
def put_by_boto3(server):
    """Give the list of keys that the ordinary client of a server puts."""
    asked = []

    def note(params, **_):
        asked.append(params["url_path"])

    server.client.meta.events.register("before-call.s3.PutObject", note)
    try:
        yield asked
    finally:
        server.client.meta.events.unregister("before-call.s3.PutObject", note)


@pytest.fixture
def keys(monkeypatch):
    """Set made-up credentials; servers are asked once by boto3."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "madeup" * 4)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    yield monkeypatch
    forget_clients()


def put(connection, key, data=b"x"):
    """Put something the way that results are put."""
    with s3_errors("put it", server="the server"):
        return send_bytes(connection, BUCKET, key, data, content_type=TYPE)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("key", ["direct/a b+c%2F~é.txt", "direct/q?x=1&y#z", "direct/'()*!@$,;:=\"<>"])
def test_an_object_is_put_without_boto3_and_is_the_same(s3, key):
    server = replace(s3.server, rest_s=0.0)  # an earlier test may have let the direct way rest
    with put_by_boto3(server) as by_boto3:
        sent = put(server, key, b"hello")
    found = s3.client.get_object(Bucket=BUCKET, Key=key)
    assert by_boto3 == []
    assert found["Body"].read() == b"hello"
    assert found["ContentType"] == TYPE
    assert (found["ETag"].strip('"'), sha256(b"hello"), 5) == (sent.etag, sent.sha256, sent.bytes)


def test_a_body_that_is_damaged_on_its_way_is_not_stored(s3):
    md5 = "kAFQmDzST7DWlj99KOF/cg=="  # of "abc"
    told = {"Content-Type": TYPE, "Content-MD5": md5}
    puts = replace(s3.server, rest_s=60.0).puts  # of its own: it rests afterwards
    assert puts.put(BUCKET, "direct/damaged", b"abx", sha256=sha256(b"abx"), headers=told) is None
    assert "Contents" not in s3.client.list_objects_v2(Bucket=BUCKET, Prefix="direct/damaged")
    assert puts.put(BUCKET, "direct/damaged", b"abc", sha256=sha256(b"abc"), headers=told) is None


def test_what_fails_once_is_put_by_boto3_and_the_next_again_directly(serve_http, keys):
    answers = iter([(503, {}, ERROR % b"SlowDown"), GOOD, GOOD])
    with serve_http(lambda _: next(answers)) as (address, asked):
        connection = S3Connection(endpoint_url=address)
        assert [put(connection, "a").etag, put(connection, "b").etag] == ["tag", "tag"]
    assert asked == [f"/{BUCKET}/a", f"/{BUCKET}/a", f"/{BUCKET}/b"]


def test_after_a_refusal_only_boto3_asks(serve_http, keys):
    with serve_http(lambda _: (403, {}, ERROR % b"AccessDenied")) as (address, asked):
        for rest_s, count in ((30.0, 3), (0.0, 4)):  # without a rest it is later at once
            server = S3Server(endpoint_url=address, rest_s=rest_s)
            for _ in range(2):
                with pytest.raises(SettingsError, match=r"denied access \(AccessDenied"):
                    put(server, "a")
            assert len(asked) == count
            asked.clear()


def test_a_server_that_is_not_there_is_told_by_boto3(keys):
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
        with put_by_boto3(connection) as by_boto3:
            put(connection, "direct/first")
            before = len(count.read_text())
            put(connection, "direct/second")
        assert len(count.read_text()) > before
        assert by_boto3 == []
    finally:
        forget_clients()


def test_the_session_token_is_part_of_the_signed_request(serve_http, keys):
    keys.setenv("AWS_SESSION_TOKEN", "token" * 5)
    heard = []
    with serve_http(lambda _: GOOD, heard=heard) as (address, _):
        put_headers = {"Content-Type": TYPE}
        tag = S3Server(endpoint_url=address).puts.put("lab", "k", b"x", sha256=sha256(b"x"), headers=put_headers)
    assert tag is not None
    (seen,) = heard
    assert seen["X-Amz-Security-Token"] == "token" * 5
    assert seen["X-Amz-Content-SHA256"] == sha256(b"x")
    assert (
        "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token"
        in (seen["Authorization"])
    )


@pytest.mark.parametrize(
    ("bucket", "address"),
    [
        ("lab-results", "https://lab-results.s3.us-west-2.amazonaws.com/"),
        ("lab.results", "https://s3.us-west-2.amazonaws.com/lab.results/"),
    ],
)
def test_the_address_is_the_one_that_boto3_would_take(keys, bucket, address):
    assert S3Server().puts.address_of(bucket) == address


@pytest.mark.parametrize("variable", ["AWS_USE_DUALSTACK_ENDPOINT", "AWS_USE_FIPS_ENDPOINT"])
@pytest.mark.parametrize("region", ["us-east-1", "us-west-2", "cn-north-1"])
def test_it_is_never_another_address_than_boto3s(keys, region, variable):
    keys.setenv("AWS_DEFAULT_REGION", region)
    for value in ["false"] if (region, variable) == ("cn-north-1", "AWS_USE_FIPS_ENDPOINT") else ["false", "true"]:
        keys.setenv(variable, value)
        forget_clients()
        server, asked = S3Server(), []

        def note(request, asked=asked, **_):
            asked.append(request.url)
            raise InterruptedError

        server.client.meta.events.register("before-send.s3.PutObject", note)
        with pytest.raises(InterruptedError):
            server.client.put_object(Bucket="lab", Key="k", Body=b"")
        address = server.puts.address_of("lab")
        assert address is None or f"{address}k" == asked[0]
        assert address is not None or value == "true"


@pytest.mark.parametrize("bucket", ["lab--usw2-az1--x-s3", "arn:aws:s3:us-west-2:123456789012:accesspoint/lab"])
def test_buckets_with_rules_of_their_own_are_left_to_boto3(keys, bucket):
    assert S3Server().puts.address_of(bucket) is None


def test_a_proxy_is_left_to_boto3(keys, serve_http):
    with serve_http(lambda _: GOOD) as (proxy, asked):
        keys.setenv("http_proxy", proxy)
        keys.setenv("no_proxy", "")
        server = S3Server(endpoint_url="http://s3.example.org")
        assert server.puts.put(BUCKET, "a", b"x", sha256=sha256(b"x"), headers={}) is None
        assert asked == []
        assert put(S3Connection(endpoint_url="http://s3.example.org"), "a").etag == "tag"
    assert asked == [f"http://s3.example.org/{BUCKET}/a"]


def test_requests_without_signature_or_certificate_are_left_to_boto3(keys):
    for server in (S3Server(unsigned=True), S3Server(verify=False)):
        assert server.puts.put(BUCKET, "a", b"x", sha256=sha256(b"x"), headers={}) is None
    assert S3Server(endpoint_url="http://127.0.0.1:9").puts.put("No Bucket", "a", b"", sha256="", headers={}) is None
