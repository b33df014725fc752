"""Documents about environments in S3: stored once, read by digest."""

from hashlib import sha256

import pytest

from domain.errors import OutputError, ServerUnavailableError
from resources.result_store.attempts import stored_attempts
from resources.result_store.environments import environment_address, read_environment, store_environment
from resources.result_store.store import ResultsStore
from resources.s3.connection import S3Connection
from resources.s3.server import split_s3_url


def test_a_document_is_stored_once_under_its_digest(results_store, s3):
    digest = store_environment(results_store, b"[]", "json")
    assert digest == sha256(b"[]").hexdigest()
    address = f"s3://{results_store.root}/environments/{digest}.json"
    assert environment_address(results_store, digest, "json") == address
    bucket, key = split_s3_url(address)
    first = s3.client.head_object(Bucket=bucket, Key=key)
    assert store_environment(results_store, b"[]", "json") == digest
    assert s3.client.head_object(Bucket=bucket, Key=key)["LastModified"] == first["LastModified"]
    assert first["ContentType"] == "application/json"
    assert read_environment(results_store, digest, "json") == b"[]"


def test_an_audit_of_the_bucket_expects_them(results_store):
    store_environment(results_store, b"numpy==2\n", "txt")
    assert list(stored_attempts(results_store, others=True)) == []


def test_a_missing_document_is_none_and_a_changed_one_an_error(results_store, s3):
    assert read_environment(results_store, "0" * 64, "patch") is None
    digest = store_environment(results_store, b"diff", "patch")
    bucket, key = split_s3_url(environment_address(results_store, digest, "patch"))
    s3.client.put_object(Bucket=bucket, Key=key, Body=b"other")
    with pytest.raises(OutputError, match=r"was changed: the sha256 of its content is"):
        read_environment(results_store, digest, "patch")


def test_an_address_is_made_of_a_digest_only(results_store):
    with pytest.raises(OutputError, match="Not a digest"):
        environment_address(results_store, "../../x", "json")


def test_errors_of_the_server_are_those_of_the_platform(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    nowhere = ResultsStore(s3=S3Connection(endpoint_url="http://127.0.0.1:9"), root="lab")
    with pytest.raises(ServerUnavailableError, match="store s3://lab/environments/"):
        store_environment(nowhere, b"x", "txt")
    with pytest.raises(ServerUnavailableError, match="read s3://lab/environments/"):
        read_environment(nowhere, "0" * 64, "txt")
