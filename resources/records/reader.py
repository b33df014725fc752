"""Reading records and nothing else: no index is made, so a user who may only read is enough."""

from collections.abc import Iterable

from pymongo import DESCENDING

from resources.mongo import MongoConnection
from resources.mongo_collection import Document, RetryingCollection
from resources.records.store import ENDED, OWN


class RecordReader:
    """Small verbs on the collection of records that change nothing on the server.

    Parameters
    ----------
    mongo : MongoConnection
        The server.
    name : str
        DOCDB_COLLECTION.
    """

    def __init__(self, mongo: MongoConnection, name: str) -> None:
        self._mongo, self._name = mongo, name

    def get_many(self, result_ids: Iterable[str]) -> dict[str, Document]:
        """Return the records of those ids that have one, in one query."""
        ids = [str(one) for one in result_ids]
        return {d["_id"]: d for d in self._records.find({"_id": {"$in": ids}}).to_list()}

    def newest(self, analysis: str, limit: int) -> list[Document]:
        """Return the newest records of an analysis, at most so many."""
        match = {f"{OWN}.analysis": {"$eq": str(analysis)}}
        return self._records.find(match, sort=[(ENDED, DESCENDING)], limit=limit).to_list()

    @property
    def _records(self) -> RetryingCollection:
        """Return the collection, as it is."""
        return self._mongo.collection(self._name)
