"""Whether a failure is transient, how long the next attempt waits, and when a job is given up."""

import errno
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.errors import InputError, ServerUnavailableError
from domain.failures import JobError
from domain.retry import (
    LONGEST_WAIT_S,
    PROBES,
    UNFINISHED_RUNS,
    UNSTARTED_RUNS,
    Backoff,
    Decision,
    Retry,
    decide,
    is_transient,
)

BACKOFFS = st.builds(
    Backoff,
    first_s=st.floats(0, 1e9),
    factor=st.floats(1, 1e300),
    longest_s=st.floats(0, LONGEST_WAIT_S),
    attempts=st.none() | st.integers(1, 50),
)
POLICIES = st.builds(
    Retry,
    max_attempts=st.integers(1, 20),
    delay_s=st.floats(0, 30 * 86400.0),
    later_rounds=st.integers(0, 100),
    later_delay_s=st.floats(0, 30 * 86400.0),
    backoff=st.floats(1, 1e300),
)
TRANSIENT = JobError(kind="server", message="away", permanent=False)
PERMANENT = JobError(kind="exception", message="boom", permanent=True)
CODE_CHANGED = JobError(kind="code_changed", message="edited", permanent=False)


def test_waits_grow_by_the_factor_up_to_the_longest_and_end_with_the_last_attempt():
    backoff = Backoff(first_s=600, factor=2, longest_s=3600, attempts=6)
    assert [backoff.wait_after(n) for n in range(1, 8)] == [600, 1200, 2400, 3600, 3600, None, None]
    assert backoff.longest_wait_s == 3600


@given(BACKOFFS, st.integers(-(10**9), 10**9))
def test_a_wait_is_bounded_and_there_is_none_after_the_last_attempt(backoff, attempt):
    wait_s = backoff.wait_after(attempt)
    assert (wait_s is None) == (backoff.attempts is not None and attempt >= backoff.attempts)
    assert wait_s is None or 0 <= wait_s <= backoff.longest_s


@given(BACKOFFS)
def test_no_wait_is_shorter_than_the_one_before_and_the_longest_is_known(backoff):
    waits = [wait_s for n in range(1, 60) if (wait_s := backoff.wait_after(n)) is not None]
    assert all(one <= next_one for one, next_one in pairwise(waits))
    assert max(waits, default=0) <= backoff.longest_wait_s
    if backoff.attempts is not None:
        assert backoff.longest_wait_s == max(waits, default=0)


@given(BACKOFFS, st.integers(1, 100))
def test_a_wait_depends_on_nothing_but_the_numbers(backoff, attempt):
    assert backoff.wait_after(attempt) == Backoff(**backoff.model_dump()).wait_after(attempt)


@pytest.mark.parametrize(
    "field", [{"first_s": -1}, {"factor": 0.5}, {"longest_s": LONGEST_WAIT_S + 1}, {"attempts": 0}, {"jitter": 1}]
)
def test_a_backoff_without_bounds_is_rejected(field):
    with pytest.raises(ValidationError):
        Backoff(**{"first_s": 1, "attempts": 3, **field})


def test_a_server_that_stays_away_is_probed_for_ever():
    assert [PROBES.wait_after(n) for n in (1, 2, 6, 7, 10**6)] == [600, 1200, 19_200, 21_600, 21_600]


def test_a_fifth_run_that_ends_without_finishing_a_job_is_the_last():
    assert [UNFINISHED_RUNS.wait_after(n) for n in (1, 4, 5)] == [0, 0, None]


def test_a_job_is_repeated_then_deferred_and_then_given_up():
    retry = Retry(max_attempts=3, delay_s=5, backoff=2, later_rounds=2, later_delay_s=600)
    assert decide(retry, TRANSIENT, attempt=1, rounds=0) == Decision("repeat", 5)
    assert decide(retry, TRANSIENT, attempt=2, rounds=0) == Decision("repeat", 10)
    assert decide(retry, TRANSIENT, attempt=3, rounds=0) == Decision("defer", 600)
    assert decide(retry, TRANSIENT, attempt=3, rounds=1) == Decision("defer", 1200)
    assert decide(retry, TRANSIENT, attempt=3, rounds=2) == Decision("give_up")


