"""What was retired stays retired, whatever comes into the inbox."""

from domain.job.state import JobState
from tests.sensors.harness import job_file


def test_no_tick_brings_an_archived_job_back(harness):
    harness.write("one.json", job_file(1))
    harness.tick()
    (key,) = harness.partitions()
    ledger = harness.stores.ledger
    ledger.claims.mark_unclaimed(
        ledger.jobs.get(harness.name, key), state=JobState.DONE, code_version="0+old", result_id="0" * 64
    )
    harness.add_record(key)
    assert ledger.requests.archive(harness.name, [key]) == 1
    harness.instance.delete_dynamic_partition(harness.name, key)
    harness.write("one.json", job_file(1, query={"again": True}))
    harness.write("two.json", job_file(1))
    for _ in range(2):
        assert harness.requested(harness.tick()) == []
    assert harness.partitions() == []
    assert ledger.jobs.get(harness.name, key).state is JobState.ARCHIVED
    assert len(ledger.jobs.get(harness.name, key).sources) > 1, "every source of a request is kept"
