"""The records of results, one document each; a record's existence is what makes a result *done*.

Replaced and invalidated records move to ``<collection>_superseded``. Nothing here decides when.
"""

from contextlib import suppress

import dagster as dg
from pymongo.errors import DuplicateKeyError

from resources.mongo import MongoConnection
from resources.mongo_collection import Document, RetryingCollection
from resources.records.reader import ENDED, OWN, SEARCH, TIME, RecordReader, attempt_of

_INDEXES = (
    (f"{OWN}.analysis", f"{SEARCH}.k", f"{SEARCH}.v", f"-{TIME}", "-_id"),  # serves every `analysis results --where`
    (f"{OWN}.analysis", f"-{TIME}", "-_id"),
    (f"{OWN}.analysis", f"-{ENDED}"),
    (f"{OWN}.job_key",),
    (f"{OWN}.locations",),  # an index takes one array, and the time that results ended at lies in another
    (f"{OWN}.files",),
    (f"{OWN}.subject_ids",),
    (f"{OWN}.session_names",),
)
_SUPERSEDED_INDEXES = (("name",), (f"{OWN}.job_key",), (f"{OWN}.analysis", "-superseded.when"))


class RecordStore(RecordReader):
    """The records of results, to read and to write; its indexes are created on first use."""

    mongo: dg.ResourceDependency[MongoConnection]  # again: mypy does not know the type of an inherited dependency

    def insert_once(self, record: Document) -> Document:
        """Store a record unless its id is taken: the commit point of a result.

        Parameters
        ----------
        record : dict
            The record, with ``_id``.

        Returns
        -------
        dict
            The record that is stored under the id now: this one, or that of whoever was first.
        """
        try:
            self._records.insert_one(record)
        except DuplicateKeyError:
            winner = self.get(record["_id"])
            return winner if winner is not None else self.insert_once(record)
        return record

    def replace(self, record: Document, *, old: Document, who: str, reason: str) -> Document:
        """Put a record in the place of an old one, which moves to the superseded records.

        Parameters
        ----------
        record : dict
            The new record.
        old : dict
            The record that it replaces.
        who, reason : str
            Kept with the old record.

        Returns
        -------
        dict
            The record that is stored under the id now: another one if somebody else replaced ``old`` first.
        """
        self._keep_superseded(old, who=who, reason=reason, how="replaced")
        match = {"_id": record["_id"], f"{OWN}.attempt": {"$in": [attempt_of(old), attempt_of(record)]}}
        done = self._records.replace_one(match, record)
        if not done.matched_count:
            return self.insert_once(record)
        self._sign_superseded(old, who=who, reason=reason)
        return record

    def invalidate(self, record: Document, *, who: str, reason: str) -> None:
        """Move a record to the superseded ones, because its result is wrong; may be cut off and repeated.

        Parameters
        ----------
        record : dict
            The record, as it was read; another one that has taken its place since stays.
        who, reason : str
            Kept with it.
        """
        self._keep_superseded(record, who=who, reason=reason, how="invalidated")
        match = {"_id": record["_id"], f"{OWN}.attempt": attempt_of(record)}
        self._records.delete_one(match)

    def note_removed_files(self, result_id: str, attempt: str) -> None:
        """Note with a superseded record that its files were removed; without effect when there is none."""
        change = {"$set": {"superseded.files_removed": self.mongo.now()}}
        self._superseded.update_one({"_id": f"{result_id}/{attempt}"}, change)

    def make_searchable(self, record: Document, fields: Document) -> None:
        """Add the fields that queries stand on to a record; another one that has taken its place stays as it is."""
        change = {f"{OWN}.{name}": value for name, value in fields.items()}
        match = {"_id": record["_id"], f"{OWN}.attempt": attempt_of(record)}
        self._records.update_one(match, {"$set": change})

    def _keep_superseded(self, old: Document, *, who: str, reason: str, how: str) -> None:
        """Copy a record to the superseded ones, before it loses its place; a copy that is there stays as it is."""
        signed = {"how": how, "who": who, "reason": reason, "when": self.mongo.now()}
        kept: Document = {**old, "_id": _superseded_id(old), "superseded": signed}
        with suppress(DuplicateKeyError):
            self._superseded.insert_one(kept)

    def _sign_superseded(self, old: Document, *, who: str, reason: str) -> None:
        """Say who replaced a record: of several that tried at once, each of which may have copied it, the winner."""
        change = {"$set": {"superseded.who": who, "superseded.reason": reason}}
        self._superseded.update_one({"_id": _superseded_id(old)}, change)

    @property
    def _records(self) -> RetryingCollection:
        """Return the collection of records; its writes are journaled, because they commit results."""
        return self.mongo.collection(self.name, indexes=_INDEXES, durable=True)

    @property
    def _superseded(self) -> RetryingCollection:
        """Return the collection of replaced and invalidated records."""
        return self.mongo.collection(f"{self.name}_superseded", indexes=_SUPERSEDED_INDEXES, durable=True)


def _superseded_id(record: Document) -> str:
    """Return the ``_id`` under which a record is kept when it has lost its place."""
    return f"{record['_id']}/{attempt_of(record)}"
