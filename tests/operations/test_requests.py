"""Asking for jobs by hand."""

import json
from pathlib import Path

import pytest

from domain.analysis.given_values import parse_settings
from domain.errors import InputError, JobFileError, ParametersError, UnknownJobError
from domain.failures import JobError
from domain.job.state import JobState
from domain.job.stored import ingest
from operations.outdated import outdated_summary
from operations.requests import ANY_FAULT, rerun, submit, validate
from operations.targets import read_file, read_target
from resources.ledger.claims import Finished

MIB = 1024 * 1024


def job_file(tmp_path, number=1.0, *, name="job.json", **more):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"s3_location": ["s3://bucket/asset"], "distributed_parameters": {"number": number}, **more}
    path.write_text(json.dumps(document), encoding="utf-8")
    return str(path)


def set_state(platform, key, state, *, code_version=None):
    """Bring a job into a state by the ways that a run has."""
    ledger, entry = platform.connections.ledger, platform.entry("double")
    version = code_version or entry.code_version
    job = ledger.jobs.get("double", key)
    claimed = ledger.claims.claim(
        job, attempt="a", owner="w", run_id="the-run", code_version=version, states=[JobState.NEW, JobState.DONE]
    )
    if state is JobState.DONE:
        ledger.claims.finish([Finished(claimed, "a", "r")], code_version=version)
    elif state is JobState.FAILED:
        error = JobError(kind="exception", message="ValueError: no", permanent=True)
        ledger.claims.fail(claimed, attempt="a", code_version=version, error=error)


def states(platform, *keys):
    return [entry.state.value for _, entry in sorted(platform.connections.ledger.jobs.get_many("double", keys).items())]


# -- submit --------------------------------------------------------------------------------------------------------


def test_a_job_file_an_nwb_path_a_zarr_folder_and_a_url_are_submitted(platform, tmp_path):
    (tmp_path / "a b.nwb").write_bytes(b"")
    (tmp_path / "z.nwb.zarr").mkdir()
    targets = [job_file(tmp_path), "a b.nwb", str(tmp_path / "z.nwb.zarr"), "https://host/session.nwb"]
    found = submit(platform, "double", targets, by_hand={})
    assert [s.target for s in found] == targets
    assert {s.state for s in found} == {JobState.NEW}
    jobs = platform.connections.ledger.jobs.get_many("double", [s.job_key for s in found])
    assert [jobs[s.job_key].inputs.spelled_locations for s in found] == [
        ("s3://bucket/asset",),
        (f"file://{tmp_path}/a%20b.nwb",),
        (f"file://{tmp_path}/z.nwb.zarr",),
        ("https://host/session.nwb",),
    ]
    (source,) = jobs[found[1].job_key].sources
    assert source.name.startswith(f"file://{tmp_path}/a%20b.nwb submitted by ")


def test_a_submitted_job_is_the_job_of_the_file_in_the_inbox(platform, tmp_path):
    platform.connections.job_inbox.write("double", "analysis_parameters.json", b'{"number": 3}')
    (tmp_path / "job.json").write_text('{"s3_location": ["s3://bucket/asset"]}', encoding="utf-8")
    (found,) = submit(platform, "double", ["job.json"], by_hand={})
    entry = platform.connections.ledger.jobs.get("double", found.job_key)
    assert (entry.parameters, entry.origins) == ({"number": 3.0}, {"number": "fixed_parameters"})


def test_values_given_by_hand_win_over_fixed_ones_and_lose_against_the_jobs(platform, tmp_path):
    platform.connections.job_inbox.write("double", "analysis_parameters.json", b'{"number": 3}')
    first, second = submit(platform, "double", ["s3://b/a", job_file(tmp_path, 5)], by_hand={"number": 4})
    jobs = platform.connections.ledger.jobs.get_many("double", [first.job_key, second.job_key])
    assert (jobs[first.job_key].parameters, jobs[first.job_key].origins) == ({"number": 4.0}, {"number": "by_hand"})
    assert jobs[second.job_key].parameters == {"number": 5.0}


