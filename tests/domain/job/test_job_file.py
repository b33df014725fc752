import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import JobFileError, PlatformError
from domain.job.job_file import AnalysisCode, Job, read_job
from tests.real_data import REAL_DATA, needs_real_data

QUICK = settings(max_examples=100, deadline=None, database=None)
DATA = REAL_DATA / "job_files"

BUCKET = "s3://codeocean-s3datasetsbucket-1u41qdg42ur9"
CODE = AnalysisCode(
    url="https://codeocean.allenneuraldynamics.org/capsule/4544861",
    version="ad6db0dca9e5fffc1544686c01f39aac1e46c841",
    parameters={"analysis_name": "Unit Filtering", "analysis_tag": "V1", "isi_violations_cutoff": 0.8},
)
QUERY = (
    '{"subject.subject_id": "820117", "data_description.data_level": "derived", '
    '"data_description.modality.abbreviation": "behavior"}'
)
REAL = {
    "aw_2025-06_v1_assetid_fileloc.json": Job(
        s3_location=(f"{BUCKET}/50fa9416-4e21-482f-8901-889322a87ae3",),
        asset_id=("50fa9416-4e21-482f-8901-889322a87ae3",),
        asset_name=("behavior_774659_2025-06-07_14-31-15_processed_2025-06-08_03-49-49",),
        file_location=(f"{BUCKET}/50fa9416-4e21-482f-8901-889322a87ae3/nwb/behavior_774659_2025-06-07_14-31-15.nwb",),
    ),
    "aw_2025-08_v2_assetid_distparams.json": Job(
        s3_location=(f"{BUCKET}/50fa9416-4e21-482f-8901-889322a87ae3",),
        asset_id=("50fa9416-4e21-482f-8901-889322a87ae3",),
        asset_name=("behavior_774659_2025-06-07_14-31-15_processed_2025-06-08_03-49-49",),
        distributed_parameters={"isi_violations_cutoff": 0.05},
    ),
    "template_2026-02_v3_docdbid_query_code.json": Job(
        s3_location=(f"{BUCKET}/8351747a-f472-43f9-a53b-cd1f9aa35288",),
        docdb_record_id=("dfb3a13e-ed0b-48bc-8ede-d68da8f3fb8b",),
        distributed_parameters={"isi_violations_cutoff": 0.05},
        query=QUERY,
        analysis_code=CODE,
    ),
    "template_2026-03_v4_full.json": Job(
        s3_location=(f"{BUCKET}/8351747a-f472-43f9-a53b-cd1f9aa35288",),
        asset_name=("820117_example_asset",),
        docdb_record_id=("dfb3a13e-ed0b-48bc-8ede-d68da8f3fb8b",),
        distributed_parameters={"isi_violations_cutoff": 0.05},
        query=QUERY,
        analysis_code=CODE,
    ),
    "curation_2026-06_nwb_file.json": Job(
        s3_location=(f"{BUCKET}/8351747a-f472-43f9-a53b-cd1f9aa35288",),
        asset_name=("behavior_754280_2024-11-27_11-14-15",),
        docdb_record_id=("c6eb823c-1488-4f1f-b066-67c6a839b41d",),
        file_location=(f"{BUCKET}/c04e0c23-2286-4731-8777-377ab6e68f88/nwb/behavior_754280_2024-11-27_11-14-15.nwb",),
        query=QUERY,
        analysis_code=CODE.model_copy(
            update={
                "parameters": {
                    "name": "hello analysis framework!",
                    "channels": {"G_0": "Fake_channel_to_test!", "Iso_0": "Fake channel_to_test 2"},
                    "preprocessing": "raw",
                }
            }
        ),
    ),
}


def read(**fields):
    return read_job(json.dumps(fields).encode(), name="a.json")


def refusal(**fields):
    with pytest.raises(JobFileError) as caught:
        read(**fields)
    return str(caught.value)


@needs_real_data
@pytest.mark.parametrize("name", REAL)
def test_a_real_job_file_of_each_generation_is_read(name):
    assert read_job((DATA / name).read_bytes(), name=name) == REAL[name]


@needs_real_data
def test_the_real_file_that_is_not_json_is_refused_at_its_line():
    name = "curation_OLD_FILE_LOC_invalid.json"
    with pytest.raises(JobFileError, match="not JSON: Expecting ':' delimiter at line 5, column 5, found a string"):
        read_job((DATA / name).read_bytes(), name=name)


