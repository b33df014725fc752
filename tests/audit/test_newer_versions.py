"""Rolling back by one version is safe: what a newer version has added is ignored and kept, and a newer format is refused."""

import json
import logging
from datetime import timedelta

import pytest

from audit.audit import run_audit
from audit.repair import Repairer
from cli.explain.history import origin_of
from domain.errors import NewerFormatError
from domain.job.state import JobState
from domain.json_values import canonical_json, sha256_hex
from domain.result.records import check_record_format, from_record, newer_format, readable, to_record
from engine.execution.publish import MANIFEST, METADATA, differences
from resources.inbox.notes import FileNote, InboxNotes
from results.summaries import results_among
from results_table.sensor import tick
from results_table.update import update_table
from sensors.job_files.cursor import Memory
from tests.audit.conftest import publish
from tests.audit.test_audit import object_key, put, raw_jobs, raw_records
from tests.provenances import rich
from tests.raw import superseded_of

DEEP = {"content": True, "inputs": True}


def get_json(platform, key, path):
    """Read a document beside a result's files."""
    bucket, name = object_key(platform, key, path)
    return json.loads(platform.services.results.s3.client.get_object(Bucket=bucket, Key=name)["Body"].read())


def extended(value, depth=0):
    """Add a field to each object that is the platform's own, as a newer version may."""
    if isinstance(value, list):
        return [extended(one, depth + 1) for one in value]
    if not isinstance(value, dict):
        return value
    free = {
        "parameters",
        "outputs",
        "origins",
        "stripped",
        "processing",
    }  # their names are the analysis's, or the schema's
    kept = {name: inner if name in free else extended(inner, depth + 1) for name, inner in value.items()}
    return {**kept, "of_a_newer_version": {"depth": depth}}


def write_as_newer(platform, key, change):
    """Let a newer version have written a job's record and its documents in S3."""
    manifest = change(get_json(platform, key, MANIFEST))
    put(platform, key, MANIFEST, json.dumps(manifest).encode())
    record = platform.record(key)
    record["analysis_assets"]["manifest_sha256"] = sha256_hex(canonical_json(manifest["files"]))
    search = record["analysis_assets"].pop("search")
    record = change(record)
    record["analysis_assets"]["search"] = [*search, {"k": "newer.name", "v": 1}]
    put(platform, key, METADATA, json.dumps(record).encode())
    raw_records(platform).replace_one({"_id": record["_id"]}, record)
    return record


@pytest.fixture
def newer_fields(platform, done):
    """Give the keys of two jobs; a newer version has written the second one's documents."""
    write_as_newer(platform, done[1], extended)
    job = raw_jobs(platform).find_one({"job_key": done[1]})
    raw_jobs(platform).replace_one({"_id": job["_id"]}, extended(job))
    return done


def test_records_and_jobs_with_newer_fields_are_read_reused_and_audited_without_a_finding(
    platform, newer_fields, audited, caplog
):
    key = newer_fields[1]
    record, entry = platform.record(key), platform.entry
    assert readable(record) == from_record(record)
    assert platform.work(key)[key].kind == "reused"
    assert all(verdict.passed for verdict in platform.work(key)[key].verdicts)
    assert audited(**DEEP) == {}
    assert origin_of(record).startswith("Made by run")
    assert [one.job_key for one in results_among([record], code_version=entry.code_version)] == [key]
    s = platform.services
    catalog = update_table(entry, None, records=s.records, ledger=s.ledger, results=s.results)
    assert (catalog.table.num_rows, catalog.unreadable) == (2, [])
    assert platform.record(key) == record, "nothing was rewritten"
    assert "cannot be read" not in caplog.text


