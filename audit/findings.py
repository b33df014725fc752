"""The kinds of findings of an audit: how Dagster, MongoDB and S3 can differ, and the remedy for each."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from domain.messages import counted

Severity = Literal["error", "warning", "note"]
Remedy = Literal["repair", "clean", "person"]


@dataclass(frozen=True)
class Kind:
    """One kind of finding.

    Attributes
    ----------
    severity : str
        ``error``: a result cannot be trusted or is lost; ``warning``: a job is stuck or a result is not shown;
        ``note``: it only takes space, or should be reviewed.
    meaning : str
        One sentence, shown with the finding and in the documentation.
    remedy : str
        What fixes it: ``analysis audit --repair``, ``analysis clean``, or a person.
    advice : str
        What the remedy does, or what the operator should do.
    """

    severity: Severity
    meaning: str
    remedy: Remedy
    advice: str


KINDS: dict[str, Kind] = {
    "files_missing": Kind(
        "error", "A record whose files are missing.", "repair", "The job becomes new; a run computes it again."
    ),
    "files_differ": Kind(
        "error",
        "Files that are missing, added, or of another size or ETag than after their upload.",
        "repair",
        "The job becomes new; a run reports what differs and computes it again.",
    ),
    "content_differs": Kind(
        "error",
        "A file whose sha256 is not that of the manifest (`--deep`).",
        "person",
        "`analysis rerun ANALYSIS --key KEY --force --reason …`",
    ),
    "manifest_differs": Kind(
        "error",
        "A manifest that is unreadable, or whose digest is not the record's (`--deep`).",
        "person",
        "`analysis rerun ANALYSIS --key KEY --force --reason …`",
    ),
    "metadata_differs": Kind(
        "error",
        "`metadata.nd.json` is not the record (`--deep`).",
        "person",
        "Compare the two: one of them was changed by hand.",
    ),
    "record_unreadable": Kind(
        "error", "A record that cannot be read, or does not fit the schema.", "person", "Look at it in MongoDB."
    ),
    "newer_format": Kind(
        "warning",
        "A record, manifest or attempt that a newer version of the platform wrote, in a format that this version does not read.",
        "person",
        "Audit it with that version, or a later one; this one neither repairs nor removes it.",
    ),
    "identity_differs": Kind(
        "error",
        "A record whose id does not match its inputs, parameters and code.",
        "person",
        "The record was changed by hand: invalidate it, or restore it from `metadata.nd.json`.",
    ),
    "duplicate_result": Kind(
        "error",
        "Two records of the same job and code.",
        "person",
        "Invalidate one of them.",
    ),
    "done_without_record": Kind(
        "error",
        "A job that is done but has no record.",
        "repair",
        "The job becomes new; a complete attempt is committed again, otherwise it is computed.",
    ),
    "materialization_without_record": Kind(
        "error",
        "Dagster shows a result that has neither a record nor a finished job.",
        "repair",
        "A job that is done becomes new. A partition without a job can be deleted in the UI.",
    ),
    "record_without_job": Kind(
        "warning",
        "A record whose job is not in the ledger.",
        "person",
        "Submit its job file again: the existing result is reused.",
    ),
    "record_of_failed_job": Kind(
        "warning",
        "A record of the current code, whose job has failed; not an earlier result of a job whose rerun was cancelled.",
        "repair",
        "The job becomes new, and the existing result is reused.",
    ),
    "not_materialized": Kind(
        "warning", "A record that Dagster does not show.", "repair", "Its materialization is reported."
    ),
    "not_searchable": Kind(
        "note",
        "A record of an earlier version, which `analysis results` with conditions leaves out.",
        "repair",
        "Its search fields are added.",
    ),
    "job_without_partition": Kind("warning", "A job that Dagster has no partition for.", "repair", "It is added."),
    "partition_without_job": Kind(
        "warning", "A partition without a job.", "person", "Submit its job file again, or delete the partition."
    ),
    "expired_lease": Kind("warning", "A running job whose lease has expired.", "repair", "The job becomes new."),
    "dead_run": Kind("warning", "A running job whose run has ended.", "repair", "The job becomes new."),
    "stuck_run": Kind(
        "warning",
        "A run that has been running for more than an hour and holds no live lease.",
        "person",
        "Look at its log; terminate it in the UI.",
    ),
    "input_changed": Kind(
        "warning",
        "An input, or its metadata record, that has changed since it was read (`--inputs`).",
        "person",
        "If the change is intended: `analysis rerun ANALYSIS --key KEY --force --reason …`",
    ),
    "input_gone": Kind(
        "note",
        "An input, or its metadata record, that can no longer be read (`--inputs`).",
        "person",
        "The result is kept; it cannot be computed again.",
    ),
    "code_without_address": Kind(
        "note",
        "Records whose code is in a repository without a web address: other people cannot find it.",
        "person",
        "Add a remote (`git remote add origin https://…`) and push; later results record it.",
    ),
    "uncommitted_attempt": Kind(
        "warning",
        "A complete attempt without its record.",
        "repair",
        "The job becomes new, and the attempt is committed without computing.",
    ),
    "orphan_attempt": Kind(
        "note", "Files of an attempt that was interrupted, or lost a race.", "clean", "`analysis clean` removes them."
    ),
    "superseded_files_gone": Kind(
        "note",
        "A superseded record whose files are missing, but not because of `analysis clean`.",
        "person",
        "Nothing, if they were deleted on purpose.",
    ),
    "foreign_object": Kind(
        "note",
        "An object below the results' root that belongs to no result (`--deep`).",
        "person",
        "Move it elsewhere.",
    ),
}


@dataclass(frozen=True)
class Finding:
    """A difference between two systems.

    Attributes
    ----------
    kind : str
        Key of `KINDS`, which has severity and remedy.
    found : str
        Message that names the object and the difference.
    analysis, job_key, result_id, attempt : str
        The result or job; empty if unknown.
    """

    kind: str
    found: str
    analysis: str = ""
    job_key: str = ""
    result_id: str = ""
    attempt: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as JSON values, with severity, remedy and advice of its kind."""
        known = KINDS[self.kind]
        return asdict(self) | {"severity": known.severity, "remedy": known.remedy, "advice": known.advice}


