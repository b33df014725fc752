"""The cursor: whatever it holds, a tick only does more or less work."""

import pytest

from sensors.job_files.cursor import Memory


def test_what_is_written_is_read():
    memory = Memory(bad="d", after="0/é\n.json", listed=12.5)
    assert Memory.read(memory.written()) == memory
    assert Memory.read(None) == Memory.read("") == Memory()


def test_the_cursor_of_an_earlier_version_was_a_digest():
    assert Memory.read("ab" * 32) == Memory(bad="ab" * 32)


@pytest.mark.parametrize("cursor", ["[]", "3", '{"after": 1}', '{"bad": {}}', '{"listed": "soon"}', '{"other": 1}'])
def test_a_cursor_that_makes_no_sense_counts_as_none(cursor):
    assert Memory.read(cursor) == Memory()


@pytest.mark.parametrize(
    ("memory", "now", "due"),
    [
        (Memory(), 1000, True),
        (Memory(listed=1000), 1059, False),
        (Memory(listed=1000), 1060, True),
        (Memory(listed=1000, after="a"), 1001, True),
        (Memory(listed=1000), 999, True),
    ],
)
def test_a_listing_is_due_when_the_last_one_is_long_ago_or_has_not_ended(memory, now, due):
    assert memory.is_due(now, 60) is due
