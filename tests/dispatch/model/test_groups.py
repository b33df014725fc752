"""The newest of each group, lists unwound, records grouped: the same whatever order the database has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.model.groups import candidates_of
from dispatch.model.options import read_options
from dispatch.model.skips import Reason, counts_of
from domain.data_asset.record import AssetRecord


def record(number, **fields):
    return AssetRecord.of({"_id": f"id-{number}", "name": f"asset-{number}", "location": f"s3://b/{number}", **fields})


def chosen(records, **options):
    candidates, skips = candidates_of(records, read_options({"query": "{}", **options}))
    return [(candidate.locations, candidate.group) for candidate in candidates], counts_of(skips)


def test_without_options_every_record_is_a_job():
    found, skips = chosen([record(2), record(1)])
    assert found == [(("s3://b/1",), None), (("s3://b/2",), None)]
    assert not skips


def test_records_that_share_fields_are_one_job_and_the_fields_go_with_it():
    records = [record(1, s={"id": "x"}), record(2, s={"id": "y"}), record(3, s={"id": "x"})]
    assert chosen(records, group_by=["s.id"])[0] == [
        (("s3://b/1", "s3://b/3"), {"s.id": "x"}),
        (("s3://b/2",), {"s.id": "y"}),
    ]


def test_a_subject_is_one_group_whether_it_is_stored_as_number_or_text():
    records = [record(1, k=700001), record(2, k="700001"), record(3, k=700001.0), record(4, k="0700001")]
    assert sorted(chosen(records, group_by=["k"])[0]) == [
        (("s3://b/1", "s3://b/2", "s3://b/3"), {"k": "700001"}),
        (("s3://b/4",), {"k": "0700001"}),
    ]
    assert chosen(records[::2], group_by=["k"])[0] == [(("s3://b/1", "s3://b/3"), {"k": 700001.0})]


@pytest.mark.parametrize(("one", "other"), [(True, 1), (1.5, "1.5"), (None, "None"), ([1], 1), ("1", "1.0")])
def test_other_values_are_other_groups(one, other):
    assert len(chosen([record(1, k=one), record(2, k=other)], group_by=["k"], drop_null_groups=False)[0]) == 2


@pytest.mark.parametrize("nothing", [{}, {"k": None}, {"k": []}, {"k": [None]}])
def test_records_without_a_value_are_dropped_or_each_a_group_of_its_own(nothing):
    records = [record(1, k="x"), record(2, **nothing)]
    found, skips = chosen(records, group_by=["k"])
    assert [locations for locations, _ in found] == [("s3://b/1",)]
    assert skips == {Reason.NULL_GROUP: 1}
    found, skips = chosen([*records, record(3)], group_by=["k"], drop_null_groups=False)
    assert sorted(locations for locations, _ in found) == [("s3://b/1",), ("s3://b/2",), ("s3://b/3",)]
    assert not skips


def test_of_records_without_a_value_each_is_the_newest_of_its_own():
    records = [record(1, t="2024"), record(2, t="2025"), record(3, s="x", t="2024"), record(4, s="x", t="2025")]
    found, _ = chosen(records, filter_latest="t", filter_by=["s"], drop_null_groups=False)
    assert sorted(locations for locations, _ in found) == [("s3://b/1",), ("s3://b/2",), ("s3://b/4",)]


def test_the_newest_record_of_each_group_is_taken_across_time_zones():
    records = [
        record(1, s="x", t="2024-05-08T23:30:00+00:00"),
        record(2, s="x", t="2024-05-08T16:45:00-07:00"),  # fifteen minutes later
        record(3, s="y"),
        record(4, s="x", t=None),
        record(5, t="2024-05-08"),
    ]
    found, skips = chosen(records, filter_latest="t", filter_by=["s"])
    assert [locations for locations, _ in found] == [("s3://b/2",), ("s3://b/3",)]
    assert skips == {Reason.NOT_LATEST: 2, Reason.NULL_GROUP: 1}


def test_of_records_that_are_equally_new_always_the_same_one_is_taken():
    records = [record(1, s="x", t="2024-05-08"), record(2, s="x", t="2024-05-08")]
    assert chosen(records, filter_latest="t", filter_by=["s"]) == chosen(
        records[::-1], filter_latest="t", filter_by=["s"]
    )


def test_the_newest_are_chosen_before_they_are_grouped():
    records = [
        record(1, s="x", m="a", t="2024-01-01"),
        record(2, s="x", m="b", t="2025-01-01"),
        record(3, s="y", m="b", t="2024-01-01"),
    ]
    found, _ = chosen(records, filter_latest="t", filter_by=["s"], group_by=["m"])
    assert found == [(("s3://b/2", "s3://b/3"), {"m": "b"})]


def test_a_record_counts_once_for_each_entry_of_an_unwound_list():
    records = [
        record(1, m=[{"a": "x"}, {"a": "y"}]),
        record(2, m=[{"a": "x"}]),
        record(3, m=[]),
        record(4, m={"a": "y"}),
    ]
    found, skips = chosen(records, unwind_list_fields=["m"], group_by=["m.a"])
    assert found == [(("s3://b/1", "s3://b/2"), {"m.a": "x"}), (("s3://b/1", "s3://b/4"), {"m.a": "y"})]
    assert skips == {Reason.NULL_GROUP: 1}


def test_a_record_is_never_twice_in_one_group():
    found, _ = chosen([record(1, m=["x", "x"])], unwind_list_fields=["m"], group_by=["m"])
    assert found == [(("s3://b/1",), {"m": "x"})]


def test_without_unwinding_a_list_is_one_value():
    found, _ = chosen([record(1, m=["x", "y"]), record(2, m=["x", "y"]), record(3, m=["y", "x"])], group_by=["m"])
    assert len(found) == 2


def test_records_that_name_no_usable_data_are_left_out_with_the_reason():
    records = [AssetRecord.of({"_id": "1"}), record(2, location="/a/path"), record(3, location=None), record(4)]
    found, skips = chosen(records)
    assert found == [(("s3://b/4",), None)]
    assert skips == {Reason.NO_LOCATION: 2, Reason.LOCATION_REFUSED: 1}


VALUES = st.one_of(
    st.none(), st.integers(0, 2), st.sampled_from(["x", "y"]), st.lists(st.sampled_from(["x", "y"]), max_size=2)
)
RECORDS = st.lists(st.tuples(VALUES, VALUES, st.integers(2020, 2023)), max_size=8)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "group_by": st.sampled_from([["a"], ["a", "b"]]),
        "unwind_list_fields": st.sampled_from([["a"], ["b", "a"]]),
        "drop_null_groups": st.booleans(),
    },
)


@given(st.data(), RECORDS, OPTIONS, st.booleans())
def test_the_same_records_in_any_order_give_the_same_jobs(data, values, options, latest):
    records = [record(i, a=a, b=b, t=f"{year}-01-01") for i, (a, b, year) in enumerate(values)]
    if latest:
        options = {**options, "filter_latest": "t", "filter_by": ["b"]}
    shuffled = data.draw(st.permutations(records))
    assert chosen(shuffled, **options) == chosen(records, **options)
