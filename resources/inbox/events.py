"""Parses queue messages about S3 objects: pure functions on untrusted text.

S3 reports changed objects directly, through SNS, or through EventBridge, which wrap bucket and key differently. The
kind of the event is ignored, because messages are duplicated and out of order: the reader looks at the object. See
https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

from domain.errors import JobFileError
from domain.json_values import json_type, parse_json

_WHAT = "A message of the inbox's queue"
_WRAPPINGS = 3


def changed_objects(body: str) -> list[tuple[str, str]]:
    """Return bucket and key of every object in a message.

    Parameters
    ----------
    body : str
        Text of the message; not trusted.

    Returns
    -------
    list of tuple of str
        Empty for S3's test message.

    Raises
    ------
    JobFileError
        If it is not an S3 event.
    """
    try:
        return list(_objects(_unwrapped(body)))
    except (KeyError, TypeError, AttributeError, UnicodeError):
        msg = f"{_WHAT} is not an S3 event as S3, SNS or EventBridge send them."
        raise JobFileError(msg) from None


def _unwrapped(body: str) -> dict[str, Any]:
    """Parse a message, and the message that SNS has wrapped."""
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
    """Yield the objects in an event of S3 or EventBridge."""
    if message.get("Event") == "s3:TestEvent":
        return
    if "detail" in message:  # EventBridge does not encode keys
        yield _checked(message["detail"]["bucket"]["name"], message["detail"]["object"]["key"])
        return
    for record in message["Records"]:
        yield _checked(record["s3"]["bucket"]["name"], unquote_plus(record["s3"]["object"]["key"], errors="strict"))


def _checked(bucket: str, key: str) -> tuple[str, str]:
    """Return bucket and key if both are valid in S3."""
    bucket.encode()
    key.encode()
    return bucket, key
