"""A run in a process of its own, for tests that kill it."""

import os
import signal
from pathlib import Path

import dagster as dg

from engine.assets.factory import build_asset
from engine.discovery.analyses import load_analysis
from engine.execution.environment import Machine
from resources.data_assets.records import MongoAssetRecords
from resources.inputs.resource import Inputs
from resources.mongo import MongoConnection
from resources.s3.connection import S3Connection
from tests.engine import conftest


def main(said):
    """Run partitions, on the servers that are said; at the call of a verb that is said, the process kills itself."""
    verbs = conftest.Verbs(lambda: os.kill(os.getpid(), signal.SIGKILL), said["at"])
    ledger, records, results = conftest.counting_stores(verbs)
    with dg.DagsterInstance.ephemeral() as instance:
        entry = load_analysis(Path(said["file"]))
        instance.add_dynamic_partitions(entry.analysis.name, said["keys"])
        mongo, s3 = (
            MongoConnection(uri=said["uri"], database=said["database"]),
            S3Connection(embedded_home=said["home"]),
        )
        dg.materialize(
            [build_asset(entry, machine=Machine(Path(said["work"])), reporter=conftest.counting_reporter(verbs))],
            instance=instance,
            resources={
                "ledger": ledger(mongo=mongo, records_name="records"),
                "record_store": records(mongo=mongo, name="records"),
                "results_store": results(s3=s3, root=said["root"]),
                "inputs": Inputs(s3=s3),
                "asset_records": MongoAssetRecords(mongo=mongo, name="data_assets"),
            },
            tags={conftest.RANGE_START: said["keys"][0], conftest.RANGE_END: said["keys"][-1]},
        )
