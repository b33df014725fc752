"""Short commands and their output."""

from resources.process import answer_of, output_of


def test_a_program_that_does_not_answer_in_time_is_as_good_as_none():
    assert answer_of(("sleep", "60"), timeout_s=0.05) is None
    assert answer_of(("echo", "a word")) == "a word"


def test_the_output_is_returned_as_it_is_also_if_it_is_not_valid_text():
    assert output_of(("printf", r" a\377\n")) == " a\ufffd\n"
    assert output_of(("sh", "-c", "echo $WORD"), variables={"WORD": "said"}) == "said\n"
    assert output_of(("sh", "-c", "echo out; echo err >&2"), with_errors=True) == "out\nerr\n"


def test_a_program_that_fails_or_does_not_exist_has_no_output():
    assert output_of(("false",)) is None
    assert output_of(("no-such-program",)) is None
