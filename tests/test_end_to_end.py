"""The platform as people use it: real daemons, real servers, job files in and results out, also after a kill."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

import dagster as dg
import psutil
import pytest
import requests

from analysis_assets._materialization import asset_key_of
from analysis_assets._publish import differences
from commands.dagster_processes import dagster_process, free_port
from commands.platform import open_platform
from definitions import build_defs  # noqa: TID251  this file tests the whole
from domain.errors import ServerUnavailableError
from domain.job_state import JobState
from domain.records import from_record
from resources.connections import connect
from resources.embedded import server_pids, supervised
from resources.settings import PROJECT_ROOT, load_settings
from tests.lab_workspace import LAB, write_workspace

DATA = PROJECT_ROOT.parent / "shared" / "data" / "nwb"
IN_FLIGHT = 4  # jobs that a run has begun and not finished: two at work, two that wait for a worker or publish


def wait_for(condition, what, seconds=150):
    """Wait until a condition holds; a server that is just being restarted is asked again."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(ServerUnavailableError):
            if found := condition():
                return found
        time.sleep(0.2)
    pytest.fail(f"after {seconds} s: {what}")


def job_file(number, **parameters):
    parameters = {"number": number, **parameters}
    return json.dumps({"s3_location": ["s3://bucket/asset"], "distributed_parameters": parameters}).encode()


def of_folder(home):
    """Return every process that was started for a folder of servers."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = process.environ()
            if "resource_tracker" in " ".join(process.cmdline()) and process.ppid() == os.getpid():
                continue  # Python's own, for what this process starts
            mine = str(home) in (words.get("ANALYSIS_HOME"), words.get("DAGSTER_HOME", "").removesuffix("/dagster"))
            if mine and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def nothing_runs(home):
    return not supervised(home) and not of_folder(home)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Give a folder of servers that this test alone uses, and see that nothing is left running."""
    home = tmp_path / "home"
    monkeypatch.setenv("ANALYSIS_HOME", str(home))
    yield home
    monkeypatch.delenv("ANALYSIS_HOME")
    try:
        wait_for(lambda: nothing_runs(home), f"still running: {of_folder(home)}", 30)
    finally:
        for process in of_folder(home):
            process.kill()


@pytest.fixture
def platform(home, tmp_path):
    """Open the platform with the analyses for tests."""
    with open_platform(load_settings(env_file=tmp_path / "no.env"), folder=LAB) as platform:
        yield platform


@pytest.fixture
def daemon(platform, tmp_path):
    """Run Dagster's daemon over the analyses for tests."""
    workspace = write_workspace(tmp_path)
    words = ["-m", "dagster._daemon", "run"]
    log = tmp_path / "daemon.log"
    with dagster_process(platform.settings, words, log=log, workspace=workspace) as daemon:
        yield daemon


def write_sleepers(platform, note, count, seconds=1.5):
    """Ask for jobs that leave a mark when they start, and sleep."""
    for number in range(count):
        data = job_file(number, mode="sleep", seconds=seconds, note=str(note))
        platform.connections.job_inbox.write("misbehave", f"{number}.json", data)


def marks(note):
    """Return number and worker process of every execution that began."""
    lines = note.read_text(encoding="utf-8").splitlines() if note.exists() else []
    return [tuple(map(int, line.split())) for line in lines]


def all_done(platform, name, count):
    counts = platform.connections.ledger.counts(name)
    assert counts[JobState.FAILED] == 0
    return counts[JobState.DONE] == count


def check_results(platform, name, count):
    """One record for each job, with complete files; Dagster shows each partition as materialized."""
    connections, version = platform.connections, platform.entry(name).code_version
    keys = connections.ledger.keys_in(name, JobState.DONE)
    jobs = connections.ledger.get_many(name, keys)
    records = {r["analysis_assets"]["job_key"]: r for r in connections.record_store.of_analysis(name)}
    assert len(list(connections.record_store.of_analysis(name))) == len(records) == len(keys) == count
    for key, record in records.items():
        found = from_record(record)
        assert (found.result_id, found.code_version) == (jobs[key].result_id, version)
        assert differences(connections.results_store, found) == []
        assert found.attempt in connections.results_store.complete_attempts(found.result_id)
        if name == "misbehave":
            assert connections.results_store.get_bytes(found.location, "number.txt") == b"%d" % found.outputs["number"]
    with dg.DagsterInstance.from_config(str(platform.settings.dagster_home)) as instance:
        assert instance.get_materialized_partitions(asset_key_of(name)) == set(keys)


