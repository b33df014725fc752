"""From files to jobs: which files are read, what becomes of each, and what is remembered."""

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Literal

import dagster as dg
import pytest
from pydantic import Field, create_model

from domain.analysis import ParametersModel
from domain.errors import ServerUnavailableError, SettingsError
from domain.job.state import JobState
from domain.json_values import canonical_json
from engine.discovery.analyses import ANALYSES_FOLDER
from resources.inbox.job_inbox import InboxFile
from resources.inbox.notes import FileNote
from sensors.job_files.intake import Intake
from sensors.job_files.listing import plan
from sensors.limits import TickLimits
from tests.real_data import REAL_DATA, needs_real_data
from tests.sensors.harness import END, START, job_file

MIB = 1024 * 1024


def numbers(harness):
    return sorted(job["parameters"]["number"] for job in harness.jobs().values())


def test_a_plan_reads_what_is_new_changed_or_refused_for_a_reason_that_may_be_gone():
    files = [InboxFile(name, "2") for name in ("bad-as-before", "bad-otherwise", "changed", "good", "new")]
    known = {
        "bad-as-before": FileNote("bad-as-before", "2", "no", "now"),
        "bad-otherwise": FileNote("bad-otherwise", "2", "no", "then"),
        "changed": FileNote("changed", "1", None, "now"),
        "good": FileNote("good", "2", None, "then"),
        "gone": FileNote("gone", "2"),
    }
    found = plan(files, known, judged_with="now", limit=2)
    assert [file.name for file in found.to_read] == ["bad-otherwise", "changed"]
    assert found.gone == ("gone",)
    assert found.left == 1


@pytest.mark.parametrize(
    "name", ["a.json", "0/1/2/3/4/deep.JSON", "a b+c&é日本.json", "%41.json", "line\nbreak.json", "[red]x[/red].json"]
)
def test_a_file_of_any_name_and_depth_is_taken_in(make_harness, inbox, database, name):
    harness = make_harness(inbox, database)
    harness.write(name, job_file(7))
    harness.tick()
    (job,) = harness.jobs().values()
    assert (job["parameters"], job["state"]) == ({"number": 7.0}, "new")
    assert harness.rejected() == {}
    (source,) = job["sources"]
    assert source["name"].startswith(inbox.url("double", "x.json").removesuffix("x.json"))


def test_a_name_of_any_bytes_is_taken_in(harness):
    folder = Path(harness.stores.inbox.root) / "double"
    folder.mkdir()
    with open(os.fsencode(folder) + b"/\xff.json", "wb") as file:  # noqa: PTH123  a path of bytes
        file.write(job_file())
    harness.tick()
    assert numbers(harness) == [1.0]


REFUSED = [
    ("not-json", b"{", "is not JSON: .* at line 1"),
    ("empty", b"", "is not JSON"),
    ("binary", b"\x89HDF\r\n\x1a\n\xff", "UTF-8|not JSON"),
    ("list", b"[1]", "a job is one JSON object"),
    ("nan", b'{"s3_location": ["s3://b/a"], "distributed_parameters": {"number": NaN}}', "NaN"),
    ("unequal", job_file(asset_id=["1", "2"]), "asset_id"),
    ("no-input", b'{"distributed_parameters": {}}', "no input is named"),
    ("no-url", job_file(asset="/data/a.nwb"), "is not a URL"),
    ("secret", job_file(asset="s3://user:word@bucket/a"), "user"),
    ("bad-value", job_file("many"), "`number`.*found"),
    ("unknown-key", job_file(distributed_parameters={"numbr": 1}), "did you mean `number`"),
    ("infinite", job_file(float("inf")), "Infinity|finite"),
    ("deep", b"[" * 100_000, "deep|nested|JSON"),
    ("too-large", b" " * (MIB + 1), "larger than 1 MiB"),
]


def test_invalid_files_are_rejected_with_their_reason_and_hold_up_no_other(make_harness, inbox, database):
    harness = make_harness(inbox, database)
    for name, data, _ in REFUSED:
        harness.write(f"{name}.json", data)
    harness.write("zz-good.json", job_file(5))
    harness.tick()
    assert numbers(harness) == [5.0]
    bad = harness.rejected()
    assert sorted(bad) == sorted(f"{name}.json" for name, _, _ in REFUSED)
    for name, _, reason in REFUSED:
        assert re.search(reason, bad[f"{name}.json"]), (name, bad[f"{name}.json"])
    assert "word" not in str(bad)


