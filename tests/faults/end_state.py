"""The conditions after any fault, and the end state without a fault."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field

import dagster as dg

from domain.job.state import JobState
from domain.result.records import from_record
from engine.assets.materialization import asset_key_of, provenance_of
from engine.execution.publish import MANIFEST, METADATA, differences
from engine.worker.task import LOG_NAME
from resources.result_store.attempts import complete_attempts
from resources.result_store.environments import ENVIRONMENTS

VOLATILE = {
    "attempt",
    "location",
    "code",
    "started",
    "ended",
    "run_id",
    "resources",
    "reason",
    "why",
    "listing_sha256",
    "environment",  # of the process that computed: a fresh interpreter has loaded fewer libraries than a forked one
}
"""What may differ between two executions of the same job with the same code."""

_WITH_LOG = {LOG_NAME, MANIFEST, METADATA}  # hold the log's text, or times


@dataclass(frozen=True)
class JobEnd:
    """Everything that counts about one job that was computed."""

    record: dict
    files: dict
    materialized: frozenset


@dataclass
class EndState:
    """Everything that a stage holds.

    Attributes
    ----------
    jobs : dict of str to JobEnd
        What counts, by job key; equal after any fault.
    problems : list of str
        What must not be.
    lost, duplicated, extra : int
        Jobs without their result; second results or second computed materializations; executions beyond one for each.
    """

    jobs: dict = field(default_factory=dict)
    problems: list = field(default_factory=list)
    lost: int = 0
    duplicated: int = 0
    extra: int = 0
    again: dict = field(default_factory=dict)
    damaged: dict = field(default_factory=dict)


def end_state(stage, keys, *, beside=None, again=None, damaged=None) -> EndState:
    """Read the end state of a stage.

    Parameters
    ----------
    stage : Stage
        Stage after all jobs have ended.
    keys : iterable of str
        Keys of the requested jobs.
    beside : Stage, optional
        A second platform over the same stores: each Dagster knows the results of its own runs, together they know all.
    again, damaged : dict of int to int, optional
        By number of the job: expected further executions, and complete attempts that were damaged.
    """
    found, keys = EndState(again=again or {}, damaged=damaged or {}), sorted(keys)
    entries = stage.ledger.jobs.get_many(stage.name, keys)
    records = {r["analysis_assets"]["job_key"]: r for r in stage.records.newest(stage.name)}
    reported = _materializations([stage] if beside is None else [stage, beside], keys)
    for key in keys:
        entry, record = entries.get(key), records.pop(key, None)
        if entry is None or record is None or entry.state is not JobState.DONE:
            found.lost += 1
            found.problems.append(
                f"{key} is lost: {entry and (entry.state, entry.error)}, record: {record is not None}"
            )
            continue
        _check_job(stage, found, entry, record, reported[key])
    found.duplicated += len(records)
    found.problems += [f"a record of no job that was asked for: {key}" for key in records]
    _check_executions(stage, found, entries)
    _check_storage(stage, found)
    return found


def _check_job(stage, found, entry, record, reported):
    """Look at one job: its ledger entry, record, files and materializations agree."""
    provenance = from_record(record)
    key, bad = entry.job_key, found.problems
    if (entry.lease, entry.force, entry.error, entry.result_id) != (None, None, None, provenance.result_id):
        bad.append(f"{key}: the ledger holds {entry.lease}, {entry.force}, {entry.error}, {entry.result_id}")
    changed = differences(stage.results, provenance)
    if changed:
        found.lost += 1
        bad.append(f"{key}: files differ from what was published: {changed}; {_details(stage, provenance)}")
    computed = [kind for kind, _ in reported].count("computed")
    number = entry.parameters["number"]
    if computed > 1 + found.again.get(number, 0):
        found.duplicated += 1
        bad.append(f"{key}: materialized as computed {computed} times")
    if not reported or reported[-1][1] != provenance:
        found.lost += 1
        bad.append(f"{key}: the newest of {len(reported)} materializations is not of its record")
    complete = set(complete_attempts(stage.results, provenance.result_id))
    beside = complete - stage.records.superseded_attempts(provenance.result_id) - {provenance.attempt}
    if provenance.attempt not in complete or len(beside) > found.damaged.get(number, 0):
        found.duplicated += 1
        bad.append(f"{key}: complete attempts {complete}, the record names {provenance.attempt}")
    found.jobs[key] = JobEnd(
        record=provenance.model_dump(mode="json", exclude=VOLATILE),
        files=_files(stage, provenance),
        materialized=frozenset((p.job_key, p.result_id) for _, p in reported),
    )


def _details(stage, provenance):
    """Tell what there is now, and the MD5 of what is read: without encryption and parts it is the ETag."""
    listed = {f.path: f.etag for f in stage.results.list_files(provenance.location)}
    read = {n: hashlib.md5(stage.results.get_bytes(provenance.location, n)).hexdigest() for n in listed}  # noqa: S324  what ETags are made of
    return {name: (etag, read[name]) for name, etag in listed.items()}


def _files(stage, provenance):
    """Read every file of a result again and return its digest."""
    names = [f.path for f in stage.results.list_files(provenance.location)]
    contents = {name: stage.results.get_bytes(provenance.location, name) for name in names}
    return {
        name: "" if name in _WITH_LOG else hashlib.sha256(content).hexdigest() for name, content in contents.items()
    }


def _materializations(stages, keys):
    """Return the materializations of each partition, oldest first: computed or reused, and the provenance."""
    reported = {key: [] for key in keys}
    for stage in stages:
        records = stage.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=asset_key_of(stage.name), asset_partitions=keys), limit=5000, ascending=True
        ).records
        for record in records:
            event = record.asset_materialization
            reported[event.partition].append(
                (event.metadata["computed or reused"].value, provenance_of(event.metadata))
            )
    return reported


def _check_executions(stage, found, entries):
    """Every execution beyond the first has an attempt that was interrupted before it was complete."""
    executed = Counter(stage.executions())
    numbers = {entry.parameters["number"]: entry for entry in entries.values()}
    for number, count in executed.items():
        entry = numbers.get(number)
        if entry is None:
            found.problems.append(f"job {number} was executed {count} times and never asked for")
            continue
        found.extra += count - 1
        unfinished = sum(attempt.outcome != "done" for attempt in entry.attempts)
        if count > 1 + unfinished + found.again.get(number, 0):
            found.duplicated += 1
            found.problems.append(f"job {number} was executed {count} times, {unfinished} attempts were interrupted")
    never = [number for number in numbers if number not in executed]
    found.problems += [f"job {number} was never executed" for number in never]


def _check_storage(stage, found):
    """No file lies where no attempt of a known result put it, and no private folder is left."""
    known = {r["_id"]: r for r in stage.records.newest(stage.name)}
    bucket, _, prefix = stage.results.root.partition("/")
    for item in stage.results.objects_below(bucket, f"{prefix}/"):
        result = item["Key"].removeprefix(f"{prefix}/").split("/")[0]
        if result not in known and f"{result}/" != ENVIRONMENTS:
            found.problems.append(f"a file of no known result: {item['Key']}")