def test_of_several_targets_none_is_stored_when_one_is_refused(platform, tmp_path):
    with pytest.raises(ParametersError, match="number"):
        submit(platform, "double", [job_file(tmp_path), job_file(tmp_path, "x", name="bad.json")], by_hand={})
    with pytest.raises(InputError, match="there is no such file"):
        submit(platform, "double", [job_file(tmp_path), "missing.json"], by_hand={})
    with pytest.raises(InputError):
        submit(platform, "double", [job_file(tmp_path), "s3://user:word@bucket/a"], by_hand={})
    assert sum(platform.connections.ledger.jobs.counts("double").values()) == 0


def test_submitting_again_asks_for_failed_jobs_and_leaves_the_others(platform, tmp_path):
    def again():
        return submit(platform, "double", [job_file(tmp_path), job_file(tmp_path)], by_hand={})[0]

    key = again().job_key
    set_state(platform, key, JobState.DONE)
    assert again().state is JobState.DONE
    set_state(platform, key, JobState.FAILED)
    assert again().state is JobState.NEW
    set_state(platform, key, JobState.RUNNING)
    assert again().state is JobState.RUNNING


def test_an_unknown_analysis_is_refused_with_the_list(platform):
    with pytest.raises(UnknownJobError, match="The analyses are: double, misbehave"):
        submit(platform, "dubble", ["s3://b/a"], by_hand={})


@pytest.mark.parametrize("name", ["nothing.nwb", "x" * 5000, "a\nb.json"])
def test_a_path_that_is_not_there_is_refused(name):
    with pytest.raises(InputError, match="there is no such file"):
        read_target(name)


def test_files_that_the_inbox_would_refuse_are_refused(tmp_path):
    (tmp_path / "large.json").write_bytes(b'{"s3_location": ["s3://b/a"]}' + b" " * MIB)
    with pytest.raises(JobFileError, match=rf"larger than 1 MiB \({MIB + 29} bytes\)"):
        read_target(str(tmp_path / "large.json"))
    with pytest.raises(JobFileError, match="cannot be read: Is a directory"):
        read_file(tmp_path)


def test_settings_are_json_where_they_can_be_read_as_json():
    found = parse_settings(["a=1", "b=0.5", "c=true", 'd="1"', "e=text=more", "f=", "g=[1, 2]", "h=null", "i=1.5 Hz"])
    assert found == {
        "a": 1,
        "b": 0.5,
        "c": True,
        "d": "1",
        "e": "text=more",
        "f": "",
        "g": [1, 2],
        "h": None,
        "i": "1.5 Hz",
    }
    deep = "[" * 50_000
    assert parse_settings([f"a={deep}"]) == {"a": deep}


@pytest.mark.parametrize("words", [["a"], ["=1"], ["a=1", "a=2"]])
def test_settings_that_are_none_are_refused(words):
    with pytest.raises(ParametersError, match="expected name=value, each name once"):
        parse_settings(words)


# -- validate ------------------------------------------------------------------------------------------------------


def test_files_are_judged_as_the_sensor_would(platform, tmp_path):
    good = job_file(tmp_path, 2)
    bad = job_file(tmp_path, "x", name="bad.json")
    (tmp_path / "no.json").write_bytes(b"{")
    found = validate(platform, [good, bad, "no.json", "missing.json"], analysis="double")
    assert [verdict.problem is None for verdict in found] == [True, False, False, False]
    (found_job,) = submit(platform, "double", [good], by_hand={})
    assert found[0].job_key == found_job.job_key
    assert "number" in found[1].problem
    assert "is not JSON" in found[2].problem
    assert "No such file" in found[3].problem


def test_without_an_analysis_only_the_file_is_judged(platform, tmp_path):
    (found,) = validate(platform, [job_file(tmp_path, "x")])
    assert (found.problem, found.job_key) == (None, None)


def test_a_file_in_an_inbox_is_judged_for_its_analysis(platform, settings):
    inbox = Path(settings.job_inbox)
    files = [job_file(inbox / "double" / "deep", "x"), job_file(inbox / "nobody"), job_file(inbox, name="top.json")]
    assert ["number" in (v.problem or "") for v in validate(platform, files)] == [True, False, False]


