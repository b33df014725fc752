"""What is removed, and above all what is not."""

from datetime import timedelta

import pytest

from audit.cleaning import removable, remove
from domain.errors import SettingsError
from resources.result_store.catalog_files import TABLE, CatalogFiles
from tests.audit.test_audit import add_attempt, force
from tests.raw import records_of

OLD = timedelta(seconds=-60)


@pytest.fixture
def clean(platform):
    """Give a function that lists what may be removed, and one that removes it; everything counts as old."""
    s = platform.services

    def found():
        return list(removable(s.results, s.records, s.ledger, older_than=OLD, youngest=OLD))

    return found, lambda one: remove(one, s.results, s.records, s.ledger)


def test_nothing_is_removed_after_normal_work(clean, done):
    assert clean[0]() == []


def test_attempts_that_were_left_behind_and_superseded_files_are_removed_and_results_stay(platform, clean, computed):
    find, removed = clean
    first = platform.record(computed[0])["analysis_assets"]["attempt"]
    force(platform, computed[0])
    orphan = add_attempt(platform, computed[1])
    unknown = add_attempt(platform, "0" * 64)
    found = {one.attempt: one.why for one in find()}
    assert found == {first: "superseded", orphan: "orphan", unknown: "orphan"}
    assert [removed(one) for one in find()] == [True, True, True]
    assert find() == []
    assert platform.run(computed).success
    assert [platform.job(key).attempt_number for key in computed] == [2, 1], "both results are reused"
    (old,) = platform.superseded(computed[0])
    assert old["superseded"]["files_removed"]


def test_catalogs_stay(platform, clean, done):
    results = platform.services.results
    files = CatalogFiles(s3=results.s3, root=results.root)
    files.put(platform.name, TABLE, b"x", content_type="text/plain")
    add_attempt(platform, "0" * 64)
    find, removed = clean
    assert [removed(one) for one in find()] == [True]
    assert files.get(platform.name).content == b"x"


def test_a_complete_attempt_without_a_record_is_kept_because_it_can_be_committed(platform, clean):
    (key,) = platform.ingest({"number": 1.0})
    add_attempt(platform, key, complete=True)
    assert clean[0]() == []


def test_what_has_become_current_or_is_running_since_it_was_shown_is_kept(platform, clean, done):
    find, removed = clean
    attempts = [add_attempt(platform, key) for key in done]
    shown = find()
    assert {one.attempt for one in shown} == set(attempts)
    records = records_of(platform.services.records)
    records.update_one({"_id": platform.result_id(done[0])}, {"$set": {"analysis_assets.attempt": attempts[0]}})
    lease = {"owner": "w", "attempt": attempts[1], "run_id": "r", "until": platform.services.ledger.now()}
    platform.change(done[1], lease=lease)
    assert [removed(one) for one in shown] == [False, False]
    assert attempts[1] not in {one.attempt for one in find()}


def test_nothing_younger_than_an_hour_is_ever_removed(platform):
    s = platform.services
    with pytest.raises(SettingsError, match="younger than an hour"):
        list(removable(s.results, s.records, s.ledger, older_than=timedelta(minutes=59)))


def test_what_is_younger_than_the_age_is_kept(platform, done):
    add_attempt(platform, done[0])
    s = platform.services
    assert list(removable(s.results, s.records, s.ledger, older_than=timedelta(hours=1))) == []
