"""Notes on the files of the inbox: ingested, or rejected with a reason. One document per file.

The ledger is authoritative for jobs; the notes only avoid reading the same file again, and hold the list of rejected
files. If they are lost, every file is read once more.
"""

import sys
import threading
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import sha256
from types import MappingProxyType

import dagster as dg
from pydantic import Field
from pymongo import DeleteOne, ReplaceOne

from resources.mongo import MongoConnection
from resources.mongo_collection import Document, RetryingCollection

_FIELDS = ("name", "fingerprint", "problem", "judged_with")


@dataclass(frozen=True, slots=True)
class FileNote:
    """The note on one file.

    Attributes
    ----------
    name : str
        Name of the file, below the inbox folder of its analysis.
    fingerprint : str
        Fingerprint of the file when it was read.
    problem : str or None
        Why it was rejected; None if it was ingested.
    judged_with : str
        Digest of what else the decision depends on: fixed parameters and the analysis's models.
    job_key : str or None
        Key of the requested job.
    """

    name: str
    fingerprint: str
    problem: str | None = None
    judged_with: str = ""
    job_key: str | None = None


class InboxNotes(dg.ConfigurableResource["InboxNotes"]):
    """Access to the notes of all inbox folders."""

    mongo: dg.ResourceDependency[MongoConnection]
    records_name: str = Field(description="DOCDB_COLLECTION; the notes are `<name>_inbox`.")
    kept_s: float = Field(
        default=600.0,
        description="How long a process may rely on the notes that it has read (s): changes by hand are noticed after this time.",
    )

    def known(self, analysis: str) -> dict[str, FileNote]:
        """Return all notes on the files of an analysis, by name."""
        return {note.name: note for note in self._find({"analysis": analysis})}

    def remembered(self, analysis: str) -> Mapping[str, FileNote]:
        """Return all notes on the files of an analysis, by name, without their jobs.

        A process reads them once, and again after another process has written any: every write changes the revision of
        an analysis's notes. So a tick sends one small query, for any number of files.

        Parameters
        ----------
        analysis : str
            Name of the analysis.
        """
        memory = self._memory(analysis)
        with memory.lock:
            revision = self._revision(analysis) or self._renew(analysis)
            if revision != memory.revision or time.monotonic() > memory.read_at + self.kept_s:
                found = self._find({"analysis": analysis}, _FIELDS)
                memory.keep({note.name: note for note in found}, revision)
            return memory.notes

    def some(self, analysis: str, names: Iterable[str]) -> dict[str, FileNote]:
        """Return the notes on some files, by name."""
        ids = [_note_id(analysis, name) for name in names]
        return {note.name: note for note in self._find({"_id": {"$in": ids}, "analysis": analysis})} if ids else {}

    def rejected(self, analysis: str) -> list[FileNote]:
        """Return the notes on rejected files, by name."""
        return sorted(self._find({"analysis": analysis, "refused": True}), key=lambda note: note.name)

    def save(self, analysis: str, notes: Iterable[FileNote]) -> None:
        """Write notes, replacing earlier ones on the same files."""
        fresh = {note.name: note for note in notes}
        writes = [
            ReplaceOne(
                {"_id": _note_id(analysis, n.name)},
                {
                    "analysis": analysis,
                    "name": n.name,
                    "fingerprint": n.fingerprint,
                    "problem": n.problem,
                    "refused": n.problem is not None,
                    "judged_with": n.judged_with,
                    "job_key": n.job_key,
                },
                upsert=True,
            )
            for n in fresh.values()
        ]
        self._write(analysis, writes, {name: replace(note, job_key=None) for name, note in fresh.items()})

    def forget(self, analysis: str, names: Iterable[str]) -> None:
        """Remove the notes on deleted files."""
        gone = list(names)
        self._write(analysis, [DeleteOne({"_id": _note_id(analysis, name)}) for name in gone], dict.fromkeys(gone))

    def _find(self, match: Document, fields: tuple[str, ...] = (*_FIELDS, "job_key")) -> list[FileNote]:
        return self._notes.find(match, {"_id": 0, "refused": 1, **dict.fromkeys(fields, 1)}).collect(_readable)

    def _write(
        self,
        analysis: str,
        writes: list[ReplaceOne[Document]] | list[DeleteOne],
        changes: Mapping[str, FileNote | None],
    ) -> None:
        """Send idempotent writes in one request, then their revision: if interrupted, they are only not cached."""
        notes, memory = self._notes, self._memory(analysis)
        if not writes:
            return
        with memory.lock:
            before = memory.revision
            notes.bulk_write(writes, ordered=False)
            revision = self._renew(analysis, before) if before else None
            if revision is None:  # another process has written too
                self._renew(analysis)
                memory.forget()
            else:
                memory.change(changes, revision)

    def _revision(self, analysis: str) -> str | None:
        """Return the revision of an analysis's notes; None if there is none, as in a new database."""
        found = self._notes.find_one({"_id": _revision_id(analysis)}, {"revision": 1})
        return str(found.get("revision")) if found else None

    def _renew(self, analysis: str, before: str | None = None) -> str | None:
        """Set a new revision, only if the current one is the given earlier one; None if it is not."""
        revision = uuid.uuid4().hex
        match = {"_id": _revision_id(analysis), **({"revision": before} if before else {})}
        done = self._notes.update_one(match, {"$set": {"revision": revision}}, upsert=before is None)
        return revision if done.matched_count or before is None else None

    def _memory(self, analysis: str) -> "_Memory":
        """Return this process's cache of an analysis's notes."""
        server = self.mongo.uri or self.mongo.embedded_home or ""
        return _memory(server, self.mongo.database, self.records_name, analysis)

    @property
    def _notes(self) -> RetryingCollection:
        return self.mongo.collection(
            f"{self.records_name}_inbox", indexes=(("analysis", "refused"),)
        )  # a reason is too long for an index


