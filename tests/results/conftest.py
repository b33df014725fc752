"""Eight jobs with results on real servers, as a user of `results` finds them."""

import json
import uuid

import pandas as pd
import pyarrow as pa
import pytest

from domain.failures import JobError
from domain.job.identity import JobInputs, job_key
from domain.job.job_file import Job
from domain.job.state import JobState
from domain.job.stored import Source, StoredJob
from domain.result.provenance import GroupField
from domain.result.records import to_record
from resources.connections import connect
from resources.result_store.catalog_tables import write_catalog
from resources.settings import Settings
from results.results import Results
from results.source import source_of
from tests.results.made_results import COUNT, CURRENT, OLD, PNG, SCRIPT, made


@pytest.fixture(scope="module")
def settings(home, servers):
    """Name the servers that all tests share, with a database of this module alone."""
    return Settings(analysis_home=home, docdb_database=f"test_{uuid.uuid4().hex[:16]}")


@pytest.fixture(scope="module")
def connections(settings):
    """Connect to the servers that the tests write to."""
    return connect(settings)


@pytest.fixture(scope="module")
def records(connections):
    """Give the records, to write some."""
    return connections.record_store


@pytest.fixture(scope="module")
def source(connections, settings):
    """Give what a single result is read from."""
    return source_of(connections, settings)


@pytest.fixture(scope="module")
def results(settings, connections, records):
    """Give eight jobs with a result each; four of them have one of older code too, and one job failed."""
    with Results(settings) as results:
        for number in range(COUNT):
            records.commit(to_record(made(number)))
        for number in range(4):  # of the older code; that of job 3 was computed last, after a rollback
            minute = 30 if number == 3 else -30
            records.commit(to_record(made(number, OLD, minute=minute)))
        _supersede(records)
        _fail(connections.ledger)
        facts = {b"analysis_assets": json.dumps({"code_version": CURRENT}).encode()}
        table = pa.table({"result_id": ["x"]}).replace_schema_metadata(facts)
        write_catalog(connections.catalog_files, "quality", table)
        yield results


@pytest.fixture(scope="module")
def stored(results, connections):
    """Give a result with files."""
    provenance, store = made(6), connections.results_store
    frame = pd.DataFrame({"unit": [1, 2], "rate_hz": [1.5, None]})
    store.put_bytes(provenance.location, "units.parquet", frame.to_parquet())
    store.put_bytes(provenance.location, "tables/units.csv", frame.to_csv(index=False).encode())
    store.put_bytes(provenance.location, "figure.png", PNG)
    store.put_bytes(provenance.location, 'a"b<c>.svg', SCRIPT.encode())
    store.put_bytes(provenance.location, "notes.txt", "µ".encode())
    return results.get(provenance.result_id)


def _supersede(records):
    """Replace the result of job 5, and invalidate that of a job 9."""
    wrong = to_record(made(9))
    records.commit(to_record(made(5, minute=5)), replaces=[made(5).attempt], who="me", reason="forced")
    records.commit(wrong)
    records.invalidate(wrong, who="you", reason="wrong")


def _fail(ledger):
    """Store a job that failed."""
    parameters = {"analysis_tag": "narrow", "method": "hill", "cutoff": 0.5}
    inputs = JobInputs.of(Job(s3_location=("s3://data/failing",)))
    job = StoredJob(
        analysis="quality", job_key=job_key(inputs, parameters), inputs=inputs, parameters=parameters, origins={}
    )
    group = (GroupField(field="subject.subject_id", value="700009"),)
    ledger.requests.store([(job, Source(name="test", group=group))], code_version=CURRENT)
    error = JobError(kind="exception", message=SCRIPT, permanent=True, traceback="Traceback: here").model_dump()
    ledger.claims.mark_unclaimed(
        ledger.jobs.get("quality", job.job_key), state=JobState.FAILED, code_version=CURRENT, error=error
    )
