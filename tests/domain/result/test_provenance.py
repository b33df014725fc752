import json
import logging
import warnings
from datetime import UTC, datetime, timedelta, timezone

import pymongo
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.result.provenance import CodeFacts, GroupField, Provenance
from domain.result.records import METADATA_DESCRIBED_BY, METADATA_SCHEMA_VERSION, from_record, to_record
from tests.provenances import STARTED, rich, sparse

QUICK = settings(max_examples=60, deadline=None, database=None)
EXAMPLES = pytest.mark.parametrize("provenance", [rich(), sparse()], ids=["rich", "sparse"])

KEYS = st.text(st.characters(codec="utf-8", exclude_characters="$.\0"), min_size=1, max_size=8)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=8)
)
VALUES = st.recursive(SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(KEYS, v, max_size=3), max_leaves=6)
NAMES = KEYS | st.sampled_from(["name", "url", "copy", "json", "schema", "object_type", "describedBy", "model_config"])
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=4)
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
TIMES = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=ZONES)  # noqa: DTZ001 - zones are added
WORDS = st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=5), max_size=3).map(tuple)


@st.composite
def provenances(draw):
    """Draw a provenance with any values in the places that users fill."""
    times = sorted((draw(TIMES), draw(TIMES)))
    pairs = st.builds(GroupField, field=st.text(st.characters(codec="utf-8"), max_size=5), value=SCALARS)
    return sparse(
        parameters=draw(OBJECTS),
        outputs=draw(OBJECTS),
        started=times[0],
        ended=times[1],
        subject_ids=draw(WORDS),
        session_names=draw(WORDS),
        not_finite=draw(WORDS),
        group=tuple(draw(st.lists(pairs, max_size=3))),
        reason=draw(st.none() | st.text(st.characters(codec="utf-8"), max_size=8)),
    )


@pytest.fixture(scope="module")
def metadata_class():
    """Give the schema's own class; importing it takes 1.8 s and warns about its deprecated parts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from aind_data_schema.core.metadata import Metadata  # noqa: PLC0415 - see above
    return Metadata


def validated(metadata_class, record):
    """Validate a record's schema part; its one known warning is ignored here and nowhere else."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Metadata missing required file: data_description")
        return metadata_class.model_validate({k: v for k, v in record.items() if k not in {"_id", "analysis_assets"}})


@EXAMPLES
def test_a_record_gives_back_the_provenance_that_it_was_made_from(provenance):
    assert from_record(to_record(provenance)) == provenance


@QUICK
@given(provenances())
def test_any_provenance_survives_its_record_and_json(provenance):
    record = to_record(provenance)
    assert from_record(record) == provenance
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert from_record(json.loads(json.dumps(record))) == provenance


@EXAMPLES
def test_a_record_survives_mongodb_unchanged(provenance, docdb_uri, database):
    record = to_record(provenance)
    with pymongo.MongoClient(docdb_uri, tz_aware=True) as client:
        records = client[database]["records"]
        records.insert_one(dict(record))
        stored = records.find_one({"_id": provenance.result_id})
        client.drop_database(database)
    assert stored == record
    assert list(stored) == list(record)
    assert from_record(stored) == provenance
    assert to_record(from_record(stored)) == record
    assert json.loads(json.dumps(stored)) == record


@EXAMPLES
def test_a_record_is_valid_and_equal_to_what_the_schema_dumps(provenance, metadata_class, caplog):
    record = to_record(provenance)
    with caplog.at_level(logging.WARNING):
        metadata = validated(metadata_class, record)
    assert not caplog.records  # the schema only logs a section that does not fit
    dumped = metadata.model_dump(mode="json")
    assert set(dumped) | {"_id", "analysis_assets"} == set(record)
    for key, value in dumped.items():
        assert record[key] == value, key


def test_the_schemas_version_and_address_are_those_of_the_installed_schema(metadata_class):
    assert metadata_class.model_fields["schema_version"].default == METADATA_SCHEMA_VERSION
    assert metadata_class.model_fields["describedBy"].default == METADATA_DESCRIBED_BY


