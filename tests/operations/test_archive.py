"""Retiring partitions, and bringing them back."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test
from typer.testing import CliRunner

from cli.explain.run import explain
from cli.main import app
from cli.results.run import ListQuery, list_results
from domain.errors import RunsActiveError, SettingsError, UnknownJobError
from domain.job.state import JobState
from operations.archive import Choice, archive, parse_day, plan, restore
from operations.platform import open_dagster, open_platform
from operations.requests import rerun, submit
from resources.dagster_storage.configuration import prepare_dagster_home
from tests.operations.test_lifecycle import give_result
from tests.raw import jobs_of, records_of

NAME = "double"
TARGETS = [f"s3://bucket/{number}" for number in range(3)]
SOON = datetime.now(UTC) + timedelta(days=1)


@pytest.fixture
def keys(platform, settings):
    """Give the jobs of an analysis for tests."""
    return requested_jobs(platform, settings, NAME, number=1)


def requested_jobs(platform, settings, name, **by_hand):
    """Ask for three jobs, give the first two their results, and all of them partitions."""
    prepare_dagster_home(settings)
    keys = [job.job_key for job in submit(platform, name, TARGETS, by_hand=by_hand)]
    for key in keys[:2]:
        give_result(platform, key, name=name)
    with open_dagster(settings) as instance:
        instance.add_dynamic_partitions(name, keys)
    return keys


def partitions(platform):
    """Return the partitions that there are."""
    with open_dagster(platform.settings) as instance:
        return set(instance.get_dynamic_partitions(NAME))


def states(platform, keys, *, name=NAME):
    """Return the state of each job."""
    return [explain(platform, name, key).state for key in keys]


def test_the_partition_goes_and_everything_else_stays(platform, keys):
    assert plan(platform, NAME, Choice(before=SOON)).keys == sorted(keys[:2], key=keys.index)
    done = archive(platform, NAME, keys[:2])
    assert (done.jobs, done.partitions) == (2, 2)
    assert partitions(platform) == {keys[2]}
    assert states(platform, keys) == ["archived", "archived", "new"]
    assert f"--restore --key {keys[0]}` brings it back" in explain(platform, NAME, keys[0]).reason
    assert {r.job_key for r in list_results(platform, NAME, ListQuery(subject="700001")).results} == set(keys[:2])
    assert list_results(platform, NAME, ListQuery()).counts[JobState.ARCHIVED] == 2


def test_a_job_that_is_not_done_is_left_alone(platform, keys):
    found = plan(platform, NAME, Choice(keys=(keys[0], keys[2])))
    assert (found.keys, found.of, list(found.left.values())) == ([keys[0]], 2, [1])
    assert archive(platform, NAME, [keys[2]]).jobs == 0
    assert partitions(platform) == set(keys)


def test_a_job_without_its_record_is_left_alone(platform, keys):
    records_of(platform.connections.record_store).delete_many({"analysis_assets.job_key": keys[0]})
    found = plan(platform, NAME, Choice(before=SOON))
    assert found.keys == [keys[1]]
    assert found.left == {"their records are missing (see `analysis audit`)": 1}


def test_only_what_was_chosen_is_planned(platform, keys):
    assert plan(platform, NAME, Choice(before=SOON - timedelta(days=2))).keys == []
    assert plan(platform, NAME, Choice(outdated=True)).keys == []
    jobs = jobs_of(platform.connections.ledger)
    jobs.update_one({"job_key": keys[1]}, {"$set": {"code_version": "0+old"}})
    assert plan(platform, NAME, Choice(outdated=True)).keys == [keys[1]]
    assert plan(platform, NAME, Choice(outdated=True, keys=(keys[0],))).keys == []
    with pytest.raises(UnknownJobError, match="No job of `double` is stored under"):
        plan(platform, NAME, Choice(keys=("0" * 64,)))


def test_a_file_that_asks_for_it_again_brings_nothing_back_and_computes_nothing(platform, keys):
    archive(platform, NAME, keys[:2])
    ledger = platform.connections.ledger
    for code in (platform.entry(NAME).code_version, "9+other"):
        job = ledger.jobs.get(NAME, keys[0])
        ledger.requests.store([(job.stored_job, job.sources[0])], code_version=code)
        assert states(platform, keys) == ["archived", "archived", "new"]
    assert [job.state for job in submit(platform, NAME, TARGETS[:1], by_hand={"number": 1})] == [JobState.ARCHIVED]
    assert ledger.requests.requeue_due(NAME) == 0
    assert rerun(platform, NAME, outdated=True) == []


def test_a_person_who_asks_for_it_by_its_key_gets_it(platform, keys):
    archive(platform, NAME, keys[:2])
    assert rerun(platform, NAME, keys=[keys[0]]) == [keys[0]]
    assert states(platform, keys)[0] == "new"


def test_it_is_brought_back(platform, keys):
    archive(platform, NAME, keys[:2])
    assert plan(platform, NAME, Choice(before=SOON), restore=True).keys == sorted(keys[:2], key=keys.index)
    done = restore(platform, NAME, keys[:1])
    assert (done.jobs, done.partitions) == (1, 1)
    assert states(platform, keys) == ["done", "archived", "new"]
    assert partitions(platform) == {keys[0], keys[2]}
    assert restore(platform, NAME, [keys[2]]).jobs == 0


def test_nothing_is_done_while_a_run_is_active(platform, keys, settings):
    with open_dagster(settings) as instance:
        run = create_run_for_test(
            instance, job_name=f"{NAME}_batch", status=dg.DagsterRunStatus.STARTED, tags={"dagster/partition": keys[2]}
        )
    for work in (archive, restore):
        with pytest.raises(RunsActiveError, match=r"Partitions of `double` cannot change.*1 run unfinished"):
            work(platform, NAME, keys[:2])
    assert states(platform, keys) == ["done", "done", "new"]
    with open_dagster(settings) as instance:
        instance.report_run_canceled(instance.get_run_by_id(run.run_id))
    assert archive(platform, NAME, keys[:2]).partitions == 2


def test_what_was_cut_off_is_finished_by_the_same_command(platform, keys):
    platform.connections.ledger.requests.archive(NAME, keys[:2])  # and then the lights went out
    assert partitions(platform) == set(keys)
    assert plan(platform, NAME, Choice(before=SOON)).unfinished == 2
    done = archive(platform, NAME, [])
    assert (done.jobs, done.partitions) == (0, 2)
    assert partitions(platform) == {keys[2]}


def test_where_dagster_has_no_home_only_the_ledger_changes(platform):
    (job,) = submit(platform, NAME, TARGETS[:1], by_hand={"number": 1})
    give_result(platform, job.job_key)
    assert archive(platform, NAME, [job.job_key]).jobs == 1
    assert restore(platform, NAME, [job.job_key]).jobs == 1


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "2026-01-01T00:00", "20260101x"])
def test_a_day_of_another_form_is_refused(text):
    with pytest.raises(SettingsError, match="expected year, month and day"):
        parse_day(text)


def test_the_command_plans_asks_and_does(settings):
    name = "unit_quality"
    with open_platform(settings) as platform:
        command_archives(platform, requested_jobs(platform, settings, name), name)


def command_archives(platform, keys, name):
    """Archive jobs by the command, and bring them back."""

    def invoke(*words, code=0, answer=None):
        found = CliRunner().invoke(app, ["archive", name, *words], input=answer)
        assert found.exit_code == code, found.output
        return found.output

    tomorrow = f"{SOON:%Y-%m-%d}"
    invoke(code=2)
    invoke("--before", "yesterday", code=2)
    assert "0 of 2 jobs to archive." in invoke("--before", "2020-01-01")
    assert "1 not included: they are not done" in invoke("--key", keys[2])
    invoke("--before", tomorrow, answer="n\n")
    assert states(platform, keys, name=name) == ["done", "done", "new"]
    assert "2 jobs archived, 2 partitions removed." in invoke("--before", tomorrow, "--yes")
    assert "1 of 2 jobs to restore." in invoke("--restore", "--key", keys[0], answer="y\n")
    assert states(platform, keys, name=name) == ["done", "archived", "new"]
