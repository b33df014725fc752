"""Every kind of difference is made for real, found by its name, and nothing else is."""

import uuid
from dataclasses import replace
from datetime import timedelta

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from audit.audit import run_audit
from audit.findings import KINDS, AuditReport
from audit.repair import Repairer
from audit.sources import Depth
from domain.failures import JobError
from domain.job.identity import JobInputs, job_key, result_id
from domain.job.job_file import Job
from domain.job.metadata import MetadataDigest, digest_of
from domain.job.state import JobState
from domain.result.records import from_record, to_record
from engine.assets.materialization import asset_key_of
from engine.assets.runs import job_name_of
from resources.result_store.catalog_files import REPORT, TABLE, CatalogFiles
from tests.provenances import sparse
from tests.raw import jobs_of, records_of


def repaired(sources):
    """Repair what is safe; gives what was mended and left, by kind."""
    repairer = Repairer(sources, who="test")
    run_audit(sources, then=repairer.fix)
    return dict(repairer.repaired), dict(repairer.left)


def raw_records(platform):
    return records_of(platform.services.records)


def raw_jobs(platform):
    return jobs_of(platform.services.ledger)


def object_key(platform, key, path):
    bucket, _, root = platform.services.results.root.partition("/")
    record = platform.record(key)
    return bucket, f"{root}/{record['_id']}/{record['analysis_assets']['attempt']}/{path}"


def put(platform, key, path, content):
    bucket, name = object_key(platform, key, path)
    platform.services.results.s3.client.put_object(Bucket=bucket, Key=name, Body=content)


def discard(platform, key):
    platform.services.results.discard(platform.record(key)["location"])


def add_attempt(platform, key, *, complete=False):
    """Leave an attempt behind, as a run that was interrupted would."""
    result, attempt, results = platform.result_id(key), str(uuid.uuid4()), platform.services.results
    location = results.location(result, attempt)
    results.put_bytes(location, "double.txt", b"8")
    if complete:
        results.put_bytes(location, "metadata.nd.json", b"{}")
    return attempt


def force(platform, key):
    """Compute a result again."""
    assert platform.run([key], config={"force_reason": "test"}).success


# -- nothing to find -----------------------------------------------------------------------------------------------


def test_an_empty_platform_and_one_after_normal_work_are_clean(platform, audited, computed):
    force(platform, computed[0])
    assert platform.run(computed).success, "reused"
    (bad,) = platform.ingest({"number": 5.0})
    platform.services.ledger.requests.cancel(platform.name, [bad], who="a", reason="b", code_version="1")
    assert audited(content=True, inputs=True) == {}


def test_an_invalidated_result_is_not_a_difference(platform, audited, done):
    record, ledger = platform.record(done[0]), platform.services.ledger
    ledger.requests.invalidate(platform.job(done[0]), who="a", reason="b", code_version=platform.entry.code_version)
    platform.services.records.invalidate(record, who="a", reason="b")
    assert audited(content=True) == {}


def test_a_running_attempt_is_not_an_orphan(platform, audited, done):
    attempt = add_attempt(platform, done[0])
    lease = {"owner": "w", "attempt": attempt, "run_id": "r", "until": platform.services.ledger.now()}
    platform.change(done[0], lease=lease)
    assert audited() == {}


def test_an_audit_reports_how_much_was_compared(sources, done):
    assert dict(run_audit(sources).looked_at) == {"attempts": 2, "records": 2, "partitions": 2, "jobs": 2}


def test_without_dagster_its_side_is_left_out(sources, done):
    alone = replace(sources, instance=None)
    assert dict(run_audit(alone).counts) == {}


# -- one difference at a time --------------------------------------------------------------------------------------


def test_a_file_that_was_changed_or_removed_is_found_and_computed_again(platform, sources, audited, done):
    put(platform, done[0], "double.txt", b"other")
    bucket, name = object_key(platform, done[1], "double.txt")
    platform.services.results.s3.client.delete_object(Bucket=bucket, Key=name)
    assert audited() == {"files_differ": 2}
    assert repaired(sources) == ({"files_differ": 2}, {})
    assert platform.run(done).success
    assert audited(content=True) == {}
    assert len(platform.superseded(done[0])) == 1, "the damaged result is kept"


def test_files_that_are_gone_are_found_and_computed_again(platform, sources, audited, done):
    discard(platform, done[0])
    assert audited() == {"files_missing": 1}
    assert repaired(sources) == ({"files_missing": 1}, {})
    assert platform.run(done[:1]).success
    assert audited() == {"superseded_files_gone": 1}


def test_damaged_results_of_earlier_code_are_left_to_a_person(platform, sources, done):
    discard(platform, done[0])
    old = {**sources.entries, platform.name: type(platform.entry)(**{**platform.entry.__dict__, "code_version": "2"})}
    moved = replace(sources, entries=old)
    assert repaired(moved) == ({}, {"files_missing": 1})


