"""What the demo and `dev` refuse, and what they say; that they work is shown end to end."""

import subprocess
import sys

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test
from rich.console import Console

from cli.demo.jobs import PARAMETER_SETS, job_files, own_sessions, write_job_files
from cli.demo.run import Patience, demo, end_runs, jobs_of, polls, running_daemon, total_attempts
from cli.demo.tables import show_results
from cli.dev.run import dev
from domain.errors import InputError, ServerUnavailableError, SettingsError
from domain.failures import JobError
from domain.job.state import JobState
from operations.daemon_lock import only_one_daemon
from operations.platform import open_platform
from operations.requests import submit
from resources.dagster_storage.configuration import prepare_dagster_home
from resources.dagster_storage.run_launcher import HOST_TAG, PROCESS_TAG
from resources.process import host_name


@pytest.fixture
def console():
    """Give a console that keeps what it prints."""
    return Console(record=True, width=300)


@pytest.fixture
def whole(settings):
    """Open the platform with the analyses that the demo runs."""
    with open_platform(settings) as platform:
        yield platform


@pytest.mark.parametrize(
    ("name", "value"), [("DOCDB_URI", "mongodb://127.0.0.1:9/"), ("ANALYSIS_BUCKET", "bucket"), ("DRY_RUN", "1")]
)
def test_the_demo_never_runs_on_other_servers_than_its_own(settings, monkeypatch, console, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"unset .*{name}"):
        demo(data=None, console=console)


def test_a_folder_without_nwb_files_is_refused(tmp_path):
    (tmp_path / "a.txt").touch()
    with pytest.raises(InputError, match=r"holds no \*\.nwb or \*\.nwb\.zarr"):
        own_sessions(tmp_path)


def test_nwb_files_and_zarr_folders_are_found_at_any_depth_and_not_what_is_in_them(tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "a b.nwb").touch()
    (tmp_path / "z.nwb.zarr" / "inner.nwb").mkdir(parents=True)
    (tmp_path / "y.nwb").mkdir()
    assert own_sessions(tmp_path) == [
        f"file://{tmp_path}/{name}" for name in ("deep/er/a%20b.nwb", "y.nwb", "z.nwb.zarr")
    ]


def test_a_daemon_that_ends_ends_the_demo(platform):
    with subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"]) as ended:
        ended.wait()
        with pytest.raises(ServerUnavailableError, match=r"ended with code 7. Its log: .*demo-daemon\.log"):
            next(polls(platform, ended, "jobs did not end"))


def test_the_demo_does_not_wait_for_ever(platform):
    patience = Patience(limit_s=0.05, poll_s=0.01)
    with pytest.raises(ServerUnavailableError, match="the demo's jobs did not end"):
        list(polls(platform, None, "jobs did not end", patience=patience))


def test_the_demo_waits_for_other_runs_and_cancels_those_that_do_not_end(platform):
    home = prepare_dagster_home(platform.settings)
    patience, started = Patience(runs_s=0.2, poll_s=0.05), dg.DagsterRunStatus.STARTED
    process = {HOST_TAG: host_name(), PROCESS_TAG: '[1, "of an earlier boot"]'}
    with dg.DagsterInstance.from_config(str(home)) as instance:
        gone, elsewhere, of_analysis = (
            create_run_for_test(instance, job_name="any", status=started, tags=tags)
            for tags in (process, {}, {"dagster/partition": "k"})
        )
        end_runs(instance, patience=patience)
        states = [instance.get_run_by_id(run.run_id).status.value for run in (gone, elsewhere, of_analysis)]
        assert states == ["CANCELED", "CANCELING", "STARTED"]
        instance.report_run_canceled(elsewhere)
        end_runs(instance, patience=patience)
        assert instance.get_run_by_id(of_analysis.run_id).status is started


def test_the_daemon_of_a_running_dev_is_used(platform, console):
    with only_one_daemon(platform.settings), running_daemon(platform, console) as daemon:
        assert daemon is None
    assert "Using the Dagster daemon of the running" in console.export_text()


def test_only_one_dev_runs_over_a_folder(settings):
    with (
        only_one_daemon(settings),
        pytest.raises(SettingsError, match="Another `analysis dev`, `analysis daemon` or `analysis demo` runs"),
    ):
        dev(port=0, say=print)


def test_the_jobs_of_the_demo_have_the_keys_that_the_sensor_gives_them(whole):
    files = job_files(whole, ["file:///a.nwb", "file:///b.nwb"])
    assert {name: len(sets) for name, sets in PARAMETER_SETS.items()} == {"unit_quality": 2, "foraging_choice_model": 1}
    assert len({file.job_key for file in files}) == len(files) == 2 * 3
    write_job_files(whole, files, "demo")
    for name in PARAMETER_SETS:
        assert [f.name for f in whole.connections.job_inbox.list_files(name)] == sorted(
            f"demo/{file.name}" for file in files if file.analysis == name
        )


def test_jobs_that_the_sensor_has_not_seen_yet_are_not_waited_for_as_if_they_were_there(whole):
    files = job_files(whole, ["file:///a.nwb"])
    assert jobs_of(whole, files) == {"unit_quality": [], "foraging_choice_model": []}
    submit(whole, "unit_quality", ["file:///a.nwb"], by_hand=PARAMETER_SETS["unit_quality"][1])
    assert [job.job_key for job in jobs_of(whole, files)["unit_quality"]] == [files[1].job_key]
    assert total_attempts(whole, files) == 0


@pytest.mark.parametrize("name", PARAMETER_SETS)
def test_a_job_that_failed_is_shown_with_its_reason_whatever_it_holds(whole, console, name):
    ledger = whole.connections.ledger
    keys = [job.job_key for job in submit(whole, name, ["s3://b/[red]a", "s3://b/b"], by_hand={})]
    version = whole.entry(name).code_version
    claimed = ledger.claims.claim(
        ledger.jobs.get(name, keys[0]), attempt="a", owner="w", run_id="r", code_version=version, states=list(JobState)
    )
    error = JobError(kind="input", message="no [bold]such[/nothing] file", permanent=True)
    ledger.claims.fail(claimed, attempt="a", code_version=version, error=error)
    jobs = ledger.jobs.get_many(name, keys)
    show_results(whole, name, [jobs[key] for key in keys], console)
    shown = console.export_text()
    assert "failed: no [bold]such[/nothing] file" in shown
    assert "s3://b/[red]a" in shown
    assert "failed: no result" in shown
