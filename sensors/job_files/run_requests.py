"""Requests runs: ranges of partitions that cover the new jobs for which no unfinished run is responsible."""

from collections.abc import Sequence

import dagster as dg

from domain.job.batches import covered, ranges, run_key
from domain.job.identity import keys_digest
from domain.job.run_tags import found_in_job, tags_of
from domain.job.state import JobState
from engine.assets.factory import KEYS_TAG
from engine.assets.runs import RANGE_END, RANGE_START, unfinished_spans
from engine.discovery.analyses import AnalysisEntry
from resources.ledger.ledger import Ledger
from sensors.job_files.breakers import let_through
from sensors.job_files.stores import Stores
from sensors.limits import LIMITS, TickLimits


def request_runs(
    instance: dg.DagsterInstance, entry: AnalysisEntry, stores: Stores, *, limits: TickLimits = LIMITS
) -> list[dg.RunRequest]:
    """Add the partitions of new jobs, and return requests for runs of those that no unfinished run covers."""
    name, ledger = entry.analysis.name, stores.ledger
    waiting = ledger.jobs.keys_in(name, JobState.NEW, limit=limits.jobs)
    if not waiting:
        return []
    instance.add_dynamic_partitions(name, waiting)
    new = let_through(entry, ledger, waiting)
    if not new:
        return []
    order = instance.get_dynamic_partitions(name)
    wanted = set(new) - covered(order, unfinished_spans(instance, name))
    if ledger.run_counts.fail_crash_looping(name, list(wanted), code_version=entry.code_version):
        wanted &= set(ledger.jobs.keys_in(name, JobState.NEW, limit=limits.jobs))
    jobs, now = ledger.jobs.get_many(name, wanted), ledger.now()
    wanted -= {key for key, job in jobs.items() if not job.run_is_due(now)}
    batches = _batches(order, wanted, entry, ledger)
    known = ledger.jobs.summaries(name, wanted)
    requests = []
    for batch in batches:
        numbers = {key: known[key][2] for key in batch if key in wanted}
        ledger.run_counts.count_requested(name, numbers)
        found = set().union(*(found_in_job(jobs[key]) for key in numbers if key in jobs))
        tags = {**tags_of(found, known={}), RANGE_START: batch[0], RANGE_END: batch[-1], KEYS_TAG: keys_digest(batch)}
        requests.append(dg.RunRequest(run_key=run_key(numbers), tags=tags))
    return requests


def _batches(order: Sequence[str], wanted: set[str], entry: AnalysisEntry, ledger: Ledger) -> list[tuple[str, ...]]:
    """Return ranges that cover the wanted keys; besides these they contain only results of the current code version."""
    name, size = entry.analysis.name, entry.analysis.batch_size
    widest = ranges(order, wanted, passable=lambda _: True, size=size)
    between = {key for batch in widest for key in batch if key not in wanted}
    states = ledger.jobs.summaries(name, between) if between else {}

    def is_current(key: str) -> bool:
        state, version, _ = states.get(key, (None, None, 0))
        return state is JobState.DONE and version == entry.code_version

    return ranges(order, wanted, passable=is_current, size=size)
