"""The sensor of the inbox's queue: ingests new files as soon as S3 reports them, without a listing.

One queue reports the files of all analyses. Jobs are stored in the ledger; the sensor of each analysis requests their runs,
as for every new job. A message is deleted only after its files were ingested; otherwise the queue delivers it again.
Duplicate, late and unordered messages change nothing, because the sensor reads the file itself.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from domain.errors import JobFileError
from domain.messages import counted, shown
from engine.discovery.analyses import AnalysisEntry
from resources.inbox.events import changed_objects
from resources.inbox.job_inbox import InboxFile, JobInbox
from resources.inbox.notes import InboxNotes
from resources.inbox.queue import InboxQueue, QueueMessage
from resources.ledger.ledger import Ledger
from sensors.job_files.intake import Intake
from sensors.job_files.listing import worth_reading
from sensors.job_files.sensor import MIN_INTERVAL_S, add_partitions
from sensors.limits import LIMITS, TickLimits

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Watched:
    """The external systems that the sensor of the queue uses."""

    queue: InboxQueue
    inbox: JobInbox
    notes: InboxNotes
    ledger: Ledger


def build_inbox_watch(
    entries: Sequence[AnalysisEntry], *, dry_run: bool = False, limits: TickLimits = LIMITS
) -> dg.SensorDefinition:
    """Build the sensor of the inbox's queue.

    Parameters
    ----------
    entries : sequence of AnalysisEntry
        The analyses, with their current code versions.
    dry_run : bool
        Receive no messages (the setting ``DRY_RUN``), because a received message is hidden from other consumers.
    limits : TickLimits
        Bounds of one tick.
    """
    analyses = {entry.analysis.name: entry for entry in entries}

    @dg.sensor(
        name="inbox_queue",
        minimum_interval_seconds=MIN_INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Ingests the job files that S3 reports through the queue JOB_INBOX_QUEUE_URL.",
    )
    def watch(
        context: dg.SensorEvaluationContext,
        inbox_queue: InboxQueue,
        job_inbox: JobInbox,
        inbox_notes: InboxNotes,
        ledger: Ledger,
    ) -> dg.SkipReason:
        if dry_run:
            return dg.SkipReason("DRY_RUN is set: no message was received.")
        watched = Watched(inbox_queue, job_inbox, inbox_notes, ledger)
        return dg.SkipReason(ingest_reported(context.instance, analyses, watched, limits=limits))

    return watch


def ingest_reported(
    instance: dg.DagsterInstance,
    analyses: Mapping[str, AnalysisEntry],
    watched: Watched,
    *,
    limits: TickLimits = LIMITS,
) -> str:
    """Ingest the files that the queue reports; return a message for the tick.

    Parameters
    ----------
    instance : dagster.DagsterInstance
        Instance that partitions are added to.
    analyses : mapping of str to AnalysisEntry
        The analyses, by name; files of others are ignored.
    watched : Watched
        Clients of the queue, the inbox, its notes and the ledger.
    limits : TickLimits
        Bounds of one tick.
    """
    count, read, problems = 0, 0, list[str]()
    for messages in watched.queue.receive(limit=limits.messages, seconds=limits.receiving_s):
        count += len(messages)
        files, bad = _files_of(messages, watched.inbox, analyses)
        unread = set[int]()
        for name, messages_of in files.items():
            number, left = _ingest(instance, analyses[name], watched, list(messages_of), limits)
            read += number
            unread |= {index for file in left for index in messages_of[file]}
        watched.queue.delete([m for number, m in enumerate(messages) if number not in unread])
        for problem in bad:
            _log.warning("A message was removed from %s: %s", watched.queue.url, problem)
        problems += bad
    removed = f" {counted(len(problems), 'invalid message')} removed: {shown(problems[-1])}" if problems else ""
    return f"{counted(count, 'message')}, {counted(read, 'file')} read.{removed}"


def _files_of(
    messages: Sequence[QueueMessage], inbox: JobInbox, analyses: Mapping[str, AnalysisEntry]
) -> tuple[dict[str, dict[str, set[int]]], list[str]]:
    """Return the job files of each analysis, each with its messages, and the problems of invalid messages.

    Objects outside the inbox of an analysis are ignored.
    """
    files: dict[str, dict[str, set[int]]] = {}
    problems = []
    for number, message in enumerate(messages):
        try:
            places = [inbox.place_of(bucket, key) for bucket, key in changed_objects(message.body)]
        except JobFileError as error:  # it is deleted: the queue would deliver it forever
            problems.append(str(error))
            continue
        for name, file in (place for place in places if place is not None and place[0] in analyses):
            files.setdefault(name, {}).setdefault(file, set()).add(number)
    return files, problems


def _ingest(
    instance: dg.DagsterInstance, entry: AnalysisEntry, watched: Watched, names: Sequence[str], limits: TickLimits
) -> tuple[int, set[str]]:
    """Ingest files of one analysis; return the number of files that were read, and those left for lack of time."""
    name = entry.analysis.name
    intake = Intake(entry, watched.inbox, reading_s=limits.messages_reading_s, chunk=limits.chunk)
    judged_with, noted = intake.judged_with(), watched.notes.some(entry.analysis.name, names)
    found = {file: _look_at(watched.inbox, name, file) for file in names}
    files = [f for n, f in found.items() if f is not None and worth_reading(f, noted.get(n), judged_with)]
    result = intake.ingest(files, watched.ledger, watched.notes, judged_with=judged_with)
    watched.notes.forget(name, [n for n, file in found.items() if file is None and n in noted])
    add_partitions(instance, name, result.keys, watched.ledger)
    return result.read, {file.name for file in files[result.reached :]}


def _look_at(inbox: JobInbox, analysis: str, name: str) -> InboxFile | None:
    """Return one file, with a problem if its name is invalid; None if it does not exist."""
    try:
        return inbox.look_at(analysis, name)
    except JobFileError:
        return InboxFile(name, "", "has a name that could not be a path: rename it")
