import threading
import uuid

import pytest
from pymongo.errors import DuplicateKeyError

from domain.errors import ServerUnavailableError
from domain.result.records import from_record, to_record
from resources.mongo import MongoConnection
from resources.records.reader import attempt_of, attempts_by_result
from resources.records.store import RecordStore
from tests.provenances import STARTED, rich, sparse
from tests.raw import records_of, superseded_of
from tests.secure_servers import serving

LISTED_AT_FIRST = 101
"""Number of documents in the first response to a query; for more there is another request."""


@pytest.fixture(scope="module")
def one_store(docdb_uri):
    """Open one store for all tests: making its collections and indexes takes longer than a test."""
    mongo = MongoConnection(uri=docdb_uri, database=f"test_{uuid.uuid4().hex[:16]}")
    return RecordStore(mongo=mongo, name="records")


@pytest.fixture
def records(one_store):
    """Give an empty store."""
    records_of(one_store).delete_many({})
    superseded_of(one_store).delete_many({})
    return one_store


def record_of(attempt="one", *, result_id="r" * 64, **changes):
    return to_record(sparse(attempt=attempt, result_id=result_id, **changes))


def superseded(records):
    """Read the superseded records by their ids."""
    return {d["_id"]: d for d in superseded_of(records).find()}


def together(works):
    """Run functions in threads that start at once; give what each returned."""
    barrier, answers = threading.Barrier(len(works)), [None] * len(works)

    def one(number):
        barrier.wait()
        answers[number] = works[number]()

    threads = [threading.Thread(target=one, args=(n,)) for n in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_a_record_is_stored_and_read_back_as_it_was(records):
    record = to_record(rich())
    assert records.commit(record) == record
    assert records.get(record["_id"]) == record
    assert from_record(records.get(record["_id"])) == rich()


def test_what_is_not_there_is_none_or_left_out(records):
    record = records.commit(record_of())
    assert records.get("unknown") is None
    assert records.existing([record["_id"], "unknown"]) == {record["_id"]}
    assert records.get_many(iter([record["_id"], "unknown"])) == {record["_id"]: record}
    assert records.existing([]) == set()
    assert records.get_many([]) == {}


def test_the_second_record_of_a_result_is_not_stored_and_learns_who_was_first(records):
    first = record_of("one")
    records.commit(first)
    assert records.commit(record_of("two")) == first
    assert records.get(first["_id"]) == first
    assert superseded(records) == {}


def test_storing_the_same_record_again_changes_nothing(records):
    record = record_of()
    assert records.commit(record) == records.commit(record) == record


def test_of_many_that_store_a_result_at_once_all_name_the_same_winner(records):
    works = [lambda n=n: attempt_of(records.commit(record_of(f"a{n}"))) for n in range(12)]
    winners = set(together(works))
    assert winners == {attempt_of(records.get("r" * 64))}


def test_a_commit_beside_one_who_removes_records_ends_with_a_record(records):
    def remove():
        for _ in range(30):
            records_of(records).delete_one({"_id": "r" * 64})

    works = [lambda n=n: records.commit(record_of(f"a{n}")) for n in range(4)]
    *answers, _ = together([*works, remove])
    assert {attempt_of(answer) for answer in answers} <= {f"a{n}" for n in range(4)}


def test_a_replaced_record_is_kept_with_who_why_and_when(records):
    old, new = record_of("one"), record_of("two")
    records.commit(old)
    assert records.commit(new, replaces=["one"], who="me", reason="new drift") == new
    assert records.get(old["_id"]) == new
    (kept,) = superseded(records).values()
    assert kept["_id"] == f"{old['_id']}/one"
    signed = kept.pop("superseded")
    assert (signed["who"], signed["reason"]) == ("me", "new drift")
    assert signed["when"].tzinfo is not None
    assert kept | {"_id": old["_id"]} == old
    assert records.superseded_attempts(old["_id"]) == {"one"}
    assert records.superseded_attempts("unknown") == set()


def test_replacing_twice_after_a_lost_answer_changes_nothing(records):
    old, new = record_of("one"), record_of("two")
    records.commit(old)
    for _ in range(2):
        assert records.commit(new, replaces=["one"], who="me", reason="why") == new
    assert set(superseded(records)) == {f"{old['_id']}/one"}


def test_only_the_named_attempt_is_replaced(records):
    old, newer = record_of("one"), record_of("two")
    records.commit(newer)
    assert records.commit(record_of("three"), replaces=["one"], who="me", reason="why") == newer
    assert records.get(old["_id"]) == newer
    assert f"{old['_id']}/two" not in superseded(records)


def test_a_record_that_was_removed_meanwhile_is_stored_again(records):
    new = record_of("two")
    assert records.commit(new, replaces=["one"], who="me", reason="why") == new
    assert records.get(new["_id"]) == new


def test_of_many_that_replace_a_record_at_once_one_wins_and_signs(records):
    for round_number in range(5):
        result_id = f"{round_number}" * 64
        old = record_of("old", result_id=result_id)
        records.commit(old)
        works = [
            lambda n=n, result_id=result_id: records.commit(
                record_of(f"a{n}", result_id=result_id), replaces=["old"], who=f"a{n}", reason=f"for a{n}"
            )
            for n in range(6)
        ]
        winners = {attempt_of(answer) for answer in together(works)}
        winner = attempt_of(records.get(result_id))
        assert winners == {winner}
        kept = superseded(records)[f"{result_id}/old"]
        assert (kept["superseded"]["who"], kept["superseded"]["reason"]) == (winner, f"for {winner}")
        assert records.superseded_attempts(result_id) == {"old"}


def test_a_loser_that_comes_late_does_not_sign(records):
    old = record_of("one")
    records.commit(old)
    records.commit(record_of("two"), replaces=["one"], who="winner", reason="first")
    records.commit(record_of("three"), replaces=["one"], who="loser", reason="late")
    assert superseded(records)[f"{old['_id']}/one"]["superseded"]["who"] == "winner"


def test_the_records_of_an_analysis_come_newest_first(records):
    for number, days in enumerate([3, 1, 2]):
        ended = STARTED.replace(day=1 + days)
        records.commit(record_of(result_id=f"{number}" * 64, ended=ended))
    records.commit(record_of(result_id="9" * 64, analysis="other"))
    assert [r["_id"][0] for r in records.newest("demo")] == ["0", "2", "1"]
    assert list(records.newest("unknown")) == []


def test_the_records_of_an_analysis_are_sorted_by_an_index(records):
    records.commit(record_of())
    cursor = records_of(records).find({"analysis_assets.analysis": "demo"})
    plan = cursor.sort([("processing.data_processes.end_date_time", -1)]).explain()["queryPlanner"]["winningPlan"]
    assert "SORT" not in str(plan).replace("SORT_KEY", "")
    assert "analysis_assets.analysis_1" in str(plan)


def test_a_server_that_goes_away_while_records_are_listed_is_named(tmp_path, database):
    """The indexes are there, and the first records too."""
    with serving(tmp_path, "mongo") as host:
        uri = f"mongodb://{host}/?serverSelectionTimeoutMS=20"
        mongo = MongoConnection(uri=uri, database=database, attempts=1)
        records = RecordStore(mongo=mongo, name="records")
        for number in range(LISTED_AT_FIRST + 1):
            records.commit(record_of(result_id=f"{number:064d}"))
        listed = iter(records.newest("demo"))
        next(listed)
    with pytest.raises(ServerUnavailableError, match=f"{host} did not answer"):
        list(listed)
    mongo.close()


def test_an_id_can_be_used_once_only_whatever_the_store_does(records):
    records.commit(record_of())
    with pytest.raises(DuplicateKeyError):
        records_of(records).insert_one(record_of("two"))


def test_an_invalidated_record_moves_to_the_superseded_ones_also_when_it_was_cut_off(records):
    old = record_of("one")
    records.commit(old)
    records.invalidate(old, who="ann", reason="x")
    records_of(records).replace_one(
        {"_id": old["_id"]}, old
    )  # as if the process had been killed before it removed the record
    records.invalidate(old, who="ann", reason="x")
    assert records.get(old["_id"]) is None
    (kept,) = records.superseded("demo", job_key=old["analysis_assets"]["job_key"])
    assert (kept["superseded"]["how"], kept["superseded"]["who"]) == ("invalidated", "ann")
    assert list(records.superseded("other")) == []


def test_a_record_that_took_the_place_of_an_invalidated_one_stays(records):
    old, new = record_of("one"), record_of("two")
    records.commit(new)
    records.invalidate(old, who="ann", reason="x")
    assert attempt_of(records.get(new["_id"])) == "two"


def test_an_invalidated_attempt_never_becomes_the_result_again_and_neither_does_an_older_one(records):
    old = records.commit(record_of("one"))
    records.invalidate(old, who="ann", reason="x", attempts=["zero"])
    for late in ("one", "zero"):
        assert records.commit(record_of(late)) is None
        assert records.commit(record_of(late), replaces=["one"], who="late", reason="late") is None
    assert records.get(old["_id"]) is None
    assert records.get_many([old["_id"]]) == {}
    assert records.existing([old["_id"]]) == set()
    assert list(records.newest("demo")) == []
    assert records.analyses() == []


def test_an_attempt_after_an_invalidation_takes_the_place(records):
    records.invalidate(records.commit(record_of("one")), who="ann", reason="x")
    new = record_of("two")
    assert records.commit(new) == records.commit(new) == records.get(new["_id"]) == new
    assert attempt_of(records.commit(record_of("one"))) == "two"
    works = [lambda n=n: records.commit(record_of(f"a{n}")) for n in range(6)]
    records.invalidate(new, who="ann", reason="y")
    assert {attempt_of(answer) for answer in together(works)} == {attempt_of(records.get(new["_id"]))}


def test_an_attempt_that_was_replaced_does_not_replace_its_successor(records):
    records.commit(record_of("one"))
    records.commit(record_of("two"), replaces=["one"], who="me", reason="why")
    late = record_of("one")
    assert attempt_of(records.commit(late, replaces=["two"], who="late", reason="late")) == "two"
    assert records.was_superseded(late)
    assert not records.was_superseded(record_of("two"))


@pytest.mark.parametrize("field", ["job_key", "locations", "files"])
def test_what_a_job_is_compared_with_is_found_by_an_index(records, field):
    records.commit(record_of())
    query = {"analysis_assets.analysis": "demo", f"analysis_assets.{field}": "x"}
    plan = str(records_of(records).find(query).limit(5).explain()["queryPlanner"]["winningPlan"])
    assert f"analysis_assets.{field}_1" in plan
    assert "COLLSCAN" not in plan


def test_attempts_tell_which_records_there_are(records):
    record = record_of("one")
    records.commit(record)
    name = record["analysis_assets"]["analysis"]
    assert attempts_by_result(records, name) == {"r" * 64: "one"}
    records_of(records).update_one({"_id": record["_id"]}, {"$unset": {"analysis_assets.attempt": 1}})
    assert attempts_by_result(records, name) == {"r" * 64: "None"}
    assert attempts_by_result(records, "other") == {}
