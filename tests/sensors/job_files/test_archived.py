"""What was retired stays retired, whatever comes into the inbox."""

from domain.job.state import JobState
from tests.sensors.world import job_file


def test_no_tick_brings_an_archived_job_back(world):
    world.write("one.json", job_file(1))
    world.tick()
    (key,) = world.partitions()
    ledger = world.stores.ledger
    ledger.claims.mark_unclaimed(
        ledger.jobs.get(world.name, key), state=JobState.DONE, code_version="0+old", result_id="0" * 64
    )
    world.add_record(key)
    assert ledger.requests.archive(world.name, [key]) == 1
    world.instance.delete_dynamic_partition(world.name, key)
    world.write("one.json", job_file(1, query={"again": True}))
    world.write("two.json", job_file(1))
    for _ in range(2):
        assert world.asked(world.tick()) == []
    assert world.partitions() == []
    assert ledger.jobs.get(world.name, key).state is JobState.ARCHIVED
    assert len(ledger.jobs.get(world.name, key).sources) > 1, "who asked for it is kept"
