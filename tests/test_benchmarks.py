"""The benchmark: its sections have one form, results are kept apart, and targets are judged as they were meant."""

import json
import subprocess
import sys
import time

import dagster as dg
import pymongo
import pytest

from benchmarks import __main__ as bench
from benchmarks import busy, dispatch, growth, overhead, start, ui
from benchmarks.loops import bare_loop, dagster_events
from benchmarks.medians import median_ratio, medians
from benchmarks.other_tools import PEERS, snakemake, wrapper_loop
from benchmarks.postgres import programs
from benchmarks.report import Kept, Measured, anchor
from benchmarks.section import Options, Section, Target
from benchmarks.stage import ANALYSES, bench_home, storage
from domain.errors import ServerUnavailableError
from operations.platform import open_platform
from resources.embedded.embedded import addresses_of
from resources.settings import PROJECT_ROOT
from tests.unmeasured import unmeasured

ROUND = {
    "bare": 10.0,
    "threads": 5.0,
    "wrapper": 40.0,
    "snakemake": 700.0,
    **{f"{kind} {name}": value for kind in ("sqlite", "postgres") for name, value in
       {"events": 20.0, "batched": 36.0, "in runs": 60.0, "runs": 10, "single": 3600.0}.items()},
}  # fmt: skip
SIZE = {"jobs": 100, "runs": 1, "start_s": 5.0, "wall_ms": 80.0, "per_job_ms": 30.0, "in_runs_ms": 40.0}
STORAGE_ROUND = {f"{name} {what}": 3.0 for name in ("analysis", "plain") for what in ("seconds", "questions")}
PLAN = {"records": 10, "jobs": 15, "known": 15, "seconds": 2.25, "start_mb": 100.0, "peak_mb": 149.0}
START = {"request": 4.0, "launch": 1.0, "process": 5.0, "code": 1.0, "total": 11.0}
EXAMPLES = {
    "overhead": {"sizes": {"jobs": 1000, "single": 12, "snakemake": 200}, "rounds": [ROUND]},
    "busy": {
        "jobs": 1000,
        "cores": 2,
        "rounds": [{f"{kind} {name}": 0.93 for kind in ("sqlite", "postgres") for name in ("share", "wall_share")}],
    },
    "start": {"files": 10, "interval_s": 5, "starts": [START, START | {"total": 12.0}]},
    "growth": {"sizes": [SIZE, SIZE | {"jobs": 1000, "per_job_ms": 36.0}]},
    "ui": {
        "sizes": {"partitions": 100_000, "materialized": 2_000},
        "storages": {"sqlite": [STORAGE_ROUND, STORAGE_ROUND]},
    },
    "dispatch": {"rounds": [PLAN]},
}
SECTIONS = {module.SECTION.name: module.SECTION for module in (busy, dispatch, growth, overhead, start, ui)}


def targets(name, figures):
    """Return which targets of a section are met."""
    return [target.met for target in SECTIONS[name].targets(figures)]


@pytest.mark.parametrize("name", bench.NAMES)
def test_every_section_has_a_module_of_its_name(name):
    section = bench.load([name])[name]
    assert section.name == name
    assert section.title


def test_a_section_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match=r"no section 'other'.*overhead, busy"):
        bench.load(["other"])


@pytest.mark.parametrize("words", [["--only", "overhead,other"], ["--rounds", "0"]])
def test_a_wrong_word_stops_the_start(words, capsys):
    with pytest.raises(SystemExit):
        bench.main(words)
    assert "no such section: other" in capsys.readouterr().err or words[0] == "--rounds"


def test_a_missing_module_is_named():
    with pytest.raises(ValueError, match=r"benchmarks/lost\.py is missing"):
        bench.load(["lost"], known=["lost"])


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_page_is_made_of_the_figures_of_a_section(name, tmp_path):
    kept = Kept(tmp_path)
    kept.write(name, EXAMPLES[name], options=Options(2, 0.5), measured=Measured(begin=time.monotonic() - 3))
    page = kept.render(SECTIONS).read_text(encoding="utf-8")
    assert f"## {SECTIONS[name].title}\n" in page
    assert f'`make bench ONLY={name} ARGS="--rounds 2 --scale 0.5"`, 3 s' in page
    assert "{" not in page
    for target in SECTIONS[name].targets(EXAMPLES[name]):
        title = anchor(SECTIONS[name].title)
        row = f"| [{name}](#{title}) | {target.what} | {target.wanted} | {target.found} (scale 0.5) |"
        assert row in page
    assert (tmp_path / "growth.png").exists() == (name == "growth")