def test_content_that_changed_behind_an_equal_listing_is_found_by_a_deep_audit(platform, audited, done):
    manifest = platform.services.results.get_bytes(platform.record(done[0])["location"], "manifest.json")
    put(platform, done[0], "manifest.json", manifest.replace(b'"sha256"', b'"sha25x"', 1).replace(b"sha25x", b"sha256"))
    put(platform, done[1], "manifest.json", b"{")
    put(platform, done[0], "metadata.nd.json", b"{}")
    assert audited() == {}, "neither is part of the listing that is compared"
    assert audited(content=True) == {"manifest_differs": 1, "metadata_differs": 1}


def test_a_digest_in_the_manifest_that_is_not_the_files_is_found_by_a_deep_audit(platform, audited, done):
    location = platform.record(done[0])["location"]
    manifest = platform.services.results.get_bytes(location, "manifest.json")
    sha = platform.services.results.sha256_of(location, "double.txt").encode()
    put(platform, done[0], "manifest.json", manifest.replace(sha, b"0" * 64))
    assert audited(content=True) == {"manifest_differs": 1, "content_differs": 1}


def test_a_record_that_was_deleted_by_hand_is_found_and_committed_again(platform, sources, audited, computed):
    raw_records(platform).delete_one({"_id": platform.result_id(computed[0])})
    found = {"done_without_record": 1, "materialization_without_record": 1, "uncommitted_attempt": 1}
    assert audited() == found
    assert repaired(sources)[1] == {}
    assert platform.job(computed[0]).state is JobState.NEW
    assert platform.run(computed[:1]).success
    assert platform.job(computed[0]).attempt_number == 2
    assert audited(content=True) == {}


def test_a_record_that_was_changed_by_hand_is_found(platform, audited, done):
    change = {"$set": {"processing.data_processes.0.code.parameters.number": 7.0}}
    raw_records(platform).update_one({"_id": platform.result_id(done[0])}, change)
    assert audited() == {"identity_differs": 1}


def test_a_record_that_cannot_be_read_is_found(platform, audited, done):
    raw_records(platform).update_one({"_id": platform.result_id(done[0])}, {"$unset": {"processing": 1}})
    found = audited()
    assert found.pop("record_unreadable") == 1
    assert set(found) <= {"materialization_without_record"}


def test_a_record_that_the_schema_refuses_is_found(platform, audited, done):
    change = {"$set": {"processing.data_processes.0.stage": "no stage of the schema"}}
    raw_records(platform).update_one({"_id": platform.result_id(done[0])}, change)
    assert audited() == {"record_unreadable": 1}


def test_two_records_of_one_job_and_code_are_found(platform, audited, done):
    copy = {**platform.record(done[0]), "_id": "f" * 64, "name": "f" * 64}
    raw_records(platform).insert_one(copy)
    assert audited() == {"duplicate_result": 1}


def test_a_record_whose_job_failed_is_found_and_adopted(platform, sources, audited, done):
    error = JobError(kind="server", message="x", permanent=False).model_dump()
    platform.change(done[0], state="failed", error=error)
    assert audited() == {"record_of_failed_job": 1}
    assert repaired(sources) == ({"record_of_failed_job": 1}, {})
    assert platform.run(done[:1]).success
    assert audited() == {}


def test_a_record_whose_job_is_gone_is_found(platform, audited, done):
    raw_jobs(platform).delete_one({"job_key": done[0]})
    assert audited() == {"record_without_job": 1, "partition_without_job": 1}


def test_a_dagster_that_was_lost_is_rebuilt_from_ledger_and_records(platform, sources, done):
    with dg.DagsterInstance.ephemeral() as instance:
        empty = replace(sources, instance=instance)
        assert dict(run_audit(empty).by_kind()) == {"not_materialized": 2, "job_without_partition": 2}
        mended, left = repaired(empty)
        assert (mended["not_materialized"], left) == (2, {})
        assert dict(run_audit(empty).by_kind()) == {}
        assert instance.get_materialized_partitions(asset_key_of(platform.name)) == set(done)
        for key in done:
            (one,) = platform.materializations(key, instance=instance)
            assert one.metadata["result_id"].value == platform.result_id(key)


def test_a_partition_without_a_job_is_found(platform, audited, done):
    platform.instance.add_dynamic_partitions(platform.name, ["0" * 64])
    assert audited() == {"partition_without_job": 1}


@pytest.mark.parametrize("kind", ["expired_lease", "dead_run"])
def test_a_claim_that_no_run_holds_is_found_and_released(platform, sources, audited, kind):
    (key,) = platform.ingest({"number": 1.0})
    run = create_run_for_test(platform.instance, status=dg.DagsterRunStatus.STARTED)
    ledger = platform.services.ledger
    ledger.claims.claim(
        platform.job(key), attempt="a", owner="o", run_id=run.run_id, code_version="1", states=[JobState.NEW]
    )
    assert audited() == {}
    if kind == "expired_lease":
        platform.change(key, **{"lease.until": ledger.now() - timedelta(hours=1)})
    else:
        event = dg.DagsterEvent(dg.DagsterEventType.RUN_FAILURE.value, job_name=run.job_name)
        platform.instance.report_dagster_event(event, run_id=run.run_id)
    assert audited() == {kind: 1}
    assert repaired(sources) == ({kind: 1}, {})
    assert (audited(), platform.job(key).state) == ({}, JobState.NEW)


