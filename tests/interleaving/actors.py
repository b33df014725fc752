"""What actors do: runs, ticks, people, audits. Each runs the product's own code."""

import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta

import dagster as dg

from audit.audit import run_audit
from audit.cleaning import removable, remove
from audit.repair import Repairer
from audit.sources import Sources
from domain.errors import PlatformError
from domain.job.batches import covered
from engine.assets.materialization import materialization
from engine.assets.runs import RANGE_END, RANGE_START, job_name_of
from engine.execution.batch import BatchRun, Pace
from engine.execution.outcome import Outcome, RunFacts
from operations.archive import archive
from operations.breakers import resume
from operations.lifecycle import cancel, invalidate
from operations.rekey import rekey
from operations.requests import rerun, submit
from sensors.job_files.sensor import tick
from tests.interleaving.accesses import Access
from tests.interleaving.actor_resources import (
    ActorGate,
    connections,
    desk,
    entry_of,
    instance,
    pool_of,
    repository_of,
    services,
    stores,
)
from tests.interleaving.system import NAME, PLATFORM, Act, System

TARGET = "s3://lab/asset"
_PACE = Pace(poll_s=0.0, gather_s=0.0, threads_per_worker=1)

Action = Callable[[System, str], None]
"""What an actor does in a system, under its name."""


def run(
    *,
    run_id: str = "",
    code: str = "first",
    by_hand: bool = False,
    force: str = "",
    keys: Sequence[str] = (),
    jobs: slice = slice(None),
) -> Action:
    """Return a run: the one that the sensor requested for some keys, or one that a person launches for some jobs."""

    def act(system: System, actor: str) -> None:
        """Process every job."""
        dagster, entry = instance(system, actor), entry_of(code)
        known, chosen = run_id or str(uuid.uuid4()), tuple(keys or system.dagster.partitions[jobs])
        began, launched = 0, None
        if by_hand:
            ActorGate(actor).before("a person launches a run", (Access("history", writes=True),))
            began, launched = system.moment(), system.servers.now()
            dagster.create(job_name_of(NAME), known, {"dagster/partition": chosen[0]}, dg.DagsterRunStatus.STARTED)
        facts = RunFacts(run_id=known, by_hand=by_hand, launched=launched, force_reason=force)
        failed = False
        opened = BatchRun(
            entry, services(system, actor), facts, pool=pool_of(actor), pace=_PACE, code=repository_of(code)
        )
        with system.as_run(actor), opened as batch:
            for ended in batch.outcomes(chosen):
                for outcome in ended:
                    failed = failed or outcome.error is not None
                    _report(system, actor, outcome, code)
                batch.settled(ended)
        dagster.end(known, dg.DagsterRunStatus.FAILURE if failed else dg.DagsterRunStatus.SUCCESS)
        if by_hand:
            system.acts.append(Act("force run" if force else "run", began, system.moment(), accepted=True))

    return act


def _report(system: System, actor: str, outcome: Outcome, code: str) -> None:
    """Report a result to Dagster, as the asset does."""
    if outcome.provenance is not None:
        event = materialization(
            outcome.provenance,
            analysis=entry_of(code).analysis,
            results=connections(system, actor).results_store,
            figure=outcome.figure,
            reused=outcome.kind == "reused",
        )
        instance(system, actor).report_runless_asset_event(event)


def sensor_tick(*, code: str = "first") -> Action:
    """Return a tick of the sensor; Dagster queues the runs that it requests."""

    def act(system: System, actor: str) -> None:
        """Evaluate the sensor once."""
        found = tick(instance(system, actor), None, entry_of(code), stores(system, actor))
        for request in (found.run_requests or []) if isinstance(found, dg.SensorResult) else []:
            if request.run_key in system.launched:
                continue
            system.launched.add(str(request.run_key))
            run_id = str(uuid.uuid4())
            instance(system, actor).create(job_name_of(NAME), run_id, dict(request.tags), dg.DagsterRunStatus.STARTED)
            span = (request.tags[RANGE_START], request.tags[RANGE_END])
            keys = covered(system.dagster.partitions, [span])
            system.queue.append((run_id, tuple(key for key in system.dagster.partitions if key in keys)))

    return act


