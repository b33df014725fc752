"""A new metadata database, inbox and analysis: everything that a dispatch uses, and the sensor."""

from pathlib import Path

import dagster as dg
import pytest

from definitions import build_defs
from dispatch.model.options import read_options
from dispatch.planning import Planning
from dispatch.services import DispatchServices
from dispatch.writing import write_plan
from domain.job.state import JobState
from engine.discovery.analyses import load_analysis
from resources.connections import connect
from resources.settings import Settings
from sensors.job_files.stores import Stores
from tests.conftest import BUCKET
from tests.sensors.harness import SensorHarness

LAB = Path(__file__).parents[1] / "lab"


def ignore(*_):
    """Take a step of progress, and do nothing about it."""


class Place:
    """One analysis with its inbox and stores, and records of assets."""

    def __init__(self, settings, instance, *, analysis="double"):
        self.settings, self.instance, self.name = settings, instance, analysis
        self.connections = connect(settings)
        self.connections.job_inbox.ensure()
        self.services = DispatchServices.of(self.connections)
        self.entry = load_analysis(LAB / f"{analysis}.py")
        c = self.connections
        stores = Stores(c.job_inbox, c.inbox_notes, c.ledger, c.record_store, c.results_store)
        self.harness = SensorHarness(self.entry, stores, instance)
        self.assets = self.connections.ledger.mongo.collection("data_assets").raw

    @property
    def bucket(self):
        """Address below which this place's assets are."""
        return f"s3://{BUCKET}/{self.settings.docdb_database}"

    def add(self, name, *, files=("a.nwb",), **fields):
        """Add an asset, record and files; gives its address."""
        location = f"{self.bucket}/{name}"
        self.assets.insert_one({"_id": f"id-{name}", "name": name, "location": location, **fields})
        for file in files:
            key = f"{self.settings.docdb_database}/{name}/{file}"
            self.connections.results_store.s3.client.put_object(Bucket=BUCKET, Key=key, Body=b"x")
        return location

    def plan(self, **options):
        """Plan a dispatch, by default of all records."""
        ways = {"query", "records", "asset_ids", "asset_csv"}
        given = options if ways & set(options) else {"query": "{}", **options}
        return Planning(self.entry, read_options(given), self.services, ignore).plan()

    def dispatch(self, **options):
        """Plan a dispatch and write it."""
        plan = self.plan(**options)
        return plan, write_plan(plan, self.services, progress=ignore)

    def files(self):
        """Name the files in the inbox."""
        return [file.name for file in self.services.inbox.list_files(self.name)]

    def keys(self, state=None):
        """Give the keys in the ledger, of one state or all."""
        return set(self.harness.jobs(state))

    def settle(self, key, state, **fields):
        """Give a job a state behind everybody's back."""
        version = fields.pop("code_version", self.entry.code_version)
        self.harness.change(key, state=JobState(state).value, code_version=version, **fields)


@pytest.fixture
def instance():
    """Give a new Dagster instance."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def settings(servers, home, database, tmp_path):
    """Give settings of the running servers, with a database and folders of their own."""
    return Settings(
        analysis_home=home,
        docdb_database=database,
        job_inbox=str(tmp_path / "inbox"),
        dispatches=tmp_path / "dispatches",
    )


@pytest.fixture
def place(settings, instance, s3):
    """Give a place for the analysis `double`."""
    return Place(settings, instance)


@pytest.fixture
def lab(settings):
    """Give what Dagster loads, with the analyses for tests."""
    return build_defs(settings, folder=LAB)