def test_a_job_file_becomes_a_result_in_one_process(platform):
    inbox = platform.connections.job_inbox
    for number in range(3):
        inbox.write("double", f"{number}.json", job_file(number))
    repository = build_defs(platform.settings, folder=LAB).get_repository_def()
    resources = connect(platform.settings).as_dict()
    sensor = repository.get_sensor_def("double_job_files")
    with dg.DagsterInstance.ephemeral() as instance:
        with dg.build_sensor_context(instance, repository_def=repository, resources=resources) as context:
            (request,) = sensor.evaluate_tick(context).run_requests
        job = repository.get_job("double_batch")
        assert job.execute_in_process(instance=instance, tags=request.tags).success
        keys = platform.connections.ledger.keys_in("double", JobState.DONE)
        assert instance.get_materialized_partitions(asset_key_of("double")) == set(keys)
        with dg.build_sensor_context(instance, repository_def=repository, resources=resources) as context:
            assert "No new job" in sensor.evaluate_tick(context).skip_message
    records = list(platform.connections.record_store.of_analysis("double"))
    assert sorted(from_record(r).outputs["double"] for r in records) == [0.0, 2.0, 4.0]


@pytest.mark.slow
def test_job_files_become_results_and_the_same_jobs_are_not_computed_again(platform, daemon):
    inbox, ledger = platform.connections.job_inbox, platform.connections.ledger
    for number in range(3):
        inbox.write("double", f"a/{number}.json", job_file(number))
    inbox.write("double", "bad.json", b"{")
    wait_for(lambda: all_done(platform, "double", 3), "the jobs are not done")
    inbox.write("double", "again.json", job_file(1.0))
    notes = platform.connections.inbox_notes
    wait_for(lambda: "again.json" in notes.known("double"), "the other file was not taken in")
    check_results(platform, "double", 3)
    jobs = ledger.get_many("double", ledger.keys_in("double", JobState.DONE))
    assert {job.attempt_number for job in jobs.values()} == {1}
    with dg.DagsterInstance.from_config(str(platform.settings.dagster_home)) as instance:
        (checked,) = instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(dg.AssetKey(["double", "inbox"]), "job_files_readable"), limit=5
        )
        assert checked.status.value == "FAILED"
        runs = instance.get_runs(dg.RunsFilter(job_name="double_batch"))
        assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}
    assert daemon.poll() is None


@pytest.mark.slow
def test_jobs_whose_run_was_killed_are_finished_and_only_interrupted_ones_executed_twice(platform, daemon, tmp_path):
    note, count = tmp_path / "marks", 8
    write_sleepers(platform, note, count)
    wait_for(lambda: len(marks(note)) >= count // 2, "the jobs did not begin")
    worker = psutil.Process(marks(note)[-1][1])
    run = worker.parent()
    workers = run.children()
    assert run.pid != daemon.pid
    run.kill()
    wait_for(
        lambda: not any(w.is_running() and w.status() != "zombie" for w in workers), "a worker outlived its run", 10
    )
    wait_for(lambda: all_done(platform, "misbehave", count), "the jobs are not done")
    executed = Counter(number for number, _ in marks(note))
    assert set(executed) == set(range(count))
    assert max(executed.values()) <= 2
    assert sum(executed.values()) - count <= IN_FLIGHT
    check_results(platform, "misbehave", count)


@pytest.mark.slow
def test_jobs_that_publish_while_mongod_is_killed_are_finished_without_a_second_execution(
    platform, daemon, tmp_path, home
):
    note, count = tmp_path / "marks", 10
    write_sleepers(platform, note, count, seconds=0.5)
    for begun in (3, 6):
        wait_for(lambda begun=begun: len(marks(note)) >= begun, "the jobs did not begin")
        pid = server_pids(home)["mongo"]
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda pid=pid: server_pids(home).get("mongo", pid) != pid, "mongod was not started again", 30)
    wait_for(lambda: all_done(platform, "misbehave", count), "the jobs are not done")
    executed = Counter(number for number, _ in marks(note))
    assert set(executed) == set(range(count))
    assert sum(executed.values()) - count <= IN_FLIGHT
    check_results(platform, "misbehave", count)
    assert daemon.poll() is None


