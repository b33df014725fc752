"""Analyses from code that was written for the earlier analysis wrapper.

`from_wrapper` takes the three arguments of the wrapper's ``run_analysis_jobs`` and returns an `Analysis`. The models
are made strict by inheritance; the function is not changed. ``docs/from-the-wrapper.md`` shows an example.
"""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.fields import FieldInfo

from domain.analysis import Analysis, AnalysisJob
from domain.errors import AnalysisFileError
from domain.job.metadata import JobMetadata

_TWO, _THREE = 2, 3
_OWN_PACKAGE = "analysis_assets"


class DispatchModel(BaseModel):
    """The job as the function receives it: the fields of the wrapper's ``AnalysisDispatchModel``.

    The fields that are part of the job key have values, and those that the analysis declares in ``input_metadata``, whose
    digests are recorded. The others exist because code may read them, and are None: a result must not depend on what is
    neither part of its identity nor recorded.
    """

    model_config = ConfigDict(extra="forbid")

    s3_location: list[str] = Field(description="URLs of the data assets, in the order of the job's identity.")
    file_location: list[str] | None = Field(default=None, description="Local paths of the opened inputs.")
    distributed_parameters: dict[str, Any] | None = Field(default=None, description="The job's parameters.")
    asset_id: list[str] | None = Field(default=None, description="Not part of the job key: always None.")
    asset_name: list[str] | None = Field(default=None, description="Names in the metadata records, if declared.")
    docdb_record_id: list[str] | None = Field(default=None, description="Ids of the metadata records, if declared.")
    group_metadata: dict[str, Any] | None = Field(default=None, description="Fields of the group, if declared.")
    query: str | None = Field(default=None, description="Not part of the job key: always None.")
    analysis_code: dict[str, Any] | None = Field(default=None, description="Not part of the job key: always None.")


def from_wrapper(
    input_model: type[BaseModel],
    output_model: type[BaseModel],
    run_function: Callable[..., Any],
    *,
    open_inputs: bool = True,
    **form: Any,
) -> Analysis:
    """Return an `Analysis` from the arguments of the earlier wrapper's ``run_analysis_jobs``.

    Parameters
    ----------
    input_model : type of BaseModel
        Model of the parameters.
    output_model : type of BaseModel
        Model of the small outputs.
    run_function : callable
        ``run_function(dispatch_model, parameters) -> dict``, or with the results folder as a third argument. The folder
        is also the working folder, and named by the variable ``RESULTS_DIR``.
    open_inputs : bool
        Make the inputs available as local files and list them in ``file_location``. False for a function that opens
        the URLs itself.
    form
        Further fields of `Analysis`: ``name``, ``version`` and ``owners`` at least.

    Returns
    -------
    Analysis
        Assign it to ``ANALYSIS``.

    Raises
    ------
    AnalysisFileError
        If the function is not a plain function of two or three arguments, or values of a model have no stable hash.
    """
    wanted = _arguments(run_function)

    def run(job: AnalysisJob, parameters: BaseModel, results_dir: Path) -> Any:
        dispatch = DispatchModel(
            s3_location=list(job.locations),
            file_location=[str(path) for path in job.open_inputs()] if open_inputs else list(job.files) or None,
            distributed_parameters=parameters.model_dump(mode="json"),
            **_described_inputs(job.metadata),
        )
        given = (dispatch, input_model.model_validate(parameters.model_dump()), results_dir)
        return run_function(*given[:wanted])

    packages = {*form.pop("packages", ()), *_package_of(run_function, str(form.get("name")))}
    return Analysis(
        parameters=_strict(input_model),
        outputs=_described(output_model),
        run=run,
        packages=tuple(sorted(packages)),
        working_folder="results",
        **form,
    )


def _described_inputs(found: JobMetadata | None) -> dict[str, Any]:
    """Return the fields of `DispatchModel` with what the analysis declares of the metadata of its inputs."""
    if found is None:
        return {}
    records = found.records
    return {
        "docdb_record_id": None if records is None else [str(record["_id"]) for record in records],
        "asset_name": None if records is None else [str(record.get("name") or "") for record in records],
        "group_metadata": found.group,
    }


def _arguments(run_function: Callable[..., Any]) -> int:
    """Return the number of arguments of the function: two, or three with the results folder."""
    if not inspect.isfunction(run_function) or run_function.__name__ == "<lambda>":
        msg = "from_wrapper: the third argument must be a plain function written with `def`."
        raise AnalysisFileError(msg)
    kinds = [a.kind for a in inspect.signature(run_function).parameters.values()]
    positional = [k for k in kinds if k in {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}]
    if len(positional) != len(kinds) or len(kinds) not in {_TWO, _THREE}:
        msg = (
            f"from_wrapper: `{run_function.__name__}` must take (dispatch_model, parameters), or a results folder as a "
            f"third argument; it takes {inspect.signature(run_function)}."
        )
        raise AnalysisFileError(msg)
    return len(kinds)


def _package_of(run_function: Callable[..., Any], name: str) -> set[str]:
    """Return the package of the function, which is part of the code version."""
    module = run_function.__module__
    return set() if module.split(".")[0] == _OWN_PACKAGE or module.split(".")[-1] == name else {module.split(".")[0]}


def _strict(model: type[BaseModel]) -> type[BaseModel]:
    """Return a subclass that is frozen and rejects unknown keys; its fields are not changed."""
    fields = {name: (field.annotation, _field(field)) for name, field in model.model_fields.items()}
    return _inherited(model, fields, frozen=True, extra="forbid")


def _described(model: type[BaseModel]) -> type[BaseModel]:
    """Return a subclass in which every field has a description."""
    return _inherited(model, {name: (f.annotation, _field(f)) for name, f in model.model_fields.items()})


def _inherited(model: type[BaseModel], fields: dict[str, Any], **config: Any) -> type[BaseModel]:
    """Return a subclass with the name of its base."""
    made: type[BaseModel] = create_model(
        model.__name__, __base__=model, __module__=model.__module__, __cls_kwargs__=config, **fields
    )
    made.__doc__ = model.__doc__
    return made


def _field(field: FieldInfo) -> Any:
    """Return a copy of a field that meets the rules of models: one description, and a plain default."""
    changed: dict[str, Any] = {"description": _description(field)}
    factory = field.default_factory
    if factory is not None and not field.default_factory_takes_validated_data:
        first, second = factory(), factory()  # type: ignore[call-arg]
        if first == second:
            changed |= {"default": first, "default_factory": None}
    return FieldInfo.merge_field_infos(field, **changed)


def _description(field: FieldInfo) -> str:
    """Return a field's description as one text; the wrapper's models may have none, or a tuple of strings."""
    found: Any = field.description
    text = " ".join(map(str, found)) if isinstance(found, tuple | list) else str(found or "")
    return " ".join(text.split()) or "Not described by its author."
