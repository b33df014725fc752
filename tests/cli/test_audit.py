"""`analysis audit` and `analysis clean` as commands."""

from datetime import timedelta

import pytest

from audit.sources import Depth
from cli.audit.run import audit, clean, found_to_clean, parse_age, repair
from domain.errors import SettingsError, UnknownJobError
from domain.job.state import JobState
from operations.requests import submit
from resources.dagster_storage.configuration import prepare_dagster_home


@pytest.mark.parametrize(
    ("text", "age"), [("12h", timedelta(hours=12)), ("30d", timedelta(days=30)), ("8w", timedelta(weeks=8))]
)
def test_an_age_is_read(text, age):
    assert parse_age(text) == age


@pytest.mark.parametrize("text", ["", "d", "30", "3 d", "-1d", "1y", "٣d", "999999d", "1.5h"])
def test_an_age_of_another_form_is_refused(text):
    with pytest.raises(SettingsError, match="expected hours, days or weeks"):
        parse_age(text)


def test_jobs_without_partitions_are_found_where_dagster_has_a_home_and_repaired(platform, settings):
    submit(platform, "double", ["s3://b/a"], by_hand={})
    assert audit(platform, ["double"], depth=Depth()).by_kind("double") == {}, "there is no Dagster to compare with"
    prepare_dagster_home(settings)
    assert audit(platform, ["double"], depth=Depth()).by_kind("double") == {"job_without_partition": 1}
    report, repairer = repair(platform, ["double"], depth=Depth())
    assert repairer.repaired["job_without_partition"] == report.by_kind("double")["job_without_partition"] == 1
    assert audit(platform, ["double"], depth=Depth()).by_kind("double") == {}


def test_a_job_that_is_done_without_a_record_is_made_new(platform):
    (job,) = submit(platform, "double", ["s3://b/a"], by_hand={})
    ledger = platform.connections.ledger
    ledger.claims.mark_unclaimed(
        ledger.jobs.get("double", job.job_key), state=JobState.DONE, code_version="1", result_id="0" * 64
    )
    repair(platform, ["double"], depth=Depth())
    assert ledger.jobs.get("double", job.job_key).state is JobState.NEW


def test_an_analysis_that_does_not_exist_is_refused(platform):
    with pytest.raises(UnknownJobError, match="There is no analysis `nobody`"):
        audit(platform, ["nobody"], depth=Depth())


def test_what_is_young_is_neither_listed_nor_removed(platform):
    assert list(found_to_clean(platform, older_than=timedelta(days=30))) == []
    assert clean(platform, []) == 0