def test_newer_fields_are_kept_where_a_document_is_changed_or_moved(platform, newer_fields):
    key = newer_fields[1]
    before, job = platform.record(key), raw_jobs(platform).find_one({"job_key": key})
    ledger = platform.services.ledger
    ledger.requests.requeue(platform.name, [key], who="me", reason="again", force=True)
    ledger.run_counts.count_requested(platform.name, {key: 0})
    assert platform.run([key]).success
    after = raw_jobs(platform).find_one({"job_key": key})
    assert after["attempt_number"] == job["attempt_number"] + 1
    for name in ("of_a_newer_version", "inputs", "sources"):
        assert after[name] == job[name]
    (moved,) = superseded_of(platform.services.records).find({"name": before["_id"]})
    assert {k: v for k, v in moved.items() if k not in {"_id", "superseded"}} == {
        k: v for k, v in before.items() if k != "_id"
    }


def test_a_record_with_everything_and_newer_fields_everywhere_is_read_as_without():
    record = to_record(rich())
    search = record["analysis_assets"].pop("search")
    newer = extended(record)
    newer["analysis_assets"]["search"] = search
    assert newer["analysis_assets"]["inputs"][0]["of_a_newer_version"]
    assert from_record(newer) == rich()


def test_a_failure_of_a_kind_that_only_a_newer_version_knows_is_shown(platform, done, caplog):
    error = {"kind": "a_newer_kind", "message": "m", "permanent": True, "more": 1}
    platform.change(done[0], state="failed", error=error, lease=None, result_id=None)
    assert platform.job(done[0]).error.kind == "a_newer_kind"
    assert [job.error.kind for job in platform.services.ledger.jobs.failures(platform.name)] == ["a_newer_kind"]
    platform.change(done[0], error={**error, "kind": "not a word"})
    assert platform.job(done[0]) is None
    assert "cannot be read" in caplog.text


def newer(document):
    """Give a document the next format."""
    own = document.get("analysis_assets", document)
    own["format"] = own["format"].replace("/1", "/2")
    return document


def test_a_record_of_a_newer_format_is_refused_and_neither_computed_again_nor_called_damaged(
    platform, done, sources, audited, caplog
):
    key = done[0]
    record = write_as_newer(platform, key, newer)
    platform.services.ledger.requests.requeue(platform.name, [key], who="me")
    outcome = platform.work(key)[key]
    assert (outcome.kind, outcome.error.kind, outcome.error.permanent) == ("failed", "platform", True)
    for part in ("analysis-record/2", "newer version", "reads up to analysis-record/1"):
        assert part in outcome.error.message
    assert platform.record(key) == record
    assert platform.job(key).attempt_number == 0
    platform.change(key, state="done", error=None)
    assert audited(**DEEP) == {"newer_format": 1}
    repairer = Repairer(sources, who="test")
    run_audit(sources, then=repairer.fix)
    assert dict(repairer.left) == {"newer_format": 1}
    assert platform.job(key).state is JobState.DONE
    assert platform.record(key) == record
    assert "newer version" in origin_of(record)
    assert list(results_among([record], code_version="v")) == []
    assert "damaged" not in caplog.text
    assert "Left out: The record" in caplog.text


def test_a_result_of_a_newer_format_is_not_invalidated_by_an_older_version(platform, done):
    with pytest.raises(NewerFormatError, match=r"analysis-record/2.*Use the version that wrote it"):
        from_record(newer(platform.record(done[0])))


def test_a_manifest_of_a_newer_format_is_named_and_its_result_not_computed_again(platform, done, audited):
    key = done[0]
    manifest = newer(get_json(platform, key, MANIFEST))
    put(platform, key, MANIFEST, json.dumps(manifest).encode())
    assert platform.work(key)[key].kind == "reused"
    assert audited() == {}
    assert audited(content=True) == {"newer_format": 1}
    put(platform, key, "double.txt", b"other")
    with pytest.raises(NewerFormatError, match="analysis-manifest/2"):
        differences(platform.services.results, from_record(platform.record(key)))
    assert platform.work(key)[key].error.kind == "platform"
    platform.change(key, state="done", error=None)
    assert audited() == {"newer_format": 1}