@EXAMPLES
def test_a_record_is_named_by_its_result_and_says_done(provenance):
    record = to_record(provenance)
    assert record["_id"] == record["name"] == provenance.result_id
    assert record["location"] == provenance.location
    own = record["analysis_assets"]
    assert (own["format"], own["state"], own["job_key"]) == ("analysis-record/1", "done", provenance.job_key)


def test_the_schemas_part_holds_code_inputs_parameters_and_outputs():
    process = to_record(rich())["processing"]["data_processes"][0]
    assert (process["process_type"], process["stage"], process["name"]) == ("Analysis", "Analysis", "demo")
    assert process["code"]["version"] == "1+0123456789ab"
    assert process["code"]["commit_hash"] == rich().code.commit
    assert [data["url"] for data in process["code"]["input_data"]] == [*rich().locations, *rich().files]
    assert process["code"]["parameters"] == rich().parameters
    assert process["output_parameters"] == rich().outputs
    assert (process["resources"]["system_memory"], process["resources"]["system_memory_unit"]) == (8.123, "Gigabyte")


def test_values_are_kept_in_one_place_only():
    own = to_record(rich())["analysis_assets"]
    assert not {"parameters", "outputs", "started", "ended", "location", "result_id", "owners"} & set(own)


@pytest.mark.parametrize("field", ["started", "ended"])
def test_times_without_zone_are_refused(field):
    with pytest.raises(ValidationError, match="timezone"):
        sparse(**{field: datetime(2025, 1, 1)})  # noqa: DTZ001 - the point of the test


def test_times_are_stored_with_their_zone_and_read_back_as_the_same_instant():
    process = to_record(rich())["processing"]["data_processes"][0]
    times = [datetime.fromisoformat(process[f"{end}_date_time"]) for end in ("start", "end")]
    assert all(time.tzinfo is not None for time in times)
    assert times[0] == STARTED
    assert from_record(to_record(rich())).ended == STARTED + timedelta(seconds=12.5)
    assert rich().duration_s == 12.5


def test_times_in_utc_are_stored_so_that_text_sorts_like_time():
    later = [STARTED.replace(microsecond=0) + timedelta(seconds=s) for s in (0, 0.5, 59, 3600, 86400 * 40)]
    texts = [to_record(sparse(ended=t))["processing"]["data_processes"][0]["end_date_time"] for t in later[1:]]
    assert texts == sorted(texts)
    assert all(datetime.fromisoformat(text).astimezone(UTC).tzinfo is UTC for text in texts)


def test_notes_name_a_changed_tree_values_that_are_not_finite_and_the_reason():
    notes = to_record(rich())["processing"]["data_processes"][0]["notes"]
    assert "The working tree had uncommitted changes." in notes
    assert "Not finite, stored as null: bad, list[1]." in notes
    assert "Computed again: new drift correction." in notes


@pytest.mark.parametrize("dirty", [False, None])
def test_a_clean_tree_or_none_leaves_no_note(dirty):
    code = CodeFacts(url="https://host/repo", dirty=dirty, run_script="a.py", language_version="3.11")
    assert to_record(sparse(code=code))["processing"]["data_processes"][0]["notes"] is None


def test_a_machine_of_unknown_memory_has_no_unit():
    resources = to_record(sparse())["processing"]["data_processes"][0]["resources"]
    assert resources["system_memory"] is resources["system_memory_unit"] is None


def test_a_record_without_parameters_and_outputs_is_read_as_empty():
    record = to_record(sparse())
    process = record["processing"]["data_processes"][0]
    process["code"]["parameters"] = process["output_parameters"] = None
    assert from_record(record) == sparse()


def test_reading_a_record_asks_nothing_of_the_schema():
    record = to_record(rich())
    record["schema_version"] = "1.0.0"
    record["processing"] |= {"schema_version": "1.0.0", "novelty": {"a": 1}, "dependency_graph": "unreadable"}
    assert from_record(record) == rich()


def test_a_provenance_is_frozen_and_leaves_out_what_a_newer_version_has_added():
    with pytest.raises(ValidationError, match="frozen"):
        sparse().analysis = "other"
    assert Provenance.model_validate({**sparse().model_dump(), "novelty": 1}) == sparse()
