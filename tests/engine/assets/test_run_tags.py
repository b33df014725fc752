"""Runs are found by what their jobs are about, no matter who launched them."""

import dagster as dg

from domain.job.run_tags import is_tagged
from engine.assets.run_tags import RunTags
from tests.provenances import sparse


def tags_of_run(platform, result):
    """Return the tags by which a run is found."""
    tags = platform.instance.get_run_by_id(result.run_id).tags
    return {key: value for key, value in tags.items() if is_tagged({key: value})}


def double_job(platform):
    """Make a job of the asset."""
    job = dg.define_asset_job("tagged", selection=[platform.asset])
    return dg.Definitions([platform.asset], jobs=[job], resources=platform.resources()).resolve_job_def("tagged")


def test_a_run_launched_by_hand_is_tagged_with_what_its_jobs_say(double):
    double.place = "s3://lab/ecephys_700001_2024-05-01_10-00-00"
    keys = double.ingest({"number": 60}, dispatch_id="d-60")
    result = double.run(keys)
    session = "ecephys_700001_2024-05-01_10-00-00"
    assert tags_of_run(double, result) == {
        "dagster/subject.700001": "700001",
        f"dagster/session.{session}": session,
        "dagster/dispatch.d-60": "d-60",
    }
    found = double.instance.get_runs(dg.RunsFilter(tags={"dagster/subject.700001": "700001"}))
    assert result.run_id in {run.run_id for run in found}


def test_subject_and_session_of_the_headers_are_added_once_they_are_read(double):
    result = double.run(double.ingest({"number": 61}))
    tags = RunTags(double.instance, double.instance.get_run_by_id(result.run_id))
    tags.add_results([sparse(subject_ids=("700009",), session_names=("my session",))])
    assert tags_of_run(double, result) == {
        "dagster/subject.700009": "700009",
        "dagster/session.my_session": "my session",
    }


class CountedWrites:
    """An instance of Dagster whose writes of tags are counted."""

    def __init__(self, instance):
        self.instance, self.writes = instance, []

    def add_run_tags(self, run_id, tags):
        """Add tags to a run."""
        self.writes.append(tags)
        self.instance.add_run_tags(run_id, tags)


def test_nothing_is_written_that_the_run_has_already(double):
    result = double.run(double.ingest({"number": 63}))
    counted = CountedWrites(double.instance)
    tags = RunTags(counted, double.instance.get_run_by_id(result.run_id))
    tags.add_results([sparse(subject_ids=("1",))])
    tags.add_results([sparse(subject_ids=("1",)), sparse()])
    assert counted.writes == [{"dagster/subject.1": "1"}]


def test_a_tag_does_not_undo_a_cancellation_of_the_same_moment(double):
    instance = double.instance
    run = instance.create_run_for_job(double_job(double), status=dg.DagsterRunStatus.STARTED)
    tags = RunTags(instance, run)
    instance.report_run_canceling(run)
    tags.add_results([sparse(subject_ids=("1",))])
    found = instance.get_run_by_id(run.run_id)
    assert found.status is dg.DagsterRunStatus.CANCELING
    assert found.tags["dagster/subject.1"] == "1"


def test_a_dry_run_is_tagged_with_nothing(double):
    double.place = "s3://lab/ecephys_700001_2024-05-01_10-00-00"
    result = double.run(double.ingest({"number": 62}), config={"dry_run": True})
    assert tags_of_run(double, result) == {}
