"""A catalog is brought up to date exactly, and holds whatever records hold."""

import json
from datetime import UTC

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.result.rows import FACTS
from resources.result_store.catalog_tables import catalog_facts, read_catalog
from results_table.columns import columns_of
from results_table.table import schema_of
from tests.provenances import STARTED


def test_columns_are_typed_by_the_models(harness):
    schema = schema_of(columns_of(harness.entry.analysis))
    assert schema.names[: len(FACTS)] == list(FACTS)
    found = {name: str(schema.field(name).type) for name in schema.names}
    assert found["ended"] == "timestamp[us, tz=UTC]"
    assert found["inputs"] == "list<element: string>" or found["inputs"].startswith("list<")
    assert {name: kind for name, kind in found.items() if "." in name} == {
        "parameters.method": "string",
        "parameters.bin_s": "double",
        "parameters.limit": "int64",
        "parameters.robust": "bool",
        "parameters.window": "string",
        "parameters.names": "string",
        "parameters.mixed": "string",
        "parameters.ratio": "double",
        "outputs.outcome": "string",
        "outputs.rate_hz": "double",
        "outputs.count": "int64",
        "outputs.is_stable": "bool",
        "outputs.by_unit": "string",
        "outputs.note": "string",
    }


def test_without_results_there_is_a_table_with_the_same_columns(harness):
    empty = harness.update().table
    assert empty.num_rows == 0
    harness.publish(1)
    assert harness.update().table.schema.equals(empty.schema)


def test_a_result_and_a_failure_are_rows(harness):
    parameters = {"method": "b", "bin_s": 1, "window": {"start_s": 2.0}, "names": ["x"], "mixed": 3}
    outputs = {"outcome": "good", "rate_hz": None, "count": 4, "is_stable": True, "by_unit": {"b": 1.5, "a": 1}}
    record = harness.publish(7, parameters=parameters, outputs=outputs, figure="f.png", subject_ids=("s1", "s2"))
    failed = harness.fail(1, "<b>no</b>")
    harness.update()
    rows = harness.rows()
    row = rows[record["analysis_assets"]["job_key"]]
    assert (row["state"], row["subject"], row["figure"]) == ("done", "s1, s2", "f.png")
    assert row["ended"].astimezone(UTC) > STARTED
    assert row["result_url"].endswith(f"{row['result_id']}/{row['attempt']}/")
    assert (row["parameters.bin_s"], row["parameters.window"]) == (1.0, '{"start_s":2}')
    assert (row["parameters.names"], row["parameters.mixed"]) == ('["x"]', "3")
    assert (row["outputs.by_unit"], row["outputs.rate_hz"]) == ('{"a":1,"b":1.5}', None)
    assert row["other_values"] is None
    row = rows[failed]
    assert (row["state"], row["failure"], row["failure_kind"]) == ("failed", "<b>no</b>", "exception")
    assert (row["result_id"], row["result_url"], row["parameters.method"]) == (None, None, "a")


def test_a_result_of_an_older_model_loses_nothing(harness):
    outputs = {"outcome": 3, "count": "four", "rate_hz": True, "gone": [1], "note": "kept"}
    record = harness.publish(1, code="0+aaaaaaaaaaaa", outputs=outputs, parameters={"limit": 2.5, "old": None})
    harness.update()
    row = harness.rows()[record["analysis_assets"]["job_key"]]
    assert (row["state"], row["outputs.note"]) == ("outdated", "kept")
    assert [row[f"outputs.{name}"] for name in ("outcome", "count", "rate_hz")] == [None] * 3
    assert json.loads(row["other_values"]) == {
        "outputs.outcome": 3,
        "outputs.count": "four",
        "outputs.rate_hz": True,
        "outputs.gone": [1],
        "parameters.limit": 2.5,
        "parameters.old": None,
    }


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**62, -1, 1e300, [], {}, {"a": {"b": None}}, "\0", ""])
def test_no_value_breaks_the_table(harness, value):
    names = ("outcome", "rate_hz", "count", "is_stable", "by_unit", "note")
    record = harness.publish(1)
    harness.damage(record, **{f"processing.data_processes.0.output_parameters.{name}": value for name in names})
    harness.update()
    assert len(harness.rows()) == 1


def test_records_that_cannot_be_read_are_left_out_and_named(harness):
    harness.publish(1)
    damaged, odd = harness.publish(2), harness.publish(3)
    harness.damage(damaged, processing=None)
    harness.damage(odd, **{"analysis_assets.attempt": 5})
    for _ in range(2):
        update = harness.update()
        assert update.unreadable == sorted(f"record {r['_id']}" for r in (damaged, odd))
        assert catalog_facts(update.table) == catalog_facts(update.table) | {"rows": 1, "unreadable": 2}


def test_only_what_changed_is_read(harness):
    for number in range(5):
        harness.publish(number)
    first = harness.update()
    assert (first.read, first.was_rebuilt) == (5, True)
    harness.publish(5)
    harness.publish(0, replace=True)
    harness.invalidate(1)
    second = harness.update()
    assert (second.read, second.gone, second.was_rebuilt) == (2, 1, False)
    assert harness.update().read == 0


def test_a_catalog_of_other_columns_or_format_is_built_again(harness):
    harness.publish(1)
    table = harness.update().table
    assert not harness.make(table).was_rebuilt
    assert harness.make(table.drop_columns(["tag"])).was_rebuilt
    assert harness.make(table.replace_schema_metadata({})).was_rebuilt
    assert harness.make(table.replace_schema_metadata({b"analysis_assets": b"no json"})).was_rebuilt
    assert harness.make(table.rename_columns([*table.column_names[:-1], "x"])).table.schema.names == table.schema.names


def test_the_stored_catalog_says_what_it_is(harness):
    harness.publish(1)
    harness.publish(2, code="0+aaaaaaaaaaaa")
    harness.fail(1)
    harness.update()
    facts = catalog_facts(read_catalog(harness.files, harness.name).table)
    assert facts["analysis"] == "rich"
    assert facts["code_version"] == harness.entry.code_version
    assert facts["updated"].endswith("+00:00")
    assert [facts[name] for name in ("rows", "done", "outdated", "failed", "unreadable")] == [3, 1, 1, 1, 0]


def test_a_catalog_that_cannot_be_read_as_one_says_nothing():
    assert catalog_facts(pa.table({"a": [1]})) == {}
    assert catalog_facts(pa.table({"a": [1]}).replace_schema_metadata({b"analysis_assets": b"[1]"})) == {}


NUMBERS = st.integers(0, 4)
STEPS = st.one_of(
    st.tuples(st.just("publish"), NUMBERS, st.sampled_from(["current", "0+aaaaaaaaaaaa"]), st.booleans()),
    st.tuples(st.just("invalidate"), NUMBERS),
    st.tuples(st.just("fail"), NUMBERS),
    st.tuples(st.just("recover"), NUMBERS),
    st.tuples(st.just("update")),
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(STEPS, max_size=12))
def test_brought_up_to_date_is_the_same_as_built_again(harness, steps):
    harness.clear()
    table = None
    for step, *facts in [*steps, ("update",)]:
        if step == "update":
            table = harness.make(table).table
        elif step == "publish":
            number, code, replace = facts
            harness.publish(number, code=code, replace=replace)
        else:
            getattr(harness, step)(*facts)
    assert table.equals(harness.make(None).table)
    assert {**catalog_facts(table), "updated": ""} == {**catalog_facts(harness.make(None).table), "updated": ""}