def test_a_job_that_its_run_is_done_with_is_not_repeated():
    assert decide(Retry(), TRANSIENT, attempt=None, rounds=0) == Decision("defer", 600)
    assert decide(Retry(later_rounds=0), TRANSIENT, attempt=None, rounds=0) == Decision("give_up")


def test_a_job_whose_code_has_changed_is_left_to_another_run():
    assert decide(Retry(), CODE_CHANGED, attempt=1, rounds=0) == Decision("requeue")


@given(POLICIES, st.integers(1, 30), st.integers(0, 200))
def test_every_decision_is_bounded_and_a_permanent_failure_is_given_up(retry, attempt, rounds):
    decision = decide(retry, TRANSIENT, attempt=attempt, rounds=rounds)
    assert 0 <= decision.wait_s <= LONGEST_WAIT_S
    assert (decision.action == "repeat") == (attempt < retry.max_attempts)
    assert (decision.action == "give_up") == (attempt >= retry.max_attempts and rounds >= retry.later_rounds)
    assert (decision.retry_in_s is None) == (decision.action != "defer")
    assert decide(retry, PERMANENT, attempt=attempt, rounds=rounds) == Decision("give_up")


class LicenceServerBusyError(Exception):
    """Stands for an exception of a package that an analysis uses."""


class VeryBusyError(LicenceServerBusyError):
    """A special case of it."""


@pytest.mark.parametrize(
    ("error", "names", "transient"),
    [
        (ConnectionResetError(), (), True),
        (TimeoutError(), (), True),
        (ValueError(), (), False),
        (LicenceServerBusyError(), (), False),
        (LicenceServerBusyError(), ("LicenceServerBusyError",), True),
        (VeryBusyError(), (f"{__name__}.LicenceServerBusyError",), True),
        (LicenceServerBusyError(), ("VeryBusyError",), False),
        (requests.ConnectTimeout(), ("requests.ConnectTimeout",), True),
        (requests.ConnectTimeout(), ("requests.exceptions.ConnectTimeout",), True),
        (requests.HTTPError(), ("requests.ConnectTimeout",), False),
    ],
)
def test_an_exception_is_transient_by_its_name_or_that_of_a_base(error, names, transient):
    assert is_transient(error, names) is transient


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (ServerUnavailableError("away"), True),
        (OSError(errno.ENOSPC, "full"), True),
        (InputError("refused"), False),
        (ConnectionResetError(), False),
    ],
)
def test_what_the_platform_raises_is_transient_if_it_says_so(error, transient):
    assert is_transient(error) is transient


@pytest.mark.parametrize("factor", [2.0, 1e20, 1e300])
@pytest.mark.parametrize("rounds", [1, 100, 10**6, 2**63, 10**400])
def test_a_wait_after_any_number_of_attempts_is_a_time_that_can_be_added_to_a_date(factor, rounds):
    for backoff in (Backoff(first_s=1e9, factor=factor, attempts=None), Retry(backoff=factor, later_rounds=100).later):
        wait_s = backoff.wait_after(rounds) or backoff.longest_wait_s
        assert datetime.now(UTC) + timedelta(seconds=wait_s) <= datetime.now(UTC) + timedelta(seconds=LONGEST_WAIT_S)


@pytest.mark.parametrize("value", [float("inf"), float("nan"), -1.0, 1e300, 30 * 86400.0 + 1])
@pytest.mark.parametrize("field", ["delay_s", "later_delay_s"])
def test_an_absurd_delay_is_rejected(field, value):
    with pytest.raises(ValidationError, match=field):
        Retry(**{field: value})


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 0.0])
def test_an_absurd_factor_is_rejected(value):
    with pytest.raises(ValidationError, match="backoff"):
        Retry(backoff=value)


def test_a_run_is_requested_again_at_growing_intervals_while_none_starts():
    assert [UNSTARTED_RUNS.wait_after(n) for n in (1, 2, 7, 10**6)] == [10, 20, 600, 600]
