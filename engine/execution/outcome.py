"""Arguments of a run, and the outcomes of its jobs."""

import traceback
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self

from domain.analysis.checks import Verdict
from domain.errors import InputError, JobChangedError, NewerFormatError, PlatformError
from domain.failures import FailureKind, JobError
from domain.job.state import Attempt
from domain.redaction import redacted
from domain.result.provenance import Provenance
from domain.retry import is_transient
from engine.execution.environment import Machine
from resources.data_assets.records import AssetRecords
from resources.environment import known_secrets
from resources.inputs.resource import Inputs
from resources.ledger.ledger import Ledger
from resources.records.store import RecordStore
from resources.result_store.store import ResultsStore

RESOURCE_KEYS = {
    "results": "results_store",
    "records": "record_store",
    "ledger": "ledger",
    "inputs": "inputs",
    "assets": "asset_records",
}
"""Resource keys in Dagster of the stores of a run, which an audit compares, by field name."""

OutcomeKind = Literal["computed", "reused", "failed", "deferred", "dry_run"]


@dataclass(frozen=True)
class Services:
    """The external systems that a run uses.

    Attributes
    ----------
    results, records, ledger, inputs, assets
        See ``resources/``.
    machine : Machine
        Work folder, and what is recorded of the environment.
    """

    results: ResultsStore
    records: RecordStore
    ledger: Ledger
    inputs: Inputs
    assets: AssetRecords
    machine: Machine

    @classmethod
    def of(cls, resources: object, machine: Machine) -> Self:
        """Return the services of a run, from open connections or Dagster's resources."""
        return cls(machine=machine, **stores_of(resources))


def stores_of(resources: object) -> dict[str, Any]:
    """Return the stores of a run or an audit by field name, from open connections or Dagster's resources."""
    return {name: getattr(resources, key) for name, key in RESOURCE_KEYS.items()}


@dataclass(frozen=True)
class RunFacts:
    """How a run was requested.

    Attributes
    ----------
    run_id : str
        Id of the Dagster run.
    by_hand : bool
        Launched by an operator: failed jobs are executed again, except those that an operator ended after the launch.
    launched : datetime or None
        Time of a launch by an operator, by Dagster's clock; None if it is unknown or irrelevant.
    dry_run : bool
        Execute and show jobs, but claim, write and report nothing.
    force_reason : str
        If not empty, also compute jobs that have a result, for this reason.
    """

    run_id: str
    by_hand: bool = False
    launched: datetime | None = None
    dry_run: bool = False
    force_reason: str = ""


@dataclass(frozen=True)
class Outcome:
    """The outcome of one job of a run.

    Attributes
    ----------
    job_key : str
        Key of the job, which names its partition.
    kind : str
        computed, reused, failed, deferred (another run has it now) or dry_run.
    provenance : Provenance or None
        Facts about the result; None for a failed or deferred job.
    error : JobError or None
        The error of a failed job.
    figure : bytes or None
        Content of the figure (PNG), if the analysis declares one.
    attempt : str or None
        The attempt whose claim must end; None if the job was not claimed.
    notes : tuple of str
        Notes for the operator.
    attempts : tuple of Attempt
        Earlier executions of the job, for display.
    verdicts : tuple of Verdict
        Verdicts of the built-in checks.
    """

    job_key: str
    kind: OutcomeKind
    provenance: Provenance | None = None
    error: JobError | None = None
    figure: bytes | None = None
    attempt: str | None = None
    notes: tuple[str, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    verdicts: tuple[Verdict, ...] = ()


def error_of(error: Exception) -> JobError:
    """Return the stored form of an error that the platform raised while it processed a job.

    Parameters
    ----------
    error : Exception
        An exception from outside user code.

    Returns
    -------
    JobError
        Transient if the same work may succeed later; with a traceback if the platform did not raise it deliberately.
    """
    kind: FailureKind = "platform"
    message, trace, transient = str(error), "", is_transient(error)
    if isinstance(error, JobChangedError):
        kind = "job_changed"
    elif isinstance(error, InputError):
        kind = "input"
    elif isinstance(error, NewerFormatError):
        kind = "platform"
    elif isinstance(error, PlatformError):
        kind = "server" if transient else "output"
    elif transient:
        message = f"The disk of the work folder is full: {error}"
    else:
        message = f"The platform itself failed: {type(error).__name__}: {error}"
        trace = "".join(traceback.format_exception(error))
    secrets = known_secrets()
    message, trace = (redacted(text, secrets=secrets) for text in (message, trace))
    return JobError(kind=kind, message=message, permanent=not transient, traceback=trace)