@dataclass
class AuditReport:
    """The findings of an audit: all are counted, and the first of each kind are kept.

    Attributes
    ----------
    counts : Counter
        Findings by analysis and kind; the analysis is empty if unknown.
    first : list of Finding
        The first of each analysis and kind.
    looked_at : Counter
        Number of compared attempts, records, jobs and partitions.
    kept : int
        Maximum number of findings that are kept for each analysis and kind.
    """

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    first: list[Finding] = field(default_factory=list)
    looked_at: Counter[str] = field(default_factory=Counter)
    kept: int = 50

    def add(self, finding: Finding) -> None:
        """Count a finding, and keep it if it is among the first of its kind."""
        where = (finding.analysis, finding.kind)
        self.counts[where] += 1
        if self.counts[where] <= self.kept:
            self.first.append(finding)

    def by_kind(self, analysis: str | None = None) -> Counter[str]:
        """Count the findings of one analysis, or of all, by kind."""
        found: Counter[str] = Counter()
        for (name, kind), number in self.counts.items():
            if analysis in {None, name}:
                found[kind] += number
        return found

    def serious(self, analysis: str | None = None) -> Counter[str]:
        """Count as `by_kind` does, without the notes."""
        return Counter({kind: n for kind, n in self.by_kind(analysis).items() if KINDS[kind].severity != "note"})

    def of(self, analysis: str) -> list[Finding]:
        """Return the findings of an analysis that were kept."""
        return [finding for finding in self.first if finding.analysis == analysis]

    def compared(self) -> str:
        """Return the numbers of compared objects as text: ``2 attempts, 1 job``."""
        return ", ".join(counted(number, what.removesuffix("s")) for what, number in self.looked_at.items())

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "looked_at": dict(self.looked_at),
            "counts": dict(self.by_kind()),
            "findings": [finding.as_dict() for finding in self.first],
        }
