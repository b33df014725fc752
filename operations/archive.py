"""Archive finished jobs: remove their partitions, which slow down Dagster's pages and ranges, and restore them.

Only the partition in Dagster is removed. The record, the files and the job stay: results are still queried, explained and
reused, and are not computed again.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

import dagster as dg

from domain.errors import RunsActiveError, SettingsError
from domain.job.state import JobState
from domain.messages import counted, shown
from engine.assets.runs import unfinished_spans
from operations.platform import Platform, open_dagster
from operations.requests import known_keys


@dataclass(frozen=True)
class Choice:
    """A selection of jobs; a job must meet every criterion that is given.

    Attributes
    ----------
    before : datetime or None
        Last finished or reused before this time.
    outdated : bool
        Only jobs whose result is from an older code version.
    keys : tuple of str
        Only jobs with these keys; empty for any.
    """

    before: datetime | None = None
    outdated: bool = False
    keys: tuple[str, ...] = ()

    def is_empty(self) -> bool:
        """Return whether no criterion is given."""
        return self.before is None and not self.outdated and not self.keys


@dataclass(frozen=True)
class Plan:
    """What `archive` or `restore` would do.

    Attributes
    ----------
    keys : list of str
        Keys of the jobs that would change, oldest first.
    of : int
        Number of jobs of the analysis in the state that they start from.
    left : dict of str to int
        Number of selected jobs that stay as they are, by reason.
    unfinished : int
        Number of partitions that an interrupted `archive` left; any later one removes them too.
    """

    keys: list[str]
    of: int
    left: dict[str, int]
    unfinished: int = 0


@dataclass(frozen=True)
class Done:
    """Number of jobs that changed state, and of partitions that were removed or added."""

    jobs: int
    partitions: int


def plan(platform: Platform, name: str, choice: Choice, *, restore: bool = False) -> Plan:
    """Return which jobs would be archived or restored, without changing anything.

    Parameters
    ----------
    platform : Platform
        Open platform; only read.
    name : str
        Name of the analysis.
    choice : Choice
        Criteria; without any, every job in the state is selected.
    restore : bool
        Plan `restore` instead of `archive`.

    Raises
    ------
    UnknownJobError
        If a key is not known.
    """
    entry, ledger = platform.entry(name), platform.connections.ledger
    state = JobState.ARCHIVED if restore else JobState.DONE
    match: dict[str, Any] = {"updated": {"$lt": choice.before}} if choice.before else {}
    if choice.outdated:
        match["code_version"] = {"$ne": entry.code_version}
    known_keys(platform, name, choice.keys)
    chosen = ledger.jobs.keys_in(name, state, match=match)
    if choice.keys:
        chosen = sorted(set(chosen) & set(choice.keys))
    kept = chosen if restore else _with_record(platform, name, chosen)
    left = {f"they are not {state.value}, or the other conditions do not hold": len(set(choice.keys) - set(chosen))}
    left["their records are missing (see `analysis audit`)"] = len(chosen) - len(kept)
    with open_dagster(platform.settings) as instance:
        unfinished = 0 if restore or instance is None else len(_retired(platform, name, instance))
    reasons = {why: number for why, number in left.items() if number}
    return Plan(kept, ledger.jobs.counts(name)[state], reasons, unfinished)


def archive(
    platform: Platform, name: str, keys: list[str], *, each: Callable[[list[str]], Iterable[str]] = iter
) -> Done:
    """Archive jobs that are done: remove their partitions. Safe to repeat after an interruption.

    Parameters
    ----------
    platform : Platform
        Open platform whose ledger and partitions are changed.
    name : str
        Name of the analysis.
    keys : list of str
        Keys of its jobs; those that are no longer done stay as they are.
    each : callable
        Iterates over the partitions that are removed, for a progress bar: Dagster removes them one at a time.

    Raises
    ------
    RunsActiveError
        If a run of the analysis is unfinished, because its range would cover other partitions. Nothing is changed.
    """
    ledger = platform.connections.ledger
    with _quiet_dagster(platform, name) as instance:
        jobs = ledger.requests.archive(name, keys)
        if instance is None:
            return Done(jobs, 0)
        gone = _retired(platform, name, instance)
        for key in each(gone):
            instance.delete_dynamic_partition(name, key)
    return Done(jobs, len(gone))


def restore(platform: Platform, name: str, keys: list[str]) -> Done:
    """Restore archived jobs: they are done again, and have partitions. Safe to repeat after an interruption.

    Parameters
    ----------
    platform : Platform
        Open platform whose ledger and partitions are changed.
    name : str
        Name of the analysis.
    keys : list of str
        Keys of its jobs; those that are not archived stay as they are.
    """
    ledger = platform.connections.ledger
    with _quiet_dagster(platform, name) as instance:
        back = sorted(ledger.jobs.archived_among(name, keys))
        if instance is not None:
            instance.add_dynamic_partitions(name, back)
        return Done(ledger.requests.restore(name, back), len(back) if instance is not None else 0)


def parse_day(text: str) -> datetime:
    """Return the start of a day such as ``2026-01-31``, in UTC.

    Raises
    ------
    SettingsError
        If the text has another format.
    """
    try:
        return datetime.combine(date.fromisoformat(text), time(), tzinfo=UTC)
    except ValueError:
        msg = f"The day {shown(text)!r} cannot be read: expected year, month and day, such as 2026-01-31."
        raise SettingsError(msg) from None


def _retired(platform: Platform, name: str, instance: dg.DagsterInstance) -> list[str]:
    """Return the partitions whose jobs are archived, also those that an interrupted `archive` left."""
    return sorted(platform.connections.ledger.jobs.archived_among(name, instance.get_dynamic_partitions(name)))


def _with_record(platform: Platform, name: str, keys: list[str]) -> list[str]:
    """Return the keys of the jobs that have a record."""
    results = platform.connections.ledger.jobs.result_ids(name, keys)
    there = platform.connections.record_store.existing(results.values())
    return [key for key in keys if results.get(key) in there]


@contextmanager
def _quiet_dagster(platform: Platform, name: str) -> Iterator[dg.DagsterInstance | None]:
    """Open Dagster's storage while no run of the analysis is active: a run's range covers all partitions in between."""
    with open_dagster(platform.settings) as instance:
        active = unfinished_spans(instance, name) if instance is not None else []
        if active:
            msg = (
                f"Partitions of `{name}` cannot change while runs use them: {counted(len(active), 'run')} unfinished. Nothing was "
                f"changed. Wait until they end, or stop the sensor {name}_job_files and terminate them, then repeat the command."
            )
            raise RunsActiveError(msg, analysis=name)
        yield instance