def person(kind: str, act: Callable[[System, str], bool], detail: str = "") -> Action:
    """Return an act of a person, and note what the person was answered."""

    def noted(system: System, actor: str) -> None:
        """Do it."""
        gate = ActorGate(actor)
        gate.before(f"a person begins to {kind}", (Access("history", writes=True),))
        began, since, accepted = system.moment(), system.now(), False
        try:
            accepted = act(system, actor)
        except PlatformError:  # rejected, with the reason
            accepted = False
        gate.before(f"the person is answered: {'done' if accepted else 'rejected'}", (Access("history", writes=True),))
        system.acts.append(Act(kind, began, system.moment(), accepted, detail, since))

    return noted


def _keys(system: System) -> list[str]:
    """Return the jobs."""
    return list(system.dagster.partitions)


def forces() -> Action:
    """Return a person who requests that a result is computed again."""

    def act(system: System, actor: str) -> bool:
        return bool(rerun(desk(system, actor), NAME, keys=_keys(system), force_reason="recalibrated"))

    return person("force", act)


def reruns(*, code: str = "first") -> Action:
    """Return a person who requests a job again."""

    def act(system: System, actor: str) -> bool:
        return bool(rerun(desk(system, actor, code), NAME, keys=_keys(system)))

    return person("rerun", act)


def cancels() -> Action:
    """Return a person who cancels."""

    def act(system: System, actor: str) -> bool:
        return cancel(desk(system, actor), NAME, keys=_keys(system), reason="wrong animal") > 0

    return person("cancel", act)


def invalidates() -> Action:
    """Return a person who declares a result wrong."""

    def act(system: System, actor: str) -> bool:
        return bool(invalidate(desk(system, actor), NAME, _keys(system), reason="bad clock").results)

    return person("invalidate", act)


def submits(*, code: str = "first", number: int = 7) -> Action:
    """Return a person who submits a job, or the job again, for the code of the moment."""

    def act(system: System, actor: str) -> bool:
        return bool(submit(desk(system, actor, code), NAME, [TARGET], by_hand={"number": number}))

    return person("submit", act, detail=code)


def resumes() -> Action:
    """Return a person who closes the circuit breaker."""

    def act(system: System, actor: str) -> bool:
        return resume(desk(system, actor, "fragile"), NAME)

    return person("resume", act)


def archives() -> Action:
    """Return a person who archives what is done."""

    def act(system: System, actor: str) -> bool:
        return archive(desk(system, actor), NAME, _keys(system)).jobs > 0

    return person("archive", act)


def rekeys() -> Action:
    """Return a person who adds jobs under new keys, after the model of the analysis has changed."""

    def act(system: System, actor: str) -> bool:
        return bool(rekey(desk(system, actor, "third"), NAME))

    return person("rekey", act)


def repairs() -> Action:
    """Return `audit --repair`."""

    def act(system: System, actor: str) -> None:
        """Compare everything, and repair what is safe."""
        entries, dagster = {NAME: entry_of("first")}, instance(system, actor)
        sources = Sources.of(entries, connections(system, actor), dagster)
        run_audit(sources, then=Repairer(sources, who="auditor").fix)

    return act


def cleans() -> Action:
    """Return `clean`: first shown, then removed."""

    def act(system: System, actor: str) -> None:
        """Remove what is no longer needed."""
        c = connections(system, actor)
        found = list(removable(c.results_store, c.record_store, c.ledger, older_than=timedelta(hours=1)))
        for one in found:
            remove(one, c.results_store, c.record_store, c.ledger)

    return act


def in_turn(actions: Sequence[Action]) -> Action:
    """Return one actor that does several things, one after the other."""

    def act(system: System, actor: str) -> None:
        """Do them."""
        for action in actions:
            action(system, actor)

    return act


def drain(system: System, *, code: str) -> None:
    """Execute every queued run to its end."""
    while system.queue:
        run_id, keys = system.queue.pop(0)
        system.requests = 0
        run(run_id=run_id, code=code, keys=keys)(system, PLATFORM)


def bring_to_rest(system: System, *, code: str, rounds: int = 2) -> None:
    """Do what the platform does when every actor has ended: ticks, and the runs that they request."""
    drain(system, code=code)
    for _ in range(rounds):
        system.requests = 0
        sensor_tick(code=code)(system, PLATFORM)
        drain(system, code=code)
