"""A run in a process of its own, for tests that kill it."""

import os
import signal
from pathlib import Path

import conftest
import dagster as dg
import pytest

from analysis_assets._analyses import load_analysis
from analysis_assets._asset import build_asset
from resources.inputs import Inputs
from resources.ledger import Ledger
from resources.mongo import MongoConnection
from resources.record_store import RecordStore
from resources.results_store import ResultsStore
from resources.s3 import S3Connection


def main(said):
    """Run partitions, on the servers that are said; at the call of a verb that is said, the process kills itself."""
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        conftest.watch(patch, conftest.Verbs(lambda: os.kill(os.getpid(), signal.SIGKILL), said["at"]))
        entry = load_analysis(Path(said["file"]))
        instance.add_dynamic_partitions(entry.analysis.name, said["keys"])
        mongo, s3 = (
            MongoConnection(uri=said["uri"], database=said["database"]),
            S3Connection(embedded_home=said["home"]),
        )
        dg.materialize(
            [build_asset(entry, work_folder=Path(said["work"]))],
            instance=instance,
            resources={
                "ledger": Ledger(mongo=mongo, records_name="records"),
                "record_store": RecordStore(mongo=mongo, name="records"),
                "results_store": ResultsStore(s3=s3, root=said["root"]),
                "inputs": Inputs(s3=s3),
            },
            tags={conftest.RANGE_START: said["keys"][0], conftest.RANGE_END: said["keys"][-1]},
        )
