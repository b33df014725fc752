"""Catalog and report through real runs: sensor, job, files in S3 and what Dagster is told."""

import io
import json

import dagster as dg
import polars as pl
import pyarrow.parquet as pq
import pytest
import requests
from pydantic import SecretStr

from definitions import build_defs
from resources.connections import connect
from resources.mongo import close_client
from resources.result_store.catalog_files import REPORT
from resources.settings import Settings
from results_table.names import report_key_of, table_key_of
from results_table.sensor import QUIET_S
from tests.conftest import BUCKET
from tests.lab_workspace import LAB
from tests.results_table.conftest import LateLedger

NAME = "double"


@pytest.fixture
def settings(servers, home, database, monkeypatch):
    """Give settings of the shared servers, with a database and results of this test's own."""
    monkeypatch.setenv("ANALYSIS_HOME", str(home))
    monkeypatch.setenv("DOCDB_DATABASE", database)
    monkeypatch.setenv("JOB_INBOX", str(home / f"inbox-{database}"))
    return own_place(Settings(), database)


def own_place(settings, name):
    """Let results lie below a prefix of the shared bucket."""
    own = settings.model_copy(update={"analysis_bucket": f"{BUCKET}/{name}"})
    own.model_fields_set.discard("analysis_bucket")  # or another server than the embedded one would be meant
    return own


class Whole:
    """The platform with its definitions and a Dagster of its own."""

    def __init__(self, settings, instance):
        self.instance, self.connections = instance, connect(settings)
        self.connections.results_store.ensure_bucket()
        self.connections.job_inbox.ensure()
        self.repository = build_defs(settings, folder=LAB).get_repository_def()
        self.resources = self.connections.as_dict()
        self.cursors = {}

    def tick(self, name):
        """Evaluate a sensor."""
        sensor = self.repository.get_sensor_def(name)
        context = dg.build_sensor_context(
            self.instance, repository_def=self.repository, resources=self.resources, cursor=self.cursors.get(name)
        )
        with context as opened:
            found = sensor.evaluate_tick(opened)
        self.cursors[name] = found.cursor
        return found

    def compute(self, *numbers):
        """Compute jobs of the analysis `double`."""
        for number in numbers:
            document = {"s3_location": ["s3://b/a"], "distributed_parameters": {"number": number}}
            self.connections.job_inbox.write(NAME, f"{number}.json", json.dumps(document).encode())
        for request in self.tick(f"{NAME}_job_files").run_requests:
            job = self.repository.get_job(f"{NAME}_batch")
            assert job.execute_in_process(instance=self.instance, tags=request.tags).success

    def catalog(self, *, selection=None):
        """Run the job `catalog`, for one analysis."""
        job = self.repository.get_job("catalog")
        chosen = selection or [table_key_of(NAME), report_key_of(NAME)]
        return job.execute_in_process(instance=self.instance, asset_selection=chosen, raise_on_error=False)

    def latest_metadata(self, key):
        """Return the latest metadata of an asset."""
        event = self.instance.get_latest_materialization_event(key)
        return {name: value.value for name, value in event.asset_materialization.metadata.items()} if event else None


