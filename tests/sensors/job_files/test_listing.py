"""An inbox that is listed in parts: every file is ingested once, and no existing file is forgotten."""

import dagster as dg
import pytest

from resources.s3.server import split_s3_url
from sensors.job_files.cursor import Memory
from sensors.limits import TickLimits
from tests.sensors.harness import job_file


@pytest.fixture
def in_s3(make_harness, s3_inbox, database):
    """Give a harness whose inbox in S3 is listed two files at a time, one page for each tick."""
    harness = make_harness(s3_inbox.model_copy(update={"page_size": 2}), database)
    harness.limits = TickLimits(listing_s=-1)
    return harness


def numbers(harness):
    return sorted(job["parameters"]["number"] for job in harness.jobs().values())


def remove(harness, name):
    inbox = harness.stores.inbox
    bucket, key = split_s3_url(inbox.url(harness.name, name))
    inbox.place.s3.client.delete_object(Bucket=bucket, Key=key)


def test_ticks_go_on_where_the_last_one_stopped_and_begin_again_at_the_end(in_s3):
    for number in range(5):
        in_s3.write(f"{number}.json", job_file(number))
    seen = []
    for _ in range(4):
        in_s3.launch(in_s3.tick())
        seen.append((len(in_s3.jobs()), Memory.read(in_s3.cursor).after))
    assert seen == [(2, "1.json"), (4, "3.json"), (5, ""), (5, "1.json")]
    assert set(in_s3.partitions()) == set(in_s3.jobs())


def test_a_tick_that_asks_for_nothing_says_where_it_goes_on(in_s3):
    for number in range(3):
        in_s3.write(f"{number}.json", job_file(number))
    for _ in range(2):
        in_s3.launch(in_s3.tick())
    found = in_s3.tick()
    assert isinstance(found, dg.SensorResult)
    assert (
        found.skip_reason.skip_message == "No new jobs. 0 files read, 0 rejected; the listing continues after 1.json."
    )


def test_only_what_is_gone_from_the_part_that_was_listed_is_forgotten(in_s3):
    for name in "abcdef":
        in_s3.write(f"{name}.json", b"{")
    for _ in range(3):
        in_s3.tick()
    for name in "bcf":
        remove(in_s3, f"{name}.json")
    in_s3.tick()  # lists a and d, and knows nothing of what comes after d
    assert sorted(in_s3.rejected()) == ["a.json", "d.json", "e.json", "f.json"]
    in_s3.tick()
    assert sorted(in_s3.rejected()) == ["a.json", "d.json", "e.json"]
    assert sorted(in_s3.stores.notes.known("double")) == ["a.json", "d.json", "e.json"]


def test_a_new_file_before_the_place_where_the_listing_goes_on_is_seen_by_the_next_round(in_s3):
    for name in "cdefg":
        in_s3.write(f"{name}.json", job_file(ord(name)))
    in_s3.tick()
    in_s3.write("a.json", job_file(1))
    for _ in range(3):
        in_s3.tick()
    assert numbers(in_s3) == [1, *map(float, range(ord("c"), ord("h")))]


def test_what_was_listed_but_not_read_is_where_the_next_tick_begins(in_s3):
    in_s3.limits = TickLimits(files=3, listing_s=60)
    for number in range(8):
        in_s3.write(f"{number}.json", job_file(number))
    places = []
    for _ in range(3):
        in_s3.tick()
        places.append(Memory.read(in_s3.cursor).after)
    assert places == ["2.json", "5.json", ""]
    assert numbers(in_s3) == [float(n) for n in range(8)]


def test_a_cursor_that_is_lost_costs_a_listing_and_no_job(in_s3):
    for number in range(4):
        in_s3.write(f"{number}.json", job_file(number))
    in_s3.tick()
    in_s3.cursor = None
    for _ in range(2):
        in_s3.tick()
    assert numbers(in_s3) == [0.0, 1.0, 2.0, 3.0]


def test_every_job_has_its_partition_however_many_wait_before_it(harness):
    harness.limits = TickLimits(jobs=2)
    for number in range(6):
        harness.write(f"{number}.json", job_file(number))
    assert len(harness.requested(harness.tick())) == 2
    assert set(harness.partitions()) == set(harness.jobs())
    assert len(harness.partitions()) == 6
