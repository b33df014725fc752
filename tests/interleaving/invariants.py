"""What must hold after every schedule, read from the servers themselves and from what was noted beside them."""

import hashlib
import json
from typing import Any

import bson

from domain.result.records import from_record
from engine.assets.materialization import provenance_of
from engine.execution.publish import MANIFEST, METADATA
from tests.interleaving.system import FRAGILE, Act, Change, System

BY_PLATFORM = "the platform"
"""Who closes a breaker when a job succeeds."""

_REQUESTS = {"rerun", "force", "submit", "run", "force run"}
"""Acts that request a job again."""


def problems_of(system: System) -> list[str]:
    """Return what must not be, each as one sentence that begins with the rule."""
    return [
        *dict.fromkeys(system.seen),
        *_results(system),
        *_executions(system),
        *_forces(system),
        *_cancels(system),
        *_invalidations(system),
        *_submissions(system),
        *_breakers(system),
        *_agreement(system),
    ]


def snapshot(system: System) -> tuple[bytes, ...]:
    """Return everything that is stored: what a tick must not change when nothing is to be done."""
    kinds, dagster = ("jobs", "", "superseded", "breakers"), system.dagster
    documents = [bson.encode(d) for kind in kinds for d in system.raw(kind).find({}, sort=[("_id", 1)])]
    shown = (dagster.partitions, len(dagster.materializations), sorted(dagster.runs), len(dagster.observations))
    return (*documents, repr(shown).encode(), repr(sorted(objects(system).items())).encode())


def outcome_of(system: System) -> str:
    """Return the end state without names and times, so that those of different schedules can be compared."""
    actors = [one.actor for one in system.executions]
    whose = {one.attempt: f"{one.actor}{actors[:n].count(one.actor)}" for n, one in enumerate(system.executions)}
    jobs = [
        (job["state"], (job["error"] or {}).get("kind"), job.get("force") is not None, job.get("code_version"))
        for job in _jobs(system)
    ]
    records = [whose.get(record["analysis_assets"]["attempt"]) for record in _records(system).values()]
    replaced = [
        (whose.get(one["analysis_assets"]["attempt"]), one["superseded"]["how"])
        for one in system.raw("superseded").find({})
    ]
    acts = sorted((act.kind, act.accepted) for act in system.acts)
    return repr((jobs, records, sorted(map(str, replaced)), acts, len(system.executions)))


def objects(system: System) -> dict[str, str]:
    """Return the digest of every object, by key."""
    bucket, _, prefix = system.servers.root.partition("/")
    answer = system.servers.client.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/" if prefix else "")
    return {item["Key"]: item["ETag"] for item in answer.get("Contents", [])}


def _records(system: System) -> dict[str, Any]:
    """Return the current records; what stays in the place of an invalidated one is none."""
    return {record["_id"]: record for record in system.raw().find({"withdrawn": None})}


def _jobs(system: System) -> list[dict[str, Any]]:
    """Return the jobs."""
    return list(system.raw("jobs").find({}))


def _content(system: System, location: str, path: str) -> bytes | None:
    """Return a file of a result."""
    bucket, _, key = f"{location.removeprefix('s3://')}/{path}".partition("/")
    if key not in objects(system):
        return None
    data: bytes = system.servers.client.get_object(Bucket=bucket, Key=key)["Body"].read()
    return data


