"""The records of results, one document each; a record's existence is what makes a result *done*.

Replaced and invalidated records move to ``<collection>_superseded``. Nothing here decides when.
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
    (f"{OWN}.locations",),  # an index takes one array, and the time that results ended at lies in another
    (f"{OWN}.files",),
    (f"{OWN}.subject_ids",),
    (f"{OWN}.session_names",),
)
_TRIES = 10
"""Of a commit: each needs another process to change the record between two requests."""

_SUPERSEDED_INDEXES = (("name",), (f"{OWN}.job_key",), (f"{OWN}.analysis", "-superseded.when"))


class RecordStore(RecordReader):
    """The records of results, to read and to write; its indexes are created on first use."""

    mongo: dg.ResourceDependency[MongoConnection]  # again: mypy does not know the type of an inherited dependency

    def commit(
        self, record: Document, *, replaces: Collection[str] = (), who: str = "", reason: str = ""
    ) -> Document | None:
        """Make a complete attempt the result: the commit point.

        May be called by several processes at once, for the same attempt or for others, and may be cut off and repeated.

        Parameters
        ----------
        record : dict
            The record of the attempt, with ``_id``.
        replaces : collection of str
            Attempts whose record it replaces; that of any other attempt keeps its place.
        who, reason : str
            Kept with the record that is replaced.

        Returns
        -------
        dict or None
            The record that is current now: this one, or that of another attempt. None if this attempt was invalidated.

        Raises
        ------
        ServerUnavailableError
            If others change the record faster than it can be read.
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
        """Return whether the attempt of a record has been the result, and was replaced or invalidated."""
        return bool(self.existing([_superseded_id(record)], superseded=True))

    def invalidate(self, record: Document, *, who: str, reason: str, attempts: Collection[str] = ()) -> None:
        """Move a record to the superseded ones, because its result is wrong; may be cut off and repeated.

        What stays in its place keeps attempts that were made before from being committed, however late they come.

        Parameters
        ----------
        record : dict
            The record, as it was read; another one that has taken its place since stays.
        who, reason : str
            Kept with it.
        attempts : collection of str
            The attempts that were made so far, besides that of the record.
        """
        self._keep_superseded(record, who=who, reason=reason, how="invalidated")
        match = {"_id": record["_id"], f"{OWN}.attempt": attempt_of(record)}
        withdrawn = {"attempts": sorted({*attempts, attempt_of(record)}), "when": self.mongo.now()}
        self._records.replace_one(match, {"_id": record["_id"], WITHDRAWN: withdrawn})

    def note_removed_files(self, result_id: str, attempt: str) -> None:
        """Note with a superseded record that its files were removed; without effect when there is none."""
        change = {"$set": {"superseded.files_removed": self.mongo.now()}}
        self._superseded.update_one({"_id": f"{result_id}/{attempt}"}, change)

    def make_searchable(self, record: Document, fields: Document) -> None:
        """Add the fields that queries stand on to a record; another one that has taken its place stays as it is."""
        change = {f"{OWN}.{name}": value for name, value in fields.items()}
        match = {"_id": record["_id"], f"{OWN}.attempt": attempt_of(record)}
        self._records.update_one(match, {"$set": change})

    def _replace_withdrawn(self, record: Document) -> bool:
        """Put a record in the place of an invalidated one; False if that has changed meanwhile."""
        mine = attempt_of(record)
        match = {"_id": record["_id"], WITHDRAWN: {"$ne": None}, f"{WITHDRAWN}.attempts": {"$ne": mine}}
        return self._records.replace_one(match, record).matched_count == 1

    def _replace(self, record: Document, old: Document, *, who: str, reason: str) -> bool:
        """Put a record in the place of an old one, which moves to the superseded ones; False if that has changed."""
        self._keep_superseded(old, who=who, reason=reason, how="replaced")
        match = {"_id": record["_id"], f"{OWN}.attempt": attempt_of(old)}
        if not self._records.replace_one(match, record).matched_count:
            return False
        self._sign_superseded(old, who=who, reason=reason)
        return True

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