def test_what_is_ignored_is_said(platform, tmp_path):
    path = job_file(tmp_path, surprise=1, distributed_parameters={"dry_run": True, "number": 2})
    (found,) = validate(platform, [path], analysis="double")
    assert found.warnings == (
        "unknown key `surprise` is ignored",
        "label `dry_run` in distributed_parameters is ignored",
    )
    assert validate(platform, [path])[0].warnings == ("unknown key `surprise` is ignored",)


def test_validating_stores_nothing(platform, tmp_path):
    validate(platform, [job_file(tmp_path)], analysis="double")
    assert sum(platform.connections.ledger.jobs.counts("double").values()) == 0


def test_fixed_parameters_that_cannot_be_used_are_the_files_problem(platform, tmp_path):
    platform.connections.job_inbox.write("double", "analysis_parameters.json", b"{")
    (found,) = validate(platform, [job_file(tmp_path)], analysis="double")
    assert "analysis_parameters.json is not JSON" in found.problem


# -- rerun ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def keys(platform, tmp_path):
    """Store one job in each state, by name."""
    names = ["new", "running", "done", "failed", "outdated"]
    files = [job_file(tmp_path, number, name=f"{number}.json") for number in range(len(names))]
    found = submit(platform, "double", files, by_hand={})
    keys = dict(zip(names, [s.job_key for s in found], strict=True))
    for name in names[1:4]:
        set_state(platform, keys[name], JobState(name))
    set_state(platform, keys["outdated"], JobState.DONE, code_version="0+other")
    return keys


def test_failed_jobs_are_requested_again(platform, keys):
    assert rerun(platform, "double", failed=ANY_FAULT) == [keys["failed"]]
    assert states(platform, keys["failed"]) == ["new"]


def test_the_reason_for_outdated_results_is_counted_by_code_version(platform, keys):
    (said,) = outdated_summary(platform, "double")
    assert said.startswith("1 result of 0+other: The declared version has changed from 0 to 1.")
    rerun(platform, "double", outdated=True)
    assert outdated_summary(platform, "double") == []


def test_outdated_jobs_are_requested_again(platform, keys):
    assert rerun(platform, "double", outdated=True) == [keys["outdated"]]
    assert states(platform, keys["outdated"], keys["done"]).count("done") == 1


def test_named_jobs_are_requested_again_except_those_that_run(platform, keys):
    wanted = [keys["done"], keys["running"], keys["done"]]
    assert rerun(platform, "double", keys=wanted) == [keys["done"]]
    assert states(platform, keys["running"]) == ["running"]
    assert platform.connections.ledger.jobs.get("double", keys["done"]).force is None


def test_a_forced_rerun_keeps_its_reason(platform, keys):
    rerun(platform, "double", keys=[keys["done"]], force_reason="new drift correction")
    force = platform.connections.ledger.jobs.get("double", keys["done"]).force
    assert force.reason == "new drift correction"
    assert force.who


def test_a_key_that_is_not_known_is_refused_and_nothing_is_requested(platform, keys):
    with pytest.raises(UnknownJobError, match="is stored under nonsense"):
        rerun(platform, "double", keys=[keys["failed"], "nonsense"])
    assert states(platform, keys["failed"]) == ["failed"]


def test_the_key_of_a_job_does_not_depend_on_who_takes_it_in(platform, tmp_path):
    entry = platform.entry("double")
    stored, _ = ingest(entry.analysis, read_target(job_file(tmp_path, 1)), name="x", fixed={})
    assert submit(platform, "double", [job_file(tmp_path, 1.0)], by_hand={})[0].job_key == stored.job_key


def test_an_error_about_one_job_names_it(platform):
    with pytest.raises(UnknownJobError) as raised:
        rerun(platform, "double", keys=["f" * 32])
    assert (raised.value.analysis, raised.value.job_key) == ("double", "f" * 32)
    with pytest.raises(UnknownJobError) as raised:
        rerun(platform, "double", keys=["f" * 32, "e" * 32])
    assert (raised.value.analysis, raised.value.job_key) == ("double", None)


def test_an_error_about_a_file_names_it(tmp_path):
    path = str(tmp_path / "nothing.json")
    with pytest.raises(InputError) as raised:
        read_target(path)
    assert raised.value.location == path