def test_every_section_of_this_module_is_shown():
    assert EXAMPLES.keys() == SECTIONS.keys()


def test_a_run_of_one_section_leaves_the_results_of_the_others(tmp_path, capsys):
    def section(name, measure):
        return Section(
            name, name.title(), measure, lambda f: f"found {f['n']}", lambda f: [Target(name, "1", "1", met=f["n"] < 3)]
        )

    def interrupted(options):
        options.keep({"n": 4})
        message = "the server went away"
        raise OSError(message)

    numbers = iter([1, 2])
    made = {"a": section("a", lambda _: {"n": next(numbers)}), "b": section("b", interrupted)}
    loaders = {name: lambda found=found: found for name, found in made.items()}
    page = tmp_path / "RESULTS.md"
    assert bench.main(["--only", "a", "--output", str(tmp_path)], loaders=loaders) == 0
    assert "found 1" in page.read_text(encoding="utf-8")
    assert bench.main(["--only", "b", "--output", str(tmp_path)], loaders=loaders) == 1
    assert "b failed: OSError: the server went away" in capsys.readouterr().err
    text = page.read_text(encoding="utf-8")
    assert "found 1" in text
    assert "found 4" in text
    assert "**Interrupted: this is what it had until then.**" in text
    assert "| [a](#a) | a | 1 | 1 | yes |" in text
    assert "| b | 1 | 1 (scale 1) | **no** |" in text
    assert bench.main(["--only", "a", "--output", str(tmp_path)], loaders=loaders) == 0
    assert "found 2" in page.read_text(encoding="utf-8")
    before = page.read_text(encoding="utf-8")
    assert bench.main(["--render", "--output", str(tmp_path)], loaders=loaders) == 0
    assert page.read_text(encoding="utf-8") == before


def test_medians_are_taken_of_each_figure_and_ratios_round_by_round():
    rounds = [{"a": 1.0, "b": 1.0}, {"a": 20.0, "b": 10.0}, {"a": 4.0, "b": 1.0}]
    assert medians(rounds) == {"a": 4.0, "b": 1.0}
    assert median_ratio(rounds, ["a"], ["b"]) == 2.0
    assert median_ratio(rounds, ["a"], ["a", "b"]) == 20 / 30


@pytest.mark.parametrize(
    ("change", "met"),
    [
        ({}, [True, True, True]),
        ({"sqlite batched": 40.1}, [False, False, True]),  # 40.1 to 40 of the wrapper; 1.34 of the floor
        ({"sqlite batched": 39.5}, [True, False, True]),  # 1.32 of the floor
        ({"sqlite single": 2879.0}, [True, True, False]),  # 79.97 times
        ({"wrapper": 35.0}, [False, True, True]),
        ({"sqlite events": 17.0}, [True, False, True]),
    ],
)
def test_batches_are_judged_by_the_wrapper_the_floor_and_single_runs(change, met):
    figures = EXAMPLES["overhead"] | {"rounds": [ROUND | change]}
    assert targets("overhead", figures)[:3] == met


def test_both_storages_are_judged():
    figures = EXAMPLES["overhead"] | {"rounds": [ROUND | {"postgres batched": 41.0}]}
    assert targets("overhead", figures) == [True, True, True, False, False, True]


def test_busy_cores_are_judged():
    rounds = [{"sqlite share": 0.9, "postgres share": 0.89}]
    assert targets("busy", {"rounds": rounds}) == [True, False]


def test_the_share_of_the_cores_counts_from_the_first_to_the_last_moment_of_user_code():
    outputs = [{"began": 10.0, "ended": 12.0, "cpu_s": 1.0}, {"began": 11.0, "ended": 14.0, "cpu_s": 2.0}]
    assert busy.share(outputs, cores=2) == 3.0 / (2 * 4.0)


@pytest.mark.parametrize(("total", "met"), [(15.0, True), (15.1, False)])
def test_the_slowest_start_counts(total, met):
    assert targets("start", {"starts": [START, START | {"total": total}]}) == [met]


