"""Retiring partitions of finished jobs, because Dagster's pages and ranges grow slow with them, and bringing them back.

Only Dagster's partition goes. The record, the files and the job stay: results are queried, explained and reused as
before, and nothing computes them again.
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
    """Which jobs; all that is given must hold.

    Attributes
    ----------
    before : datetime or None
        Finished or reused last before this time.
    outdated : bool
        Their result was made by other code than the current.
    keys : tuple of str
        One of these; empty: any.
    """

    before: datetime | None = None
    outdated: bool = False
    keys: tuple[str, ...] = ()

    def is_empty(self) -> bool:
        """Tell whether nothing was chosen."""
        return self.before is None and not self.outdated and not self.keys


@dataclass(frozen=True)
class Plan:
    """What would be done.

    Attributes
    ----------
    keys : list of str
        The jobs.
    of : int
        How many there are in their state.
    left : dict of str to int
        Why others that were chosen are left alone, and how many.
    unfinished : int
        Partitions that an archiving which was cut off has left; archiving anything removes them too.
    """

    keys: list[str]
    of: int
    left: dict[str, int]
    unfinished: int = 0


@dataclass(frozen=True)
class Done:
    """How many jobs changed their state, and how many partitions were removed or added."""

    jobs: int
    partitions: int


def plan(platform: Platform, name: str, choice: Choice, *, restore: bool = False) -> Plan:
    """Say which jobs would be retired or brought back, and change nothing.

    Parameters
    ----------
    platform : Platform
        Where to look.
    name : str
        The analysis.
    choice : Choice
        Which jobs.
    restore : bool
        Bring back instead of retire.

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
    told = {why: number for why, number in left.items() if number}
    return Plan(kept, ledger.jobs.counts(name)[state], told, unfinished)


def archive(
    platform: Platform, name: str, keys: list[str], *, each: Callable[[list[str]], Iterable[str]] = iter
) -> Done:
    """Retire jobs that are done: their partitions are removed. May be cut off and repeated.

    Parameters
    ----------
    platform : Platform
        Where.
    name : str
        The analysis.
    keys : list of str
        Its jobs; those that are no longer done are left alone.
    each : callable
        Goes through the partitions that are removed, and may show how far: Dagster removes them one by one.

    Raises
    ------
    RunsActiveError
        If a run of the analysis has not ended: its range would mean other partitions. Nothing was changed then.
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
    """Bring retired jobs back: they are done again, and have partitions. May be cut off and repeated.

    Parameters
    ----------
    platform : Platform
        Where.
    name : str
        The analysis.
    keys : list of str
        Its jobs; those that are not retired are left alone.
    """
    ledger = platform.connections.ledger
    with _quiet_dagster(platform, name) as instance:
        back = sorted(ledger.jobs.archived_among(name, keys))
        if instance is not None:
            instance.add_dynamic_partitions(name, back)
        return Done(ledger.requests.restore(name, back), len(back) if instance is not None else 0)


def parse_day(text: str) -> datetime:
    """Read a day such as ``2026-01-31``: its beginning, in UTC.

    Raises
    ------
    SettingsError
        If it has another form.
    """
    try:
        return datetime.combine(date.fromisoformat(text), time(), tzinfo=UTC)
    except ValueError:
        msg = f"The day {shown(text)!r} cannot be read: expected year, month and day, such as 2026-01-31."
        raise SettingsError(msg) from None


def _retired(platform: Platform, name: str, instance: dg.DagsterInstance) -> list[str]:
    """Return the partitions whose jobs are retired, also by an archiving that was cut off."""
    return sorted(platform.connections.ledger.jobs.archived_among(name, instance.get_dynamic_partitions(name)))


def _with_record(platform: Platform, name: str, keys: list[str]) -> list[str]:
    """Return those of some jobs whose result is there."""
    results = platform.connections.ledger.jobs.result_ids(name, keys)
    there = platform.connections.record_store.existing(results.values())
    return [key for key in keys if results.get(key) in there]


@contextmanager
def _quiet_dagster(platform: Platform, name: str) -> Iterator[dg.DagsterInstance | None]:
    """Open Dagster's storage while no run of the analysis is active: a run's range means the partitions in between."""
    with open_dagster(platform.settings) as instance:
        active = unfinished_spans(instance, name) if instance is not None else []
        if active:
            msg = (
                f"Partitions of `{name}` cannot change while runs use them: {counted(len(active), 'run')} unfinished. Nothing was "
                f"changed. Wait until they end, or stop the sensor {name}_job_files and terminate them, then repeat the command."
            )
            raise RunsActiveError(msg, analysis=name)
        yield instance