def test_what_is_not_a_regular_file_is_refused_and_never_read(harness, tmp_path):
    (tmp_path / "outside.json").write_bytes(job_file())
    folder = Path(harness.stores.inbox.root) / "double"
    (folder / "folder.json").mkdir(parents=True)
    (folder / "link.json").symlink_to(tmp_path / "outside.json")
    (folder / "lost.json").symlink_to(tmp_path / "nowhere")
    os.mkfifo(folder / "pipe.json")
    harness.tick()
    assert harness.jobs() == {}
    assert harness.rejected() == {
        "link.json": "is a symbolic link: links are never followed",
        "lost.json": "is a symbolic link: links are never followed",
        "pipe.json": "is not a regular file",
    }


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_refused_until_it_may_be_read(harness):  # pragma: no cover  needs a user without rights
    harness.write("a.json", job_file())
    path = Path(harness.stores.inbox.root) / "double" / "a.json"
    path.chmod(0)
    harness.tick()
    assert "Permission denied" in harness.rejected()["a.json"]
    path.chmod(0o644)
    harness.tick()
    assert (harness.rejected(), numbers(harness)) == ({}, [1.0])


def test_a_file_that_becomes_unreadable_between_listing_and_reading_is_refused(harness, tmp_path):
    harness.write("a.json", job_file())
    (file,) = harness.stores.inbox.list_files("double")
    path = Path(harness.stores.inbox.root) / "double" / "a.json"
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere.json")
    (judged,) = Intake(harness.entry, harness.stores.inbox).check([file])
    assert "links are never followed" in judged.problem


def test_a_rejected_file_stays_listed_until_it_is_fixed(make_harness, inbox, database):
    harness = make_harness(inbox, database)
    harness.write("a.json", b"{")
    for _ in range(3):
        harness.tick()
        assert list(harness.rejected()) == ["a.json"]
    harness.write("a.json", job_file(3))
    harness.tick()
    assert (harness.rejected(), numbers(harness)) == ({}, [3.0])


def test_a_rejected_file_that_is_removed_is_forgotten(harness):
    harness.write("a.json", b"{")
    harness.tick()
    (Path(harness.stores.inbox.root) / "double" / "a.json").unlink()
    harness.tick()
    assert (harness.rejected(), harness.stores.notes.known("double")) == ({}, {})


def test_a_good_file_that_is_removed_or_spoiled_leaves_its_job(harness):
    harness.write("a.json", job_file(1))
    harness.write("b.json", job_file(2))
    harness.tick()
    (Path(harness.stores.inbox.root) / "double" / "a.json").unlink()
    harness.write("b.json", b"{")
    harness.tick()
    assert numbers(harness) == [1.0, 2.0]
    assert list(harness.rejected()) == ["b.json"]


def test_fixed_parameters_that_cannot_be_read_make_every_new_file_wait(make_harness, inbox, database):
    harness = make_harness(inbox, database)
    harness.write("before.json", job_file(1))
    harness.tick()
    harness.write("analysis_parameters.json", b"{nothing")
    harness.write("a.json", job_file(2))
    harness.write("b.json", job_file(3))
    harness.tick()
    assert numbers(harness) == [1.0]
    assert sorted(harness.rejected()) == ["a.json", "b.json"]
    assert all("analysis_parameters.json is not JSON" in reason for reason in harness.rejected().values())
    harness.write("analysis_parameters.json", b"{}")
    harness.tick()
    assert (harness.rejected(), numbers(harness)) == ({}, [1.0, 2.0, 3.0])


def test_fixed_parameters_that_are_a_link_make_every_new_file_wait(harness, tmp_path):
    harness.write("a.json", job_file(2))
    link = Path(harness.stores.inbox.root) / "double" / "analysis_parameters.json"
    link.symlink_to(tmp_path / "elsewhere.json")
    harness.tick()
    assert "links are never followed" in harness.rejected()["a.json"]
    link.unlink()
    harness.tick()
    assert (harness.rejected(), numbers(harness)) == ({}, [2.0])