@needs_real_data
def test_every_real_job_file_has_a_test():
    assert {path.name for path in DATA.iterdir()} == {*REAL, "curation_OLD_FILE_LOC_invalid.json"}


def test_a_location_may_be_a_single_string():
    assert read(s3_location="s3://b/a") == read(s3_location=["s3://b/a"])
    assert read(file_location="s3://b/a.nwb").file_location == ("s3://b/a.nwb",)
    assert "`asset_name` is a string, expected a list of strings" in refusal(s3_location="s3://b/a", asset_name="x")


def test_null_absent_and_empty_lists_mean_the_same():
    job = Job(s3_location=("s3://b/a",))
    assert read(s3_location=["s3://b/a"], file_location=None, asset_id=[]) == job
    assert read(s3_location=["s3://b/a"], distributed_parameters=None, group_metadata=None, query=None) == job


def test_the_older_name_and_a_list_of_one_give_the_same_parameters():
    wanted = read(s3_location="s3://b/a", distributed_parameters={"x": 1})
    assert wanted.distributed_parameters == {"x": 1}
    assert read(s3_location="s3://b/a", analysis_parameters={"x": 1}) == wanted
    assert read(s3_location="s3://b/a", distributed_parameters=[{"x": 1}]) == wanted
    assert read(s3_location="s3://b/a", distributed_parameters={"x": 1.0}, analysis_parameters=[{"x": 1}]) == wanted
    assert read(s3_location="s3://b/a", distributed_parameters={"x": 1}, analysis_parameters=None) == wanted
    assert read(s3_location="s3://b/a", distributed_parameters=[]).distributed_parameters == {}


def test_several_sets_or_two_different_sets_of_parameters_are_refused():
    reported = refusal(s3_location="s3://b/a", distributed_parameters=[{"x": 1}, {"x": 2}])
    assert "`distributed_parameters` lists 2 sets of parameters: a job has one set" in reported
    reported = refusal(s3_location="s3://b/a", distributed_parameters={"x": 1}, analysis_parameters={"x": 2})
    assert "`distributed_parameters` and its older name `analysis_parameters` differ" in reported


def test_a_query_given_as_an_object_is_kept_as_canonical_text():
    assert read(s3_location="s3://b/a", query={"b": {"$in": [1.0]}, "a": 2}).query == '{"a":2,"b":{"$in":[1]}}'
    assert read(s3_location="s3://b/a", query="anything").query == "anything"


def test_group_metadata_may_have_dotted_keys():
    group = {"subject.subject_id": "1", "$x": None}
    assert read(s3_location="s3://b/a", group_metadata=group).group_metadata == group


def test_the_requested_code_keeps_address_version_and_parameters_only():
    code = {"object_type": "Code", "url": "https://tok:en@host/repo", "version": None, "parameters": None, "name": "x"}
    assert read(s3_location="s3://b/a", analysis_code=code).analysis_code == AnalysisCode(url="https://host/repo")


def test_unknown_keys_are_reported_and_not_refused():
    job = read(s3_location="s3://b/a", zeta=[1], alpha=None, dispatch_id="d1")
    assert job.unknown_keys == ("alpha", "zeta")
    assert job.dispatch_id == "d1"


@pytest.mark.parametrize(
    ("fields", "reported"),
    [
        (
            {"s3_location": ["s3://b/1", "s3://b/2"], "asset_id": ["1"]},
            "`asset_id` has 1 entries and `s3_location` has 2",
        ),
        ({"s3_location": ["s3://b/1"], "asset_name": ["1", "2"]}, "`asset_name` has 2 entries and `s3_location` has 1"),
        (
            {"s3_location": ["s3://b/1", "s3://b/2"], "file_location": ["s3://b/1/x"]},
            "`file_location` has 1 entries and `s3_location` has 2",
        ),
        (
            {"file_location": ["s3://b/1", "s3://b/2"], "docdb_record_id": ["x"]},
            "`docdb_record_id` has 1 entries and `file_location` has 2",
        ),
    ],
)
def test_lists_that_do_not_run_in_parallel_are_refused_with_names_and_lengths(fields, reported):
    assert reported in refusal(**fields)


