"""What is known of each file in the inbox: taken in, or refused with a reason. One document per file.

The ledger is the truth about jobs; these notes only save reading the same file again, and keep the list of bad files.
Losing them costs one reading of every file.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

import dagster as dg
from pydantic import Field
from pymongo import DeleteOne, ReplaceOne
from pymongo.collection import Collection

from resources.mongo import Document, MongoConnection


@dataclass(frozen=True)
class FileNote:
    """What was found in one file.

    Attributes
    ----------
    name : str
        The file, below the inbox folder of its analysis.
    fingerprint : str
        What it looked like when it was read.
    problem : str or None
        Why it was refused; None: it was taken in.
    judged_with : str
        What else the judgement depends on: fixed parameters and the analysis's models.
    job_key : str or None
        The job that it asks for.
    """

    name: str
    fingerprint: str
    problem: str | None = None
    judged_with: str = ""
    job_key: str | None = None


class InboxNotes(dg.ConfigurableResource["InboxNotes"]):
    """Small verbs on the notes of all inbox folders."""

    mongo: dg.ResourceDependency[MongoConnection]
    records_name: str = Field(description="DOCDB_COLLECTION; the notes are `<name>_inbox`.")

    def known(self, analysis: str) -> dict[str, FileNote]:
        """Return every note on the files of an analysis, by name."""
        return {note.name: note for note in self._find({"analysis": analysis})}

    def bad(self, analysis: str) -> list[FileNote]:
        """Return the notes on refused files, by name."""
        return sorted(self._find({"analysis": analysis, "problem": {"$ne": None}}), key=lambda note: note.name)

    def save(self, analysis: str, notes: Iterable[FileNote]) -> None:
        """Write notes, each in the place of an earlier one on the same file."""
        writes = [
            ReplaceOne(
                {"_id": _note_id(analysis, n.name)},
                {
                    "analysis": analysis,
                    "name": n.name,
                    "fingerprint": n.fingerprint,
                    "problem": n.problem,
                    "judged_with": n.judged_with,
                    "job_key": n.job_key,
                },
                upsert=True,
            )
            for n in notes
        ]
        self._write(writes)

    def forget(self, analysis: str, names: Iterable[str]) -> None:
        """Remove the notes on files that are gone."""
        self._write([DeleteOne({"_id": _note_id(analysis, name)}) for name in names])

    def _find(self, match: Document) -> list[FileNote]:
        """Read notes."""
        notes = self._notes()
        fields = {"_id": 0, "name": 1, "fingerprint": 1, "problem": 1, "judged_with": 1, "job_key": 1}
        return self.mongo.call(lambda: [FileNote(**d) for d in notes.find(match, fields) if _is_note(d)])

    def _write(self, writes: list[ReplaceOne[Document]] | list[DeleteOne]) -> None:
        """Send writes in one go; each is idempotent."""
        notes = self._notes()
        if writes:
            self.mongo.call(lambda: notes.bulk_write(writes, ordered=False))

    def _notes(self) -> Collection[Document]:
        """Return the collection of notes."""
        return self.mongo.collection(
            f"{self.records_name}_inbox", indexes=(("analysis",),)
        )  # a reason is too long for an index


def _is_note(document: Document) -> bool:
    """Tell whether a note can be used; one that somebody has damaged is as good as none: its file is read again."""
    texts = [document.get(name, 0) for name in ("name", "fingerprint", "judged_with")]
    return all(isinstance(t, str) for t in texts) and isinstance(document.get("problem"), str | None)


def _note_id(analysis: str, name: str) -> str:
    """Return the ``_id`` of a note: of fixed length, because names may be longer than an index takes."""
    return sha256(f"{analysis}/{name}".encode()).hexdigest()
