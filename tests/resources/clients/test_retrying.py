"""Calls and requests that are repeated: as often, and after such waits, as their `Backoff` says."""

import pytest
from urllib3.exceptions import MaxRetryError
from urllib3.response import HTTPResponse

from domain.retry import LONGEST_WAIT_S, TRANSIENT_STATUSES, Backoff
from resources.clients.http_retry import HttpRetry
from resources.clients.retrying import retrying

BACKOFF = Backoff(first_s=0.25, longest_s=0.5, attempts=4)


def calls_until(ends, error=ConnectionError):
    """Give a function that fails until it has been called so often, and the list of its calls."""
    calls = []

    def call():
        calls.append(1)
        if len(calls) < ends:
            raise error
        return "done"

    return call, calls


def test_a_call_waits_as_its_backoff_says_and_returns_what_the_last_one_does():
    waits = []
    call, calls = calls_until(4)
    loop = retrying(BACKOFF, is_transient=lambda error: isinstance(error, ConnectionError)).copy(sleep=waits.append)
    assert loop(call) == "done"
    assert (len(calls), waits) == (4, [0.25, 0.5, 0.5])


def test_the_last_error_is_raised_when_there_is_no_further_attempt():
    call, calls = calls_until(99)
    with pytest.raises(ConnectionError):
        retrying(Backoff(first_s=0, attempts=3), is_transient=lambda _: True)(call)
    assert len(calls) == 3


def test_an_error_that_is_not_transient_is_raised_at_once():
    call, calls = calls_until(99, KeyError)
    with pytest.raises(KeyError):
        retrying(BACKOFF, is_transient=lambda error: isinstance(error, ConnectionError))(call)
    assert len(calls) == 1


def test_a_request_waits_as_its_backoff_says_and_ends_with_the_last_attempt():
    retries, waits = HttpRetry(backoff=BACKOFF, status_forcelist=TRANSIENT_STATUSES), []
    for _ in range(3):
        assert retries.is_retry("GET", 503)
        retries = retries.increment("GET", "/x", response=HTTPResponse(status=503))
        waits.append(retries.get_backoff_time())
    assert waits == [0.25, 0.5, 0.5]
    with pytest.raises(MaxRetryError):
        retries.increment("GET", "/x", response=HTTPResponse(status=503))


def test_a_server_may_name_a_longer_wait_within_the_bound():
    retries = HttpRetry(backoff=BACKOFF).new()
    assert retries.get_retry_after(HTTPResponse(status=503, headers={"Retry-After": "7"})) == 7
    assert retries.get_retry_after(HTTPResponse(status=503, headers={"Retry-After": "999999"})) == LONGEST_WAIT_S
