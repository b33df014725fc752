"""Failures of jobs: their kinds, and the stored error."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

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


class JobError(BaseModel):
    """Why a job failed, with the message and traceback of the analysis if there are any."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: FailureKind = Field(description="What kind of failure.")
    message: str = Field(description="One line: what happened.")
    permanent: bool = Field(description="Whether another attempt would fail in the same way.")
    traceback: str = Field(default="", description="The analysis's own traceback.")
    log: str = Field(default="", description="The end of the job's captured output.")
