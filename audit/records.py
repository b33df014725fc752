"""Compares each record of an analysis with its job, its files, its partition and its inputs."""

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from audit.content import audit_content
from audit.files import Seen
from audit.findings import AuditReport, Finding
from audit.sources import AT_ONCE, Depth, OnFinding, Sources
from domain.analysis.source_links import is_web_address
from domain.batching import in_batches
from domain.errors import InputError
from domain.job.identity import JobInputs, job_key, result_id
from domain.job.job_file import Job
from domain.job.metadata import digest_of
from domain.job.state import JobState, LedgerEntry
from domain.messages import counted
from domain.result.provenance import Provenance
from domain.result.record_rules import faults_of_record
from domain.result.records import from_record, newer_format
from domain.result.search_entries import known_entries, search_entries
from resources.data_assets.input_records import records_of_inputs
from resources.records.reader import OWN

_INPUTS_REMEMBERED = 10_000


class RecordAudit:
    """Compares the records of one analysis.

    Parameters
    ----------
    sources : Sources
        All connections; only read.
    name : str
        Name of the analysis; it must be in `sources.entries`.
    depth : Depth
        Whether to compare content and inputs too.
    seen : Seen
        Results that have files, from `audit_files`.
    materialized : set of str or None
        Partitions that Dagster shows as materialized; None: unknown.
    """

    def __init__(self, sources: Sources, name: str, depth: Depth, *, seen: Seen, materialized: set[str] | None) -> None:
        self._sources, self._name, self._depth = sources, name, depth
        self._seen, self._materialized = seen, materialized
        self._keys: set[str] = set()
        self._without_address = Counter[str]()
        self._describe = lru_cache(maxsize=_INPUTS_REMEMBERED)(sources.inputs.reader.describe)
        self._record_digest = lru_cache(maxsize=_INPUTS_REMEMBERED)(self._current_record_digest)

    def run(self, report: AuditReport, on_finding: OnFinding) -> set[str]:
        """Compare every record, and return the keys of the jobs that have one."""
        code = self._sources.entries[self._name].code_version
        for batch in in_batches(self._sources.records.find({f"{OWN}.analysis": self._name}), AT_ONCE):
            report.looked_at["records"] += len(batch)
            found = [one for one in (self._read(record, on_finding) for record in batch) if one is not None]
            jobs = self._sources.ledger.jobs.get_many(self._name, {one.job_key for one in found})
            for one in found:
                self._compare(one, jobs.get(one.job_key), on_finding, is_current=one.code_version == code)
            self._keys |= {one.job_key for one in found}
            if self._depth.content:
                whole = {record["_id"]: record for record in batch}
                for one in found:
                    audit_content(self._sources.results, whole[one.result_id], one, on_finding)
        self._superseded(on_finding)
        self._repositories(on_finding)
        return self._keys

    def _compare(self, one: Provenance, job: LedgerEntry | None, on_finding: OnFinding, *, is_current: bool) -> None:
        """Compare a record with its job (of the current code only), partition, files and inputs."""
        if is_current:
            self._compare_with_job(one, job, on_finding)
        self._compare_with_partition(one, job, on_finding)
        self._compare_with_files(one, on_finding)
        if not is_web_address(one.code.url):
            self._without_address[one.code.url] += 1
        if self._depth.inputs:
            for finding in self._inputs(one):
                on_finding(finding)

    def _repositories(self, on_finding: OnFinding) -> None:
        """Report once for each repository that other people cannot open."""
        for url, number in sorted(self._without_address.items()):
            what = f"{counted(number, 'record')} of `{self._name}`: the repository of the code is {url}"
            on_finding(Finding("code_without_address", what, self._name))

    def _superseded(self, on_finding: OnFinding) -> None:
        """Report superseded records whose files are missing, but were not deleted by ``analysis clean``."""
        for record in self._sources.records.superseded(self._name):
            if record["_id"] not in self._seen.superseded and "files_removed" not in record["superseded"]:
                what = f"superseded record {record['_id']}: its files are missing"
                own = record[OWN]
                on_finding(
                    Finding("superseded_files_gone", what, self._name, own["job_key"], record["name"], own["attempt"])
                )

    def _finding(self, kind: str, what: str, one: Provenance) -> Finding:
        return Finding(kind, what, self._name, one.job_key, one.result_id, one.attempt)

    def _read(self, record: dict[str, Any], on_finding: OnFinding) -> Provenance | None:
        """Parse a record, and verify its id against its inputs, parameters and code."""
        if newer := newer_format(record):
            key = str(record[OWN].get("job_key"))
            on_finding(Finding("newer_format", newer, self._name, key, str(record["_id"])))
            self._keys.add(key)
            return None
        try:
            found = from_record(record)
            inputs = JobInputs.of(Job(s3_location=found.locations, file_location=found.files))
            key = job_key(inputs, found.parameters)
        except (ValueError, KeyError, IndexError, TypeError, InputError) as error:
            what = f"record {record['_id']}: {type(error).__name__}: {str(error)[:300]}"
            on_finding(Finding("record_unreadable", what, self._name, result_id=str(record["_id"])))
            return None
        result = result_id(found.analysis, found.code_version, found.job_key)
        if (key, result) != (found.job_key, found.result_id):
            what = (
                f"record {found.result_id}: its inputs and parameters give job {key}, its job and code result {result}"
            )
            duplicate = found.result_id != result and self._sources.records.get(result) is not None
            on_finding(self._finding("duplicate_result" if duplicate else "identity_differs", what, found))
            self._keys.add(found.job_key)
            return None  # none of its other fields can be relied on
        if faults := faults_of_record(record):
            on_finding(
                self._finding("record_unreadable", f"record {found.result_id}: {'; '.join(faults)[:300]}", found)
            )
        if known_entries(record[OWN].get("search")) != search_entries(found):
            on_finding(self._finding("not_searchable", f"record {found.result_id}", found))
        return found

    def _compare_with_job(self, one: Provenance, job: LedgerEntry | None, on_finding: OnFinding) -> None:
        if job is None:
            on_finding(self._finding("record_without_job", f"record {one.result_id}: no job {one.job_key}", one))
        elif job.state is JobState.FAILED and not _is_of_a_cancelled_rerun(one, job):
            kind = job.error.kind if job.error else "unknown"
            on_finding(
                self._finding("record_of_failed_job", f"record {one.result_id}: its job is failed ({kind})", one)
            )

    def _compare_with_partition(self, one: Provenance, job: LedgerEntry | None, on_finding: OnFinding) -> None:
        """Report a record that Dagster does not show, unless its partition is archived."""
        if job is not None and job.state is JobState.ARCHIVED:
            return
        if self._materialized is not None and one.job_key not in self._materialized:
            on_finding(self._finding("not_materialized", f"record {one.result_id}: partition {one.job_key}", one))

    def _compare_with_files(self, one: Provenance, on_finding: OnFinding) -> None:
        """Report a record without files; check again first, because it may be newer than the listing."""
        if bytes.fromhex(one.result_id) in self._seen.results:
            return
        if not self._sources.results.list_files(one.location) and self._sources.records.get(one.result_id) is not None:
            on_finding(self._finding("files_missing", f"{one.location}: nothing is there", one))

    def _inputs(self, one: Provenance) -> Iterator[Finding]:
        """Compare each input with its recorded state."""
        for was in one.inputs:
            try:
                now = self._describe(was.url)
            except InputError as error:
                yield self._finding("input_gone", str(error), one)
                continue
            if now is not None and not was.same_state(now):
                what = f"{was.url}: {was.bytes} bytes, ETag {was.etag}, changed {was.modified} when it was read; now "
                yield self._finding("input_changed", f"{what}{now.bytes}, {now.etag}, {now.modified}", one)
        yield from self._metadata(one)

    def _metadata(self, one: Provenance) -> Iterator[Finding]:
        """Compare the metadata record of each input with the one that the analysis received."""
        for was in one.metadata:
            if was.input is None:  # a group is part of the request and does not change
                continue
            try:
                now = self._record_digest(was.input, was.record_id)
            except InputError as error:
                yield self._finding("input_gone", str(error), one)
                continue
            if now != was.sha256:
                what = f"{was.subject} (`_id` {was.record_id}): sha256 {was.sha256} when it was read; now {now}"
                yield self._finding("input_changed", what, one)

    def _current_record_digest(self, url: str, record_id: str | None) -> str:
        """Return the digest of the current metadata record of an input."""
        ids = () if record_id is None else (record_id,)
        (record,) = records_of_inputs(self._sources.assets, [url], ids=ids)
        return digest_of(record.document)


def _is_of_a_cancelled_rerun(one: Provenance, job: LedgerEntry) -> bool:
    """Return whether a job that was cancelled had this result before: it stays the current one, because no other was made.

    A record that the job never ended with is a difference also if the job was cancelled: a cancelled attempt publishes nothing.
    """
    if job.error is None or job.error.kind != "cancelled":
        return False
    attempts = [tried.attempt for tried in job.attempts]
    if one.attempt not in attempts:  # reused, or so old that the ledger has dropped the attempt
        return job.result_id == one.result_id
    # a later attempt may have finished the commit of this one, whose run was lost
    since = job.attempts[attempts.index(one.attempt) :]
    return any(tried.outcome == "done" and tried.code_version == one.code_version for tried in since)
