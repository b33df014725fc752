"""Saved dispatches: a schedule for each file, also for the broken ones, which stop nothing else."""

import json
import logging
from datetime import UTC, datetime

import dagster as dg
import pytest

from definitions import build_defs
from dispatch.dispatch_job import SAVED_TAG
from dispatch.saved import build_schedules, read_saved, saved_path
from domain.errors import DispatchError
from tests.dispatch.conftest import LAB

GOOD = {"analysis": "double", "cron": "30 2 * * *", "options": {"query": {"name": "one"}, "sweep": {"number": [1, 2]}}}
NIGHT = datetime(2026, 11, 25, 2, 30, tzinfo=UTC)


@pytest.fixture
def save(settings):
    """Give the function that saves a dispatch."""
    settings.dispatches.mkdir()

    def save(name, content):
        path = settings.dispatches / f"{name}.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return save


@pytest.fixture
def schedules(settings):
    """Give the function that loads the definitions, and returns their schedules by name."""

    def schedules(**changes):
        definitions = build_defs(settings.model_copy(update=changes), folder=LAB)
        return {s.name: s for s in definitions.get_repository_def().schedule_defs if s.job_name == "dispatch"}

    return schedules


def tick(schedule, when=NIGHT):
    """Evaluate one tick."""
    with dg.build_schedule_context(scheduled_execution_time=when) as context:
        return schedule.evaluate_tick(context)


def test_a_saved_dispatch_gets_a_schedule_that_is_on(save, schedules):
    save("nightly", {**GOOD, "timezone": "America/Los_Angeles"})
    (schedule,) = schedules().values()
    assert (schedule.name, schedule.cron_schedule, schedule.execution_timezone) == (
        "dispatch_nightly",
        "30 2 * * *",
        "America/Los_Angeles",
    )
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    assert schedule.job_name == "dispatch"
    assert "Saved dispatch of double" in schedule.description


def test_without_a_folder_there_are_no_schedules(schedules):
    assert schedules() == {}


def test_a_tick_asks_for_a_run_that_writes_jobs(save, schedules, place, lab, instance):
    place.add("one")
    save("nightly", GOOD)
    (request,) = tick(schedules()["dispatch_nightly"]).run_requests
    assert request.run_key == NIGHT.isoformat()
    assert request.tags[SAVED_TAG] == "nightly"
    job = lab.resolve_job_def("dispatch")
    assert job.execute_in_process(run_config=request.run_config, instance=instance, tags=dict(request.tags)).success
    assert len(place.files()) == 2
    assert job.execute_in_process(run_config=request.run_config, instance=instance, tags=dict(request.tags)).success
    assert len(place.files()) == 2


def test_options_are_read_again_at_each_tick(save, schedules):
    path = save("nightly", GOOD)
    schedule = schedules()["dispatch_nightly"]
    save("nightly", {**GOOD, "options": {"query": "{}", "max_jobs": 3}})
    (request,) = tick(schedule).run_requests
    assert request.run_config["ops"]["find_and_write"]["config"]["max_jobs"] == 3
    path.unlink()
    with pytest.raises(DispatchError) as caught:
        tick(schedule)
    assert "cannot be read: No such file" in str(caught.value)


BROKEN = [
    ("{", "is not JSON"),
    ("[]", "holds a list, expected one JSON object"),
    ({**GOOD, "cron": "at night"}, "its times cannot be used"),
    ({**GOOD, "timezone": "Mars/Olympus"}, "its times cannot be used"),
    ({**GOOD, "analysis": "nobody"}, "there is no analysis `nobody`. The analyses are: double, misbehave"),
    ({**GOOD, "options": {"docdb_query": "{}"}}, "`docdb_query` is an option of the earlier dispatcher"),
    ({**GOOD, "options": {"query": {"$where": "1"}}}, "`$where` at the top is not allowed"),
    ({**GOOD, "when": "now"}, "`when`: Extra inputs"),
    ({"analysis": "double"}, "`cron`: Field required; `options`: Field required"),
]


@pytest.mark.parametrize(("content", "reason"), BROKEN)
def test_a_broken_file_is_reported_loudly_and_stops_nothing_else(save, schedules, caplog, content, reason):
    save("broken", content)
    save("good", GOOD)
    with caplog.at_level(logging.ERROR):
        found = schedules()
    assert reason in caplog.text
    assert set(found) == {"dispatch_broken", "dispatch_good"}
    broken = found["dispatch_broken"]
    assert broken.description.startswith("BROKEN. ")
    assert reason in broken.description
    with pytest.raises(DispatchError) as caught:
        tick(broken)
    assert reason in str(caught.value)
    assert tick(found["dispatch_good"]).run_requests


def test_a_name_that_dagster_would_not_take_is_distinguished(save, settings, schedules):
    for name in ("two words", "zwei Wörter", "a.b", "x" * 100, "fine_name"):
        save(name, GOOD)
    found = schedules()
    assert len(found) == 5
    assert "dispatch_fine_name" in found


def test_two_names_that_would_be_one_schedule_are_distinguished(save, schedules):
    save("a-b", GOOD)
    save("a_b", GOOD)
    assert len(schedules()) == 2


def test_with_dry_run_a_tick_asks_for_nothing(save, schedules):
    save("nightly", GOOD)
    found = tick(schedules(dry_run=True)["dispatch_nightly"])
    assert not found.run_requests
    assert "DRY_RUN" in found.skip_message


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "x.json").mkdir()
    with pytest.raises(DispatchError, match=r"x\.json cannot be read: Is a directory"):
        read_saved(tmp_path / "x.json", analyses=["double"])


@pytest.mark.parametrize("name", ["", "../x", "a b", "x" * 61, "a/b"])
def test_a_name_that_could_lead_elsewhere_is_refused(tmp_path, name):
    with pytest.raises(DispatchError, match="Not a name for a dispatch"):
        saved_path(tmp_path, name)


def test_files_that_are_not_json_are_not_looked_at(settings, lab):
    settings.dispatches.mkdir()
    (settings.dispatches / "notes.txt").write_text("x", encoding="utf-8")
    job = lab.resolve_job_def("dispatch")
    assert build_schedules(settings.dispatches, job, analyses=["double"]) == []
