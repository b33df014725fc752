"""The queue (Amazon SQS) to which S3 reports new files in the inbox.

A received message is hidden for a while and reappears unless it is deleted, so nothing is lost if a tick dies. boto3
finds credentials and ``AWS_ENDPOINT_URL_SQS`` as usual.
"""

import os
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import boto3.session
import dagster as dg
from botocore import exceptions
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from pydantic import Field

from domain.batching import in_batches
from domain.errors import ServerUnavailableError, SettingsError
from domain.retry import TRANSIENT_STATUSES

_AT_ONCE = 10
_BUSY = re.compile("Throttl|OverLimit|Unavailable|InternalError")
_REGION = re.compile(r"https://(?:sqs\.([a-z0-9\-]+)|([a-z0-9\-]+)\.queue)\.amazonaws\.com(?:\.cn)?/")


@dataclass(frozen=True)
class QueueMessage:
    """A message.

    Attributes
    ----------
    body : str
        Text of the message; not trusted.
    receipt : str
        Receipt handle, which deletes the message.
    """

    body: str
    receipt: str


class InboxQueue(dg.ConfigurableResource["InboxQueue"]):
    """The queue of one inbox.

    See https://docs.dagster.io/guides/build/external-resources for how Dagster builds resources.
    """

    url: str | None = Field(default=None, description="JOB_INBOX_QUEUE_URL; unset: the inbox is only listed.")
    hidden_s: int = Field(
        default=120, description="How long a received message is hidden (s): longer than a tick takes."
    )
    wait_s: int = Field(
        default=1,
        description="How long SQS waits for messages (s). Without waiting some of its servers are left out, and their messages "
        "are not seen.",
    )
    attempts: int = Field(default=3, description="How often a call is tried, the first time included.")

    def receive(self, *, limit: int, seconds: float) -> Iterator[list[QueueMessage]]:
        """Yield messages as they are received, up to ten in a request, until there are none.

        Parameters
        ----------
        limit : int
            Approximate maximum number of messages.
        seconds : float
            Approximate maximum duration (s).

        Raises
        ------
        SettingsError
            If there is no such queue, or access is denied.
        ServerUnavailableError
            If SQS does not answer.
        """
        end, count = time.monotonic() + seconds, 0
        while count < limit and time.monotonic() < end:
            with self._errors("receive messages from"):
                answer = self._client().receive_message(
                    QueueUrl=self.url,
                    MaxNumberOfMessages=_AT_ONCE,
                    WaitTimeSeconds=self.wait_s,
                    VisibilityTimeout=self.hidden_s,
                )
            messages = [QueueMessage(m.get("Body", ""), m["ReceiptHandle"]) for m in answer.get("Messages", [])]
            if not messages:
                return
            count += len(messages)
            yield messages

    def delete(self, messages: Sequence[QueueMessage]) -> None:
        """Delete messages; a deleted message, or one that has reappeared, does no harm.

        Parameters
        ----------
        messages : sequence of QueueMessage
            Messages that `receive` has returned.

        Raises
        ------
        SettingsError, ServerUnavailableError
            As in `receive`; also if SQS rejects single messages.
        """
        for some in in_batches(messages, _AT_ONCE):
            entries = [{"Id": str(number), "ReceiptHandle": m.receipt} for number, m in enumerate(some)]
            with self._errors("delete messages from"):
                answer = self._client().delete_message_batch(QueueUrl=self.url, Entries=entries)
            if failed := answer.get("Failed"):
                msg = f"Cannot delete {len(failed)} messages from the queue {self.url}: {failed[0].get('Code')}."
                raise ServerUnavailableError(msg)

    def _client(self) -> Any:
        with _building:
            return _built_client(self.url or "", self.attempts, os.getpid())

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        """Convert errors of boto3 to the platform's errors."""
        tried = f"Cannot {what} the queue {self.url}"
        try:
            yield
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
            if status in TRANSIENT_STATUSES or _BUSY.search(code):
                msg = f"{tried}: SQS did not answer ({code}). If this lasts, check it and AWS_ENDPOINT_URL_SQS."
                raise ServerUnavailableError(msg) from None
            msg = f"{tried}: SQS denied access ({code}). Check JOB_INBOX_QUEUE_URL, the AWS_* credentials and deploy/sqs-platform.json."
            raise SettingsError(msg) from None
        except BotoCoreError as error:
            if isinstance(error, exceptions.ConnectionError | HTTPClientError):
                msg = f"{tried}: SQS did not answer ({type(error).__name__}). Check JOB_INBOX_QUEUE_URL and AWS_ENDPOINT_URL_SQS."
                raise ServerUnavailableError(msg) from None
            msg = f"{tried}: {error}. Check JOB_INBOX_QUEUE_URL and the AWS_* credentials."
            raise SettingsError(msg) from None


_building = threading.Lock()


def region_of(url: str) -> str:
    """Return the region in a queue's URL, otherwise that of boto3.

    Parameters
    ----------
    url : str
        URL of the queue.
    """
    found = _REGION.match(url)
    return (found[1] or found[2]) if found else boto3.session.Session().region_name or "us-east-1"


def forget_clients() -> None:
    """Discard the clients of this process: the next call uses the current credentials and endpoint."""
    with _building:
        _built_client.cache_clear()


@lru_cache(maxsize=8)
def _built_client(url: str, attempts: int, pid: int) -> Any:  # noqa: ARG001  a forked process needs its own client
    """Build a client for the region of the queue."""
    config = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": attempts})
    return boto3.session.Session().client("sqs", region_name=region_of(url), config=config)
