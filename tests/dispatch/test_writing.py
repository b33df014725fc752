"""Job files: whole or not at all, under a folder of their dispatch's own, with everything inside that explains them."""

import json
import re
import threading
from dataclasses import replace
from itertools import count

import pytest

from dispatch.writing import write_plan
from domain.errors import JobFileError
from domain.job.job_file import read_job
from resources.inbox.job_inbox import JobInbox
from tests.dispatch.conftest import Place, ignore

ID = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ-[0-9a-f]{8}")


def test_files_lie_in_time_ordered_folders_and_say_where_they_come_from(place):
    location = place.add("one", s={"k": "x"})
    _, written = place.dispatch(query='{"s.k": "x"}', group_by=["s.k"], set_values=["number=2"])
    assert ID.fullmatch(written.dispatch_id)
    assert written.folder == place.services.inbox.url("double", f"dispatch/{written.dispatch_id}")
    (name,) = place.files()
    data = place.services.inbox.read("double", name)
    assert json.loads(data) == {
        "asset_name": ["one"],
        "s3_location": [location],
        "docdb_record_id": ["id-one"],
        "file_location": None,
        "distributed_parameters": {},
        "group_metadata": {"s.k": "x"},
        "query": '{"s.k":"x"}',
        "analysis_code": {"parameters": {"number": 2}},
        "dispatch_id": written.dispatch_id,
    }
    assert read_job(data, name=name).unknown_keys == ()


def test_the_ledger_keeps_query_group_and_dispatch(place):
    place.add("one", s={"k": "x"})
    plan, written = place.dispatch(group_by=["s.k"])
    place.harness.tick()
    (source,) = place.services.ledger.jobs.get("double", plan.jobs[0].job_key).sources
    assert (source.query, source.dispatch_id, source.record_ids) == ("{}", written.dispatch_id, ("id-one",))
    assert [(pair.field, pair.value) for pair in source.group] == [("s.k", "x")]


def test_large_dispatches_are_spread_over_folders(place):
    for number in range(5):
        place.add(f"asset{number}")
    _, written = place.dispatch(files_per_folder=2)
    assert [name.removeprefix(f"dispatch/{written.dispatch_id}/") for name in place.files()] == [
        "0000/000000.json",
        "0000/000001.json",
        "0001/000002.json",
        "0001/000003.json",
        "0002/000004.json",
    ]


def test_a_dispatch_that_is_cut_off_leaves_whole_files_and_the_next_one_goes_on(place):
    for number in range(20):
        place.add(f"asset{number:02}")
    number, lock, services = count(), threading.Lock(), place.services

    class FullAfterSeven(JobInbox):
        """An inbox on a disk that gets full."""

        def write(self, analysis, name, data):
            """Write, until the disk is full."""
            with lock:
                if next(number) >= 7:
                    message = "The disk is full."
                    raise JobFileError(message)
            super().write(analysis, name, data)

    place.services = replace(services, inbox=FullAfterSeven(s3=services.inbox.s3, root=services.inbox.root))
    with pytest.raises(JobFileError, match=r"The disk is full\. . of 20 job files were written; dispatching again"):
        place.dispatch()
    place.services = services
    left = place.files()
    assert len(left) == 7
    for name in left:
        read_job(place.services.inbox.read("double", name), name=name)
    plan, _ = place.dispatch()
    assert (len(plan.jobs), len(place.files())) == (13, 20)
    place.harness.tick()
    assert len(place.keys()) == 20
    assert not place.harness.rejected()


def test_two_dispatches_at_once_make_no_second_job(place):
    place.add("one")
    plans = [place.plan(), place.plan()]
    for plan in plans:
        write_plan(plan, place.services, progress=ignore)
    place.harness.tick()
    assert (len(place.files()), len(place.keys())) == (2, 1)


def test_files_are_written_to_an_inbox_in_s3(settings, instance, s3_inbox):
    place = Place(settings.model_copy(update={"job_inbox": s3_inbox.root}), instance)
    place.add("one")
    _, written = place.dispatch()
    assert written.folder == f"{s3_inbox.root}/double/dispatch/{written.dispatch_id}"
    place.harness.tick()
    assert len(place.keys()) == 1


def test_a_plan_without_jobs_writes_nothing(place):
    _, written = place.dispatch()
    assert (written.files, place.files()) == (0, [])
    assert not list((place.services.inbox.place.root).iterdir())
