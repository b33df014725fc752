"""Metadata of inputs: read for an analysis that declares it, recorded by digest, and compared on reuse."""

from pathlib import Path

import pytest

from domain.job.metadata import digest_of
from domain.result.provenance import GroupField
from domain.result.records import from_record
from resources.data_assets.records_rest import RestAssetRecords
from tests.docdb_api import docdb_api

METADATA = Path(__file__).parents[2] / "lab_metadata"


@pytest.fixture
def described(make_platform):
    """Give the platform of an analysis that declares both kinds of metadata."""
    return make_platform(METADATA / "described.py")


@pytest.fixture
def register(described):
    """Give a function that writes the metadata record of the platform's input."""
    assets = described.services.assets

    def register(**fields):
        record = {"_id": described.place, "name": "session", "location": described.place, **fields}
        assets.mongo.collection(assets.name).raw.replace_one({"_id": record["_id"]}, record, upsert=True)
        return record

    return register


def test_an_analysis_receives_what_it_declares_and_its_digests_are_recorded(described, register):
    record = register(subject={"subject_id": "7"})
    (key,) = described.ingest({"number": 1.0}, group=[GroupField(field="subject.subject_id", value="7")])
    assert described.run([key]).success
    found = from_record(described.record(key))
    assert found.outputs == {"names": ["session"], "group": ["subject.subject_id=7"]}
    of_record, of_group = found.metadata
    assert (of_record.input, of_record.record_id) == (described.place, described.place)
    assert of_record.sha256 == digest_of(record)
    assert (of_group.input, of_group.sha256) == (None, digest_of({"subject.subject_id": "7"}))


def test_a_changed_record_is_noted_on_reuse(described, register):
    register()
    (key,) = described.ingest({"number": 2.0})
    assert described.work(key)[key].kind == "computed"
    again = described.work(key)[key]
    assert (again.kind, again.notes) == ("reused", ())
    register(name="renamed")
    changed = described.work(key)[key]
    assert changed.kind == "reused"
    (note,) = changed.notes
    assert note == (
        f"Since the result was computed, the metadata record of {described.place} has changed. To compute the result "
        f"again:  analysis rerun described --key {key} --force --reason …"
    )


@pytest.mark.parametrize(("status", "reason"), [(503, "is unavailable"), (403, "denied access")])
def test_a_result_is_reused_while_its_record_cannot_be_read(described, register, docdb_uri, status, reason):
    register()
    (key,) = described.ingest({"number": 3.0})
    described.work(key)
    with docdb_api(docdb_uri) as api:
        api.statuses = [status] * 9
        assets = RestAssetRecords(url=api.url, database="metadata_index", name="data_assets", pause_s=0.01)
        found = described.having(assets=assets).work(key)[key]
    assert found.kind == "reused"
    (note,) = found.notes
    assert note.startswith("The result was used without comparing the metadata of its inputs: The metadata API")
    assert reason in note


def test_a_job_without_a_record_fails_as_an_input_and_the_next_one_goes_on(described, register):
    missing, present = described.ingest({"number": 4.0}, {"number": 5.0})
    failed = described.work(missing)[missing]
    assert (failed.error.kind, failed.error.permanent) == ("input", True)
    assert f"{described.place} has no metadata record" in failed.error.message
    register()
    assert described.work(present)[present].kind == "computed"


def test_a_dry_run_reads_the_metadata_too(described, register):
    register()
    (key,) = described.ingest({"number": 6.0})
    assert described.work(key, dry_run=True)[key].provenance.outputs["names"] == ["session"]