def _results(system: System) -> list[str]:
    """Every current result has its files, byte for byte, and was never declared wrong."""
    found = []
    superseded = {one["_id"]: one["superseded"] for one in system.raw("superseded").find({})}
    kept = {record["analysis_assets"]["attempt"] for record in _records(system).values()}
    kept |= {name.partition("/")[2] for name in superseded}
    lost = {change.attempt for change in _committed(system)} - kept
    found += [f"results: the record of attempt {attempt[:8]} was lost" for attempt in sorted(lost)]
    for result, record in _records(system).items():
        provenance = from_record(record)
        if provenance.result_id != result:
            found.append(f"results: the record {result[:8]} is of another result")
        manifest = _content(system, provenance.location, MANIFEST)
        if manifest is None or _content(system, provenance.location, METADATA) is None:
            found.append(f"results: the files of the current attempt {provenance.attempt[:8]} are gone")
            continue
        listed = json.loads(manifest)
        for file in (*listed["files"], *listed["logs"]):
            content = _content(system, provenance.location, file["path"])
            if content is None or hashlib.sha256(content).hexdigest() != file["sha256"]:
                found.append(
                    f"results: {file['path']} of the current attempt {provenance.attempt[:8]} is not as published"
                )
        if listed["sha256"] != provenance.manifest_sha256:
            found.append("results: the manifest is another one than the record's")
        if superseded.get(f"{result}/{provenance.attempt}", {}).get("how") == "invalidated":
            found.append(f"results: attempt {provenance.attempt[:8]} is current although it was declared wrong")
    return found


def _executions(system: System) -> list[str]:
    """Every execution has a claim of its own, and what it made is kept unless it was interrupted."""
    attempts = [one.attempt for one in system.executions]
    claims = {change.attempt for change in system.changes if change.what == "claim"}
    found = [f"executions: attempt {one[:8]} was executed twice" for one in set(attempts) if attempts.count(one) > 1]
    found += [f"executions: attempt {one[:8]} was executed without a claim" for one in set(attempts) - claims]
    committed = {change.attempt for change in system.changes if change.what == "commit"}
    wasted = len(set(attempts) - committed)
    interrupted = system.expiries + len([act for act in system.acts if act.kind == "cancel" and act.accepted])
    interrupted += len([number for number in system.failing if number <= len(attempts)])
    if wasted > interrupted:
        found.append(f"executions: {wasted} were for nothing, {interrupted} interruptions explain")
    return found


def _accepted(system: System, *kinds: str) -> list[Act]:
    """Return what people did, if the answer was that it is done."""
    return [act for act in system.acts if act.kind in kinds and act.accepted]


def _committed(system: System) -> list[Change]:
    """Return the commits."""
    return [change for change in system.changes if change.what == "commit"]


def _executed(system: System, attempt: str) -> int:
    """Return when the user code of an attempt ran."""
    return next((e.moment for e in system.executions if e.attempt == attempt), -1)


def _forces(system: System) -> list[str]:
    """A force ends in a new execution, or is still in the ledger."""
    found = []
    for act in _accepted(system, "force"):
        if any(_executed(system, change.attempt) > act.began for change in _committed(system)):
            continue
        job = _jobs(system)[0]
        replaced = any(later.began > act.began for later in _accepted(system, "cancel", "invalidate", "archive"))
        if job.get("force") is None and not replaced:
            found.append(f"force: accepted, no new execution, and not in the ledger; the job is {job['state']}")
    return found


def _latest_start(cancel: Act, request: Act) -> int:
    """Return from when on a request comes after a cancellation.

    A launch by hand that overlaps with it may be ordered either way: it does not read the ledger, so only clocks could tell.
    """
    return cancel.began if request.kind in {"run", "force run"} else cancel.ended


def _cancels(system: System) -> list[str]:
    """Nothing of cancelled work is published after the person had the answer, until the job is requested again."""
    found = []
    for act in _accepted(system, "cancel"):
        again = [a.began for a in system.acts if a.began > _latest_start(act, a) and a.kind in _REQUESTS]
        until = min(again, default=system.moment())
        late = [change for change in _committed(system) if act.ended < change.moment < until]
        if late:
            found.append(f"cancel: attempt {late[0].attempt[:8]} was published after the cancel")
        job = _jobs(system)[0]
        if again or (job["error"] or {}).get("kind") != "cancelled":
            continue
        current = {from_record(r).attempt for r in _records(system).values()}
        open_then = {c.attempt for c in system.changes if c.what == "claim" and c.moment < act.ended}
        open_then -= {a["attempt"] for a in job.get("attempts", ()) if a.get("outcome") == "done"}
        if current & open_then:
            found.append("cancel: the job is failed (cancelled), and the result of the cancelled attempt is published")
    return found