def test_fixed_parameters_count_for_later_files_and_refused_ones(harness):
    empty = json.dumps({"s3_location": ["s3://b/early"]}).encode()
    harness.write("early.json", empty)
    harness.tick()
    harness.write("refused.json", job_file(distributed_parameters={"x": 1}))
    harness.write("analysis_parameters.json", b'{"fixed_parameters": {"number": 9}}')
    harness.write("late.json", empty.replace(b"early", b"late"))
    harness.tick()
    assert {job["inputs"]["spelled_locations"][0]: job["parameters"]["number"] for job in harness.jobs().values()} == {
        "s3://b/early": 1.0,
        "s3://b/late": 9.0,
    }
    assert {job["origins"]["number"] for job in harness.jobs().values()} == {"default", "fixed_parameters"}


def test_refused_files_are_judged_again_when_the_model_changes(harness):
    harness.write("a.json", job_file(distributed_parameters={"number": 1, "unit": "mV"}))
    harness.tick()
    assert "`unit`" in harness.rejected()["a.json"]
    fields = {
        "number": (float, Field(default=1.0, description="n")),
        "unit": (Literal["mV"], Field(default="mV", description="u")),
    }
    harness.with_parameters(create_model("Parameters", __base__=ParametersModel, **fields))
    harness.tick()
    assert harness.rejected() == {}
    (job,) = harness.jobs().values()
    assert job["parameters"] == {"number": 1.0, "unit": "mV"}


def test_refused_files_are_judged_again_when_only_the_code_of_a_validator_changes(harness):
    harness.write("a.json", b"{")
    harness.tick()
    before = Intake(harness.entry, harness.stores.inbox).judged_with()
    changed = replace(harness.entry, code_version="1+another")
    assert Intake(changed, harness.stores.inbox).judged_with() != before


def test_one_job_in_two_files_is_one_job_with_two_sources(make_harness, inbox, database):
    harness = make_harness(inbox, database)
    harness.write("a.json", job_file(1))
    harness.write("b/c.json", job_file(1.0, query="{}", dispatch_id="d", group_metadata={"subject": "7"}))
    harness.tick()
    (job,) = harness.jobs().values()
    assert sorted(source["name"] for source in job["sources"]) == [
        inbox.url("double", "a.json"),
        inbox.url("double", "b/c.json"),
    ]


def test_a_file_that_vanishes_between_listing_and_reading_is_not_a_fault(harness):
    files = [InboxFile("vanished.json", "1")]
    known = Intake(harness.entry, harness.stores.inbox)
    Path(harness.stores.inbox.root, "double").mkdir()
    assert list(known.check(files)) == []
    ledger, notes = harness.stores.ledger, harness.stores.notes
    assert known.ingest(files, ledger, notes, judged_with="now").read == 0
    assert notes.known("double") == {}


def test_an_inbox_that_vanished_is_an_error_and_forgets_nothing(harness):
    harness.write("a.json", b"{")
    harness.tick()
    root = Path(harness.stores.inbox.root)
    root.rename(root.with_name("away"))
    with pytest.raises(SettingsError, match="JOB_INBOX"):
        harness.tick()
    assert list(harness.rejected()) == ["a.json"]
    root.with_name("away").rename(root)
    harness.tick()
    assert list(harness.rejected()) == ["a.json"]


def test_an_inbox_in_a_server_that_is_away_is_an_error(make_harness, failing_s3_inbox, database):
    harness = make_harness(failing_s3_inbox, database)
    with pytest.raises(ServerUnavailableError):
        harness.tick()


def cover_all(harness):
    """Start a run over the jobs that files in the inbox ask for, so that ticks ask for none."""
    judged = Intake(harness.entry, harness.stores.inbox).check(harness.stores.inbox.list_files(harness.name))
    keys = [j.request[0].job_key for j in judged if j.request is not None]
    harness.instance.add_dynamic_partitions(harness.name, keys)
    first, *_, last = (key for key in harness.partitions() if key in keys)
    harness.launch(dg.SensorResult(run_requests=[dg.RunRequest("all", tags={START: first, END: last})]))


