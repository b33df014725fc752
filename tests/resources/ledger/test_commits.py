"""A commit excludes a cancellation and the deletion of its attempt."""

from domain.job.state import Commit
from tests.resources.ledger.ledger_jobs import cancelled, claim, now, stored


def test_a_commit_and_a_cancellation_exclude_each_other(ledger):
    entry = claim(ledger, stored(ledger), attempt="a1")
    how = Commit(attempt="a1", result_id="r")
    assert ledger.commits.begin(entry, how, attempt="a1")
    assert ledger.commits.begin(entry, how, attempt="a1"), "repeated after a lost answer"
    assert cancelled(ledger, entry) == 0
    ledger.claims.release(entry, attempt="a1")
    assert cancelled(ledger, entry) == 0, "the run that released it may still insert the record"
    assert ledger.commits.in_use() == {"a1"}
    again = claim(ledger, now(ledger, entry), attempt="a2")
    assert again.committing == how
    ledger.commits.end(again, how, attempt="a2", is_done=True)
    assert cancelled(ledger, entry) == 1
    assert not ledger.commits.begin(again, how, attempt="a2")


def test_an_attempt_is_removed_or_committed_and_never_both(ledger):
    entry = claim(ledger, stored(ledger), attempt="a1")
    ledger.claims.release(entry, attempt="a1")
    assert ledger.commits.drop("demo", entry.job_key, "a1")
    again = claim(ledger, now(ledger, entry), attempt="a2")
    assert not ledger.commits.begin(again, Commit(attempt="a1", result_id="r"), attempt="a2")
    assert ledger.commits.begin(again, Commit(attempt="a2", result_id="r"), attempt="a2")
    assert not ledger.commits.drop("demo", entry.job_key, "a2")
    assert ledger.commits.drop("demo", "unknown", "a2"), "no job could commit it"
