"""A new platform for each test, because an audit reads everything that is stored."""

import uuid
from datetime import timedelta

import dagster as dg
import pytest

from audit.audit import run_audit
from audit.sources import Ages, Depth, Sources
from domain.job.state import JobState
from domain.result.records import to_record
from engine.assets.factory import build_asset
from engine.assets.materialization import materialization
from engine.discovery.analyses import load_analysis
from engine.execution.environment import Machine
from engine.execution.outcome import Services
from engine.execution.publish import build_manifest, listing_digest, upload, write_documents
from resources.data_assets.records import MongoAssetRecords
from resources.inputs.resource import Inputs
from resources.ledger.ledger import Ledger
from resources.mongo import MongoConnection
from resources.records.store import RecordStore
from tests.engine.conftest import LAB, Platform
from tests.provenances import sparse
from tests.web_repository import with_web_address


@pytest.fixture(autouse=True)
def _repository(monkeypatch):
    """Let records name a repository that others can find."""
    with_web_address(monkeypatch)


@pytest.fixture
def platform(docdb_uri, database, results_store, s3, tmp_path):
    """Give a platform of an analysis that works, alone in its database and below its root."""
    mongo = MongoConnection(uri=docdb_uri, database=database)
    ledger, records = Ledger(mongo=mongo, records_name="records"), RecordStore(mongo=mongo, name="records")
    assets = MongoAssetRecords(mongo=mongo, name="data_assets")
    entry, work = load_analysis(LAB / "double.py"), Machine(tmp_path / "work")
    services = Services(results_store, records, ledger, Inputs(s3=s3), assets, work)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Platform(entry, services, build_asset(entry, machine=work), instance)


@pytest.fixture
def sources(platform):
    """Give what an audit of this platform compares; attempts count as old at once."""
    s, ages = platform.services, Ages(young=timedelta(seconds=-60))
    return Sources(
        {platform.name: platform.entry}, s.results, s.records, s.ledger, s.inputs, s.assets, platform.instance, ages
    )


@pytest.fixture
def audited(sources):
    """Give a function that audits and counts what it finds by kind."""

    def audited(**depth):
        return dict(run_audit(sources, Depth(**depth)).by_kind())

    return audited


@pytest.fixture
def computed(platform):
    """Compute two results; gives their jobs' keys."""
    keys = platform.ingest({"number": 1.0}, {"number": 2.0})
    assert platform.run(keys).success
    return keys


@pytest.fixture
def done(platform, tmp_path):
    """Publish two results step by step, without a worker process: much quicker; gives their jobs' keys."""
    keys = platform.ingest({"number": 1.0}, {"number": 2.0})
    for number, key in enumerate(keys, 1):
        publish(platform, key, float(number), tmp_path / key)
    return keys


def publish(platform, key, number, folder):
    """Do what a run does once user code has ended."""
    results, result, attempt = platform.services.results, platform.result_id(key), str(uuid.uuid4())
    (folder / "files").mkdir(parents=True)
    (folder / "files" / "double.txt").write_text(f"{2 * number}\n")
    log = folder / "analysis.log"
    log.touch()
    manifest = build_manifest(folder / "files", ["double.txt"], log=log)
    location = results.location(result, attempt)
    stored = upload(results, location, folder / "files", ["double.txt"], log=log)
    made = sparse(
        analysis=platform.name,
        job_key=key,
        code_version=platform.entry.code_version,
        result_id=result,
        attempt=attempt,
        location=location,
        locations=(platform.place,),
        parameters={"number": number},
        outputs={"double": 2 * number},
        listing_sha256=listing_digest(stored),
        manifest_sha256=manifest["sha256"],
    )
    write_documents(results, to_record(made), manifest)
    platform.services.records.commit(to_record(made))
    event = materialization(made, results=results, figure=None, reused=False)
    platform.instance.report_runless_asset_event(event)
    facts = {"code_version": platform.entry.code_version, "result_id": result, "error": None}
    platform.services.ledger.claims.mark_unclaimed(platform.job(key), state=JobState.DONE, **facts)
