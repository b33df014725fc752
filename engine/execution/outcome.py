"""What goes into a run, and how each of its jobs ends."""

import traceback
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from domain.analysis.checks import Verdict
from domain.errors import JobChangedError, NewerFormatError, PlatformError
from domain.failures import FailureKind, JobError
from domain.job.state import Attempt
from domain.redaction import redacted
from domain.result.provenance import Provenance
from domain.retry import is_transient
from resources.environment import known_secrets
from resources.inputs.resource import Inputs
from resources.ledger.ledger import Ledger
from resources.records.store import RecordStore
from resources.result_store.store import ResultsStore

OutcomeKind = Literal["computed", "reused", "failed", "deferred", "dry_run"]


@dataclass(frozen=True)
class Services:
    """The outside systems that a run needs.

    Attributes
    ----------
    results, records, ledger, inputs
        See ``resources/``.
    work_folder : Path
        Local disk for the private folders of jobs.
    """

    results: ResultsStore
    records: RecordStore
    ledger: Ledger
    inputs: Inputs
    work_folder: Path


@dataclass(frozen=True)
class RunFacts:
    """How a run was requested.

    Attributes
    ----------
    run_id : str
        The Dagster run.
    by_hand : bool
        Launched by an operator: failed jobs are tried again, except those that an operator ended after the launch.
    launched : datetime or None
        When it was launched, by Dagster's clock; None if that does not matter.
    dry_run : bool
        Execute and show, but claim, write and report nothing.
    force_reason : str
        When not empty: compute even what has a result, for this reason.
    """

    run_id: str
    by_hand: bool = False
    launched: datetime | None = None
    dry_run: bool = False
    force_reason: str = ""


@dataclass(frozen=True)
class Outcome:
    """How one job of a run ended.

    Attributes
    ----------
    job_key : str
        The partition.
    kind : str
        computed, reused, failed, deferred (another run has it now) or dry_run.
    provenance : Provenance or None
        The result, unless it failed.
    error : JobError or None
        Why it failed.
    figure : bytes or None
        Content of the figure, if there is one.
    attempt : str or None
        The claim to give back; None when the job was not claimed.
    notes : tuple of str
        What an operator should know.
    attempts : tuple of Attempt
        The job's executions so far, where they matter.
    verdicts : tuple of Verdict
        What the built-in checks say of the result.
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
    """Describe what the platform itself met while it worked on a job.

    Parameters
    ----------
    error : Exception
        Anything that was raised outside user code.

    Returns
    -------
    JobError
        Transient if the same work may succeed later; with a traceback if nobody raised it on purpose.
    """
    kind: FailureKind = "platform"
    message, trace, transient = str(error), "", is_transient(error)
    if isinstance(error, JobChangedError):
        kind = "job_changed"
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
