import json
import math
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import JobFileError, OutputError, PermanentError, PlatformError
from domain.json_values import (
    MAX_BYTES,
    canonical_json,
    check_value,
    json_type,
    parse_json,
    sha256_hex,
    value_faults,
)

QUICK = settings(max_examples=100, deadline=None, database=None)
SAFE_NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | SAFE_NUMBERS | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcdé€😀", max_size=4), inner, max_size=4),
    max_leaves=12,
)


def refusal(data):
    with pytest.raises(JobFileError) as caught:
        parse_json(data, what="File a.json")
    message = str(caught.value)
    assert message.startswith("File a.json ")
    return message


@QUICK
@given(JSON)
def test_a_value_survives_the_way_through_json_text(value):
    assert parse_json(json.dumps(value), what="x") == value
    assert parse_json(json.dumps(value, ensure_ascii=False).encode(), what="x") == value


@QUICK
@given(st.binary() | st.text())
def test_any_bytes_are_read_or_refused_and_never_crash(data):
    with suppress(PlatformError):
        parse_json(data, what="x")


def test_a_byte_order_mark_is_tolerated_in_bytes_and_in_text():
    assert parse_json(b'\xef\xbb\xbf{"a": 1}', what="x") == {"a": 1}
    assert parse_json("\ufeff[]", what="x") == []


def test_bytes_that_are_not_utf8_are_refused_with_the_byte_and_its_offset():
    assert "not UTF-8: byte 0xff at offset 7" in refusal(b'{"a": "\xff"}')


@pytest.mark.parametrize(
    ("text", "place", "found"),
    [
        ('{\n  "a" "b"\n}', "line 2, column 7", "found a string"),
        ('{"a": 1', "line 1, column 8", "found the end of the file"),
        ('{"a": None}', "line 1, column 7", "found `None`"),
        ("{'a': 1}", "line 1, column 2", "found `'`"),
        ("  \n ", "line 2, column 2", "found an empty file"),
        ("", "line 1, column 1", "found an empty file"),
        ('{"a": 1}\n\nx', "line 3, column 1", "found `x`"),
    ],
)
def test_text_that_is_not_json_is_refused_with_line_column_and_what_was_there(text, place, found):
    message = refusal(text)
    assert place in message
    assert found in message


def test_a_broken_file_never_shows_the_text_around_the_break():
    assert "hunter2" not in refusal('{"a" "https://me:hunter2@host/"}')


@pytest.mark.parametrize("text", ['{"a": 1, "a": 1}', '[{"b": {"a": 1, "c": 2, "a": 2}}]'])
def test_a_key_given_twice_in_one_object_is_named(text):
    assert "gives `a` twice" in refusal(text)


