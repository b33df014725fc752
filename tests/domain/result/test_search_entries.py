from datetime import UTC, datetime, timedelta, timezone

import pytest

from domain.result.records import from_record, search_fields, to_record, without_search
from domain.result.search_entries import LONGEST_TEXT, search_entries, search_time
from tests.provenances import rich, sparse


def pairs(provenance):
    return [(entry["k"], entry["v"]) for entry in search_entries(provenance)]


def test_a_result_is_found_by_its_code_subjects_sessions_and_single_values():
    assert pairs(rich()) == [
        *(("code", "1+0123456789ab"), ("code", "1")),
        *(("subject", "700001"), ("subject", "Füchsin"), ("session", "700001_2024-05-01")),
        *(("parameters.bin_s", 0.05), ("parameters.n", 2**40), ("parameters.limit", None)),
        *(("outputs.rate_hz", 1.25e-7), ("outputs.count", 3), ("outputs.ok", True)),
        *(("outputs.word", "naïve 🧠"), ("outputs.bad", None)),
    ]


def test_every_result_has_an_entry():
    assert pairs(sparse(code_version="1")) == [("code", "1")]


@pytest.mark.parametrize("value", ["x" * (LONGEST_TEXT + 1), [1], {"a": 1}, 2**53])
def test_what_no_index_should_hold_is_left_out(value):
    assert pairs(sparse(outputs={"x": value}, parameters={"x": value})) == pairs(sparse())


def test_times_of_any_zone_and_precision_sort_as_texts():
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    times = [noon, noon + timedelta(microseconds=1), noon + timedelta(seconds=1), noon + timedelta(days=400)]
    west = timezone(timedelta(hours=-7))
    texts = [search_time(time.astimezone(west if n % 2 else UTC)) for n, time in enumerate(times)]
    assert texts == sorted(texts)
    assert len(set(texts)) == len(texts)


def test_a_record_holds_them_and_says_nothing_else_by_them():
    record = to_record(rich())
    assert {name: record["analysis_assets"][name] for name in ("search", "search_time")} == search_fields(rich())
    assert from_record(record) == from_record(without_search(record)) == rich()
    assert without_search({"analysis_assets": 3}) == {"analysis_assets": 3}
