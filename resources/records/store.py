"""The records of results, one document each; a result is *done* if its record exists.

Replaced and invalidated records move to ``<collection>_superseded``. The caller decides when.
"""

from collections.abc import Collection
from contextlib import suppress

import dagster as dg
from pymongo.errors import DuplicateKeyError

from domain.errors import ServerUnavailableError
from resources.mongo import MongoConnection
from resources.mongo_collection import Document, RetryingCollection
from resources.records.reader import ENDED, OWN, SEARCH, TIME, WITHDRAWN, RecordReader, attempt_of

_INDEXES = (
    (f"{OWN}.analysis", f"{SEARCH}.k", f"{SEARCH}.v", f"-{TIME}", "-_id"),  # serves every `analysis results --where`
    (f"{OWN}.analysis", f"-{TIME}", "-_id"),
    (f"{OWN}.analysis", f"-{ENDED}"),
    (f"{OWN}.job_key",),
    (f"{OWN}.locations",),  # an index has at most one array, and the end of the processing is in another
    (f"{OWN}.files",),
    (f"{OWN}.subject_ids",),
    (f"{OWN}.session_names",),
)
_TRIES = 10
"""Maximum number of tries of a commit; one fails only if another process changes the record between two requests."""

_SUPERSEDED_INDEXES = (("name",), (f"{OWN}.job_key",), (f"{OWN}.analysis", "-superseded.when"))


class RecordStore(RecordReader):
    """The records of results, read and write; indexes are created at first use."""

    mongo: dg.ResourceDependency[MongoConnection]  # again: mypy does not know the type of an inherited dependency

    def commit(
        self, record: Document, *, replaces: Collection[str] = (), who: str = "", reason: str = ""
    ) -> Document | None:
        """Make a complete attempt the result: the commit point.

        Safe to call concurrently, for the same attempt or for others, and to repeat after an interruption.

        Parameters
        ----------
        record : dict
            The record of the attempt, with ``_id``.
        replaces : collection of str
            Attempts whose record it replaces; the record of any other attempt stays.
        who, reason : str
            Stored with the replaced record.

        Returns
        -------
        dict or None
            The record that is current now: this one, or that of another attempt. None if this attempt was invalidated.

        Raises
        ------
        ServerUnavailableError
            If other processes change the record faster than it can be read.
        """
        mine = attempt_of(record)
        for _ in range(_TRIES):
            with suppress(DuplicateKeyError):
                self._records.insert_one(record)
                return record
            current = self._records.find_one({"_id": record["_id"]})
            if current is None:
                continue
            if current.get(WITHDRAWN) is not None:
                if mine in current[WITHDRAWN]["attempts"]:
                    return None
                replaced = self._replace_withdrawn(record)
            elif mine == attempt_of(current) or attempt_of(current) not in replaces or self.was_superseded(record):
                return current
            else:
                replaced = self._replace(record, current, who=who, reason=reason)
            if replaced:
                return record
        msg = f"The record {record['_id']} changed {_TRIES} times while attempt {mine} was being committed."
        raise ServerUnavailableError(msg)

    def was_superseded(self, record: Document) -> bool:
        """Return whether the attempt of a record was the result, and was replaced or invalidated."""
        return bool(self.existing([_superseded_id(record)], superseded=True))

    def invalidate(self, record: Document, *, who: str, reason: str, attempts: Collection[str] = ()) -> None:
        """Move a record to the superseded ones, because its result is wrong. Safe to repeat after an interruption.

        The document that replaces it prevents the commit of any earlier attempt.

        Parameters
        ----------
        record : dict
            Record as it was read; if another one has replaced it since, that one stays.
        who, reason : str
            Person and reason, stored with the record.
        attempts : collection of str
            Earlier attempts, besides that of the record.
        """
        self._keep_superseded(record, who=who, reason=reason, how="invalidated")
        match = {"_id": record["_id"], f"{OWN}.attempt": attempt_of(record)}
        withdrawn = {"attempts": sorted({*attempts, attempt_of(record)}), "when": self.mongo.now()}
        self._records.replace_one(match, {"_id": record["_id"], WITHDRAWN: withdrawn})

    def note_removed_files(self, result_id: str, attempt: str) -> None:
        """Record the removal of a superseded record's files; has no effect if there is no such record."""
        change = {"$set": {"superseded.files_removed": self.mongo.now()}}
        self._superseded.update_one({"_id": f"{result_id}/{attempt}"}, change)

    def make_searchable(self, record: Document, fields: Document) -> None:
        """Add the fields that queries use to a record; if another one has replaced it since, that one stays as it is."""
        change = {f"{OWN}.{name}": value for name, value in fields.items()}
        match = {"_id": record["_id"], f"{OWN}.attempt": attempt_of(record)}
        self._records.update_one(match, {"$set": change})

    def _replace_withdrawn(self, record: Document) -> bool:
        """Replace the document of an invalidated record; return False if it has changed meanwhile."""
        mine = attempt_of(record)
        match = {"_id": record["_id"], WITHDRAWN: {"$ne": None}, f"{WITHDRAWN}.attempts": {"$ne": mine}}
        return self._records.replace_one(match, record).matched_count == 1

    def _replace(self, record: Document, old: Document, *, who: str, reason: str) -> bool:
        """Replace a record, which moves to the superseded ones; return False if it has changed meanwhile."""
        self._keep_superseded(old, who=who, reason=reason, how="replaced")
        match = {"_id": record["_id"], f"{OWN}.attempt": attempt_of(old)}
        if not self._records.replace_one(match, record).matched_count:
            return False
        self._sign_superseded(old, who=who, reason=reason)
        return True

    def _keep_superseded(self, old: Document, *, who: str, reason: str, how: str) -> None:
        """Copy a record to the superseded ones before it is replaced; an existing copy stays as it is."""
        signed = {"how": how, "who": who, "reason": reason, "when": self.mongo.now()}
        kept: Document = {**old, "_id": _superseded_id(old), "superseded": signed}
        with suppress(DuplicateKeyError):
            self._superseded.insert_one(kept)

    def _sign_superseded(self, old: Document, *, who: str, reason: str) -> None:
        """Store who replaced a record: of concurrent writers, which may all have copied it, the successful one."""
        change = {"$set": {"superseded.who": who, "superseded.reason": reason}}
        self._superseded.update_one({"_id": _superseded_id(old)}, change)

    @property
    def _records(self) -> RetryingCollection:
        """Return the collection of records; its writes are journaled, because they commit results."""
        return self.mongo.collection(self.name, indexes=_INDEXES, durable=True)

    @property
    def _superseded(self) -> RetryingCollection:
        return self.mongo.collection(f"{self.name}_superseded", indexes=_SUPERSEDED_INDEXES, durable=True)


def _superseded_id(record: Document) -> str:
    """Return the ``_id`` of a record among the superseded ones."""
    return f"{record['_id']}/{attempt_of(record)}"
