"""Ingest files of the inbox as jobs of the ledger. Without Dagster: the sensors and ``DRY_RUN`` both use it.

Every step can be interrupted and repeated: jobs are stored before the notes on their files, and storing a job again changes
nothing. A rejected file is noted with its reason, and read again when the file, the fixed parameters or the analysis's
models change; it does not delay the others.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from domain.analysis.parameter_files import read_fixed_parameters
from domain.errors import JobFileError, PermanentError
from domain.job.job_file import read_job
from domain.job.stored import Source, StoredJob, ingest
from domain.json_values import canonical_json, sha256_hex
from engine.discovery.analyses import AnalysisEntry
from resources.environment import known_secrets
from resources.inbox.job_inbox import InboxFile, JobInbox
from resources.inbox.names import PARAMETERS_FILE
from resources.inbox.notes import FileNote, InboxNotes
from resources.ledger.ledger import Ledger
from sensors.limits import LIMITS


@dataclass(frozen=True)
class CheckedFile:
    """A file that was read: the job that it requests, or the reason why it is rejected."""

    file: InboxFile
    request: tuple[StoredJob, Source] | None
    problem: str | None


@dataclass(frozen=True)
class IntakeResult:
    """The outcome of ingesting the files of one tick.

    Attributes
    ----------
    read : int
        Number of files that were read; files that no longer exist are not counted.
    reached : int
        Number of processed files, from the first; the others are left for lack of time.
    keys : tuple of str
        Keys of the requested jobs, in the order in which the ledger stored them.
    """

    read: int
    reached: int
    keys: tuple[str, ...]


def refuse_secrets(data: bytes, what: str, *, secrets: Iterable[str] | None = None) -> None:
    """Raise for a file that contains a credential of the platform: contents of files are recorded and shown.

    Parameters
    ----------
    data : bytes
        Content of the file.
    what : str
        Name of the file, as the subject of the message.
    secrets : iterable of str, optional
        The credentials, for callers that read many files; by default those of the settings.

    Raises
    ------
    JobFileError
        If the file contains a credential; the message does not.
    """
    if any(secret.encode() in data for secret in (known_secrets() if secrets is None else secrets)):
        msg = f"{what} holds a credential of the platform's own settings. Remove it, and replace that credential by a new one."
        raise JobFileError(msg)


class Intake:
    """Ingests the files of one analysis.

    Parameters
    ----------
    entry : AnalysisEntry
        The analysis, with its current code version.
    inbox : JobInbox
        Inbox that contains the files.
    reading_s : float
        Maximum time for reading files (s); at least one is read.
    chunk : int
        Number of files whose jobs are stored in one request.
    """

    def __init__(
        self, entry: AnalysisEntry, inbox: JobInbox, *, reading_s: float = LIMITS.reading_s, chunk: int = LIMITS.chunk
    ) -> None:
        self._entry, self._inbox = entry, inbox
        self._reading_s, self._chunk = reading_s, chunk
        self._name = entry.analysis.name

    def judged_with(self) -> str:
        """Return a digest of what a check depends on besides the file: fixed parameters, model and code version."""
        models = sha256_hex(repr(self._entry.analysis.parameters.model_json_schema()).encode())
        return sha256_hex(canonical_json([self._inbox.fixed_fingerprint(self._name), models, self._entry.code_version]))

    def check(self, files: Sequence[InboxFile]) -> Iterator[CheckedFile]:
        """Yield files as they are read, until `reading_s` has passed; at least one."""
        fixed, problem = self._fixed()
        secrets = list(known_secrets())
        end = time.monotonic() + self._reading_s
        for file in files:
            checked = CheckedFile(file, None, problem) if problem else self._check_one(file, fixed, secrets)
            if checked is not None:
                yield checked
            if time.monotonic() > end:
                return

    def ingest(
        self, files: Sequence[InboxFile], ledger: Ledger, notes: InboxNotes, *, judged_with: str
    ) -> IntakeResult:
        """Read files until `reading_s` has passed; store their jobs, then the notes on them, in chunks."""
        count, chunk = 0, []
        keys: dict[str, None] = {}
        checked = None
        for checked in self.check(files):
            chunk.append(checked)
            count += 1
            if len(chunk) == self._chunk:
                keys |= self._store(chunk, ledger, notes, judged_with)
                chunk = []
        keys |= self._store(chunk, ledger, notes, judged_with)
        return IntakeResult(count, files.index(checked.file) + 1 if checked else 0, tuple(keys))

    def _store(
        self, chunk: Sequence[CheckedFile], ledger: Ledger, notes: InboxNotes, judged_with: str
    ) -> dict[str, None]:
        """Store jobs, then notes: after an interruption in between the files are read again. Return the keys."""
        ledger.requests.store(
            [j.request for j in chunk if j.request is not None], code_version=self._entry.code_version
        )
        notes.save(
            self._name,
            [
                FileNote(
                    name=j.file.name,
                    fingerprint=j.file.fingerprint,
                    problem=j.problem,
                    judged_with=judged_with,
                    job_key=j.request[0].job_key if j.request else None,
                )
                for j in chunk
            ],
        )
        return dict.fromkeys(sorted(j.request[0].job_key for j in chunk if j.request is not None))

    def _check_one(self, file: InboxFile, fixed: dict[str, Any], secrets: Sequence[str]) -> CheckedFile | None:
        """Read one file; None if it no longer exists."""
        if file.problem is not None:
            return CheckedFile(file, None, file.problem)
        url = self._inbox.url(self._name, file.name)
        try:
            data = self._inbox.read(self._name, file.name)
            refuse_secrets(data, f"Job file {file.name}", secrets=secrets)
            job = read_job(data, name=file.name)
            return CheckedFile(file, ingest(self._entry.analysis, job, name=url, fixed=fixed), None)
        except FileNotFoundError:
            return None
        except PermanentError as error:
            return CheckedFile(file, None, str(error))

    def _fixed(self) -> tuple[dict[str, Any], str | None]:
        """Return the inbox's fixed parameters, or why they are invalid: then every file is rejected until they are fixed."""
        try:
            data = self._inbox.read_fixed_parameters(self._name)
            if data is None:
                return {}, None
            refuse_secrets(data, f"Parameter file {PARAMETERS_FILE}")
            return read_fixed_parameters(data, name=PARAMETERS_FILE).fixed, None
        except JobFileError as error:  # other errors, such as an unreadable inbox, end the tick
            return {}, str(error)