@pytest.mark.parametrize("launched_by", ["a person", "the sensor"])
def test_a_run_that_is_running_for_long_without_a_claim_is_found(platform, sources, audited, launched_by):
    of_a_person = {"asset_selection": frozenset([asset_key_of(platform.name)])}
    facts = of_a_person if launched_by == "a person" else {"job_name": job_name_of(platform.name)}
    create_run_for_test(platform.instance, status=dg.DagsterRunStatus.STARTED, **facts)
    assert audited() == {}
    impatient = replace(sources, ages=replace(sources.ages, stuck=timedelta(hours=-1)))
    assert dict(run_audit(impatient, Depth()).by_kind()) == {"stuck_run": 1}


def test_attempts_that_were_left_behind_are_found(platform, audited, done):
    add_attempt(platform, done[0])
    add_attempt(platform, "0" * 64)
    assert audited() == {"orphan_attempt": 2}


def test_an_object_that_belongs_to_no_result_is_found(platform, audited, done):
    bucket, _, root = platform.services.results.root.partition("/")
    platform.services.results.s3.client.put_object(Bucket=bucket, Key=f"{root}/notes/to self.txt", Body=b"x")
    assert audited(content=True) == {"foreign_object": 1}


def test_a_catalog_is_not_a_stray_object(platform, audited, done):
    results = platform.services.results
    files = CatalogFiles(s3=results.s3, root=results.root)
    for name in (TABLE, REPORT):
        files.put(platform.name, name, b"x", content_type="text/plain")
    assert audited(content=True) == {}


def test_inputs_that_changed_or_are_gone_are_distinguished(platform, audited, tmp_path):
    paths = [tmp_path / f"{name}.nwb" for name in ("same", "changed", "gone")]
    for path in paths:
        path.write_bytes(b"old")
    reader, records = platform.services.inputs.reader, platform.services.records
    for number, path in enumerate(paths):
        inputs = (reader.describe(path.as_uri()),)
        found = from_record(record_with_identity(platform, number, path.as_uri(), inputs))
        records.commit(to_record(found))
    paths[1].write_bytes(b"newer")
    paths[2].unlink()
    found = audited(inputs=True)
    assert (found["input_changed"], found["input_gone"]) == (1, 1)


def test_metadata_records_that_changed_or_are_gone_are_distinguished(platform, audited):
    assets = platform.services.assets
    collection = assets.mongo.collection(assets.name).raw
    for number, name in enumerate(("same", "changed", "gone")):
        record = {"_id": name, "location": f"s3://lab/{name}"}
        metadata = (
            MetadataDigest(input=record["location"], record_id=name, sha256=digest_of(record)),
            MetadataDigest(sha256=digest_of({})),
        )
        found = from_record(record_with_identity(platform, number, record["location"], (), metadata=metadata))
        platform.services.records.commit(to_record(found))
        if name != "gone":
            collection.insert_one(record | ({"more": 1} if name == "changed" else {}))
    found = audited(inputs=True)
    assert (found["input_changed"], found["input_gone"]) == (1, 1)


def record_with_identity(platform, number, url, inputs, **more):
    """Make a record whose ids are those of its own inputs."""
    key = job_key(JobInputs.of(Job(file_location=(url,))), {"number": float(number)})
    result = result_id(platform.name, platform.entry.code_version, key)
    facts = {"job_key": key, "result_id": result, "code_version": platform.entry.code_version}
    parameters = {"number": float(number)}
    location = platform.services.results.location(result, "7d0c3f5e-5d1a-4b7e-9a68-0d7f0a2a8c11")
    facts |= {"parameters": parameters, "location": location, **more}
    made = sparse(analysis=platform.name, locations=(), files=(url,), inputs=inputs, **facts)
    return to_record(made)


def test_only_the_first_of_each_kind_are_kept_and_all_are_counted(sources, platform, done):
    platform.instance.add_dynamic_partitions(platform.name, [f"{n:064}" for n in range(5)])
    report = AuditReport(kept=2)
    for finding in run_audit(sources).first:
        report.add(finding)
    assert (report.by_kind()["partition_without_job"], len(report.first)) == (5, 2)
    reported = report.as_dict()
    assert reported["findings"][0]["advice"] == KINDS["partition_without_job"].advice


def test_records_whose_repository_only_this_machine_knows_are_noted_once(platform, audited, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "file:///home/ann/analyses")
    keys = platform.ingest({"number": 1.0}, {"number": 2.0})
    assert platform.run(keys).success
    assert audited() == {"code_without_address": 1}
