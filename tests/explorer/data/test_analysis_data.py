"""Where tables come from: the newest catalog, else MongoDB, else what was read before."""

import pytest

from domain.result.records import to_record
from explorer.data.analysis_data import CHECKED_S, MOST_RECORDS
from resources.result_store.catalog_age import MOST_COUNTED, age_of_table
from resources.result_store.catalog_files import TABLE, CatalogFiles
from resources.result_store.catalog_tables import with_facts
from resources.s3.connection import S3Connection
from tests.explorer.harness import NAME, catalog_of, make_harness, provenance, record_store, write


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self):
        """Tell the time."""
        return self.now


@pytest.fixture
def clock():
    """Begin at zero."""
    return Clock()


@pytest.fixture
def empty(s3, root, docdb_uri, database, clock):
    """Make a harness without any result."""
    return make_harness(s3=s3, root=root, uri=docdb_uri, database=database, clock=clock)


def test_a_newer_catalog_is_read_and_an_old_one_kept(empty, s3, root, clock):
    write(s3, root, catalog_of([provenance(n) for n in range(3)]))
    first = empty.tables.table(NAME)
    assert (first.frame.height, first.note) == (3, "")
    write(s3, root, catalog_of([provenance(n) for n in range(5)]))
    assert empty.tables.table(NAME) is first
    clock.now += CHECKED_S
    second = empty.tables.table(NAME)
    assert second.frame.height == 5
    clock.now += CHECKED_S
    assert empty.tables.table(NAME).frame is second.frame


def test_a_table_that_is_older_than_the_newest_results_says_so_until_it_is_updated(
    empty, s3, root, clock, docdb_uri, database
):
    records, updated = record_store(docdb_uri, database), {"updated": "2026-01-02T03:04:05+00:00"}
    for number in range(3):
        records.commit(to_record(provenance(number)))
    write(s3, root, with_facts(catalog_of([provenance(n) for n in range(3)]), updated))
    assert empty.tables.table(NAME).note == ""
    records.commit(to_record(provenance(3)))
    clock.now += CHECKED_S
    note = empty.tables.table(NAME).note
    assert "`quality` is from 2026-01-02 03:04 UTC; 1 newer result exists" in note
    records.commit(to_record(provenance(4)))
    clock.now += CHECKED_S
    assert "2 newer results exist" in empty.tables.table(NAME).note
    assert "2 newer results exist" in empty.tables.table("").note
    write(s3, root, catalog_of([provenance(n) for n in range(5)]))
    clock.now += CHECKED_S
    assert empty.tables.table(NAME).note == ""
    write(s3, root, with_facts(catalog_of([provenance(n) for n in range(2)]), {"updated": "never"}))
    clock.now += CHECKED_S
    assert "is of an unknown time; 3 newer results" in empty.tables.table(NAME).note


def test_a_table_is_shown_while_mongodb_does_not_answer_and_it_is_not_queried_each_time(
    s3, root, database, clock, caplog
):
    uri = "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=100"
    harness = make_harness(s3=s3, root=root, uri=uri, database=database, clock=clock)
    write(s3, root, catalog_of([provenance(1)]))
    for _ in range(3):
        table = harness.tables.table(NAME)
        assert (table.frame.height, table.note) == (1, "")
        clock.now += CHECKED_S
    assert caplog.text.count("is up to date is not known") == 1


def test_many_newer_results_are_not_counted_to_the_end():
    assert "1000 newer results or more exist" in age_of_table(NAME, None, MOST_COUNTED)
    assert age_of_table(NAME, None, 0) == ""


def test_without_a_catalog_results_are_read_from_mongodb_and_the_note_says_how_to_get_one(empty, docdb_uri, database):
    records = record_store(docdb_uri, database)
    for number in range(3):
        version = {} if number else {"code_version": "0.9+ba9876543210"}
        records.commit(to_record(provenance(number, **version)))
    table = empty.tables.table(NAME)
    assert table.frame["state"].to_list() == ["done", "done", "outdated"]
    assert f"{NAME} / catalog" in table.note
    assert MOST_RECORDS > 1000


def test_without_anything_the_table_is_empty_and_says_so(empty):
    table = empty.tables.table(NAME)
    assert table.frame.height == 0
    assert "no results table yet" in table.note
    assert empty.tables.table("").frame.height == 0


def test_what_was_read_stays_while_s3_holds_a_broken_file(empty, s3, root, clock):
    write(s3, root, catalog_of([provenance(1)]))
    assert empty.tables.table(NAME).frame.height == 1
    CatalogFiles(s3=s3, root=root).put(NAME, TABLE, b"no parquet", content_type="text/plain")
    clock.now += CHECKED_S
    table = empty.tables.table(NAME)
    assert table.frame.height == 1
    assert "cannot be read now" in table.note
    write(s3, root, catalog_of([provenance(1), provenance(2)]))
    clock.now += CHECKED_S
    again = empty.tables.table(NAME)
    assert (again.frame.height, again.note) == (2, "")


def test_servers_that_do_not_answer_are_named_and_nothing_breaks(database, monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k" * 20)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s" * 40)
    s3 = S3Connection(endpoint_url="http://127.0.0.1:9")
    uri = "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=100"
    harness = make_harness(s3=s3, root="bucket", uri=uri, database=database)
    table = harness.tables.table(NAME)
    assert table.frame.height == 0
    assert "did not answer" in table.note or "cannot be read now" in table.note


def test_a_bucket_that_is_not_there_is_reported(docdb_uri, database, s3):
    harness = make_harness(s3=s3, root="no-such-bucket", uri=docdb_uri, database=database)
    assert harness.tables.table(NAME).frame.height == 0


def test_an_analysis_that_is_not_there_is_none(empty):
    with pytest.raises(KeyError):
        empty.tables.table("other")
