"""Declared checks: what they may be, and what they say."""

import pytest
from pydantic import Field

from domain.analysis import OutputsModel
from domain.analysis.checks import Verdict, description_of, faults_of, verdicts


class Outputs(OutputsModel):
    """One number."""

    fraction: float | None = Field(description="A fraction (fraction).")


def is_half(outputs):
    """
    Tell a half.

    Because that is what halves are.
    """
    return outputs.fraction == 0.5


def told(outputs):
    """Say why."""
    return outputs.fraction < 1 or f"{outputs.fraction} is not below 1"


def raises(outputs):
    """Raise."""
    return outputs.no_such_field


def silent(outputs):
    """Say nothing."""


def test_a_check_passes_or_says_why_not():
    assert verdicts([is_half, told], Outputs, {"fraction": 0.5}) == [
        Verdict("is_half", passed=True, reason=""),
        Verdict("told", passed=True, reason=""),
    ]
    assert verdicts([is_half, told], Outputs, {"fraction": 2.0}) == [
        Verdict("is_half", passed=False, reason="the outputs are not within what it expects"),
        Verdict("told", passed=False, reason="2.0 is not below 1"),
    ]


@pytest.mark.parametrize(
    ("check", "outputs", "reason"),
    [
        (raises, {"fraction": 1.0}, "the check itself failed: AttributeError: "),
        (told, {"fraction": None}, "the check itself failed: TypeError: "),
        (told, {"fraction": "many"}, "the check itself failed: ValidationError: "),
        (silent, {"fraction": 1.0}, "the check returned None"),
    ],
)
def test_a_check_that_cannot_say_does_not_pass(check, outputs, reason):
    (verdict,) = verdicts([check], Outputs, outputs)
    assert not verdict.passed
    assert verdict.reason.startswith(reason)


def test_the_description_is_the_first_paragraph():
    assert description_of(is_half) == "Tell a half."


def test_what_cannot_be_asked_is_refused():
    def undescribed(outputs):
        return True

    def two(outputs, more):
        """Take two."""
        return True

    assert faults_of([is_half, told]) == []
    assert faults_of([lambda outputs: True]) == ["`<lambda>` is not a plain function written with `def`"]
    assert faults_of([len]) == ["`len` is not a plain function written with `def`"]
    assert faults_of([is_half, is_half, undescribed, two]) == [
        "`is_half` is listed 2 times",
        "`undescribed` has no docstring",
        "`two` must take one argument, the outputs",
    ]
