"""Errors carry what they are about beside their text, also from a worker process."""

import pickle
from concurrent.futures import ProcessPoolExecutor

import pytest

from domain import errors
from domain.errors import InputError, OutputError, PlatformError, ServerUnavailableError, error_context
from engine.discovery.analyses import load_named
from engine.worker.pool import FreshContext
from resources.inputs.reader import InputReader
from resources.s3.server import S3Server

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, PlatformError)]
ABOUT = {"analysis": "spikes", "job_key": "0f" * 16, "location": "s3://lab/session.nwb"}


def attributes(error):
    return {"analysis": error.analysis, "job_key": error.job_key, "location": error.location}


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_keeps_text_and_attributes_when_it_is_pickled(kind):
    error = kind("It failed.", **ABOUT)
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  our own bytes
    assert type(copy) is kind
    assert (str(copy), attributes(copy)) == ("It failed.", ABOUT)


def test_attributes_are_none_unless_they_are_given():
    assert set(attributes(PlatformError("It failed.")).values()) == {None}


def test_an_error_with_a_cause_keeps_its_own_attributes():
    first, second = InputError("first", location="s3://lab/other.nwb"), OutputError("second", **ABOUT)
    with pytest.raises(OutputError) as raised:
        raise second from first
    assert attributes(raised.value) == ABOUT
    assert raised.value.__cause__.location == "s3://lab/other.nwb"


def test_a_context_completes_attributes_and_replaces_none():
    error = ServerUnavailableError("No answer.", location="s3://lab/a.nwb")
    with pytest.raises(ServerUnavailableError) as raised, error_context(**ABOUT), error_context(analysis="inner"):
        raise error
    assert attributes(raised.value) == {**ABOUT, "analysis": "inner", "location": "s3://lab/a.nwb"}
    assert str(raised.value) == "No answer."


def test_a_context_leaves_other_exceptions_alone():
    error = ValueError("no")
    with pytest.raises(ValueError, match="no") as raised, error_context(**ABOUT):
        raise error
    assert raised.value is error
    assert vars(error) == {}


class OwnError(InputError):
    """A subclass that an analysis may define: it does not call the constructor of its base."""

    def __init__(self, message):
        self.args = (message,)


def test_a_subclass_without_the_constructor_has_the_attributes_too():
    error = OwnError("no")
    with pytest.raises(OwnError) as raised, error_context(analysis="spikes"):
        raise error
    assert attributes(raised.value) == {"analysis": "spikes", "job_key": None, "location": None}


def test_errors_of_a_worker_process_arrive_with_their_attributes(tmp_path):
    missing = (tmp_path / "missing").as_uri()
    with ProcessPoolExecutor(1, mp_context=FreshContext()) as pool:
        unknown = pool.submit(load_named, "nothing", tmp_path).exception()
        unread = pool.submit(InputReader(S3Server()).resolve, missing).exception()
    assert attributes(unknown) == {"analysis": "nothing", "job_key": None, "location": None}
    assert attributes(unread) == {"analysis": None, "job_key": None, "location": missing}
    assert str(unread).startswith(f"The input {missing} cannot be searched")
