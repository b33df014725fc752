"""The same actors on a real MongoDB and a real S3."""

import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from resources.mongo import MongoConnection
from resources.s3.connection import S3Connection
from tests.interleaving.scenarios import Scenario
from tests.interleaving.schedules import Trial, copied_system
from tests.interleaving.system import BUCKET, SPACES, Stored, System


class RealServers:
    """A database and a bucket of their own on servers that run.

    Parameters
    ----------
    docdb_uri : str
        Address of MongoDB.
    s3 : S3Connection
        S3.
    """

    root = BUCKET

    def __init__(self, docdb_uri: str, s3: S3Connection) -> None:
        s3.ensure_bucket(BUCKET)
        self.uri, self.client = docdb_uri, s3.client
        self._mongo = MongoConnection(uri=docdb_uri, database=f"test_{uuid.uuid4().hex[:16]}")
        self._later = timedelta(0)

    def collection(self, name: str) -> Any:
        """Return a collection as pymongo has it."""
        return self._mongo.collection(name, durable=name in {"results", "results_superseded"}).raw

    def now(self) -> datetime:
        """Return the server's time, and what was added to it."""
        return self._mongo.now() + self._later

    def let_time_pass(self, span: timedelta) -> None:
        """Let it be later."""
        self._later += span

    def dump(self) -> Stored:
        """Return nothing: a state is prepared in memory."""
        raise NotImplementedError

    def load(self, stored: Stored) -> None:
        """Store what servers in memory held."""
        self.clear()
        for name, documents in stored.documents.items():
            if documents:
                self.collection(name).insert_many(documents)
        for (bucket, key), one in stored.objects.items():
            self.client.put_object(Bucket=bucket, Key=key, Body=one.data)

    def clear(self) -> None:
        """Remove everything, and let the time be the server's again."""
        self._later = timedelta(0)
        for name in SPACES:
            self.collection(name).delete_many({})
        found = self.client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        if found:
            objects: Any = [{"Key": item["Key"]} for item in found]
            self.client.delete_objects(Bucket=BUCKET, Delete={"Objects": objects, "Quiet": True})


class RealTrial(Trial):
    """Runs schedules of one scenario on real servers.

    Parameters
    ----------
    scenario : Scenario
        The scenario.
    folder : Path
        Local disk.
    servers : RealServers
        The servers.
    """

    def __init__(self, scenario: Scenario, folder: Path, servers: RealServers) -> None:
        super().__init__(scenario, folder)
        self._servers = servers

    def begin(self) -> System:
        """Bring the servers into the state in which the actors meet."""
        self._servers.load(self.start.servers.dump())
        return copied_system(self.start, self._servers)