@dataclass
class _Memory:
    """Cache of an analysis's notes, which is replaced as a whole and never changed in place."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    notes: Mapping[str, FileNote] = field(default_factory=dict)
    revision: str | None = None
    read_at: float = 0.0

    def keep(self, notes: dict[str, FileNote], revision: str | None) -> None:
        """Store notes that were just read."""
        self.notes, self.revision, self.read_at = MappingProxyType(notes), revision, time.monotonic()

    def change(self, changes: Mapping[str, FileNote | None], revision: str) -> None:
        """Apply writes of this process; None means removed."""
        fresh = {name: note for name, note in changes.items() if note is not None}
        merged: dict[str, FileNote] = {**self.notes, **fresh}
        for name in changes.keys() - fresh.keys():
            merged.pop(name, None)
        self.notes = MappingProxyType(merged)
        self.revision = revision

    def forget(self) -> None:
        """Clear the cache."""
        self.notes, self.revision = {}, None


@lru_cache(maxsize=256)
def _memory(*_place: str) -> _Memory:
    """Return the cache for one analysis of one collection."""
    return _Memory()


def _readable(documents: Iterable[Document]) -> list[FileNote]:
    """Yield the notes of valid documents, one at a time, because there may be a million."""
    return [_note(document) for document in documents if _is_note(document)]


def _note(document: Document) -> FileNote:
    """Return a note; `judged_with` is interned, because thousands of files share it."""
    fields = {name: value for name, value in document.items() if name != "refused"}
    return FileNote(**{**fields, "judged_with": sys.intern(fields["judged_with"])})


def _is_note(document: Document) -> bool:
    """Return whether a document is a valid note; otherwise its file is read again."""
    texts = [document.get(name, 0) for name in ("name", "fingerprint", "judged_with")]
    problem = document.get("problem")
    return all(isinstance(t, str) for t in texts) and (
        problem is None or (isinstance(problem, str) and document.get("refused") is True)
    )


def _revision_id(analysis: str) -> str:
    """Return the ``_id`` of the revision of an analysis's notes; it is not a digest, so no note has it."""
    return f"revision/{analysis}"


def _note_id(analysis: str, name: str) -> str:
    """Return the ``_id`` of a note: of fixed length, because names may be too long for an index."""
    return sha256(f"{analysis}/{name}".encode()).hexdigest()
