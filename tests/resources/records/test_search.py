import uuid
from datetime import timedelta

import pytest

from domain.errors import UnknownJobError
from domain.result.filter import Condition
from domain.result.records import search_fields, to_record
from resources.mongo import MongoConnection
from resources.records.reader import unsearchable
from resources.records.search import ORDER, entries_of, find_records, query_of, rarest_first
from resources.records.store import RecordStore
from tests.provenances import STARTED, sparse
from tests.raw import records_of

COUNT = 40


def made(number, **changes):
    """Make one of several results, each a minute after the one before."""
    fields = {
        "result_id": f"{number:064d}",
        "attempt": str(uuid.UUID(int=number)),
        "code_version": "2+abc" if number % 2 else "1+abc",
        "subject_ids": (str(number // 10), "shared"),
        "session_names": (f"s{number}",),
        "parameters": {"alpha": number / 10, "n": number, "method": "a" if number % 4 else "b", "limit": None},
        "outputs": {"n": -number},
        "ended": STARTED + timedelta(minutes=number),
    }
    return sparse(**(fields | changes))


@pytest.fixture(scope="module")
def records(docdb_uri):
    """Give a store with results of two analyses."""
    store = RecordStore(mongo=MongoConnection(uri=docdb_uri, database=f"test_{uuid.uuid4().hex[:16]}"), name="records")
    for number in range(COUNT):
        store.commit(to_record(made(number)))
    store.commit(to_record(made(COUNT, analysis="other")))
    return store


def found(records, *wanted, **page):
    """Find results, by their numbers."""
    return [int(d["_id"]) for d in find_records(records, "demo", [Condition(*one) for one in wanted], **page)]


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        ([], range(COUNT)),
        ([("parameters.alpha", "=", 0.5)], [5]),
        ([("parameters.n", "=", 5.0)], [5]),
        ([("parameters.n", ">=", 38)], [38, 39]),
        ([("parameters.n", ">", 38)], [39]),
        ([("parameters.n", "<", 2)], [0, 1]),
        ([("parameters.n", "<=", 2)], [0, 1, 2]),
        ([("parameters.n", ">", 3), ("parameters.n", "<", 6)], [4, 5]),
        ([("parameters.n", ">", 3), ("parameters.n", ">", 37), ("parameters.n", "<", 39)], [38]),
        ([("parameters.n", "!=", 3), ("parameters.n", "<", 5), ("parameters.n", "!=", 1)], [0, 2, 4]),
        ([("outputs.n", ">", -3)], [0, 1, 2]),
        ([("parameters.method", "=", "b"), ("parameters.n", "<", 9)], [0, 4, 8]),
        ([("parameters.method", "=", "a"), ("parameters.method", "=", "b")], []),
        ([("parameters.limit", "=", None), ("subject", "=", "1")], range(10, 20)),
        ([("subject", "=", "1"), ("subject", "=", "shared"), ("code", "=", "2")], range(11, 20, 2)),
        ([("session", "=", "s7")], [7]),
        ([("code", "=", "1+abc"), ("parameters.n", "<", 5)], [0, 2, 4]),
        ([("code", "=", "1+ab")], []),
        ([("parameters.n", "=", "5")], []),  # a text is not a number
        ([("parameters.nothing", "!=", 5)], []),  # what is not there is not compared
    ],
)
def test_what_meets_all_conditions_is_found_newest_first(records, wanted, numbers):
    assert found(records, *wanted) == sorted(numbers, reverse=True)


def test_pages_follow_each_other_without_gap_or_repetition(records):
    pages, after = [], None
    while page := found(records, ("parameters.method", "=", "a"), limit=7, after=after):
        assert len(page) <= 7
        pages.append(page)
        after = f"{page[-1]:064d}"
    assert sum(pages, []) == [n for n in reversed(range(COUNT)) if n % 4]  # noqa: RUF017  a few pages
    assert len(pages) == 5


def test_without_a_limit_everything_comes_however_many_pages_that_takes(records):
    assert found(records, at_once=9) == list(reversed(range(COUNT)))
    assert found(records, at_once=9, limit=20) == list(reversed(range(COUNT)))[:20]
    assert found(records, at_once=9, limit=18) == list(reversed(range(COUNT)))[:18]


def test_results_of_the_same_time_are_paged_too(docdb_uri, database):
    records = RecordStore(mongo=MongoConnection(uri=docdb_uri, database=database), name="records")
    for number in range(5):
        records.commit(to_record(made(number, ended=STARTED)))
    assert found(records, limit=2) == [4, 3]
    assert found(records, limit=2, after=f"{3:064d}") == [2, 1]


