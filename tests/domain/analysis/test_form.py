from pathlib import Path

import pytest
from pydantic import Field, ValidationError

from domain.analysis import Analysis, AnalysisJob, OutputsModel, ParametersModel, Retry
from domain.errors import AnalysisFileError
from domain.job.metadata import JobMetadata


class Parameters(ParametersModel):
    """What the demo takes."""

    bin_s: float = Field(default=0.05, description="Bin width.")


class Outputs(OutputsModel):
    """What the demo gives."""

    rate_hz: float = Field(description="Rate.")


def analysis(**fields):
    given = {
        "name": "demo",
        "version": "1",
        "owners": ("team:test",),
        "parameters": Parameters,
        "outputs": Outputs,
        "run": lambda *_: None,
    }
    return Analysis(**(given | fields))


def test_an_analysis_needs_no_more_than_name_version_owners_models_and_run():
    made = analysis()
    assert (made.time_limit_s, made.batch_size, made.workers, made.figure) == (3600.0, 100, None, None)
    assert made.retry == Retry(max_attempts=3, delay_s=5.0, backoff=2.0)
    assert (made.code_identity, made.packages, made.tags) == ("source", (), {})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "Demo"),
        ("name", "1demo"),
        ("name", "de-mo"),
        ("name", "demo\n"),
        ("name", ""),
        ("name", "d" * 64),
        ("version", ""),
        ("version", "1+2"),
        ("version", "v" * 33),
        ("version", "1 "),
        ("owners", ()),
        ("time_limit_s", 0),
        ("workers", 0),
        ("workers", 257),
        ("batch_size", 0),
        ("batch_size", 1001),
        ("code_identity", "commit"),
        ("parameters", Parameters()),
        ("run", "not callable"),
        ("novelty", 1),
    ],
)
def test_values_out_of_bounds_are_refused_by_field(field, value):
    with pytest.raises(ValidationError) as caught:
        analysis(**{field: value})
    assert {error["loc"][0] for error in caught.value.errors()} == {field}


@pytest.mark.parametrize(
    ("field", "value"), [("max_attempts", 0), ("max_attempts", 21), ("delay_s", -1), ("backoff", 0.5)]
)
def test_a_retry_policy_has_bounds(field, value):
    with pytest.raises(ValidationError):
        Retry(**{field: value})


@pytest.mark.parametrize(
    "made", [analysis(), Retry(), Parameters(), Outputs(rate_hz=1.0)], ids=lambda m: type(m).__name__
)
def test_descriptions_parameters_and_outputs_are_frozen(made):
    with pytest.raises(ValidationError, match="frozen"):
        setattr(made, next(iter(type(made).model_fields)), 1)


def test_models_that_cannot_carry_identity_are_refused_with_our_own_error():
    class Bare(ParametersModel):
        """No description."""

        x: int = 1

    class Silent(OutputsModel):
        """No description."""

        y: int

    with pytest.raises(AnalysisFileError, match="`x` has no description"):
        analysis(parameters=Bare)
    with pytest.raises(AnalysisFileError, match="no description on `y`"):
        analysis(outputs=Silent)


def test_a_job_opens_its_inputs_through_the_platform():
    job = AnalysisJob(("s3://bucket/a",), (), lambda: (Path("a.nwb"),))
    assert job.open_inputs() == (Path("a.nwb"),)


def test_a_job_gives_only_the_metadata_that_the_analysis_declares():
    job = AnalysisJob(("s3://b/a",), (), tuple, metadata=JobMetadata(("s3://b/a",), records=({"_id": "r"},)))
    assert job.metadata_records == ({"_id": "r"},)
    with pytest.raises(
        AnalysisFileError, match=r'`job\.group` is only .* write input_metadata=\("group",\) in Analysis'
    ):
        _ = job.group
    job = AnalysisJob(("s3://b/a",), (), tuple, metadata=JobMetadata(("s3://b/a",), group={}))
    assert job.group == {}
    with pytest.raises(AnalysisFileError, match=r'`job\.metadata_records` is only .*input_metadata=\("records",\)'):
        _ = job.metadata_records
    with pytest.raises(AnalysisFileError):
        _ = AnalysisJob(("s3://b/a",), (), tuple).group
    with pytest.raises(ValidationError, match="'records' or 'group'"):
        analysis(input_metadata=("names",))


def test_a_check_that_cannot_be_asked_is_refused_when_the_form_is_made():
    with pytest.raises(
        AnalysisFileError, match="The checks of `demo` cannot be used: `<lambda>` is not a plain function"
    ):
        analysis(checks=(lambda outputs: True,))
