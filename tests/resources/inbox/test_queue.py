"""The queue of an inbox, on moto's server: what is received stays until it is deleted."""

import pytest

from domain.errors import ServerUnavailableError, SettingsError
from resources.inbox.queue import InboxQueue, QueueMessage, region_of
from tests.moto_queue import notifying_bucket, reached


@pytest.fixture(scope="module")
def served():
    """Serve a queue to all tests of this file."""
    with notifying_bucket() as bucket:
        yield bucket


@pytest.fixture
def bucket(served, monkeypatch):
    """Give the queue, empty, and the credentials for it."""
    with reached(served, monkeypatch) as bucket:
        yield bucket


def opened(bucket, **patience):
    """Open the queue; this server needs no waiting to be asked as a whole."""
    return InboxQueue(url=bucket.queue_url, wait_s=0, **patience)


def received(queue, **options):
    return [m for some in queue.receive(**{"limit": 100, "seconds": 5, **options}) for m in some]


def test_what_is_received_is_hidden_and_comes_back_unless_it_is_deleted(bucket):
    queue = opened(bucket, hidden_s=60)
    assert received(queue) == []
    for number in range(12):
        bucket.send(str(number))
    seen = next(opened(bucket, hidden_s=0).receive(limit=1, seconds=5))
    assert bucket.waiting() == (12, 0)
    seen = received(queue)
    assert sorted(int(m.body) for m in seen) == list(range(12))
    assert (received(queue), bucket.waiting()) == ([], (0, 12))
    queue.delete(seen)
    queue.delete([])
    assert bucket.waiting() == (0, 0)


def test_a_tick_receives_a_limited_number_for_a_limited_time(bucket):
    queue = opened(bucket)
    for number in range(25):
        bucket.send(str(number))
    assert received(queue, seconds=-1) == []
    assert len(received(queue, limit=11)) == 20


def test_a_queue_that_is_not_there_is_a_setting_to_be_fixed(bucket):
    queue = InboxQueue(url=bucket.queue_url.replace("jobs-", "other-"))
    with pytest.raises(SettingsError, match=r"Cannot receive messages from the queue .*other.*JOB_INBOX_QUEUE_URL"):
        received(queue)


def test_a_message_that_cannot_be_deleted_is_an_error(bucket):
    queue = opened(bucket)
    with pytest.raises((ServerUnavailableError, SettingsError), match="delete"):
        queue.delete([QueueMessage("", "no such receipt")])


def test_a_server_that_is_away_is_transient(bucket, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:10")
    with pytest.raises(
        ServerUnavailableError, match=r"did not answer \(EndpointConnectionError\).*AWS_ENDPOINT_URL_SQS"
    ):
        received(opened(bucket, attempts=1))


def test_a_server_that_fails_is_transient(bucket, failing_s3, monkeypatch):
    with failing_s3(503, "ServiceUnavailable") as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", address)
        with pytest.raises(ServerUnavailableError, match="did not answer"):
            received(opened(bucket, attempts=1))


def test_without_credentials_the_queue_is_not_queried(bucket, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(SettingsError, match=r"credentials.*AWS_\*"):
        received(opened(bucket, attempts=1))


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://sqs.eu-west-1.amazonaws.com/123456789012/jobs", "eu-west-1"),
        ("https://us-west-2.queue.amazonaws.com/123456789012/jobs", "us-west-2"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/123456789012/jobs", "cn-north-1"),
        ("http://127.0.0.1:5000/123456789012/jobs", "us-east-1"),
    ],
)
def test_the_region_is_that_of_the_queue(url, region):
    assert region_of(url) == region
