"""What an analysis file declares: an ``Analysis`` and its two models.

A file in ``analysis_assets/`` contains a ``Parameters`` model, an ``Outputs`` model, a plain function ``run`` and one
``ANALYSIS = Analysis(...)``. This module does not depend on Dagster, the network or the disk.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from domain.analysis.breaker import Breaker
from domain.analysis.checks import Check, faults_of
from domain.analysis.model_rules import check_outputs_model, check_parameters_model
from domain.analysis.tables import faults_of_tables
from domain.command import Command
from domain.errors import AnalysisFileError
from domain.job.metadata import JobMetadata, MetadataKind
from domain.retry import Retry

T = TypeVar("T")
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Version = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z.\-]{0,31}$")]
DataFile = Annotated[str, StringConstraints(pattern=r"^([A-Za-z_][\w.]*:)?[^/:\\][^:\\]*$", max_length=1000)]


class ParametersModel(BaseModel):
    """Base of an analysis's ``Parameters``: frozen; unknown keys are rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class OutputsModel(BaseModel):
    """Base of an analysis's ``Outputs``: a few small numbers and texts; frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class AnalysisJob:
    """The job as ``run`` receives it: only what is part of the job key.

    Attributes
    ----------
    locations : tuple of str
        URLs of the data assets, in the order of the job's identity and in the spelling of the job file.
    files : tuple of str
        URLs of single files, likewise; empty if the job names only assets.
    opener : callable
        Returns local paths of the inputs; use `open_inputs`.
    metadata : JobMetadata or None
        Metadata that the analysis declares; use `metadata_records` and `group`.
    """

    locations: tuple[str, ...]
    files: tuple[str, ...]
    opener: Callable[[], tuple[Path, ...]]
    metadata: JobMetadata | None = None

    def open_inputs(self) -> tuple[Path, ...]:
        """Return local paths of all inputs, which are downloaded or linked on the first call.

        Returns
        -------
        tuple of Path
            One path per file of the job; without files, one per location (its single NWB file), in the order of the
            job's identity.

        Raises
        ------
        InputError
            If an input does not exist, or a location has no NWB file or several.
        """
        return self.opener()

    @property
    def metadata_records(self) -> tuple[dict[str, Any], ...]:
        """The metadata record of each input, as JSON values and in the order of `open_inputs`.

        Raises
        ------
        AnalysisFileError
            If the analysis does not declare ``input_metadata=("records",)``.
        """
        return _declared(self.metadata.records if self.metadata else None, "metadata_records", "records")

    @property
    def group(self) -> dict[str, Any]:
        """The fields that the job was grouped by; empty for a job that was not grouped.

        A value larger than a scalar is canonical JSON text.

        Raises
        ------
        AnalysisFileError
            If the analysis does not declare ``input_metadata=("group",)``.
        """
        return _declared(self.metadata.group if self.metadata else None, "group", "group")


def _declared(value: T | None, name: str, kind: MetadataKind) -> T:
    """Return metadata of a job; raise if the analysis does not declare it."""
    if value is None:
        msg = (
            f'`job.{name}` is only available to an analysis that declares it: write input_metadata=("{kind}",) in '
            "Analysis(…). Its digest is then part of the record."
        )
        raise AnalysisFileError(msg)
    return value


class Analysis(BaseModel):
    """An analysis: its name, its models, its function, and how it is executed.

    Parameters that describe code (``name``, ``version``, the models, ``run``) belong to the scientist; the others
    configure its execution and are not part of a result's identity.

    Examples
    --------
    >>> class Parameters(ParametersModel):
    ...     bin_s: float = Field(default=0.1, gt=0, description="Width of a bin (s).")
    >>> class Outputs(OutputsModel):
    ...     mean_rate_hz: float = Field(description="Mean rate over all units (Hz).")
    >>> def run(job: AnalysisJob, parameters: Parameters, results_dir: Path) -> Outputs: ...
    >>> models = {"parameters": Parameters, "outputs": Outputs}
    >>> analysis = Analysis(name="rates", version="1", owners=("team:ephys",), run=run, time_limit_s=600, **models)
    >>> analysis.parameters().bin_s
    0.1
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    name: Name = Field(description="The file's name without `.py`; also the asset, partition set and inbox folder.")
    version: Version = Field(description="Declared version; raise it when results change for a reason unseen in code.")
    owners: tuple[str, ...] = Field(min_length=1, description="E-mail addresses, or `team:name`.")
    parameters: type[BaseModel] = Field(description="The Parameters model.")
    outputs: type[BaseModel] = Field(description="The Outputs model.")
    run: Callable[[AnalysisJob, Any, Path], Any] | Command = Field(
        description="run(job, parameters, results_dir) -> Outputs; or a Command, for other languages and environments."
    )
    retry: Retry = Field(default=Retry(), description="For transient faults only.")
    breaker: Breaker | None = Field(
        default=Breaker(), description="When to stop because most jobs fail in the same way; None: never."
    )
    time_limit_s: float = Field(default=3600.0, gt=0, description="A job is killed after this many seconds.")
    workers: int | None = Field(
        default=None, ge=1, le=256, description="Jobs at once in a run; default: one per available processor."
    )
    batch_size: int = Field(default=100, ge=1, le=1000, description="Maximum number of partitions in one run.")
    figure: str | None = Field(default=None, description="Result file (png) shown with each materialization.")
    tables: dict[str, type[BaseModel]] = Field(
        default={}, description="Tables among the result files (parquet, csv): path, and the model of a row."
    )
    packages: tuple[str, ...] = Field(default=(), description="Helper packages whose files are part of the code.")
    data_files: tuple[DataFile, ...] = Field(
        default=(),
        description="Data files and folders that the code reads: a path from the analysis file's folder, or `package:path`. "
        "Their bytes are part of the code.",
    )
    input_metadata: tuple[MetadataKind, ...] = Field(
        default=(),
        description="Metadata that `run` needs: `records`, the metadata records of the inputs; `group`, the fields that the job "
        "was grouped by. It is not part of the job key; its digest is recorded.",
    )
    code_identity: Literal["source", "version"] = Field(
        default="source", description="`version`: only the declared version distinguishes results, not the source."
    )
    tags: dict[str, str] = Field(default_factory=dict, description="Dagster tags of the asset.")
    checks: tuple[Check, ...] = Field(default=(), description="Functions that say whether outputs are plausible.")
    working_folder: Literal["scratch", "results"] = Field(
        default="scratch", description="Working folder of `run`: `scratch`, which is deleted afterwards, or `results`."
    )
    example: dict[str, Any] = Field(
        default={}, description="Parameters without a default, for the tests that every analysis gets."
    )

    @model_validator(mode="after")
    def _parts_can_be_used(self) -> "Analysis":
        """Raise if values of a model have no stable hash, or checks or tables are invalid."""
        check_parameters_model(self.parameters)
        check_outputs_model(self.outputs)
        if faults := faults_of(self.checks):
            msg = f"The checks of `{self.name}` cannot be used: {'; '.join(faults)}."
            raise AnalysisFileError(msg)
        if outside := [name for name in self.data_files if {"", ".", ".."} & set(name.rpartition(":")[2].split("/"))]:
            msg = (
                f"data_files of `{self.name}` names `{outside[0]}`: expected a plain path below the analysis file's folder, "
                "such as `methods/table.csv`, or below a package, such as `my_package:table.csv`."
            )
            raise AnalysisFileError(msg)
        if faults := faults_of_tables(self.tables):
            msg = f"The tables of `{self.name}` cannot be used: {'; '.join(faults)}."
            raise AnalysisFileError(msg)
        return self
