"""What the messages of a queue say about objects of S3: pure functions over text that anybody may have written.

S3 tells of changed objects directly, through SNS, or through EventBridge; each wraps the same two facts differently. What
happened to an object is left aside, because messages come twice and out of order: whoever reads them looks at the object.
See https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

from domain.errors import JobFileError
from domain.json_values import json_type, parse_json

_WHAT = "A message of the inbox's queue"
_WRAPPINGS = 3


def changed_objects(body: str) -> list[tuple[str, str]]:
    """Return bucket and key of every object that a message tells of.

    Parameters
    ----------
    body : str
        The message.

    Returns
    -------
    list of tuple of str
        Empty for the message by which S3 tries a queue.

    Raises
    ------
    JobFileError
        If it is no event of S3.
    """
    try:
        return list(_objects(_unwrapped(body)))
    except (KeyError, TypeError, AttributeError, UnicodeError):
        msg = f"{_WHAT} is not an S3 event as S3, SNS or EventBridge send them."
        raise JobFileError(msg) from None


def _unwrapped(body: str) -> dict[str, Any]:
    """Read a message, and what SNS has put into it."""
    for _ in range(_WRAPPINGS):
        message = parse_json(body, what=_WHAT)
        if not isinstance(message, dict):
            msg = f"{_WHAT} is not an S3 event: found {json_type(message)}, expected one JSON object."
            raise JobFileError(msg)
        if message.get("Type") != "Notification" or not isinstance(message.get("Message"), str):
            return message
        body = message["Message"]
    msg = f"{_WHAT} is wrapped more than {_WRAPPINGS} times."
    raise JobFileError(msg)


def _objects(message: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what S3 itself, or EventBridge, tells of."""
    if message.get("Event") == "s3:TestEvent":
        return
    if "detail" in message:  # of EventBridge: keys are as they are
        yield _checked(message["detail"]["bucket"]["name"], message["detail"]["object"]["key"])
        return
    for record in message["Records"]:
        yield _checked(record["s3"]["bucket"]["name"], unquote_plus(record["s3"]["object"]["key"], errors="strict"))


def _checked(bucket: str, key: str) -> tuple[str, str]:
    """Return bucket and key if both are texts that S3 can have."""
    bucket.encode()
    key.encode()
    return bucket, key
