"""Failures of jobs: their kinds, and the stored error."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from domain.formats import StoredModel

FailureKind = Literal[
    "exception",
    "crash",
    "killed",
    "time_limit",
    "input",
    "output",
    "job_changed",
    "code_changed",
    "unknown_job",
    "lost",
    "invalidated",
    "cancelled",
    "server",
    "platform",
]


ENDED_BY_PEOPLE: tuple[FailureKind, ...] = ("invalidated", "cancelled")
"""Kinds that an operator has caused on purpose: such a job is only requested again by an operator."""


_KIND = re.compile(r"[a-z_]{1,40}")


def _also_of_a_newer_version(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    """Keep a kind that this version does not know: a newer one may have stored it, and it is only shown."""
    try:
        return validate(value)
    except ValidationError:
        if isinstance(value, str) and _KIND.fullmatch(value):
            return value
        raise


class JobError(StoredModel):
    """Why a job failed, with the message and traceback of the analysis if there are any."""

    kind: Annotated[FailureKind, WrapValidator(_also_of_a_newer_version)] = Field(description="What kind of failure.")
    message: str = Field(description="One line: what happened.")
    permanent: bool = Field(description="Whether another attempt would fail in the same way.")
    traceback: str = Field(default="", description="The analysis's own traceback.")
    log: str = Field(default="", description="The end of the job's captured output.")
