"""How a job fails: the kinds, and what is kept of each failure."""

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
"""Kinds that are no fault: only the person who wished them, or another one, asks for the job again."""


class JobError(BaseModel):
    """Why a job failed, in the words of the analysis where it has any."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: FailureKind = Field(description="What kind of failure.")
    message: str = Field(description="One line: what happened.")
    permanent: bool = Field(description="Whether another attempt would fail in the same way.")
    traceback: str = Field(default="", description="The analysis's own traceback.")
    log: str = Field(default="", description="The end of the job's captured output.")