def test_a_tick_reads_a_limited_number_of_files_and_says_how_many_wait(harness):
    harness.limits = TickLimits(files=2)
    for number in range(5):
        harness.write(f"{number}.json", b"{")
    harness.tick()
    assert sorted(harness.rejected()) == ["0.json", "1.json"]
    harness.tick()
    harness.tick()
    assert len(harness.rejected()) == 5
    for number in range(5, 10):
        harness.write(f"{number}.json", job_file(number))
    cover_all(harness)
    assert harness.tick().skip_message == "No new jobs. 2 files read, 5 rejected; 3 files left for the next tick."
    assert len(harness.jobs()) == 2
    assert harness.tick().skip_message == "No new jobs. 2 files read, 5 rejected; 1 file left for the next tick."
    assert harness.tick().skip_message == "No new jobs. 1 file read, 5 rejected."
    assert len(harness.jobs()) == 5


def test_a_tick_reads_for_a_limited_time_but_at_least_one_file(harness):
    for number in range(3):
        harness.write(f"{number}.json", job_file(number))
    files = harness.stores.inbox.list_files("double")
    hurried = Intake(harness.entry, harness.stores.inbox, reading_s=-1)
    assert [judged.file.name for judged in hurried.check(files)] == ["0.json"]
    assert len(list(Intake(harness.entry, harness.stores.inbox).check(files))) == 3


def test_many_files_are_stored_a_chunk_at_a_time(harness):
    harness.limits = TickLimits(chunk=2)
    for number in range(5):
        harness.write(f"{number}.json", job_file(number))
    harness.tick()
    assert numbers(harness) == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert len(harness.stores.notes.known("double")) == 5


@needs_real_data
def test_real_job_files_are_taken_in_or_refused_for_the_right_reason(make_harness, inbox, database):
    harness = make_harness(inbox, database, analysis=ANALYSES_FOLDER / "unit_quality.py")
    files = sorted((REAL_DATA / "job_files").glob("*.json"))
    for path in files:
        harness.write(path.name, path.read_bytes())
    harness.tick()
    bad = harness.rejected()
    assert sorted(bad) == ["curation_2026-06_nwb_file.json", "curation_OLD_FILE_LOC_invalid.json"]
    assert "is not JSON" in bad["curation_OLD_FILE_LOC_invalid.json"]
    for key in ("name", "channels", "preprocessing"):  # written for another analysis
        assert f"unknown key `{key}` (from analysis_code)" in bad["curation_2026-06_nwb_file.json"]
    taken = {s["name"].rpartition("/")[2]: (job, s) for job in harness.jobs().values() for s in job["sources"]}
    assert sorted([*bad, *taken]) == [path.name for path in files]
    origins = {name: {k for k, v in job["origins"].items() if v != "default"} for name, (job, _) in taken.items()}
    assert origins == {
        "aw_2025-06_v1_assetid_fileloc.json": set(),
        "aw_2025-08_v2_assetid_distparams.json": {"isi_violations_cutoff"},
        "template_2026-02_v3_docdbid_query_code.json": {"analysis_name", "analysis_tag", "isi_violations_cutoff"},
        "template_2026-03_v4_full.json": {"analysis_name", "analysis_tag", "isi_violations_cutoff"},
    }
    assert {job["parameters"]["isi_violations_cutoff"] for job, _ in taken.values()} == {0.05}
    for name in list(origins)[:2]:
        assert taken[name][1]["asset_names"] == ["behavior_774659_2025-06-07_14-31-15_processed_2025-06-08_03-49-49"]


@needs_real_data
@pytest.mark.parametrize(
    ("name", "refused"),
    [("template_2026-03.json", None), ("wrapper_2025-06.json", None), ("template_2025-06_91dd77c.json", "unknown key")],
)
def test_real_fixed_parameters_count_or_are_refused_by_name(
    harness, make_harness, folder_inbox, database, name, refused
):
    harness = make_harness(folder_inbox, database, analysis=ANALYSES_FOLDER / "unit_quality.py")
    harness.write("analysis_parameters.json", (REAL_DATA / "analysis_parameters" / name).read_bytes())
    harness.write("a.json", canonical_json({"s3_location": ["s3://b/a"]}))
    harness.tick()
    if refused:
        assert refused in harness.rejected()["a.json"]
    else:
        (job,) = harness.stores.ledger.jobs.get_many("unit_quality", harness.jobs()).values()
        assert job.state is JobState.NEW
        assert job.parameters["isi_violations_cutoff"] == 0.05
        assert job.origins["isi_violations_cutoff"] == "fixed_parameters"
