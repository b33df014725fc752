"""Models and functions that were written for the earlier wrapper become an analysis without a change."""

from typing import Any

import pytest
from aind_data_schema.base import GenericModel
from pydantic import BaseModel, Field, ValidationError

from domain.analysis import Analysis, AnalysisJob
from domain.errors import AnalysisFileError
from domain.job.metadata import JobMetadata
from domain.wrapper import from_wrapper


class Inputs(GenericModel):
    """What the wrapper's template shows: no frozen model, descriptions missing or in several pieces."""

    analysis_name: str = Field(..., description="A name")
    analysis_tag: str = Field(..., description=("A tag ", "in two pieces"))
    isi_violations_cutoff: float = Field(..., description="Cutoff", ge=0)
    names: list[str] = Field(default_factory=list)


class Results(GenericModel):
    """What comes back."""

    isi_violations: list[str | int] = Field(..., description="Violations")
    additional_info: str | None = None


GIVEN = {"analysis_name": "n", "analysis_tag": "t", "isi_violations_cutoff": 0.5}


def two(dispatch_model: Any, parameters: Any) -> dict[str, Any]:
    """Return what was given."""
    parameters.analysis_tag = "changed by the function itself, which was allowed"
    return {"isi_violations": [type(parameters) is Inputs, dispatch_model.model_dump_json()]}


def three(dispatch_model: Any, parameters: Any, results: Any) -> dict[str, Any]:
    """Return the folder."""
    return {"isi_violations": [], "additional_info": str(results)}


def no_arguments() -> dict[str, Any]:
    """Take nothing."""
    return {}


def made(function=two, **form) -> Analysis:
    return from_wrapper(Inputs, Results, function, **{"name": "mine", "version": "1", "owners": ("team:t",), **form})


def run(analysis: Analysis, tmp_path, **job) -> Any:
    given = AnalysisJob(**{"locations": ("s3://b/a",), "files": (), "opener": lambda: (tmp_path / "a.nwb",), **job})
    return analysis.run(given, analysis.parameters(**GIVEN), tmp_path)


def test_parameters_are_frozen_and_strict_and_stay_what_they_are():
    model = made().parameters
    assert issubclass(model, Inputs)
    assert (model.__name__, model.__doc__) == ("Inputs", Inputs.__doc__)
    parameters = model(**GIVEN)
    assert parameters.model_dump() == {**GIVEN, "names": []}
    with pytest.raises(ValidationError, match="frozen"):
        parameters.analysis_name = "other"
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        model(**GIVEN, isi_violation_cutoff=1)
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        model(**{**GIVEN, "isi_violations_cutoff": -1})


def test_every_field_gets_a_description_in_one_piece():
    assert {n: f.description for n, f in made().parameters.model_fields.items()} == {
        "analysis_name": "A name",
        "analysis_tag": "A tag in two pieces",
        "isi_violations_cutoff": "Cutoff",
        "names": "Not described by its author.",
    }
    assert made().outputs.model_fields["additional_info"].description == "Not described by its author."


def test_the_function_gets_its_own_model_and_the_fields_that_it_knew(tmp_path):
    is_own_model, dispatch = run(made(), tmp_path)["isi_violations"]
    assert is_own_model is True
    assert f'"file_location":["{tmp_path}/a.nwb"]' in dispatch
    assert '"s3_location":["s3://b/a"]' in dispatch
    assert '"distributed_parameters":{"analysis_name":"n"' in dispatch
    for name in ("asset_id", "asset_name", "docdb_record_id", "group_metadata", "query", "analysis_code"):
        assert f'"{name}":null' in dispatch


def test_the_function_gets_the_metadata_that_the_analysis_declares(tmp_path):
    records = ({"_id": "r1", "name": "one"}, {"_id": "r2"})
    both = JobMetadata(("s3://b/a", "s3://b/b"), records, {"subject": "7"})
    for metadata, shown in (
        (both, ('"docdb_record_id":["r1","r2"]', '"asset_name":["one",""]', '"group_metadata":{"subject":"7"}')),
        (JobMetadata(("s3://b/a",), group={}), ('"docdb_record_id":null', '"asset_name":null', '"group_metadata":{}')),
    ):
        (_, dispatch) = run(made(), tmp_path, metadata=metadata)["isi_violations"]
        assert all(text in dispatch for text in shown), dispatch
    assert made(input_metadata=("records",)).input_metadata == ("records",)


def test_a_function_of_three_arguments_gets_the_results_folder(tmp_path):
    assert run(made(three), tmp_path)["additional_info"] == str(tmp_path)
    assert made().working_folder == "results"


@pytest.mark.parametrize(("files", "shown"), [((), "null"), (("s3://b/a/x.nwb",), '["s3://b/a/x.nwb"]')])
def test_a_function_that_opens_addresses_itself_is_not_made_to_download(tmp_path, files, shown):
    def never():
        raise AssertionError

    (_, dispatch) = run(made(open_inputs=False), tmp_path, files=files, opener=never)["isi_violations"]
    assert f'"file_location":{shown}' in dispatch


def test_a_function_from_another_package_is_part_of_the_code():
    def imported(dispatch_model, parameters):
        """Stand for a function of an installed package."""

    for module, packages in (
        ("my_capsule.run", ("my_capsule",)),
        ("analysis_assets.methods.fit", ()),
        ("lab.mine", ()),
    ):
        imported.__module__ = module
        assert made(imported).packages == packages
    imported.__module__ = "my_capsule.run"
    assert made(imported, packages=("more",)).packages == ("more", "my_capsule")


@pytest.mark.parametrize(
    "function",
    [lambda d, p: {}, print, no_arguments, made, pytest.mark],
    ids=["lambda", "builtin", "no arguments", "keywords", "no function"],
)
def test_what_is_not_a_function_of_two_or_three_arguments_is_refused(function):
    with pytest.raises(AnalysisFileError, match="from_wrapper: "):
        made(function)


def test_a_default_that_differs_each_time_is_refused():
    class Random(BaseModel):
        """Gives another default each time."""

        number: object = Field(default_factory=object, description="x")

    with pytest.raises(AnalysisFileError, match=r"`Random\.number` has a default factory"):
        from_wrapper(Random, Results, two, name="mine", version="1", owners=("team:t",))
