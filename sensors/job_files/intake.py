"""From files in the inbox to jobs in the ledger. No Dagster here: the sensor and ``DRY_RUN`` both use it.

Every step may be cut off and repeated: jobs are stored before their files are noted, and storing a job again changes
nothing. A bad file is noted with its reason and looked at again when the file, the fixed parameters or the analysis's
models change; it never holds up the others.
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
class JudgedFile:
    """One file, read: the job that it asks for, or why it is refused."""

    file: InboxFile
    request: tuple[StoredJob, Source] | None
    problem: str | None


@dataclass(frozen=True)
class IntakeResult:
    """What became of the files that a tick was to read.

    Attributes
    ----------
    read : int
        How many were read; not those that had vanished.
    reached : int
        How many of them are done with: time may have been up before the others.
    keys : tuple of str
        The jobs that they ask for, in the ledger's order.
    """

    read: int
    reached: int
    keys: tuple[str, ...]


def refuse_secrets(data: bytes, what: str, *, secrets: Iterable[str] | None = None) -> None:
    """Refuse a file that holds a credential of the platform itself: what a file says is recorded and shown.

    Parameters
    ----------
    data : bytes
        The file.
    what : str
        What it is, for the message.
    secrets : iterable of str, optional
        The credentials, for whoever reads many files; by default they are looked for.

    Raises
    ------
    JobFileError
        Without the credential.
    """
    if any(secret.encode() in data for secret in (known_secrets() if secrets is None else secrets)):
        msg = f"{what} holds a credential of the platform's own settings. Remove it, and replace that credential by a new one."
        raise JobFileError(msg)


class Intake:
    """Takes the files of one analysis in.

    Parameters
    ----------
    entry : AnalysisEntry
        The analysis.
    inbox : JobInbox
        Where the files are.
    reading_s : float
        How long files are read (s); at least one is.
    chunk : int
        Files whose jobs are stored together.
    """

    def __init__(
        self, entry: AnalysisEntry, inbox: JobInbox, *, reading_s: float = LIMITS.reading_s, chunk: int = LIMITS.chunk
    ) -> None:
        self._entry, self._inbox = entry, inbox
        self._reading_s, self._chunk = reading_s, chunk
        self._name = entry.analysis.name

    def judged_with(self) -> str:
        """Return a digest of what judgements depend on besides the file: fixed parameters, the model and its code."""
        models = sha256_hex(repr(self._entry.analysis.parameters.model_json_schema()).encode())
        return sha256_hex(canonical_json([self._inbox.fixed_fingerprint(self._name), models, self._entry.code_version]))

    def judge(self, files: Sequence[InboxFile]) -> Iterator[JudgedFile]:
        """Read files, one by one, until the time is up; at least one."""
        fixed, problem = self._fixed()
        secrets = list(known_secrets())
        end = time.monotonic() + self._reading_s
        for file in files:
            judged = JudgedFile(file, None, problem) if problem else self._judge_one(file, fixed, secrets)
            if judged is not None:
                yield judged
            if time.monotonic() > end:
                return

    def ingest(
        self, files: Sequence[InboxFile], ledger: Ledger, notes: InboxNotes, *, judged_with: str
    ) -> IntakeResult:
        """Read files until the time is up, store their jobs and note them, a chunk at a time."""
        count, chunk = 0, []
        keys: dict[str, None] = {}
        judged = None
        for judged in self.judge(files):
            chunk.append(judged)
            count += 1
            if len(chunk) == self._chunk:
                keys |= self._store(chunk, ledger, notes, judged_with)
                chunk = []
        keys |= self._store(chunk, ledger, notes, judged_with)
        return IntakeResult(count, files.index(judged.file) + 1 if judged else 0, tuple(keys))

    def _store(
        self, chunk: Sequence[JudgedFile], ledger: Ledger, notes: InboxNotes, judged_with: str
    ) -> dict[str, None]:
        """Store jobs first, then note their files: cut off in between, the files are read again. Returns the keys."""
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

    def _judge_one(self, file: InboxFile, fixed: dict[str, Any], secrets: Sequence[str]) -> JudgedFile | None:
        """Read one file; None if it has vanished since it was listed."""
        if file.problem is not None:
            return JudgedFile(file, None, file.problem)
        url = self._inbox.url(self._name, file.name)
        try:
            data = self._inbox.read(self._name, file.name)
            refuse_secrets(data, f"Job file {file.name}", secrets=secrets)
            job = read_job(data, name=file.name)
            return JudgedFile(file, ingest(self._entry.analysis, job, name=url, fixed=fixed), None)
        except FileNotFoundError:
            return None
        except PermanentError as error:
            return JudgedFile(file, None, str(error))

    def _fixed(self) -> tuple[dict[str, Any], str | None]:
        """Return the inbox's fixed parameters, or why they cannot be used: then every file waits for them."""
        try:
            data = self._inbox.read_fixed_parameters(self._name)
            if data is None:
                return {}, None
            refuse_secrets(data, f"Parameter file {PARAMETERS_FILE}")
            return read_fixed_parameters(data, name=PARAMETERS_FILE).fixed, None
        except JobFileError as error:  # an inbox that cannot be read is another matter, and ends the tick
            return {}, str(error)
