"""The two examples of the earlier wrapper's template, run as analyses of this platform."""

from pathlib import Path

import pytest

from domain.errors import ParametersError
from domain.job.job_file import Job
from domain.job.stored import Source, ingest
from engine.discovery.analyses import find_analyses

LAB = Path(__file__).parents[2] / "lab_wrapper"
LABELS = {"analysis_name": "n", "analysis_tag": "the tag"}


def computed(platform, job):
    """Store a job, work it off, and give its outcome."""
    stored, _ = ingest(platform.entry.analysis, job, name="test", fixed={})
    platform.services.ledger.requests.store([(stored, Source(name="test"))], code_version=platform.entry.code_version)
    outcome = platform.work(stored.job_key)[stored.job_key]
    assert outcome.error is None, outcome.error
    return outcome.provenance


def files_of(platform, provenance):
    """Name the files of a result."""
    return {f.path for f in platform.services.results.list_files(provenance.location)}


def test_both_examples_load_with_models_that_are_not_frozen_and_accept_anything():
    assert sorted(find_analyses(LAB)) == ["behavior", "ephys"]


def test_the_ephys_example_finds_its_results_folder_as_before(make_platform, tmp_path):
    platform = make_platform(LAB / "ephys.py")
    (tmp_path / "unit.nwb").write_text("unit 7", encoding="utf-8")
    parameters = {**LABELS, "isi_violations_cutoff": 0.05}
    job = Job(file_location=((tmp_path / "unit.nwb").as_uri(),), distributed_parameters=parameters)
    found = computed(platform, job)
    assert found.outputs == {"isi_violations": ["unit 7"], "additional_info": "cutoff 0.05"}
    assert found.parameters["spike_count_threshold"] == 100
    assert {"table.csv", "tag.txt"} < files_of(platform, found)
    assert [Path(i.url).name for i in found.inputs] == ["unit.nwb"]


def test_the_behavior_example_gets_its_results_folder_as_an_argument(make_platform):
    platform = make_platform(LAB / "behavior.py")
    parameters = {**LABELS, "response_window": [0.25, 1.25], "trial_types": ["go", "nogo"]}
    found = computed(platform, Job(s3_location=("s3://b/asset",), distributed_parameters=parameters))
    assert found.outputs == {"n_types": 2, "window_s": 1.0}
    assert "sessions.txt" in files_of(platform, found)


def test_a_typing_error_that_the_wrapper_accepted_is_refused(make_platform):
    platform = make_platform(LAB / "ephys.py")
    parameters = {**LABELS, "isi_violations_cutof": 0.05, "isi_violations_cutoff": 0.05}
    with pytest.raises(ParametersError, match="did you mean `isi_violations_cutoff`"):
        computed(platform, Job(s3_location=("s3://b/asset",), distributed_parameters=parameters))