@pytest.mark.parametrize(
    ("costs", "met"),
    [((30, 30, 39), True), ((30, 29, 39), False), ((39, 30, 30), True), ((30,), True), ((50, 30, 40), False)],
)
def test_growth_is_from_any_number_of_jobs_to_a_larger_one(costs, met):
    sizes = [SIZE | {"jobs": 10**n, "per_job_ms": float(cost)} for n, cost in enumerate(costs, 2)]
    assert targets("growth", {"sizes": sizes}) == [met]


def test_a_real_section_is_measured_from_the_command_line(tmp_path, monkeypatch):
    unmeasured(monkeypatch)
    words = ["-m", "benchmarks", "--only", "dispatch", "--rounds", "1", "--scale", "0.001", "--output", str(tmp_path)]
    done = subprocess.run([sys.executable, *words], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    kept = json.loads((tmp_path / "results" / "dispatch.json").read_text(encoding="utf-8"))
    (found,) = kept["figures"]["rounds"]
    assert (found["records"], found["jobs"], found["known"]) == (10, 15, 15)
    assert kept["complete"]
    assert "| 10 | 30 | 15 |" in (tmp_path / "RESULTS.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def platform():
    """Open a platform over servers and stores of the benchmark."""
    with bench_home() as home, storage(home, "sqlite") as settings, open_platform(settings, folder=ANALYSES) as opened:
        yield opened


def files_and_records(platform, prefix, database, collection):
    """Count what a peer left behind."""
    client, bucket = platform.connections.results_store.s3.client, platform.settings.analysis_bucket
    files = client.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    mongo = pymongo.MongoClient(addresses_of(str(platform.settings.analysis_home)).docdb_uri)
    with mongo:
        return len(files), mongo[database][collection].count_documents({})


@pytest.mark.parametrize("threads", [1, 8])
def test_the_bare_loop_leaves_three_files_and_a_record_for_each_job(platform, threads):
    place = ("bare/", platform.settings.docdb_database, "bare_loop")
    before = files_and_records(platform, *place)
    assert bare_loop(platform, 2, threads=threads) > 0
    files, records = files_and_records(platform, *place)
    assert (files - before[0], records - before[1]) == (3 * 3, 3)  # one more: it opens the connections


@pytest.mark.skipif(not PEERS.exists(), reason="there is no .venv-peers: make .venv-peers/.installed")
def test_the_wrappers_loop_leaves_three_files_and_a_record_for_each_job(platform):
    assert wrapper_loop(platform, 2) > 0
    assert files_and_records(platform, "wrapper/", "bench_wrapper", "results") == (3 * 3, 3)  # as above


@pytest.mark.skipif(not PEERS.exists(), reason="there is no .venv-peers: make .venv-peers/.installed")
def test_snakemake_leaves_three_files_and_a_record_for_each_job(platform):
    assert snakemake(platform, 2) > 0
    assert files_and_records(platform, "snakemake/", "bench_snakemake", "results") == (2 * 3, 2)


def test_peers_that_are_not_installed_are_named(platform, tmp_path):
    with pytest.raises(ServerUnavailableError, match="`make bench` makes the environment"):
        snakemake(platform, 1, peers=tmp_path)


def test_the_floor_is_a_planned_event_and_a_materialization_for_each_job(tmp_path):
    assert dagster_events(tmp_path / "floor", "sqlite", 3) > 0
    planned, key = dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED, dg.AssetKey("floor")
    with dg.DagsterInstance.from_config(str(tmp_path / "floor")) as instance:
        events = instance.event_log_storage.get_event_records(dg.EventRecordsFilter(planned, asset_key=key))
        assert len({event.partition_key for event in events}) == len(events) == 3
        assert len(instance.get_materialized_partitions(key)) == 3


@pytest.mark.slow
@pytest.mark.skipif(programs() is None, reason="there is no PostgreSQL")
def test_jobs_are_worked_off_on_both_storages(monkeypatch):
    unmeasured(monkeypatch)
    found = busy.measure(Options(rounds=1, scale=0.004))
    assert found["jobs"] == 4
    assert all(0 < share <= 1 for share in found["rounds"][0].values())
