"""Two results, field by field."""

from explorer.data.facts import Facts, text_of
from explorer.views.comparing import compared


def facts(**parts):
    """Make the facts of a result."""
    empty = {part: {} for part in ("parameters", "outputs", "code", "inputs", "times", "where")}
    return Facts({"_row": "r"}, empty | parts)


def test_fields_that_differ_come_first_in_each_part():
    one = facts(parameters={"a": 1, "b": 2}, outputs={"x": 1.0, "t": {"u": 1, "v": [1]}})
    other = facts(parameters={"a": 1, "b": 3}, outputs={"x": 1.5, "t": {"u": 1, "v": [2]}, "new": None})
    lines = [(line.name, line.differs, line.difference) for line in compared(one, other)]
    assert lines == [("b", True, 1), ("a", False, None), ("x", True, 0.5), ("t.v", True, None), ("t.u", False, None), ("new", False, None)]  # fmt: skip


def test_yes_is_not_one_and_a_text_has_no_difference():
    (line,) = compared(facts(outputs={"x": True}), facts(outputs={"x": 1}))
    assert (line.differs, line.difference) == (True, None)
    (line,) = compared(facts(outputs={"x": "1"}), facts(outputs={"x": 1}))
    assert (line.differs, line.difference) == (True, None)


def test_values_are_written_for_people():
    assert [text_of(value) for value in (None, True, 0.1 + 0.2, 10, "x", [1])] == ["—", "yes", "0.3", "10", "x", "[1]"]
    assert len(text_of("x" * 10_000)) == 2001
