import pytest
from pydantic import BaseModel, Field

from domain.analysis import Analysis, OutputsModel, ParametersModel
from domain.errors import InputError, JobChangedError, ParametersError
from domain.job.identity import JobInputs, job_key
from domain.job.job_file import AnalysisCode, Job
from domain.job.state import LedgerEntry
from domain.job.stored import StoredJob, ingest, verify
from domain.result.provenance import GroupField


class Outputs(OutputsModel):
    """What the demo gives."""


class Parameters(ParametersModel):
    """What the demo takes."""

    bin_s: float = Field(default=0.05, gt=0, description="Bin width.")
    strict: bool = Field(default=True, description="A flag.")


def analysis_with(model):
    return Analysis(
        name="demo", version="1", owners=("team:test",), parameters=model, outputs=Outputs, run=lambda *_: None
    )


def changed(**fields):
    """Make an analysis whose Parameters model has other fields than the demo's."""
    annotations = {name: kind for name, (kind, _) in fields.items()}
    defaults = {name: Field(default=default, description="Text.") for name, (_, default) in fields.items()}
    return analysis_with(type("Parameters", (ParametersModel,), {"__annotations__": annotations, **defaults}))


DEMO = analysis_with(Parameters)


def stored_with(analysis=DEMO, **distributed):
    job = Job(s3_location=("s3://Bucket/a/",), distributed_parameters=distributed)
    return ingest(analysis, job, name="me", fixed={})[0]


def test_taking_a_job_in_fixes_inputs_parameters_and_key():
    job = Job(s3_location=("s3://bucket/b", "S3://BUCKET/a/"), distributed_parameters={"bin_s": 0.2})
    stored, _ = ingest(DEMO, job, name="s3://inbox/1.json", fixed={"bin_s": 0.1}, by_hand={"strict": False})
    assert stored.analysis == "demo"
    assert stored.inputs.locations == ("s3://bucket/a", "s3://bucket/b")
    assert stored.inputs.spelled_locations == ("S3://BUCKET/a/", "s3://bucket/b")
    assert stored.parameters == {"bin_s": 0.2, "strict": False}
    assert stored.origins == {"bin_s": "distributed_parameters", "strict": "by_hand"}
    assert stored.job_key == job_key(stored.inputs, stored.parameters)


def test_defaults_are_part_of_the_stored_parameters():
    stored = stored_with()
    assert stored.parameters == {"bin_s": 0.05, "strict": True}
    assert stored.job_key == stored_with(bin_s=0.05, strict=True).job_key != stored_with(bin_s=0.06).job_key


def test_what_a_file_says_besides_its_job_is_kept_with_its_source():
    job = Job(
        s3_location=("s3://bucket/a",),
        asset_name=("asset",),
        docdb_record_id=("record",),
        query='{"a": 1}',
        dispatch_id="d1",
        analysis_code=AnalysisCode(url="https://host/repo", version="abc", parameters={"bin_s": 3}),
        distributed_parameters={"dry_run": "1"},
        unknown_keys=("novelty",),
        group_metadata={"subject.id": "7", "n": 2},
    )
    stored, source = ingest(DEMO, job, name="file.json", fixed={})
    assert stored.parameters["bin_s"] == 3
    assert source.model_dump() == {
        "name": "file.json",
        "query": '{"a": 1}',
        "group": ({"field": "n", "value": 2}, {"field": "subject.id", "value": "7"}),
        "asset_names": ("asset",),
        "record_ids": ("record",),
        "dispatch_id": "d1",
        "requested_code_url": "https://host/repo",
        "requested_code_version": "abc",
        "stripped": {"dry_run": "distributed_parameters"},
        "unknown_keys": ("novelty",),
    }


def test_a_source_without_code_or_group_says_so():
    _, source = ingest(DEMO, Job(s3_location=("s3://bucket/a",)), name="file.json", fixed={})
    assert source.requested_code_url is source.requested_code_version is source.query is None
    assert source.group == ()


def test_group_values_are_scalars_or_canonical_text():
    group = {"z": None, "flag": True, "n": 1, "x": 0.5, "word": "ä", "list": [2, 1], "object": {"b": 1, "a": "ü"}}
    _, source = ingest(DEMO, Job(s3_location=("s3://bucket/a",), group_metadata=group), name="f", fixed={})
    assert source.group == (
        GroupField(field="flag", value=True),
        GroupField(field="list", value="[2,1]"),
        GroupField(field="n", value=1),
        GroupField(field="object", value='{"a":"ü","b":1}'),
        GroupField(field="word", value="ä"),
        GroupField(field="x", value=0.5),
        GroupField(field="z", value=None),
    )


def test_refused_inputs_and_parameters_are_refused_when_the_job_is_taken_in():
    with pytest.raises(InputError):
        ingest(DEMO, Job(s3_location=("s3://bucket/a?X-Amz-Signature=1",), file_location=()), name="f", fixed={})
    with pytest.raises(ParametersError, match="bin"):
        ingest(DEMO, Job(s3_location=("s3://bucket/a",)), name="f", fixed={"bin": 1})


def test_an_unchanged_model_gets_its_parameters_back():
    assert verify(DEMO, stored_with(bin_s=0.25)) == Parameters(bin_s=0.25)


def test_a_stored_job_survives_json():
    stored = stored_with(bin_s=0.25)
    assert StoredJob.model_validate_json(stored.model_dump_json()) == stored


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"bin_s": (float, 0.05)}, "`strict`"),
        ({"bin_s": (str, "x"), "strict": (bool, True)}, "`bin_s`"),
        ({"bin_s": (float, 0.05), "strict": (bool, True), "extra_s": (float, 1.0)}, "fields `extra_s` have changed"),
        ({"bin_s": (float, 0.05), "strict": (int, 1)}, "fields `strict` have changed"),
    ],
    ids=["field removed", "other type", "field added", "equal to Python, other JSON"],
)
def test_a_changed_model_is_refused_by_naming_the_fields(fields, named):
    stored = stored_with()
    with pytest.raises(JobChangedError) as caught:
        verify(changed(**fields), stored)
    assert named in str(caught.value)
    assert stored.job_key in str(caught.value)
    assert "`analysis rekey` adds the job under its new key" in str(caught.value)


def test_a_default_that_changed_is_not_a_change_because_defaults_were_stored():
    model = changed(bin_s=(float, 9.0), strict=(bool, False))
    assert verify(model, stored_with()).bin_s == 0.05


def test_a_float_that_became_an_integer_of_the_same_value_keeps_its_key():
    assert verify(changed(bin_s=(int, 1), strict=(bool, True)), stored_with(bin_s=2.0)).bin_s == 2


def test_inputs_that_no_longer_give_the_key_are_distinguished_from_parameters():
    stored = stored_with()
    other = stored.model_copy(update={"inputs": JobInputs.of(Job(s3_location=("s3://bucket/other",)))})
    with pytest.raises(JobChangedError, match="its inputs differ"):
        verify(DEMO, other)


def entry_of(stored, **fields):
    return LedgerEntry.model_validate(
        {**stored.model_dump(mode="json"), "state": "new", "created": "ignored", **fields}
    )


def test_a_ledger_entry_gives_back_the_very_job_that_was_stored():
    stored = stored_with(bin_s=0.25)
    assert entry_of(stored).stored_job == stored
    assert isinstance(verify(DEMO, entry_of(stored).stored_job), BaseModel)