def command(*words):
    return [sys.executable, "-c", "from cli import main; main()", *words]


@contextmanager
def dev(tmp_path):
    """Run `analysis dev`, and kill it if the test did not end it."""
    port = free_port(0)
    with (tmp_path / "dev.log").open("wb") as log:
        process = subprocess.Popen(command("dev", "--port", str(port)), cwd=PROJECT_ROOT, stdout=log, stderr=log)
        try:
            yield process, f"http://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


def shown_assets(address):
    """Ask the UI's server which assets there are."""
    with suppress(requests.ConnectionError):
        query = {"query": "{ assetNodes { assetKey { path } } }"}
        answer = requests.post(f"{address}/graphql", json=query, timeout=30).json()
        return ["/".join(node["assetKey"]["path"]) for node in answer["data"]["assetNodes"]]
    return []


@pytest.mark.slow
def test_dev_serves_the_ui_and_ends_with_everything_that_it_started(home, tmp_path):
    with dev(tmp_path) as (process, address):
        wait_for(lambda: "analysis/unit_quality" in shown_assets(address), "the UI does not answer", 90)
        assert "<html" in requests.get(address, timeout=30).text
        assert "Dagster UI" in (tmp_path / "dev.log").read_text(encoding="utf-8")
        sockets = [s for p in of_folder(home) for s in p.net_connections("tcp") if s.status == psutil.CONN_LISTEN]
        assert {s.laddr.ip for s in sockets} == {"127.0.0.1"}
        another = subprocess.run(
            command("dev"), cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=60, check=False
        )
        assert (another.returncode, "Another `analysis dev`" in another.stderr) == (2, True)
        process.terminate()
        assert process.wait(60) == 0
    wait_for(lambda: nothing_runs(home), "something is still running", 30)


@pytest.mark.slow
def test_when_dev_is_killed_everything_that_it_started_ends(home, tmp_path):
    with dev(tmp_path) as (process, _):
        wait_for(lambda: any("dagster._daemon" in p.cmdline() for p in of_folder(home)), "no daemon", 90)
        process.kill()
        process.wait()
    wait_for(lambda: nothing_runs(home), "something is still running", 60)


def demo(*words):
    """Run `analysis demo` and return what it printed."""
    found = subprocess.run(
        command("demo", *words), cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=280, check=False
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "Traceback" not in found.stdout + found.stderr
    return found.stdout


@pytest.mark.slow
def test_the_demo_computes_once_and_nothing_when_run_again(home):
    first = demo()
    assert all(word in first for word in ("unit_quality", "llobet", "foraging_choice_model", "fitted"))
    assert "Second pass: the same" in first
    assert first.rstrip().endswith("in other files, 0 computed.")
    assert "computed, 0 already there." in first
    reports = [line.partition(": ")[2] for line in first.splitlines() if line.startswith("Report of ")]
    assert len(reports) == 2
    assert all("the current code" in Path(path).read_text(encoding="utf-8") for path in reports)
    again = demo()
    assert " 0 computed, " in again
    assert again.rstrip().endswith("in other files, 0 computed.")
    figures = [line.partition(": ")[2] for line in again.splitlines() if line.endswith(".png")]
    assert figures
    assert all(Path(path).is_file() for path in figures)


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="the folder of real data, ../shared/data, is absent")
def test_the_demo_takes_a_persons_own_files(home):
    shown = demo("--data", str(DATA))
    rows = [[cell.strip() for cell in line.split("│")] for line in shown.splitlines() if line.count("│") > 5]
    expected = {"units": 4, "no_units": 8, "fitted": 3, "too_few_trials": 1, "no_trials": 2}
    assert Counter(cell for row in rows for cell in row if cell in expected) == expected
    assert shown.rstrip().endswith("0 computed.")
