"""A run whose jobs all fail in the same way leaves the rest alone."""

import pytest

from domain.analysis.breaker import Breaker
from domain.job.state import JobState
from resources.ledger.ledger import Ledger
from resources.mongo import MongoConnection
from tests.engine.conftest import Services


@pytest.fixture
def careful(make_platform, misbehave, docdb_uri, database):
    """Give the platform of an analysis that stops after three failures, in a ledger of its own."""
    analysis = misbehave.entry.analysis.model_copy(update={"breaker": Breaker(failures=3), "workers": 1})
    platform = make_platform(type(misbehave.entry)(**{**misbehave.entry.__dict__, "analysis": analysis}))
    ledger = Ledger(mongo=MongoConnection(uri=docdb_uri, database=database), records_name="records")
    platform.services = Services(**{**platform.services.__dict__, "ledger": ledger})
    return platform


def test_few_are_executed_the_rest_stays_new_and_the_run_says_why(careful, marks):
    keys = careful.ingest(*[{"mode": "raise", "number": n, "note": marks[0]} for n in range(15)])
    result = careful.run(keys)
    assert not result.success
    states = [careful.job(key).state for key in keys]
    assert 3 <= states.count(JobState.FAILED) == marks[1]() <= 3 + 4
    assert states.count(JobState.NEW) == len(keys) - marks[1]()
    (failed,) = [e for e in result.all_events if e.is_step_failure]
    reported = failed.step_failure_data.user_failure_data.description
    assert (
        "the circuit breaker opened and the remaining jobs wait: 3 of the latest 3 jobs failed in the same way"
        in reported
    )
    opened = careful.services.ledger.breakers.get_open(careful.name, code_version=careful.entry.code_version)
    assert "ValueError: the scientist's own error" in opened.why


def test_jobs_that_succeed_beside_a_few_that_fail_are_all_computed(careful, marks):
    bad = [{"mode": "raise", "number": n} for n in range(2)]
    good = [{"number": n, "note": marks[0]} for n in range(4)]
    keys = careful.ingest(*bad, *good)
    careful.run(keys)
    assert marks[1]() == len(good)
    assert careful.services.ledger.breakers.get_open(careful.name, code_version=careful.entry.code_version) is None