def test_a_page_goes_on_after_a_result_that_has_lost_its_place_since(docdb_uri, database):
    records = RecordStore(mongo=MongoConnection(uri=docdb_uri, database=database), name="records")
    for number in range(4):
        records.commit(to_record(made(number)))
    records.invalidate(records.get(f"{2:064d}"), who="me", reason="wrong")
    assert found(records, after=f"{2:064d}") == [1, 0]


@pytest.mark.parametrize("after", ["", "x", f"{COUNT:064d}", "f" * 64])
def test_a_page_after_nothing_of_this_analysis_is_refused(records, after):
    with pytest.raises(UnknownJobError, match="`demo` has no such result"):
        found(records, after=after)


def test_a_record_of_an_earlier_version_is_left_out_counted_and_found_once_it_is_repaired(docdb_uri, database):
    records = RecordStore(mongo=MongoConnection(uri=docdb_uri, database=database), name="records")
    old = to_record(made(1))
    del old["analysis_assets"]["search"], old["analysis_assets"]["search_time"]
    records.commit(old)
    records.commit(to_record(made(2)))
    assert (found(records), records.count(unsearchable("demo"), limit=10)) == ([2], 1)
    records.make_searchable({**old, "analysis_assets": {"attempt": "another"}}, search_fields(made(1)))
    assert found(records) == [2], "another record has taken its place"
    records.make_searchable(old, search_fields(made(1)))
    assert (found(records), records.count(unsearchable("demo"), limit=10)) == ([2, 1], 0)
    assert records.get(old["_id"]) == to_record(made(1))


# -- indexes -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many(docdb_uri):
    """Give a store with enough results for the database to choose between indexes."""
    store = RecordStore(mongo=MongoConnection(uri=docdb_uri, database=f"test_{uuid.uuid4().hex[:16]}"), name="records")
    assert store.analyses() == []  # makes the indexes
    records_of(store).insert_many([to_record(made(number)) for number in range(2000)])
    return store


def looked_at(records, *wanted, last=None):
    """Return stages, index, and how many documents the database reads for a first page of ten."""
    entries = rarest_first(records, "demo", entries_of([Condition(*one) for one in wanted]))
    cursor = records_of(records).find(query_of("demo", entries, last=last)).sort(ORDER).limit(10)
    reported = cursor.explain()
    stages, plan = [], reported["queryPlanner"]["winningPlan"]
    while plan:
        stages.append(plan["stage"])
        index, plan = "/".join(plan.get("keyPattern", ())).replace("analysis_assets.", ""), plan.get("inputStage")
    return stages, index, reported["executionStats"]["totalDocsExamined"]


BY_ENTRY, BY_TIME = "analysis/search.k/search.v/search_time/_id", "analysis/search_time/_id"


@pytest.mark.parametrize(
    ("wanted", "index", "most"),
    [
        ([], BY_TIME, 10),
        ([("parameters.method", "=", "a")], BY_ENTRY, 10),
        ([("parameters.n", "=", 5)], BY_ENTRY, 1),
        ([("code", "=", "1")], BY_ENTRY, 10),
        ([("subject", "=", "shared")], BY_ENTRY, 10),
        ([("session", "=", "s7")], BY_ENTRY, 1),
        ([("parameters.n", "<", 5)], BY_ENTRY, 5),
        ([("parameters.n", ">", 10), ("parameters.n", "<", 15)], BY_ENTRY, 5),
        ([("parameters.n", ">", 5)], BY_TIME, 10),
        ([("parameters.method", "=", "a"), ("parameters.n", "<", 9)], BY_ENTRY, 9),
        ([("parameters.method", "=", "a"), ("subject", "=", "7"), ("code", "=", "1")], BY_ENTRY, 10),
    ],
)
def test_every_question_is_answered_by_an_index_and_reads_little_else_than_its_answer(many, wanted, index, most):
    stages, used, documents = looked_at(many, *wanted)
    assert stages[-1] == "IXSCAN"
    assert (used, documents <= most) == (index, True), documents


def test_a_late_page_reads_no_more_than_the_first(many):
    last = (many.get(f"{500:064d}")["analysis_assets"]["search_time"], f"{500:064d}")
    assert looked_at(many, ("subject", "=", "shared"), last=last)[2] <= 11
    assert looked_at(many, last=last)[2] <= 11


def test_records_that_cannot_be_searched_are_counted_by_the_index(many):
    reported = records_of(many).find(unsearchable("demo")).explain()
    assert reported["executionStats"]["totalDocsExamined"] == 0
