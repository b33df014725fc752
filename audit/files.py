"""Compares S3 with MongoDB: each attempt in one listing of all results with the record that names it."""

from dataclasses import dataclass, field
from typing import Any

from audit.cleaning import is_ended_by_people
from audit.findings import AuditReport, Finding
from audit.sources import AT_ONCE, OnFinding, Sources
from domain.batching import in_batches
from domain.errors import NewerFormatError
from domain.result.records import readable
from engine.execution.publish import complete_attempt, differences, listing_digest
from resources.records.reader import BRIEF, OWN, attempt_of
from resources.result_store.attempts import ForeignObject, StoredAttempt, stored_attempts


@dataclass
class Seen:
    """Results and superseded attempts that have files, to find records without files.

    Attributes
    ----------
    results : set of bytes
        Digests of the results whose recorded attempt has files, 32 bytes each.
    superseded : set of str
        Superseded attempts that have files, as ``<result_id>/<attempt>``.
    """

    results: set[bytes] = field(default_factory=set)
    superseded: set[str] = field(default_factory=set)


def audit_files(sources: Sources, report: AuditReport, on_finding: OnFinding, *, others: bool) -> Seen:
    """Compare every attempt in S3 with the records.

    Parameters
    ----------
    sources : Sources
        Result store, record store and ledger; only read.
    report : AuditReport
        Its `looked_at` counts the attempts.
    on_finding : callable
        Called with each finding.
    others : bool
        Also report objects that belong to no result.

    Returns
    -------
    Seen
        Results and attempts that have files.
    """
    seen = Seen()
    for batch in in_batches(stored_attempts(sources.results, others=others), AT_ONCE):
        attempts = [one for one in batch if isinstance(one, StoredAttempt)]
        for one in batch:
            if isinstance(one, ForeignObject):
                on_finding(Finding("foreign_object", f"s3://{sources.results.root}/{one.key}"))
        report.looked_at["attempts"] += len(attempts)
        now, in_use = sources.ledger.now(), sources.ledger.commits.in_use()
        records = sources.records.get_many({one.result_id for one in attempts}, BRIEF)
        superseded = sources.records.existing((f"{one.result_id}/{one.attempt}" for one in attempts), superseded=True)
        for one in attempts:
            record = records.get(one.result_id)
            if record is not None and attempt_of(record) == one.attempt:
                seen.results.add(bytes.fromhex(one.result_id))
                _compare(sources, one, record, on_finding)
            elif f"{one.result_id}/{one.attempt}" in superseded:
                seen.superseded.add(f"{one.result_id}/{one.attempt}")
            elif now - one.newest > sources.ages.young and one.attempt not in in_use:
                _without_record(sources, one, on_finding)
    return seen


def _compare(sources: Sources, one: StoredAttempt, record: dict[str, Any], on_finding: OnFinding) -> None:
    """Compare the files of a result with those recorded after the upload; check twice before reporting a difference."""
    own = record[OWN]
    if own["analysis"] not in sources.entries:
        return
    if listing_digest(one.files) == own.get("listing_sha256") and one.complete:
        return
    now = sources.records.get(one.result_id)
    if now is None or attempt_of(now) != one.attempt:
        return  # replaced in the meantime
    found = readable(now)  # if it is not, `RecordAudit` reports the record
    if found is None:
        return

    def report(kind: str, what: str) -> None:
        """Report a finding about this result."""
        on_finding(Finding(kind, what, found.analysis, found.job_key, one.result_id, one.attempt))

    try:
        changed = differences(sources.results, found)
    except NewerFormatError as error:
        report("newer_format", str(error))
        return
    if changed:
        report("files_differ", f"{found.location}: {'; '.join(changed)}")


def _without_record(sources: Sources, one: StoredAttempt, on_finding: OnFinding) -> None:
    """Report an attempt that no record names and no run is computing."""
    record = sources.records.get(one.result_id)
    if record is not None and attempt_of(record) == one.attempt:
        return  # committed in the meantime
    location = sources.results.location(one.result_id, one.attempt)
    try:
        complete = complete_attempt(sources.results, one.result_id, one.attempt) if one.complete else None
    except NewerFormatError as error:
        on_finding(Finding("newer_format", f"{location}: {error}", result_id=one.result_id, attempt=one.attempt))
        return
    whose = (complete or record or {}).get(OWN, {})
    name, key = whose.get("analysis", ""), whose.get("job_key", "")
    if name and name not in sources.entries:
        return
    can_be_committed = complete is not None and record is None and not is_ended_by_people(sources.ledger, complete)
    kind = "uncommitted_attempt" if can_be_committed else "orphan_attempt"
    what = f"{location}: {len(one.files)} files, {one.bytes} bytes, written until {one.newest:%Y-%m-%d %H:%M}"
    on_finding(Finding(kind, what, name, key, one.result_id, one.attempt))
