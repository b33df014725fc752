"""One client for each server and process; errors that say whether a retry would help."""

import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import boto3
import dagster as dg
import pytest
from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from domain.errors import InputError, PermanentError, ServerUnavailableError, SettingsError
from resources.embedded.embedded import addresses_of
from resources.s3.connection import S3Connection
from resources.s3.errors import error_code, etag_of, is_missing, s3_errors
from resources.s3.server import split_s3_url


def test_the_embedded_server_is_found_by_its_folder(s3, servers):
    assert s3.embedded == servers
    assert s3.client.meta.endpoint_url == servers.s3_endpoint
    assert "analysis-results" in [bucket["Name"] for bucket in s3.client.list_buckets()["Buckets"]]


def test_threads_and_copies_share_one_client(s3):
    copies = [S3Connection(embedded_home=s3.embedded_home) for _ in range(16)]
    with ThreadPoolExecutor(16) as threads:
        clients = set(threads.map(lambda copy: id(copy.client), copies))
    assert clients == {id(s3.client)}
    assert s3.get_client() is s3.client


@pytest.mark.parametrize(("said", "count"), [(None, 2), ("3", 3), ("in the file", 4)])
def test_a_request_is_tried_as_often_as_the_resource_or_boto3s_settings_say(monkeypatch, tmp_path, said, count):
    if said == "in the file":
        (tmp_path / "config").write_text("[default]\nmax_attempts = 4\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    elif said is not None:
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", said)
    connection = S3Connection(endpoint_url="http://127.0.0.1:9", region_name=f"local-{count}", max_attempts=2)
    assert connection.client.meta.config.retries["total_max_attempts"] == count


@pytest.mark.parametrize("said", ["0", "many"])
def test_a_number_of_attempts_that_is_none_is_refused(monkeypatch, said):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", said)
    with pytest.raises(SettingsError, match="AWS_MAX_ATTEMPTS"):
        _ = S3Connection(endpoint_url="http://127.0.0.1:9", region_name=f"local-{said}").client


def test_it_is_injected_into_assets_as_itself(s3):
    @dg.asset
    def names(s3: S3Connection) -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata={"client": id(s3.client)})

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([names], resources={"s3": s3}, instance=instance)
        (event,) = result.asset_materializations_for_node("names")
    assert event.metadata["client"].value == id(s3.client)
    assert s3.get_object_to_set_on_execution_context() is s3


def test_servers_that_do_not_run_are_named_with_what_to_do(tmp_path):
    connection = S3Connection(embedded_home=str(tmp_path))
    with pytest.raises(ServerUnavailableError, match=rf"{tmp_path} are not running. Start them with `make dev`"):
        _ = connection.client


def test_keys_in_the_configuration_are_refused():
    with pytest.raises(SettingsError, match="must not be part of Dagster's configuration"):
        _ = S3Connection(aws_access_key_id="a", aws_secret_access_key="b").client  # noqa: S106 - made up


