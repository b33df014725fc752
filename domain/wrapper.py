"""Code that was written for the earlier analysis wrapper, as an analysis of this platform.

`from_wrapper` takes the three things that users gave to ``run_analysis_jobs`` and makes an `Analysis` of them. The
models are made strict by inheritance; the function runs as it is. ``docs/from-the-wrapper.md`` shows one before and
after.
"""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.fields import FieldInfo

from domain.analysis import Analysis, AnalysisJob
from domain.errors import AnalysisFileError

_TWO, _THREE = 2, 3
_OWN_PACKAGE = "analysis_assets"


class DispatchModel(BaseModel):
    """What the function gets of its job: the fields that the wrapper's ``AnalysisDispatchModel`` had.

    Only what is in the job's key is filled in. The other fields are there because code may look at them, and are
    always None: a result must not depend on what does not tell it apart from others.
    """

    model_config = ConfigDict(extra="forbid")

    s3_location: list[str] = Field(description="URLs of the data assets, in the order of the job's identity.")
    file_location: list[str] | None = Field(default=None, description="Local paths of the opened inputs.")
    distributed_parameters: dict[str, Any] | None = Field(default=None, description="The job's parameters.")
    asset_id: list[str] | None = Field(default=None, description="Not part of the job key: always None.")
    asset_name: list[str] | None = Field(default=None, description="Not part of the job key: always None.")
    docdb_record_id: list[str] | None = Field(default=None, description="Not part of the job key: always None.")
    group_metadata: dict[str, Any] | None = Field(default=None, description="Not part of the job key: always None.")
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
    """Make an `Analysis` of what was given to the earlier wrapper's ``run_analysis_jobs``.

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
        Make the inputs available as local files and name them in ``file_location``. False for a function that opens
        the addresses by itself.
    form
        Further fields of `Analysis`: ``name``, ``version`` and ``owners`` at least.

    Returns
    -------
    Analysis
        To be assigned to ``ANALYSIS``.

    Raises
    ------
    AnalysisFileError
        If the function is no plain function of two or three arguments, or a model cannot carry identity.
    """
    wanted = _arguments(run_function)

    def run(job: AnalysisJob, parameters: BaseModel, results_dir: Path) -> Any:
        dispatch = DispatchModel(
            s3_location=list(job.locations),
            file_location=[str(path) for path in job.open_inputs()] if open_inputs else list(job.files) or None,
            distributed_parameters=parameters.model_dump(mode="json"),
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


def _arguments(run_function: Callable[..., Any]) -> int:
    """Return how many arguments the function takes: two, or three with the results folder."""
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
    """Return the package that the function was imported from: it is part of the code version like the file itself."""
    module = run_function.__module__
    return set() if module.split(".")[0] == _OWN_PACKAGE or module.split(".")[-1] == name else {module.split(".")[0]}


def _strict(model: type[BaseModel]) -> type[BaseModel]:
    """Return a model whose instances are frozen and which refuses unknown keys; its fields stay what they are."""
    fields = {name: (field.annotation, _field(field)) for name, field in model.model_fields.items()}
    return _inherited(model, fields, frozen=True, extra="forbid")


def _described(model: type[BaseModel]) -> type[BaseModel]:
    """Return a model of outputs each of which has a description."""
    return _inherited(model, {name: (f.annotation, _field(f)) for name, f in model.model_fields.items()})


def _inherited(model: type[BaseModel], fields: dict[str, Any], **config: Any) -> type[BaseModel]:
    """Inherit from a model under its own name."""
    made: type[BaseModel] = create_model(
        model.__name__, __base__=model, __module__=model.__module__, __cls_kwargs__=config, **fields
    )
    made.__doc__ = model.__doc__
    return made


def _field(field: FieldInfo) -> Any:
    """Copy a field, with what this platform asks for: a description in one piece, and a default that is a value."""
    changed: dict[str, Any] = {"description": _description(field)}
    factory = field.default_factory
    if factory is not None and not field.default_factory_takes_validated_data:
        first, second = factory(), factory()  # type: ignore[call-arg]
        if first == second:
            changed |= {"default": first, "default_factory": None}
    return FieldInfo.merge_field_infos(field, **changed)


def _description(field: FieldInfo) -> str:
    """Return a field's description; the wrapper's models also have none, or several strings in parentheses."""
    told: Any = field.description
    text = " ".join(map(str, told)) if isinstance(told, tuple | list) else str(told or "")
    return " ".join(text.split()) or "Not described by its author."
