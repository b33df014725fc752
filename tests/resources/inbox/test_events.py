"""What messages say, in each of the forms that AWS sends; and that nothing else is believed or breaks anything."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import JobFileError
from resources.inbox.events import changed_objects

DIRECT = {
    "Records": [
        {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "eventName": "ObjectCreated:Put",
            "s3": {
                "bucket": {"name": "jobs", "arn": "arn:aws:s3:::jobs"},
                "object": {"key": key, "size": 3, "eTag": "e"},
            },
        }
        for key in ("in/double/a+b%2Bc%C3%A9.json", "in/double/2.json")
    ]
}
FOUND = [("jobs", "in/double/a b+cé.json"), ("jobs", "in/double/2.json")]
BRIDGE = {
    "version": "0",
    "detail-type": "Object Created",
    "source": "aws.s3",
    "detail": {"bucket": {"name": "jobs"}, "object": {"key": "in/double/a b+cé.json", "etag": "e"}},
}


def by_sns(message):
    return {"Type": "Notification", "MessageId": "m", "TopicArn": "t", "Message": json.dumps(message)}


@pytest.mark.parametrize(
    ("message", "found"),
    [
        (DIRECT, FOUND),
        (by_sns(DIRECT), FOUND),
        (BRIDGE, FOUND[:1]),
        (by_sns(BRIDGE), FOUND[:1]),
        ({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "jobs"}, []),
        (by_sns({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "jobs"}), []),
        ({"Records": []}, []),
    ],
)
def test_each_form_of_an_event_names_its_objects(message, found):
    assert changed_objects(json.dumps(message)) == found


@pytest.mark.parametrize(
    "body",
    [
        *("", "hello", "[]", "3", "null", "{}", '{"Records": 3}', '{"Records": [{}]}', '{"detail": []}', "[" * 100_000),
        json.dumps({"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": "%FF.json"}}}]}),
        json.dumps({"Records": [{"s3": {"bucket": {"name": 1}, "object": {"key": 2}}}]}),
        json.dumps({"detail": {"bucket": {"name": "b"}, "object": {"key": "\ud800"}}}),
        json.dumps(by_sns(by_sns(by_sns(DIRECT)))),
        json.dumps({"Type": "Notification", "Message": "hello"}),
    ],
)
def test_what_is_not_an_event_is_refused(body):
    with pytest.raises(JobFileError, match="message of the inbox's queue"):
        changed_objects(body)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["Records", "s3", "detail"]), inner),
)


@given(st.text() | values.map(json.dumps) | values.map(lambda v: json.dumps(by_sns(v))))
def test_no_text_does_more_than_be_refused(body):
    try:
        found = changed_objects(body)
    except JobFileError:
        return
    assert all(isinstance(text, str) for place in found for text in place)
