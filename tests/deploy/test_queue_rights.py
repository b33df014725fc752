"""The policies for the inbox's queue: what `deploy/` has is enough to be told and to read, and for nothing else."""

import json

import pytest
import requests
from botocore.exceptions import ClientError

from domain.errors import SettingsError
from resources.inbox.events import changed_objects
from resources.inbox.queue import InboxQueue, QueueMessage, forget_clients
from tests.deploy.guarded import DEPLOY, INBOX, guarded_s3
from tests.moto_queue import ACCOUNT, REGION

ARN = f"arn:aws:sqs:{REGION}:{ACCOUNT}:jobs"


def filled_in(name):
    """Read a file of `deploy/` with the places of the tests filled in."""
    text = (DEPLOY / f"sqs-{name}.json").read_text(encoding="utf-8")
    for placeholder, place in (("<queue-arn>", ARN), ("<inbox-bucket>", INBOX), ("<account>", ACCOUNT)):
        text = text.replace(placeholder, place)
    assert "<" not in text
    return json.loads(text)


def as_moto_reads_it(policy):
    """Let a batch of deletions pass: moto checks a separate right for it, AWS that of a single one."""
    (statement,) = policy["Statement"]
    assert statement["Action"] == ["sqs:ReceiveMessage", "sqs:DeleteMessage"]
    return {**policy, "Statement": [{**statement, "Action": [*statement["Action"], "sqs:DeleteMessageBatch"]}]}


@pytest.fixture(scope="module")
def guarded():
    """Serve a bucket and a queue that enforce policies, with a user who has that of the platform."""
    with guarded_s3() as served:
        admin = served.client("admin", "sqs")
        served.queue_url = admin.create_queue(
            QueueName="jobs", Attributes={"Policy": json.dumps(filled_in("queue")), "MessageRetentionPeriod": "1209600"}
        )["QueueUrl"]
        served.client("admin").put_bucket_notification_configuration(
            Bucket=INBOX, NotificationConfiguration=filled_in("notification")
        )
        requests.post(f"{served.url}/moto-api/reset-auth", data="inf", timeout=10)
        served.add_user(served.client("admin", "iam"), "watcher", as_moto_reads_it(filled_in("platform")))
        requests.post(f"{served.url}/moto-api/reset-auth", data="0", timeout=10)
        yield served


@pytest.fixture
def as_user(guarded, monkeypatch):
    """Give the function that opens the queue as one of the users."""

    def open_as(user):
        key, secret = guarded.keys[user]
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", guarded.url)
        forget_clients()
        return InboxQueue(url=guarded.queue_url, wait_s=0)

    yield open_as
    forget_clients()


def test_the_policy_lets_the_platform_read_what_the_bucket_reports(guarded, as_user):
    for key in ("inbox/double/a.json", "inbox/double/a.txt"):
        guarded.client("admin").put_object(Bucket=INBOX, Key=key, Body=b"{}")
    queue = as_user("watcher")
    messages = [m for some in queue.receive(limit=10, seconds=5) for m in some]
    assert [place for m in messages for place in changed_objects(m.body)] == [(INBOX, "inbox/double/a.json")]
    queue.delete(messages)
    assert list(queue.receive(limit=10, seconds=5)) == []


def test_the_policy_lets_the_platform_do_nothing_else(guarded, as_user):
    as_user("watcher")
    sqs = guarded.client("watcher", "sqs")
    for act in (
        lambda: sqs.send_message(QueueUrl=guarded.queue_url, MessageBody="{}"),
        lambda: sqs.purge_queue(QueueUrl=guarded.queue_url),
        lambda: sqs.set_queue_attributes(QueueUrl=guarded.queue_url, Attributes={"DelaySeconds": "1"}),
        lambda: sqs.delete_queue(QueueUrl=guarded.queue_url),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            act()


def test_without_the_policy_the_message_names_it(as_user):
    queue = as_user("reader")
    for act in (
        lambda: list(queue.receive(limit=1, seconds=1)),
        lambda: queue.delete([QueueMessage("", "receipt")]),
    ):
        with pytest.raises(SettingsError, match=r"denied access \((AccessDenied|403).*deploy/sqs-platform.json"):
            act()
