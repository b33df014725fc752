"""Why a dispatch writes no job for a record, a file or a set of parameters."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """The reasons, as shown in reports."""

    DONE = "already done by the current code"
    ARCHIVED = "done and archived"
    ASKED = "requested before, and not finished"
    FAILED = "failed before"
    IN_INBOX = "requested by a file in the inbox that is not ingested yet"
    DUPLICATE = "the same job twice in this dispatch"
    NO_FILE = "no file of this kind"
    SEVERAL_FILES = "several files where one is meant"
    NO_INPUT = "the input does not exist, or cannot be read"
    NOT_LATEST = "not the newest record of its group"
    NULL_GROUP = "no value to group or filter by"
    NO_LOCATION = "the record names no location"
    LOCATION_REFUSED = "the record's location is rejected"
    NOT_FOUND = "no record was found"
    PARAMETERS = "the analysis rejects the parameters"
    TOO_LARGE = "its job file would be larger than 1 MiB: narrow the group"
    BEYOND_MAX_JOBS = "beyond `max_jobs`"


@dataclass(frozen=True, slots=True)
class Skip:
    """A record, file or parameter set that is left out.

    Attributes
    ----------
    reason : Reason
        Why it is left out; counted in reports.
    what : str
        A location, an id, or a job.
    detail : str
        Further explanation; may be empty.
    """

    reason: Reason
    what: str
    detail: str = ""


def counts_of(skips: Iterable[Skip]) -> dict[Reason, int]:
    """Count skips by reason, in the order of the reasons."""
    found = Counter(skip.reason for skip in skips)
    return {reason: found[reason] for reason in Reason if found[reason]}
