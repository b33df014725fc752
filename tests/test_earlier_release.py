"""What release 0.1 wrote is found, reused, explained, audited and displayed.

``tests/golden/release-0.1.tar.gz`` holds what its demo left for one session, and a job whose input does not exist: the
documents of MongoDB, the files of the results, the inbox and Dagster's storage. Analyses that compute other numbers since
have another code version, and do not reuse these results: the test of reuse gives them the version of the results.
"""

import tarfile
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
from bson import json_util

from audit.sources import Depth
from cli.audit.run import audit
from cli.explain.run import explain
from domain.job.state import JobState
from engine.assets.materialization import asset_key_of
from engine.definitions import analysis_definitions
from explorer.data.analysis_data import Tables
from operations.platform import open_platform
from resources.connections import connect
from resources.dagster_storage.configuration import prepare_dagster_home
from resources.records.reader import RecordReader
from resources.settings import load_settings
from results import Results
from sensors.job_files.sensor import build_sensor

ARCHIVE = Path(__file__).parent / "golden" / "release-0.1.tar.gz"
ITS_HOME = "/srv/analysis/dagster"
"""Where its Dagster was, as its ``dagster.yaml`` says."""
RESULTS = {"unit_quality": 2, "foraging_choice_model": 1}


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    """Open the platform over a copy of what the earlier release left."""
    home = tmp_path_factory.mktemp("earlier")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(home, filter="data")
    configuration = home / "dagster" / "dagster.yaml"
    configuration.write_text(configuration.read_text().replace(ITS_HOME, str(home / "dagster")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANALYSIS_HOME", str(home))
        patch.setenv("DAGSTER_HOME", str(home / "dagster"))
        with open_platform(load_settings(env_file=home / "no.env")) as platform:
            for file in (home / "documents").glob("*.json"):
                if documents := json_util.loads(file.read_text()):
                    platform.connections.record_store.mongo.collection(file.stem).raw.insert_many(documents)
            yield platform


@pytest.fixture
def instance(platform):
    """Open Dagster's storage as the earlier ``dagster.yaml`` describes it."""
    with dg.DagsterInstance.from_config(str(platform.settings.dagster_home)) as instance:
        yield instance


def keys_of(platform, name, state=JobState.DONE):
    return sorted(platform.connections.ledger.jobs.keys_in(name, state))


def test_its_dagster_yaml_names_the_event_log_by_its_earlier_place(platform, instance):
    assert "module: resources.event_log\n" in (platform.settings.dagster_home / "dagster.yaml").read_text()
    for name in RESULTS:
        assert instance.get_materialized_partitions(asset_key_of(name)) == set(keys_of(platform, name))


@pytest.mark.parametrize("name", RESULTS)
def test_its_results_are_found(platform, name):
    found = Results(settings=platform.settings).find(name)
    assert sorted(result.job_key for result in found) == keys_of(platform, name)
    assert len(found) == RESULTS[name]
    assert all(result.figure().content.startswith(b"\x89PNG") for result in found)


def version_of_results(platform, name):
    """Give the code version of the results of an analysis."""
    (version,) = {result.code_version for result in Results(settings=platform.settings).find(name)}
    return version


def definitions_of(platform, name):
    """Define one analysis with the code version that its results have."""
    entry = replace(platform.entry(name), code_version=version_of_results(platform, name))
    platform_parts = dg.Definitions(
        executor=dg.in_process_executor,
        resources=connect(platform.settings).as_dict(),
        sensors=[build_sensor(entry)],
    )
    return dg.Definitions.merge(analysis_definitions([entry], platform.settings), platform_parts).get_repository_def()


@pytest.mark.parametrize("name", RESULTS)
def test_its_results_are_reused_without_execution(platform, instance, name):
    keys = keys_of(platform, name)
    attempts = {key: platform.connections.ledger.jobs.get(name, key).attempts for key in keys}
    job = definitions_of(platform, name).get_job("__ASSET_JOB")
    for key in keys:
        resources = connect(platform.settings).as_dict()
        assert job.execute_in_process(instance=instance, partition_key=key, resources=resources).success
        event = instance.get_latest_materialization_event(asset_key_of(name)).asset_materialization
        assert event.partition == key
        assert ": reused in " in event.description
    assert {key: platform.connections.ledger.jobs.get(name, key).attempts for key in keys} == attempts


def test_its_job_files_request_nothing(platform, instance):
    repository = definitions_of(platform, "unit_quality")
    resources = connect(platform.settings).as_dict()
    sensor = repository.get_sensor_def("unit_quality_job_files")
    with dg.build_sensor_context(instance, repository_def=repository, resources=resources) as context:
        assert sensor.evaluate_tick(context).skip_message.startswith("No new jobs. 6 files read, 0 rejected.")


def test_its_jobs_are_explained(platform):
    for name in RESULTS:
        for key in keys_of(platform, name):
            is_current = platform.entry(name).code_version == version_of_results(platform, name)
            assert explain(platform, name, key).state == ("done" if is_current else "outdated")
    (failed,) = keys_of(platform, "unit_quality", JobState.FAILED)
    found = explain(platform, "unit_quality", failed)
    assert (found.state, "No NWB file" in found.reason) == ("failed", True)


def test_an_audit_finds_no_difference(platform):
    prepare_dagster_home(platform.settings)
    report = audit(platform, list(RESULTS), depth=Depth(content=True))
    assert {name: report.by_kind(name) for name in RESULTS} == {name: {} for name in RESULTS}
    assert report.looked_at["records"] == sum(RESULTS.values())


def test_its_results_are_displayed(platform):
    connections, entries = platform.connections, {name: platform.entry(name) for name in RESULTS}
    tables = Tables(
        connections.catalog_files,
        RecordReader(mongo=connections.record_store.mongo, name=connections.record_store.name),
        entries,
    )
    for name in RESULTS:
        table = tables.table(name)
        done = table.frame.filter(table.frame["state"] == "done")
        assert sorted(done["job_key"]) == keys_of(platform, name)
        assert (table.note, bool(table.etag)) == ("", True), "read from the table in S3"