def test_a_named_server_is_queried_by_path_and_others_by_host_name(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    named = S3Connection(endpoint_url="http://127.0.0.1:9").client
    aws = S3Connection().client
    assert named.meta.config.s3["addressing_style"] == "path"
    assert named.meta.config.max_pool_connections == 32
    assert aws.meta.endpoint_url == "https://s3.us-west-2.amazonaws.com"
    assert S3Connection(use_unsigned_session=True).client is not aws
    assert [S3Connection(endpoint_url="http://h").server_name, S3Connection().server_name] == ["http://h", "AWS S3"]


def test_requests_without_credentials_are_not_signed(serve_http):
    with serve_http(lambda _: (200, {}, b"<ListBucketResult/>")) as (address, requested):
        S3Connection(endpoint_url=address, use_unsigned_session=True).client.list_objects_v2(Bucket="bucket")
    assert requested[0].startswith("/bucket?")


def test_a_bucket_is_made_on_the_embedded_server_only(s3):
    assert not s3.server.has_bucket("made-here")
    s3.ensure_bucket("made-here")
    s3.ensure_bucket("made-here")
    assert s3.server.has_bucket("made-here")
    assert not s3.server.has_bucket("No Such Name")
    S3Connection(endpoint_url="http://127.0.0.1:1").ensure_bucket("elsewhere")  # nothing is asked


def test_a_bucket_that_cannot_be_made_is_an_error(s3):
    with pytest.raises(PermanentError, match=r"create the bucket x: .*InvalidBucketName"):
        s3.ensure_bucket("x")


def test_an_address_is_split():
    assert split_s3_url("s3://bucket/a/b c%20.txt") == ("bucket", "a/b c%20.txt")
    assert split_s3_url("S3://bucket") == ("bucket", "")
    for url in ("bucket/key", "https://bucket/key", "s3:///key", ""):
        with pytest.raises(PermanentError, match="Not an S3 address"):
            split_s3_url(url)


@pytest.mark.parametrize(
    ("status", "code", "kind", "text"),
    [
        (503, "SlowDown", ServerUnavailableError, "did not answer .SlowDown.*AWS_ENDPOINT_URL"),
        (500, "InternalError", ServerUnavailableError, "InternalError"),
        (400, "RequestTimeout", ServerUnavailableError, "RequestTimeout"),
        (400, "BadDigest", ServerUnavailableError, "BadDigest"),
        (429, "TooMany", ServerUnavailableError, "TooMany"),
        (403, "AccessDenied", SettingsError, "denied access .AccessDenied.*AWS_. credentials"),
        (404, "NoSuchBucket", SettingsError, "no such bucket.*ANALYSIS_BUCKET"),
        (400, "InvalidArgument", PermanentError, "InvalidArgument, HTTP status 400"),
    ],
)
def test_what_s3_answers_becomes_the_error_that_says_what_to_do(failing_s3, status, code, kind, text):
    with failing_s3(status, code) as address:
        connection = S3Connection(endpoint_url=address)
        with pytest.raises(kind, match=rf"Cannot list things: {address}.*{text}") as error:
            list_things(connection)
    assert "secret" not in str(error.value)


def list_things(connection):
    with s3_errors("list things", server=connection.server_name):
        connection.client.list_objects_v2(Bucket="bucket")


def test_a_server_that_is_not_there_is_unavailable(failing_s3):
    with failing_s3(200, "x"), socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        connection = S3Connection(endpoint_url=f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(ServerUnavailableError, match=r"EndpointConnectionError"):
            list_things(connection)


def test_has_bucket_does_not_take_trouble_for_an_answer(failing_s3):
    with failing_s3(403, "AccessDenied") as address, pytest.raises(SettingsError, match="look for the bucket"):
        S3Connection(endpoint_url=address).server.has_bucket("bucket")


def test_no_credentials_is_a_fault_of_the_settings(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with pytest.raises(SettingsError, match="credentials"):
        list_things(S3Connection(endpoint_url="http://127.0.0.1:1"))


def test_a_refusal_can_be_the_fault_of_an_input(failing_s3):
    with (
        failing_s3(403, "AccessDenied") as address,
        pytest.raises(InputError, match=r"denied access.*Do this\."),
        s3_errors("x", server=address, denied=InputError, hint="Do this."),
    ):
        S3Connection(endpoint_url=address).client.list_objects_v2(Bucket="bucket")
    with pytest.raises(InputError, match="does not allow"), s3_errors("x", server="s", denied=InputError):
        S3Connection(endpoint_url="http://127.0.0.1:1").client.list_objects_v2(Bucket="Not A Bucket")


def test_what_a_transfer_hides_is_looked_for(failing_s3, tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    with (
        failing_s3(403, "AccessDenied") as address,
        pytest.raises(SettingsError, match="AccessDenied"),
        s3_errors("upload", server=address),
    ):
        S3Connection(endpoint_url=address).client.upload_file(str(tmp_path / "file"), "bucket", "key")
    with pytest.raises(ServerUnavailableError, match="S3UploadFailedError"), s3_errors("upload", server="s"):
        raise S3UploadFailedError


def test_a_missing_object_is_left_to_the_caller(s3):
    with pytest.raises(ClientError) as error, s3_errors("read", server="s"):
        s3.client.get_object(Bucket="analysis-results", Key="missing")
    assert is_missing(error.value)
    assert error_code(error.value) == "NoSuchKey"


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (EndpointConnectionError(endpoint_url="http://h/?X-Amz-Signature=s"), ServerUnavailableError),
        (NoCredentialsError(), SettingsError),
    ],
)
def test_errors_of_botocore_are_distinguished_and_show_no_signature(raised, kind):
    with pytest.raises(kind) as error, s3_errors("read", server="s"):
        raise raised
    assert "Signature" not in str(error.value)


def test_a_restart_on_other_ports_is_noticed(s3, home, servers, monkeypatch):
    assert addresses_of(str(home)) is addresses_of(str(home))
    state = home / "servers.json"
    before = addresses_of(str(home))
    state.write_text(state.read_text())  # rewritten: read again
    assert addresses_of(str(home)) is not before
    assert addresses_of(str(home)) == servers


def test_etags_lose_their_quotes():
    assert [etag_of({"ETag": '"abc"'}), etag_of({"ETag": "abc"}), etag_of({})] == ["abc", "abc", ""]


def test_nothing_is_built_at_import_time(monkeypatch):
    def fail(*_, **__):
        raise AssertionError

    monkeypatch.setattr(boto3.session.Session, "client", fail)
    S3Connection(endpoint_url="http://127.0.0.1:1", embedded_home="/nowhere")


@pytest.mark.parametrize(
    ("hours", "reported"), [(1, r"clock is 3\d\d\d s behind"), (-1, r"clock is 3\d\d\d s ahead of")]
)
def test_a_rejected_clock_is_named_and_may_be_right_later(hours, reported):
    headers = {"date": format_datetime(datetime.now(UTC) + timedelta(hours=hours), usegmt=True)}
    answer = {"Error": {"Code": "403"}, "ResponseMetadata": {"HTTPStatusCode": 403, "HTTPHeaders": headers}}
    with pytest.raises(ServerUnavailableError, match=reported), s3_errors("read", server="the server"):
        raise ClientError(answer, "HeadObject")
