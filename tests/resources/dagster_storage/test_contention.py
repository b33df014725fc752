"""Several processes write to Dagster's SQLite files, and one of them holds a lock for long."""

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import dagster as dg
import pytest

from resources.dagster_storage.event_log import SqliteEventLog

LOCKED_S = 6.0
"""SQLite itself gives up after five seconds."""

WRITERS, EVENTS = 4, 10


def opened(folder):
    """Return an instance over a folder, with its own connections as in another process."""
    storage = {"module": SqliteEventLog.__module__, "class": SqliteEventLog.__name__, "config": {"home": str(folder)}}
    return dg.DagsterInstance.local_temp(str(folder), overrides={"event_log_storage": storage})


@pytest.mark.slow
def test_a_lock_that_is_held_for_long_delays_events_and_loses_none(tmp_path):
    with opened(tmp_path) as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization("first"))
        (index,) = tmp_path.rglob("index.db")
    locked = threading.Event()

    def lock():
        with closing(sqlite3.connect(index, isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            locked.set()
            time.sleep(LOCKED_S)
            connection.execute("COMMIT")

    def write(number):
        with opened(tmp_path) as instance:
            assert locked.wait(60)
            for event in range(EVENTS):
                asset = dg.AssetMaterialization(f"asset_{number}", metadata={"event": event})
                instance.report_runless_asset_event(asset)

    with ThreadPoolExecutor(WRITERS + 1) as threads:
        list(threads.map(lambda work: work(), [lock, *(lambda n=n: write(n) for n in range(WRITERS))]))
    with opened(tmp_path) as instance:
        for number in range(WRITERS):
            found = instance.fetch_materializations(dg.AssetKey(f"asset_{number}"), limit=100).records
            stored = [record.asset_materialization.metadata["event"].value for record in found]
            assert sorted(stored) == list(range(EVENTS))
