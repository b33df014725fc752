"""Notes on inbox files: they are read as written, and read again only after another process has written."""

from dataclasses import replace

import pytest

from resources.inbox.notes import FileNote, InboxNotes
from resources.mongo import MongoConnection
from tests.raw import notes_of


@pytest.fixture
def notes(docdb_uri, database):
    """Give notes of their own."""
    return InboxNotes(mongo=MongoConnection(uri=docdb_uri, database=database), records_name="records")


GOOD = FileNote(name="a/1.json", fingerprint="1-2", judged_with="j", job_key="k" * 64)
BAD = FileNote(name="z/ä 日本.json", fingerprint="3-4", problem="not JSON")
WORSE = FileNote(name="b.json", fingerprint="5", problem="no input")


def test_notes_are_read_back_as_they_were_written(notes):
    notes.save("demo", iter([GOOD, BAD]))
    assert notes.known("demo") == {GOOD.name: GOOD, BAD.name: BAD}
    assert notes.known("other") == {}


def test_rejected_files_are_listed_by_name(notes):
    notes.save("demo", [BAD, GOOD, WORSE])
    assert notes.rejected("demo") == [WORSE, BAD]
    assert notes.rejected("other") == []


def test_a_later_note_takes_the_place_of_an_earlier_one(notes):
    notes.save("demo", [BAD])
    repaired = FileNote(name=BAD.name, fingerprint="4-5", job_key="k")
    notes.save("demo", [repaired])
    assert notes.known("demo") == {BAD.name: repaired}
    assert notes.rejected("demo") == []


def test_notes_on_files_of_two_analyses_are_apart(notes):
    other = FileNote(name=GOOD.name, fingerprint="other")
    notes.save("demo", [GOOD])
    notes.save("other", [other])
    notes.forget("demo", [GOOD.name])
    assert notes.known("demo") == {}
    assert notes.known("other") == {GOOD.name: other}


def test_forgetting_is_repeatable_and_leaves_the_others(notes):
    notes.save("demo", [GOOD, BAD])
    for _ in range(2):
        notes.forget("demo", iter([BAD.name, "unknown"]))
    assert notes.known("demo") == {GOOD.name: GOOD}


def test_nothing_to_write_needs_no_request(notes):
    notes.save("demo", [])
    notes.forget("demo", [])
    assert notes.known("demo") == {}


def test_names_longer_than_an_index_takes_are_stored(notes):
    long = FileNote(name="/".join(["d" * 200] * 20) + ".json", fingerprint="1", problem="p" * 5000)
    notes.save("demo", [long])
    assert notes.rejected("demo") == [long]


def test_thousands_of_notes_are_written_in_one_go(notes):
    many = [FileNote(name=f"{n:05}.json", fingerprint="1") for n in range(3000)]
    notes.save("demo", many)
    assert list(notes.known("demo").values()) == many


def as_remembered(*notes):
    """Return notes by name, without their jobs."""
    return {note.name: replace(note, job_key=None) for note in notes}


def test_all_notes_are_read_once_by_a_process_that_is_alone(notes):
    notes.save("demo", [GOOD])
    assert notes.remembered("demo") == as_remembered(GOOD)
    notes_of(notes).delete_one({"name": GOOD.name})  # who reads them again finds one less
    for note in (BAD, WORSE):
        assert notes.remembered("demo")
        notes.save("demo", [note])
    assert notes.remembered("demo") == as_remembered(GOOD, BAD, WORSE)
    notes.forget("demo", [WORSE.name])
    assert notes.remembered("demo") == as_remembered(GOOD, BAD)
    assert notes.remembered("other") == {}


@pytest.mark.parametrize("has_looked", [False, True])
def test_what_another_process_wrote_is_found(notes, home, has_looked):
    notes.save("demo", [GOOD])
    assert notes.remembered("demo") == as_remembered(GOOD)
    # Memories are apart for each name of a server, as those of two processes are.
    other = InboxNotes(
        mongo=MongoConnection(embedded_home=str(home), database=notes.mongo.database), records_name="records"
    )
    assert not has_looked or other.remembered("demo") == as_remembered(GOOD)
    other.save("demo", [BAD])
    other.forget("demo", [GOOD.name])
    notes.save("demo", [WORSE])  # before it looks: its memory is one write behind
    assert notes.remembered("demo") == as_remembered(BAD, WORSE)


def test_notes_that_were_lost_with_their_database_are_not_remembered(notes):
    notes.save("demo", [GOOD])
    assert notes.remembered("demo") == as_remembered(GOOD)
    notes_of(notes).drop()
    assert notes.remembered("demo") == {}


def test_a_change_by_hand_is_noticed_after_a_while(notes):
    notes.save("demo", [GOOD])
    notes.remembered("demo")
    notes_of(notes).delete_one({"name": GOOD.name})
    assert notes.remembered("demo") == as_remembered(GOOD)
    assert notes.model_copy(update={"kept_s": -1}).remembered("demo") == {}


def test_the_notes_on_some_files_are_found_by_name(notes):
    notes.save("demo", [GOOD, BAD])
    notes.save("other", [WORSE])
    assert notes.some("demo", [BAD.name, WORSE.name, "unknown"]) == {BAD.name: BAD}
    assert notes.some("demo", []) == {}


def test_a_refusal_of_an_earlier_version_costs_a_reading(notes):
    notes.save("demo", [BAD])
    notes_of(notes).update_one({"name": BAD.name}, {"$unset": {"refused": ""}})
    assert (notes.known("demo"), notes.rejected("demo")) == ({}, [])


def test_refused_files_are_found_without_looking_at_the_others(notes):
    notes.save("demo", [FileNote(f"{n}.json", "1", problem="no" if n < 3 else None) for n in range(200)])
    plan = notes_of(notes).database.command(
        "explain",
        {"find": notes_of(notes).name, "filter": {"analysis": "demo", "refused": True}},
        verbosity="executionStats",
    )
    assert plan["executionStats"]["totalDocsExamined"] == 3
