"""When a job that failed for a transient reason is tried again."""

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from domain.retry import LONGEST_WAIT_S, Retry, is_transient, wait_before_round

POLICIES = st.builds(
    Retry,
    later_rounds=st.integers(0, 100),
    later_delay_s=st.floats(0, 1e9),
    backoff=st.floats(1, 1e6),
)


def test_rounds_wait_longer_and_longer_and_end():
    retry = Retry(later_rounds=4, later_delay_s=600, backoff=2)
    assert [wait_before_round(retry, n) for n in range(5)] == [600, 1200, 2400, 4800, None]


@given(POLICIES, st.integers(0, 200))
def test_a_wait_is_bounded_and_there_is_none_after_the_last_round(retry, rounds):
    wait = wait_before_round(retry, rounds)
    assert (wait is None) == (rounds >= retry.later_rounds)
    assert wait is None or 0 <= wait <= LONGEST_WAIT_S


@given(POLICIES, st.integers(0, 98))
def test_no_wait_is_shorter_than_the_one_before(retry, rounds):
    one, next_one = (wait_before_round(retry, n) for n in (rounds, rounds + 1))
    assert one is None or next_one is None or one <= next_one


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
