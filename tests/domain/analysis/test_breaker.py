"""When most jobs fail in the same way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.analysis.breaker import Breaker, signature, trip
from domain.failures import JobError

TRACE = 'Traceback …\n  File "/w/analysis_assets/rates.py", line {line}, in run\n    x\n'


def error(message="ValueError: no", kind="exception", trace=""):
    return JobError(kind=kind, message=message, permanent=True, traceback=trace)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("KeyError: 'unit_12'", "KeyError: 'unit_7'"),
        ("No file /data/a/1.nwb", "No file /data/b/22.nwb"),
        ("S3 at http://127.0.0.1:9000 did not answer", "S3 at http://127.0.0.1:9100 did not answer"),
        ("cannot read s3://b/one", "cannot read s3://b/two"),
        ("3.5e-3 is not above 0", "12 is not above 0"),
        (f"job {'a' * 64} is bad", f"job {'0b' * 32} is bad"),
        ("first line\nsecond", "first line\nother"),
    ],
)
def test_what_differs_from_job_to_job_is_no_part_of_the_signature(one, other):
    assert signature(error(one)) == signature(error(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (error("ValueError: no"), error("TypeError: no")),
        (error(kind="input"), error(kind="output")),
        (error(trace=TRACE.format(line=1)), error(trace=TRACE.format(line=1).replace("in run", "in fit"))),
    ],
)
def test_other_exceptions_kinds_and_places_have_other_signatures(one, other):
    assert signature(one) != signature(other)


def test_the_place_is_the_function_and_not_the_line():
    one, other = (signature(error(trace=TRACE.format(line=n))) for n in (1, 2))
    assert one == other == "exception at rates.py:run: ValueError: no"


ENDED = st.lists(st.none() | st.sampled_from([error("a"), error("b"), error(kind="cancelled")]), max_size=40)


@given(ENDED, st.integers(2, 12), st.floats(0, 0.99))
def test_it_trips_only_when_enough_and_most_of_what_ended_failed_in_one_way(ended, failures, share):
    found = trip(ended, Breaker(failures=failures, share=share))
    counted = [e for e in ended if e is None or e.kind != "cancelled"]
    most = max((counted.count(e) for e in (error("a"), error("b"))), default=0)
    assert (found is not None) == (most >= failures and most > share * len(counted))
    if found is not None:
        assert (found.failures, found.ended) == (most, len(counted))


def test_a_trip_says_how_many_failed_how():
    found = trip([None] * 3 + [error("KeyError: 'x1'"), error("KeyError: 'x2'")] * 5, Breaker())
    assert found.message() == "10 of the latest 13 jobs failed in the same way (exception): KeyError: 'x1'"


def test_what_people_ended_is_no_evidence():
    assert trip([error(kind="cancelled")] * 30, Breaker()) is None
