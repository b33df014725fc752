import pytest

from resources.inbox_notes import FileNote, InboxNotes
from resources.mongo import MongoConnection


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


def test_bad_files_are_listed_by_name(notes):
    notes.save("demo", [BAD, GOOD, WORSE])
    assert notes.bad("demo") == [WORSE, BAD]
    assert notes.bad("other") == []


def test_a_later_note_takes_the_place_of_an_earlier_one(notes):
    notes.save("demo", [BAD])
    mended = FileNote(name=BAD.name, fingerprint="4-5", job_key="k")
    notes.save("demo", [mended])
    assert notes.known("demo") == {BAD.name: mended}
    assert notes.bad("demo") == []


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


def test_nothing_to_write_is_no_work(notes):
    notes.save("demo", [])
    notes.forget("demo", [])
    assert notes.known("demo") == {}


def test_names_longer_than_an_index_takes_are_no_trouble(notes):
    long = FileNote(name="/".join(["d" * 200] * 20) + ".json", fingerprint="1", problem="p" * 5000)
    notes.save("demo", [long])
    assert notes.bad("demo") == [long]


def test_thousands_of_notes_are_written_in_one_go(notes):
    many = [FileNote(name=f"{n:05}.json", fingerprint="1") for n in range(3000)]
    notes.save("demo", many)
    assert list(notes.known("demo").values()) == many
