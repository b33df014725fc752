"""Tags of runs: one for each value, whatever people have written."""

import re

import dagster as dg
import pytest

from domain.job.identity import JobInputs
from domain.job.job_file import Job
from domain.job.run_tags import PER_KIND, found_in_job, found_in_result, is_tagged, tags_of
from domain.job.state import JobState, LedgerEntry
from domain.job.stored import Source
from tests.provenances import rich

KEY = re.compile(r"dagster/[A-Za-z0-9_.\-]{1,63}")


def entry_of(job, *, parameters=None, sources=()):
    """Make the entry of a job."""
    return LedgerEntry(
        analysis="demo",
        job_key="a" * 64,
        inputs=JobInputs.of(job).model_dump(),
        parameters=parameters or {},
        sources=sources,
        state=JobState.NEW,
    )


def test_subject_and_session_are_read_from_the_name_of_an_asset():
    job = entry_of(Job(s3_location=("s3://b/ecephys_700001_2024-05-01_10-00-00", "s3://b/other")))
    assert found_in_job(job) == {("subject", "700001"), ("session", "ecephys_700001_2024-05-01_10-00-00")}


@pytest.mark.parametrize("ending", [".nwb", ".nwb.zarr", "/"])
def test_the_ending_of_a_file_is_not_part_of_its_session(ending):
    job = entry_of(Job(file_location=(f"s3://b/a/behavior_1_2024-05-01_10-00-00{ending}",)))
    assert ("session", "behavior_1_2024-05-01_10-00-00") in found_in_job(job)


def test_the_analysis_tag_and_every_dispatch_are_known_before_the_run():
    sources = (Source(name="a", dispatch_id="d1"), Source(name="b"), Source(name="c", dispatch_id="d2"))
    job = entry_of(Job(s3_location=("s3://b/x",)), parameters={"analysis_tag": "v1"}, sources=sources)
    assert found_in_job(job) == {("analysis_tag", "v1"), ("dispatch", "d1"), ("dispatch", "d2")}


def test_what_the_inputs_say_is_known_after_it():
    assert found_in_result(rich()) == {("subject", "700001"), ("subject", "Füchsin"), ("session", "700001_2024-05-01")}


@pytest.mark.parametrize("value", ["700001", "my tag/ü <b>", "x" * 500, "a\nb", "../..", "dagster/partition", "🧠"])
def test_any_text_becomes_a_tag_that_dagster_takes(value):
    ((key, shown),) = tags_of({("subject", value)}, known={}).items()
    assert KEY.fullmatch(key)
    assert value.startswith(shown)
    assert dg.RunRequest(tags={key: shown}).tags[key] == shown


def test_only_what_is_new_is_added():
    known = tags_of({("subject", "1")}, known={})
    assert tags_of({("subject", "1"), ("subject", "2")}, known=known) == {"dagster/subject.2": "2"}


def test_no_run_has_more_than_the_maximum_and_the_others_are_counted():
    found = {("session", f"{number:04}") for number in range(PER_KIND + 7)}
    tags = tags_of(found, known={})
    assert len(tags) == PER_KIND + 1
    assert tags["dagster/more.session"] == "7"
    assert tags_of({("session", "another"), ("subject", "1")}, known=tags) == {
        "dagster/subject.1": "1",
        "dagster/more.session": "8",
    }


def test_a_run_is_tagged_when_it_has_one_of_them():
    assert is_tagged({"dagster/subject.1": "1"})
    assert not is_tagged({"dagster/partition": "a", "analysis_assets/keys_sha256": "b"})