def test_the_same_key_in_two_objects_is_not_a_repetition():
    assert parse_json('[{"a": 1}, {"a": 2}]', what="x") == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize("levels", [50, 500, 5_000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_many_brackets_are_refused_as_too_deep(opening, closing, levels):
    assert "nested deeper than 32 levels" in refusal(opening * levels + "1" + closing * levels)


@pytest.mark.parametrize("brackets", ["[", '{"a":', '[{"a":'])
def test_brackets_that_are_never_closed_are_refused_as_too_deep_or_as_no_json(brackets):
    assert "nested deeper than 32 levels" in refusal(brackets * 20_000)
    assert "found the end of the file" in refusal(brackets * 50)


def test_thirty_two_levels_are_read_and_thirty_three_are_not():
    assert parse_json("[" * 32 + "]" * 32, what="x")
    assert f"nested deeper than 32 levels at `{'[0]' * 32}`" in refusal("[" * 33 + "]" * 33)


def test_brackets_inside_a_string_are_not_nesting():
    text = json.dumps({"a": "[" * 500, "b": '\\"[['})
    assert parse_json(text, what="x") == json.loads(text)
    assert "not JSON" in refusal('"' + "[" * 500)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_does_not_have_are_refused_with_their_place(constant):
    assert f"`{constant}` is not a JSON number at `a`." in refusal(f'{{"a":\n {constant}}}')
    assert f"`{constant}` is not a JSON number at `b[1].c d`." in refusal(f'{{"b": [[1], {{"c d": {constant}}}]}}')
    assert f"`{constant}` is not a JSON number at the value." in refusal(constant)
    assert parse_json(f'"{constant}"', what="x") == constant


def test_a_huge_integer_literal_is_refused_and_a_long_fraction_is_not():
    assert "an integer of 5000 digits (use a string) at `[0]`." in refusal("[-" + "9" * 5000 + "]")
    assert "an integer of 101 digits (use a string) at `a`." in refusal('{"a": ' + "1" * 101 + "}")
    assert parse_json("0." + "3" * 200, what="x") == pytest.approx(1 / 3)
    assert parse_json("1e-" + "0" * 150 + "2", what="x") == pytest.approx(0.01)
    assert parse_json("-" + "1" * 100, what="x") == -int("1" * 100)


def test_the_path_to_what_is_refused_shows_no_secret():
    assert "hunter2" not in refusal('{"https://me:hunter2@host/": NaN}')


@pytest.mark.parametrize("as_text", [True, False])
def test_more_than_one_mebibyte_is_refused_with_its_size(as_text):
    text = '"' + "x" * MAX_BYTES + '"'
    assert f"has {MAX_BYTES + 2} bytes" in refusal(text if as_text else text.encode())
    assert len(parse_json('"' + "x" * (MAX_BYTES - 2) + '"', what="x")) == MAX_BYTES - 2


def test_every_fault_of_a_value_is_named_with_its_path():
    value = {
        "a": [1, math.nan, {"b": -math.inf}],
        "big": 2**53,
        "c\0d": 1,
        "text": "\ud800",
        "\udc00": 1,
        "t": datetime(2025, 1, 1, tzinfo=UTC),
        "n": {1: 2},
    }
    faults = value_faults(value, path="p", plain_keys=False)
    assert faults == [
        "`p.a[1]` is nan, not a finite number",
        "`p.a[2].b` is -inf, not a finite number",
        "`p.big` is an integer beyond ±(2^53-1): use a string",
        "the key `p.c\\x00d` holds NUL",
        "`p.text` holds a lone surrogate, which is not a character",
        "the key `p.\\udc00` holds a lone surrogate, which is not a character",
        "`p.t` is a Python datetime, which is not a JSON value",
        "`p.n.1` has a key that is a number: keys must be strings",
    ]


@pytest.mark.parametrize(("key", "marks"), [("a.b", "`.`"), ("$a", "`$`"), ("a$.b", "`$` and `.`")])
def test_keys_with_a_meaning_in_a_database_are_refused_only_with_an_option(key, marks):
    assert value_faults({key: 1}, path="", plain_keys=True) == [f"the key `{key}` holds {marks}: rename it"]
    assert value_faults({key: 1}, path="", plain_keys=False) == []


def test_the_largest_integers_pass_and_the_next_do_not():
    assert value_faults([2**53 - 1, 1 - 2**53, True, None], path="x", plain_keys=True) == []
    assert len(value_faults([2**53, -(2**53)], path="x", plain_keys=True)) == 2


def test_a_value_that_holds_itself_is_refused_as_too_deep():
    endless = []
    endless.append(endless)
    assert "nested deeper than 32 levels" in value_faults(endless, path="x", plain_keys=True)[0]
    with pytest.raises(PermanentError, match="nested deeper"):
        canonical_json(endless)


def test_check_value_raises_the_given_error_and_passes_what_is_fine():
    check_value({"a": [1, 2.5, "x", None]}, path="outputs", plain_keys=True)
    with pytest.raises(OutputError, match=r"`outputs\.a` is nan"):
        check_value({"a": math.nan}, path="outputs", plain_keys=True, error=OutputError)


def test_faults_of_a_bare_value_are_named_too():
    assert value_faults(math.inf, path="", plain_keys=True) == ["the value is inf, not a finite number"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": 1.0}, '{"a":1,"b":1}'),
        ([1e21, 1e20, 1e-7, 0.000001, -0.0, 5e-324], "[1e+21,100000000000000000000,1e-7,0.000001,0,5e-324]"),
        ({"\U0001f600": 1, "\ufb33": 2, "€": 3}, '{"€":3,"😀":1,"\ufb33":2}'),
        ('\x0f\n"\\/é', '"\\u000f\\n\\"\\\\/é"'),
    ],
)
def test_canonical_json_follows_rfc_8785(value, text):
    assert canonical_json(value).decode() == text


def reversed_keys(item):
    if isinstance(item, dict):
        return {key: reversed_keys(inner) for key, inner in reversed(item.items())}
    return [reversed_keys(inner) for inner in item] if isinstance(item, list) else item


@QUICK
@given(JSON)
def test_canonical_json_does_not_depend_on_the_order_of_keys_and_can_be_read_again(value):
    text = canonical_json(value)
    assert canonical_json(reversed_keys(value)) == text
    assert canonical_json(json.loads(text, parse_int=float)) == text


@pytest.mark.parametrize(
    ("value", "reported"),
    [
        ({"a": math.nan}, "`a` is nan"),
        ({"a": 2**53}, "use a string"),
        ({"a": 10**5000}, "use a string"),
        ({"a\ud800": 1}, "lone surrogate"),
        ({1: 2}, "keys must be strings"),
        ({"a": object()}, "not a JSON value"),
    ],
)
def test_a_value_without_canonical_form_is_refused_with_its_place(value, reported):
    with pytest.raises(PermanentError, match=reported):
        canonical_json(value)


def test_a_digest_is_64_lower_case_hexadecimal_characters():
    assert sha256_hex(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(
    ("value", "name"),
    [({}, "an object"), ([], "a list"), ("", "a string"), (1, "a number"), (True, "a boolean"), (None, "null")],
)
def test_json_types_have_names_in_words(value, name):
    assert json_type(value) == name