@pytest.fixture
def whole(settings):
    """Give the platform."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield Whole(settings, instance)


def test_after_a_run_the_sensor_asks_for_what_the_job_can_run(whole):
    whole.compute(1.0)
    assert not whole.tick("catalogs").run_requests
    ledger = whole.connections.ledger
    whole.resources["ledger"] = LateLedger(mongo=ledger.mongo, records_name=ledger.records_name, late_s=QUIET_S)
    (request,) = whole.tick("catalogs").run_requests
    assert whole.catalog(selection=request.asset_selection).success
    assert whole.latest_metadata(table_key_of(NAME))["done"] == 1
    assert not whole.tick("catalogs").run_requests


def test_the_job_writes_table_and_page_and_reports_to_dagster(whole):
    whole.compute(1.0, 2.0, -3.0)
    assert whole.catalog().success
    reported = whole.latest_metadata(table_key_of(NAME))
    assert (reported["dagster/row_count"], reported["done"], reported["failed"], reported["records read"]) == (
        3,
        3,
        0,
        3,
    )
    table = pl.read_parquet(io.BytesIO(requests.get(reported["table"], timeout=10).content))
    assert sorted(table["outputs.double"]) == [-6.0, 2.0, 4.0]
    spec = whole.repository.assets_defs_by_key[table_key_of(NAME)].get_asset_spec(table_key_of(NAME))
    shown = {column.name: column for column in spec.metadata["dagster/column_schema"].columns}
    assert (
        list(shown)
        == table.columns
        == pq.read_schema(io.BytesIO(requests.get(reported["table"], timeout=10).content)).names
    )
    assert shown["outputs.double"].description == "Twice the number. (no unit)"
    reported = whole.latest_metadata(report_key_of(NAME))
    page = requests.get(reported["report"], timeout=10)
    assert page.headers["Content-Type"].startswith("text/html")
    assert "3 results of the current code" in page.text
    for figure in ("outcomes", "distributions", "throughput"):
        assert reported[figure].startswith("![figure](data:image/")
        assert len(reported[figure]) < 102_400
    whole.compute(5.0)
    assert whole.catalog().success
    reported = whole.latest_metadata(table_key_of(NAME))
    assert (reported["dagster/row_count"], reported["records read"], reported["how"]) == (4, 1, "brought up to date")


def test_a_report_without_a_catalog_says_what_to_do(whole):
    found = whole.catalog(selection=[report_key_of(NAME)])
    assert not found.success
    (failed,) = found.get_step_failure_events()
    assert "materialize it first" in failed.step_failure_data.user_failure_data.description


def test_without_any_job_both_are_made_all_the_same(whole):
    assert whole.catalog().success
    page = whole.connections.catalog_files.get(NAME, REPORT).content.decode()
    assert "There is no result and no failed job yet" in page


def test_without_s3_the_run_says_so_and_writes_nothing(settings, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "nobody")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    elsewhere = {"aws_endpoint_url": "http://127.0.0.1:11", "analysis_bucket": "results"}
    assert "http://127.0.0.1:11" in why_it_fails(settings.model_copy(update=elsewhere))


def test_without_mongodb_the_run_says_so_and_the_catalog_stays(settings, whole, monkeypatch):
    assert whole.catalog().success
    before = whole.connections.catalog_files.etag(NAME)
    uri = "mongodb://127.0.0.1:11/?serverSelectionTimeoutMS=20"
    monkeypatch.setenv("DOCDB_URI", uri)
    elsewhere = settings.model_copy(update={"docdb_uri": SecretStr(uri)})
    elsewhere.model_fields_set.discard("analysis_bucket")
    assert "MongoDB at 127.0.0.1:11 did not answer" in why_it_fails(elsewhere)
    close_client(uri)
    assert whole.connections.catalog_files.etag(NAME) == before


def why_it_fails(settings):
    """Run the job over servers that are not there; gives the message of its one failure: the report is not tried."""
    repository = build_defs(settings, folder=LAB).get_repository_def()
    with dg.DagsterInstance.ephemeral() as instance:
        chosen = [table_key_of(NAME), report_key_of(NAME)]
        job = repository.get_job("catalog")
        found = job.execute_in_process(instance=instance, asset_selection=chosen, raise_on_error=False)
    (event,) = found.get_step_failure_events()
    assert event.step_key == f"{NAME}__catalog"
    error = event.step_failure_data.error
    return f"{error.message} {error.cause.message if error.cause else ''}"


def test_a_dry_run_writes_and_reports_nothing(settings):
    with dg.DagsterInstance.ephemeral() as instance:
        dry = settings.model_copy(update={"dry_run": True})
        dry.model_fields_set.discard("analysis_bucket")
        whole = Whole(dry, instance)
        assert "DRY_RUN" in whole.tick("catalogs").skip_message
        assert whole.catalog(selection=[table_key_of(NAME)]).success
        assert whole.latest_metadata(table_key_of(NAME)) is None
        assert whole.connections.catalog_files.get(NAME) is None