def test_a_complete_attempt_of_a_newer_format_is_left_to_the_version_that_made_it(platform, tmp_path, audited):
    (key,) = platform.ingest({"number": 3.0})
    publish(platform, key, 3.0, tmp_path / "newer")
    record = write_as_newer(platform, key, newer)
    raw_records(platform).delete_one({"_id": record["_id"]})
    platform.change(key, state="new")
    assert audited()["newer_format"] == 1
    assert platform.work(key)[key].kind == "computed"
    assert len(platform.attempts_stored(key)) == 2


def test_a_job_of_a_newer_format_is_logged_and_left_alone(platform, done, caplog):
    key = done[0]
    platform.change(key, format="analysis-ledger/2", state="new")
    ledger = platform.services.ledger
    assert ledger.jobs.get(platform.name, key) is None
    assert key not in ledger.jobs.keys_in(platform.name, JobState.NEW)
    assert ledger.jobs.summaries(platform.name, [key]) == {}
    assert "analysis-ledger/2, which was written by a newer version" in caplog.text
    assert "fix it, or delete it" not in caplog.text
    platform.change(key, format="analysis-ledger/1.3")
    assert ledger.jobs.get(platform.name, key) is not None


@pytest.mark.parametrize(
    "value", [None, 1, "", "analysis-record/", "other/2", "analysis-record/0", {}, "analysis-record/1.9"]
)
def test_a_format_that_is_not_a_newer_one_passes(value):
    check_record_format({"_id": "x", "analysis_assets": {"format": value}})
    check_record_format({"_id": "x", "analysis_assets": value})
    assert newer_format({}) is None


def test_breakers_alerts_and_notes_with_newer_fields_are_read(platform, caplog):
    caplog.set_level(logging.WARNING)
    ledger, mongo = platform.services.ledger, platform.services.ledger.mongo
    breakers = mongo.collection("records_breakers").raw
    opened = {
        "_id": platform.name,
        "analysis": platform.name,
        "code_version": platform.entry.code_version,
        "state": "open",
        "why": "most failed",
        "kind": "server",
        "changed": ledger.now(),
        "probes": 0,
        "probe_at": ledger.now() - timedelta(seconds=1),
        "told": False,
    }
    breakers.insert_one(extended(opened))
    assert ledger.breakers.get_open(platform.name, code_version=platform.entry.code_version).why == "most failed"
    assert [found["_id"] for found in ledger.breakers.unreported()] == [platform.name]
    assert ledger.breakers.begin_probe(platform.name)
    ledger.breakers.mark_reported(platform.name, opened["changed"])
    assert ledger.breakers.close(platform.name, who="me", reason="fixed")
    assert breakers.find_one()["of_a_newer_version"] == {"depth": 0}
    notes = InboxNotes(mongo=mongo, records_name="records")
    note = FileNote("a.json", "f1", problem="unreadable", judged_with="p")
    notes.save(platform.name, [note])
    raw = mongo.collection("records_inbox").raw
    raw.update_many({}, {"$set": {"of_a_newer_version": 1, "revision_of": {"x": 1}}})
    assert InboxNotes(mongo=mongo, records_name="records").rejected(platform.name) == [note]
    assert dict(notes.some(platform.name, ["a.json"])) == {"a.json": note}


@pytest.mark.parametrize(("text", "after"), [('{"bad": "x", "after": "p", "newer": 1}', "p"), ("{}", "")])
def test_a_cursor_with_newer_fields_is_read(text, after):
    assert Memory.read(text).after == after


def test_the_memory_of_the_sensor_of_results_tables_is_read_with_newer_fields(platform):
    ledger = platform.services.ledger
    kept = tick(platform.instance, None, [platform.entry], ledger).cursor
    memory = json.loads(kept)
    memory[platform.name] |= {"seen": "s", "newer": 1}
    again = tick(platform.instance, json.dumps(memory), [platform.entry], ledger).cursor
    assert json.loads(again)[platform.name]["seen"] == "s"