def test_one_asset_may_have_several_files_as_an_unsplit_dispatch_writes_them():
    files = ["s3://b/1/x.nwb", "s3://b/1/y.nwb", "s3://b/1/z.nwb"]
    assert read(s3_location=["s3://b/1"], asset_name=["one"], file_location=files).file_location == tuple(files)


@pytest.mark.parametrize(
    ("fields", "reported"),
    [
        ({}, "no input is named: give `s3_location` or `file_location`"),
        ({"s3_location": [], "file_location": None}, "no input is named"),
        (
            {"s3_location": ["s3://b/1", "data/x.nwb"]},
            "`s3_location[1]` is not a URL: 'data/x.nwb' (expected s3://bucket/key",
        ),
        ({"s3_location": [""]}, "`s3_location[0]` is an empty string"),
        ({"s3_location": 7}, "`s3_location` is a number, expected a list of strings"),
        ({"s3_location": ["s3://b/1", None]}, "`s3_location[1]` is null, expected a string"),
        (
            {"s3_location": "s3://b/1", "distributed_parameters": "x"},
            "`distributed_parameters` is a string, expected an o",
        ),
        ({"s3_location": "s3://b/1", "group_metadata": []}, "`group_metadata` is a list, expected an object or null"),
        ({"s3_location": "s3://b/1", "query": 1}, "`query` is a number, expected a string or null"),
        ({"s3_location": "s3://b/1", "dispatch_id": {}}, "`dispatch_id` is an object, expected a string or null"),
        ({"s3_location": "s3://b/1", "analysis_code": "x"}, "`analysis_code` is a string, expected an object or null"),
        ({"s3_location": "s3://b/1", "analysis_code": {"url": 1}}, "in `analysis_code`: `url` is a number"),
        ({"s3_location": "s3://b/\ud800"}, "`s3_location[0]` holds a lone surrogate"),
        ({"s3_location": "s3://b/1", "\ud800": 1}, "the key `\\ud800` holds a lone surrogate"),
        ({"s3_location": "s3://b/1", "query": {"a": 2**60}}, "`query.a` is an integer beyond ±(2^53-1): use a string"),
        ({"s3_location": "s3://b/1", "distributed_parameters": {"\ud800": 1}}, "holds a lone surrogate"),
    ],
)
def test_a_job_that_cannot_be_used_is_refused_with_the_reason(fields, reported):
    assert reported in refusal(**fields)


def test_all_faults_are_named_at_once():
    reported = refusal(s3_location=["x", "s3://b/1"], asset_id=["1"], query=1, analysis_code={"parameters": 3})
    for part in ("`s3_location[0]`", "`asset_id` has 1", "`query` is", "in `analysis_code`: `parameters` is a number"):
        assert part in reported
    assert reported.startswith("Job file a.json cannot be used: ")


def test_an_input_is_shown_without_what_may_be_secret():
    reported = refusal(s3_location=["//me:hunter2@host/x?sig=abc"])
    assert "hunter2" not in reported
    assert "abc" not in reported


@pytest.mark.parametrize(
    ("data", "reported"),
    [
        (b"[]", "holds a list; a job is one JSON object"),
        (b"null", "holds null; a job is one JSON object"),
        (b"", "is not JSON"),
        (b'{"a": 1e999, "s3_location": "s3://b/a", "group_metadata": {"x": 1e999}}', "`group_metadata.x` is inf"),
        (b"[" * 100_000, "nested deeper than 32 levels"),
        (b" " * (1 << 20) + b"{}", "1 MiB"),
    ],
)
def test_a_file_that_is_not_a_job_is_refused_with_the_reason(data, reported):
    with pytest.raises(JobFileError, match=reported.replace("(", r"\(")):
        read_job(data, name="a.json")


KEYS = st.sampled_from([*Job.model_fields, "analysis_parameters", "other"])
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("s3://b/k"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(), inner, max_size=5),
    max_leaves=15,
)


@QUICK
@given(ANY_JSON | st.dictionaries(KEYS, ANY_JSON))
def test_any_json_is_read_or_refused_and_never_crashes(value):
    with suppress(PlatformError):
        read_job(json.dumps(value).encode(), name="x")


@QUICK
@given(st.binary())
def test_any_bytes_are_read_or_refused_and_never_crash(data):
    with suppress(PlatformError):
        read_job(data, name="x")