def _invalidations(system: System) -> list[str]:
    """An invalidated result stays invalid until a person requests a new one, which a new execution makes."""
    found = []
    for act in _accepted(system, "invalidate"):
        late = [c for c in _committed(system) if c.moment > act.ended]
        old = [c for c in late if _executed(system, c.attempt) < act.began]
        if old:
            found.append(f"invalidate: attempt {old[0].attempt[:8]}, executed before, was committed afterwards")
        again = [a for a in system.acts if a.ended > act.began and a.kind in _REQUESTS]
        job = _jobs(system)[0]
        if not again and (job["state"], (job["error"] or {}).get("kind")) != ("failed", "invalidated"):
            found.append(f"invalidate: the job was not requested again, and it is {job['state']}")
    return found


def _submissions(system: System) -> list[str]:
    """A request for new code is answered by that code."""
    found = []
    if any(act.detail == "second" for act in _accepted(system, "submit")):
        job = _jobs(system)[0]
        if not (job.get("code_version") or "").startswith("2+") and job["state"] != "new":
            found.append(f"submit: the new code was requested, the job is {job['state']} by {job.get('code_version')}")
    return found


def _breakers(system: System) -> list[str]:
    """A breaker that a person closed opens by new failures only, and the platform closes it by a new success only."""
    found = []
    for act in _accepted(system, "resume"):
        stored = len(list(system.raw("jobs").find({"state": "failed", "updated": {"$gt": act.since}})))
        executed = [n for n, e in enumerate(system.executions, 1) if e.moment > act.began and n in system.failing]
        opened = any(change.what == "open" and change.moment > act.ended for change in system.changes)
        if opened and max(stored, len(executed)) < FRAGILE:  # a failure whose lease has expired is not stored
            found.append("breakers: a person closed it, and it opened again without as many new failures")
    last_opened = 0
    for change in system.changes:
        if change.what == "open":
            last_opened = change.moment
        succeeded = any(last_opened < c.moment < change.moment for c in _committed(system))
        if change.what == "closed" and change.attempt == BY_PLATFORM and not succeeded:
            found.append("breakers: the platform closed it although no job succeeded since it opened")
    return found


def _agreement(system: System) -> list[str]:
    """Ledger, records, S3 and Dagster say the same."""
    found, records = [], _records(system)
    for job in _jobs(system):
        record = records.get(job.get("result_id") or "")
        if job["state"] == "running" or (job["state"] == "new" and not _has_open_breaker(system)):
            found.append(f"agreement: the job is still {job['state']} after two ticks and their runs")
        elif job["state"] == "failed" and (job["error"] or {}).get("kind") == "invalidated" and records:
            found.append("agreement: the job is failed (invalidated), and a record is current")
        elif job["state"] in {"done", "archived"} and record is None:
            found.append(f"agreement: the job is {job['state']} without a record")
        elif job["state"] == "done" and record is not None:
            found += _done(system, job, record)
    return found


def _has_open_breaker(system: System) -> bool:
    """Return whether a circuit breaker is open, which keeps jobs new."""
    return system.raw("breakers").find_one({"state": "open"}) is not None


def _done(system: System, job: dict[str, Any], record: dict[str, Any]) -> list[str]:
    """A job that is done has nothing pending, and Dagster shows its result."""
    found, provenance = [], from_record(record)
    if (job["lease"], job["error"]) != (None, None):
        found.append(f"agreement: the job is done with lease {job['lease']} and error {job['error']}")
    if provenance.code_version != job["code_version"]:
        found.append("agreement: the job is done by other code than its record's")
    shown = system.dagster.latest(job["job_key"])
    if shown is None or provenance_of(dict(shown.metadata)).attempt != provenance.attempt:
        found.append("agreement: Dagster shows another attempt than the record's")
    return found
