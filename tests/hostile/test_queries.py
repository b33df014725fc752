"""Conditions on results that are given in Python: whatever they are, they find results or are refused."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.errors import ParametersError, UnknownJobError
from domain.result.records import to_record
from resources.records.store import RecordStore
from results.queries import STATES, read_query, wanted_parameters
from results.refs import find_ref, refs_of
from results.wrapper_records import wrapper_records
from tests.hostile import strategies
from tests.hostile.sizes import fuzz
from tests.provenances import rich

ANY = strategies.values | st.dictionaries(st.sampled_from(["$gt", "$where", "a.b", "$ne"]), strategies.values)
TEXTS = ("subject", "session", "tag", "code_version", "since", "until")


@pytest.fixture(scope="module")
def records(mongo):
    """Give a store with one result, watched."""
    store = RecordStore(mongo=mongo, name="records")
    store.commit(to_record(rich()))
    return store


@fuzz(150)
@given(requested=st.dictionaries(st.sampled_from([*TEXTS, "parameters", "group"]), ANY, max_size=3), analysis=ANY)
@example(requested={"parameters": {"bin_s": {"$gt": 0}}}, analysis="demo")
@example(requested={"group": {"$odd.name": {"$ne": 1}}}, analysis="demo")
@example(requested={"subject": {"$ne": ""}}, analysis="demo")
@example(requested={}, analysis={"$gt": ""})
@example(requested={}, analysis="\ud800")  # not a text for a query of MongoDB
def test_any_condition_is_a_value_or_refused(records, requested, analysis):
    nothing = dict.fromkeys((*TEXTS, "parameters", "group"))
    for name in ("parameters", "group"):
        if name in requested and not isinstance(requested[name], dict):
            requested = {**requested, name: {"x": requested[name]}}
    try:
        query = read_query(analysis, **{**nothing, **requested}, state=set(STATES) - {"failed"}, newest=True)
    except ParametersError as error:
        assert len(str(error)) < 20_000
    else:
        assert len(refs_of(records, query, current=None)) <= 1


@fuzz(100)
@given(key=ANY, analysis=ANY | st.none())
@example(key="b" * 64, analysis={"$gt": ""})
@example(key={"$gt": ""}, analysis=None)
@example(key="b" * 64, analysis="\ud800")
def test_any_id_is_an_id_or_refused(records, key, analysis):
    with pytest.raises((UnknownJobError, ParametersError)):
        find_ref(records, key, analysis=analysis)


@fuzz(50)
@given(parameters=st.dictionaries(strategies.texts, strategies.values, min_size=1), tag=ANY | st.none())
def test_records_of_the_wrapper_are_queried_by_values(records, parameters, tag):
    try:
        wanted = wanted_parameters(parameters, tag)
    except ParametersError:
        return
    assert wrapper_records(records, wanted) == []
