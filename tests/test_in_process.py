"""The whole in one process: sensor, run and result, without a daemon."""

import json
import uuid

import dagster as dg
import pytest

from definitions import build_defs
from domain.job.state import JobState
from domain.result.records import from_record
from engine.assets.materialization import asset_key_of
from operations.platform import open_platform
from resources.connections import connect
from resources.settings import load_settings
from tests.lab_workspace import LAB


@pytest.fixture
def platform(home, servers, tmp_path, monkeypatch):
    """Open the platform with the analyses for tests, over the servers that all tests share."""
    monkeypatch.setenv("ANALYSIS_HOME", str(home))
    monkeypatch.setenv("DOCDB_DATABASE", f"test_{uuid.uuid4().hex[:16]}")
    monkeypatch.setenv("JOB_INBOX", str(tmp_path / "inbox"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    with open_platform(load_settings(env_file=tmp_path / "no.env"), folder=LAB) as platform:
        yield platform


def test_a_job_file_becomes_a_result_in_one_process(platform):
    inbox = platform.connections.job_inbox
    for number in range(3):
        job = {"s3_location": ["s3://bucket/asset"], "distributed_parameters": {"number": number}}
        inbox.write("double", f"{number}.json", json.dumps(job).encode())
    repository = build_defs(platform.settings, folder=LAB).get_repository_def()
    resources = connect(platform.settings).as_dict()
    sensor = repository.get_sensor_def("double_job_files")
    with dg.DagsterInstance.ephemeral() as instance:
        with dg.build_sensor_context(instance, repository_def=repository, resources=resources) as context:
            (request,) = sensor.evaluate_tick(context).run_requests
        job = repository.get_job("double_batch")
        assert job.execute_in_process(instance=instance, tags=request.tags).success
        keys = platform.connections.ledger.jobs.keys_in("double", JobState.DONE)
        assert instance.get_materialized_partitions(asset_key_of("double")) == set(keys)
        with dg.build_sensor_context(instance, repository_def=repository, resources=resources) as context:
            assert "No new job" in sensor.evaluate_tick(context).skip_message
    records = list(platform.connections.record_store.newest("double"))
    assert sorted(from_record(r).outputs["double"] for r in records) == [0.0, 2.0, 4.0]
