"""A tick that is cut off after any of its steps, and a normal one after it: nothing lost, nothing twice."""

from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from domain.job.state import JobState
from engine.assets.materialization import asset_key_of
from resources.ledger.claims import Finished
from sensors.job_files.stores import Stores
from tests.raw import database_of
from tests.sensors.harness import END, START, job_file

VERBS = {
    "inbox": {"pages", "read", "read_fixed_parameters", "fixed_fingerprint"},
    "notes": {"remembered", "rejected", "save", "forget"},
    "ledger": set(),
    "ledger.jobs": {"keys_in", "get_many", "summaries"},
    "ledger.claims": {"run_ids", "release_lost", "mark_unclaimed"},
    "ledger.requests": {"store"},
    "ledger.run_counts": {"fail_crash_looping", "count_requested"},
    "records": {"existing", "get_many"},
    "results": {"list_files", "get_bytes"},
    "instance": {"add_dynamic_partitions", "get_dynamic_partitions", "get_runs", "report_runless_asset_event"},
}


class CutOffError(BaseException):
    """What a killed process looks like from inside: nothing catches it."""


class Cut:
    """Counts the verbs that a tick uses, and ends it after one of them."""

    def __init__(self, after):
        self.after, self.count, self.last = after, 0, None

    def wrap(self, target, kind):
        """Return the real object, whose verbs are counted."""
        cut = self

        class Wrapped:
            def __getattr__(self, name):
                found = getattr(target, name)
                if f"{kind}.{name}" in VERBS:
                    return cut.wrap(found, f"{kind}.{name}")
                return cut.counted(f"{kind}.{name}", found) if name in VERBS[kind] else found

        return Wrapped()

    def counted(self, name, verb):
        """Return a verb that is the last one when its turn has come."""

        def call(*args, **kwargs):
            answer = verb(*args, **kwargs)
            self.count, self.last = self.count + 1, name
            if self.count == self.after:
                raise CutOffError(name)
            return answer

        return call


def prepare(harness):
    """Make an inbox and a ledger in which a tick has everything to do."""
    for name, number in (("gone", 1), ("lost", 2), ("computed", 3), ("done", 4)):
        harness.write(f"{name}.json", job_file(number))
    harness.write("mended.json", b"{")
    runs = harness.launch(harness.tick())
    keys = {job["parameters"]["number"]: key for key, job in harness.jobs().items()}
    harness.end(runs)
    ledger, version = harness.stores.ledger, harness.entry.code_version
    for number in (2, 4):
        claimed = ledger.claims.claim(
            ledger.jobs.get("double", keys[number]),
            attempt=f"a{number}",
            owner="w",
            run_id=runs[0].run_id if number == 4 else "elsewhere",
            code_version=version,
            states=[JobState.NEW],
        )
    ledger.claims.finish([Finished(claimed, "a4", harness.add_record(keys[4])["_id"])], code_version=version)
    harness.change(keys[2], **{"lease.until": ledger.mongo.now() - timedelta(seconds=1)})
    harness.add_record(keys[3])
    Path(harness.stores.inbox.root, "double", "gone.json").unlink()
    harness.write("mended.json", job_file(5))
    harness.write("new/a.json", job_file(6))
    harness.write("new/b.json", job_file(6))
    harness.write("bad.json", b"[")
    harness.write("new/c.json", job_file(7))


def cut_tick(harness, after):
    """Interrupt a tick after a number of calls; return where, or None if it ended earlier."""
    cut = Cut(after)
    stores = Stores(**{f.name: cut.wrap(getattr(harness.stores, f.name), f.name) for f in fields(Stores)})
    try:
        harness.tick(stores=stores, instance=cut.wrap(harness.instance, "instance"))
    except CutOffError as where:
        return str(where)
    return None


def check_end(harness):
    """Two more ticks, with the runs that they ask for, and everything is as if nothing had happened."""
    found = harness.tick()
    harness.launch(found)
    asked = harness.requested(found)
    numbers = {key: job["parameters"]["number"] for key, job in harness.jobs().items()}
    assert sorted(numbers.values()) == [1, 2, 3, 4, 5, 6, 7]
    assert len(asked) == len(set(asked))
    states = {numbers[key]: job["state"] for key, job in harness.jobs().items()}
    assert states == {1: "new", 2: "new", 3: "done", 4: "done", 5: "new", 6: "new", 7: "new"}
    assert {numbers[key] for key in asked} - {3, 4} == {1, 2, 5, 6, 7}
    assert set(asked) <= set(harness.partitions())
    assert set(numbers) == set(harness.partitions())
    assert harness.instance.get_materialized_partitions(asset_key_of("double")) == {
        key for key, number in numbers.items() if number == 3
    }
    assert list(harness.rejected()) == ["bad.json"]
    assert [event.metadata["rejected files"].records[0].data["file"] for event in found.asset_events] == [
        "bad.json"
    ] * 2
    assert "gone.json" not in harness.stores.notes.known("double")
    sources = [len(job["sources"]) for key, job in harness.jobs().items() if numbers[key] == 6]
    assert sources == [2]
    assert isinstance(harness.tick(), dg.SkipReason)


@pytest.mark.parametrize("offset", range(4))
def test_a_tick_cut_off_after_any_step_is_made_good_by_the_next(make_harness, folder_inbox, database, offset):
    after, places = offset + 1, []
    while True:
        with dg.DagsterInstance.ephemeral() as instance:
            inbox = folder_inbox.model_copy(update={"root": f"{folder_inbox.root}-{after}"})
            inbox.ensure()
            harness = make_harness(inbox, f"{database}_{after}", dagster=instance)
            prepare(harness)
            where = cut_tick(harness, after)
            if where is None:
                break
            places.append(where)
            check_end(harness)
            mongo = harness.stores.ledger.mongo
            database_of(mongo).client.drop_database(mongo.database)
        after += 4
    assert len(places) > 5


def test_every_kind_of_step_is_among_those_cut(harness):
    prepare(harness)
    seen = set()
    cut = Cut(after=-1)
    counted = cut.counted

    def noted(name, verb):
        seen.add(name)
        return counted(name, verb)

    cut.counted = noted
    stores = Stores(**{f.name: cut.wrap(getattr(harness.stores, f.name), f.name) for f in fields(Stores)})
    harness.tick(stores=stores, instance=cut.wrap(harness.instance, "instance"))
    assert {"ledger.requests.store", "notes.save", "notes.forget"} <= seen
    assert {"ledger.claims.release_lost", "ledger.claims.mark_unclaimed"} <= seen
    assert {"instance.add_dynamic_partitions", "instance.report_runless_asset_event"} <= seen
    assert {"ledger.run_counts.count_requested", "ledger.jobs.summaries"} <= seen


def test_run_requests_that_dagster_did_not_store_are_made_again_under_other_keys(harness):
    harness.write("a.json", job_file(1))
    lost = harness.tick()
    found = harness.tick()
    assert harness.requested(found) == harness.requested(lost)
    assert found.run_requests[0].run_key != lost.run_requests[0].run_key
    assert (found.run_requests[0].tags[START], found.run_requests[0].tags[END]) == (harness.partitions()[0],) * 2
