"""The `analysis` command: what it prints, and its exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from rich.console import ConsoleDimensions
from typer.testing import CliRunner

from cli.dagster_processes import free_port
from cli.demo.jobs import PARAMETER_SETS, job_files, own_sessions
from cli.lifecycle import show_invalidation
from cli.main import app
from cli.new.run import Folders
from cli.terminal import plain
from domain.analysis.breaker import Breaker, trip
from domain.failures import JobError
from domain.job.identity import result_id
from domain.job.state import JobState
from domain.result.records import to_record
from examples.sessions import write_session
from operations.daemon_lock import only_one_daemon
from operations.lifecycle import Invalidation
from operations.platform import open_platform
from operations.requests import submit
from resources.inbox.notes import FileNote
from resources.settings import PROJECT_ROOT, load_settings
from tests.provenances import rich
from tests.resources.test_alerts import webhook

NAME = "unit_quality"


@pytest.fixture
def _environment(monkeypatch, servers, home, database, tmp_path):
    """Set the environment of a command: the servers that run, and a database, inbox and folder of its own."""
    monkeypatch.setenv("ANALYSIS_HOME", str(home))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    monkeypatch.setenv("DOCDB_DATABASE", database)
    monkeypatch.setenv("JOB_INBOX", str(tmp_path / "inbox"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def invoke(_environment):
    """Give the function that runs a command in this process and checks its exit code."""

    def invoke(*words, code=0, **more):
        found = CliRunner().invoke(app, [str(word) for word in words], **more)
        assert found.exit_code == code, found.output
        assert "Traceback" not in found.output
        assert found.exception is None or isinstance(found.exception, SystemExit)
        return found

    return invoke


@pytest.fixture
def platform(_environment, tmp_path):
    """Open the platform of the same environment."""
    with open_platform(load_settings(env_file=tmp_path / "no.env")) as platform:
        yield platform


def write_job(name="job.json", **parameters):
    Path(name).write_text(
        json.dumps({"s3_location": ["s3://bucket/asset"], "distributed_parameters": parameters}), encoding="utf-8"
    )
    return name


def explained(invoke, target, *more):
    return json.loads(invoke("explain", NAME, target, "--json", *more).stdout)


def claim(platform, key):
    ledger = platform.connections.ledger
    version = platform.entry(NAME).code_version
    return ledger.claims.claim(
        ledger.jobs.get(NAME, key), attempt="a", owner="w", run_id="r", code_version=version, states=list(JobState)
    )


def add_result(platform, key, **changes):
    version = changes.get("code_version", platform.entry(NAME).code_version)
    found = rich(
        analysis=NAME,
        job_key=key,
        **({"code_version": version, "result_id": result_id(NAME, version, key)} | changes),
    )
    platform.connections.record_store.commit(to_record(found))
    return found


# -- submit and validate -------------------------------------------------------------------------------------------


def test_submit_stores_a_job_and_prints_its_key(invoke, platform):
    found = invoke(
        "submit", NAME, write_job(), "s3://bucket/other.nwb", "--set", "method=llobet", "--set", "x=1", code=2
    )
    assert "unknown key `x` (from by_hand)" in found.stderr
    found = invoke("submit", NAME, write_job(), "s3://bucket/other.nwb", "--set", "method=llobet")
    lines = [line.split(maxsplit=2) for line in found.stdout.splitlines()]
    assert [(line[0], line[2]) for line in lines] == [("new", "job.json"), ("new", "s3://bucket/other.nwb")]
    jobs = platform.connections.ledger.jobs.get_many(NAME, [line[1] for line in lines])
    assert {job.parameters["method"] for job in jobs.values()} == {"llobet"}
    assert {job.origins["method"] for job in jobs.values()} == {"by_hand"}


def test_submit_takes_an_nwb_file_and_a_zarr_folder(invoke):
    Path("a.nwb").write_bytes(b"")
    Path("b.nwb").mkdir()
    assert invoke("submit", NAME, "a.nwb", "b.nwb").stdout.count("new  ") == 2


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("submit", NAME, "nothing.json"), "nothing.json: there is no such file"),
        (
            ("submit", "nobody", "s3://b/a"),
            "There is no analysis `nobody`. The analyses are: foraging_choice_model, unit_quality",
        ),
        (("submit", NAME, "s3://b/a", "--set", "method"), "expected name=value"),
        (("submit", NAME, "s3://u:secret-word@b/a"), "user"),
        (("submit", NAME), "Missing argument"),
        (("explain", NAME, "0" * 64), "No job of `unit_quality` is stored under 0000"),
        (("explain", NAME, "s3://b/a", "--fixed", "nothing.json"), "nothing.json: cannot be read"),
        (("results", "nobody"), "There is no analysis `nobody`"),
        (("rerun", NAME, "--key", "x"), "No job of `unit_quality` is stored under x"),
        (("rerun", NAME), "exactly one of --failed, --kind, --outdated and --key"),
        (("rerun", NAME, "--failed", "--outdated"), "exactly one of"),
        (("rerun", NAME, "--failed", "--key", "x"), "exactly one of"),
        (("rerun", NAME, "--failed", "--force"), "--force and --reason go together"),
        (("rerun", NAME, "--failed", "--reason", "x"), "--force and --reason go together"),
        (("rerun", NAME, "--failed", "--force", "--reason", " "), "--force and --reason go together"),
        (("rerun", NAME, "--kind", "asleep"), "no kind of failure 'asleep'"),
        (("cancel", NAME), "exactly one of --key, --dispatch and --all"),
        (("cancel", NAME, "--all", "--key", "x"), "exactly one of"),
        (("invalidate", NAME, "--key", "x", "--reason", "y"), "No job of `unit_quality` is stored under x"),
        (("invalidate", NAME, "--key", "x", "--reason", " "), "must say why"),
        (("invalidate", NAME, "--key", "x"), "Missing option"),
        (("demo", "--data", "nothing"), "does not exist"),
        (("nonsense",), "No such command"),
    ],
)
def test_what_is_wrong_is_said_and_the_exit_code_is_2(invoke, words, reason):
    found = invoke(*words, code=2)
    assert " ".join(reason.split()) in " ".join(found.stderr.replace("│", " ").split())
    assert "secret-word" not in found.output


def test_validate_says_of_each_file_whether_it_is_good(invoke):
    Path("bad.json").write_bytes(b"{")
    found = invoke("validate", write_job(), "bad.json", "--analysis", NAME, code=2)
    good, bad = found.stdout.splitlines()
    assert good.startswith("job.json: valid  job ")
    assert bad.startswith("bad.json: rejected: Job file bad.json is not JSON")
    assert good.split()[-1] == explained(invoke, "job.json")["job_key"]


def test_validate_without_an_analysis_judges_the_file_and_warns(invoke):
    found = invoke("validate", write_job(dry_run=True, nonsense=1))
    assert found.stdout == "job.json: valid\n"
    found = invoke("validate", write_job(dry_run=True), "--analysis", NAME)
    assert "  warning: label `dry_run` in distributed_parameters is ignored" in found.stdout


def test_hostile_names_are_shown_escaped(invoke):
    name = "[red]\x1b[31m\r\u202ex[/nothing].json"
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_bytes(b"{")
    for found in (invoke("validate", name, code=2), invoke("submit", NAME, name, code=2)):
        assert "\x1b" not in found.output
        assert "\r" not in found.output
        assert "\u202e" not in found.output
        assert "[red]\\x1b[31m\\r\\u202ex[/nothing].json" in found.output
    assert plain("a[b]\n\t") == "a\\[b]\n\\t"


# -- explain -------------------------------------------------------------------------------------------------------


def test_explain_says_what_a_job_is_and_why(invoke, platform):
    write_job(method="llobet", dry_run=True)
    found = explained(invoke, "job.json")
    assert {
        "analysis",
        "job_key",
        "code_version",
        "result_id",
        "inputs",
        "parameters",
        "origins",
        "state",
        "reason",
    } <= found.keys()
    assert (found["state"], found["analysis"]) == ("unknown", NAME)
    invoke("submit", NAME, "job.json")
    assert explained(invoke, found["job_key"]) == {
        **found,
        "state": "new",
        "reason": explained(invoke, "job.json")["reason"],
        "history": explained(invoke, "job.json")["history"],
    }
    text = invoke("explain", NAME, found["job_key"]).stdout
    for shown in ("new: It waits", found["job_key"], found["result_id"], "s3://bucket/asset", '"llobet"'):
        assert shown in text
    assert "ignored label `dry_run` in distributed_parameters" in text
    assert "why           It would be the first result of this analysis." in text
    assert "requested by  file://" in text
    claimed = claim(platform, found["job_key"])
    assert explained(invoke, "job.json")["state"] == "running"
    error = JobError(kind="exception", message="[bold]no[/bold] [/x]", permanent=True)
    platform.connections.ledger.claims.fail(claimed, attempt="a", code_version=found["code_version"], error=error)
    assert explained(invoke, "job.json")["state"] == "failed"
    assert "[bold]no[/bold] [/x]" in invoke("explain", NAME, "job.json").stdout


def test_explain_takes_other_fixed_parameters(invoke):
    Path("fixed.json").write_text('{"fixed_parameters": {"method": "llobet"}}', encoding="utf-8")
    found = explained(invoke, "s3://b/a", "--fixed", "fixed.json")
    assert (found["parameters"]["method"], found["origins"]["method"]) == ("llobet", "fixed_parameters")


# -- results and rerun ---------------------------------------------------------------------------------------------


def test_results_are_listed_for_people_and_for_scripts(invoke, platform):
    assert json.loads(invoke("results", NAME, "--json").stdout) == []
    invoke("submit", NAME, write_job())
    key = explained(invoke, "job.json")["job_key"]
    new = add_result(platform, key, session_names=("[red]session[/x]",))
    old = add_result(platform, "b" * 64, code_version="0+earlier", session_names=(), ended=new.ended.replace(year=2030))
    listed = json.loads(invoke("results", NAME, "--json").stdout)
    assert [(r["result_id"], r["job_key"], r["state"]) for r in listed] == [
        (old.result_id, "b" * 64, "outdated"),
        (new.result_id, key, "done"),
    ]
    expected = {"location", "inputs", "parameters", "outputs", "code_version", "started", "ended"}
    assert expected <= listed[0].keys()
    assert listed[1]["outputs"] == new.outputs
    assert listed[1]["ended"] == new.ended.isoformat()
    text = invoke("results", NAME).stdout
    assert key in "".join(line.split("│")[-2].strip() for line in text.splitlines() if line.startswith("│"))
    assert "Jobs: 1 new, 0 running, 0 done, 0 failed" in text


def test_a_wide_terminal_shows_names_as_they_are(invoke, platform, monkeypatch):
    found = add_result(platform, "c" * 64, session_names=("[red]session[/x]",))
    monkeypatch.setattr("rich.console.Console.size", ConsoleDimensions(400, 25))
    text = invoke("results", NAME).stdout
    assert "[red]session[/x]" in text
    assert found.job_key in text


def test_rerun_asks_again_and_says_for_how_many(invoke, platform):
    invoke("submit", NAME, write_job("a.json"), write_job("b.json", method="llobet"))
    one, other = (explained(invoke, name)["job_key"] for name in ("a.json", "b.json"))
    version = platform.entry(NAME).code_version
    error = JobError(kind="exception", message="no", permanent=True)
    platform.connections.ledger.claims.fail(claim(platform, one), attempt="a", code_version=version, error=error)
    claim(platform, other)
    assert invoke("rerun", NAME, "--failed").stdout == "Requested again: 1.\n"
    assert explained(invoke, one)["state"] == "new"
    assert invoke("rerun", NAME, "--outdated").stdout == "Requested again: 0.\n"
    found = invoke("rerun", NAME, "--key", one, "--key", other, "--force", "--reason", "new drift")
    assert found.stdout == "Requested again: 1. 1 are running and left to their run.\n"
    assert "computed again: new drift" in explained(invoke, one)["reason"]


def test_rekey_names_the_jobs_whose_key_no_longer_fits(invoke, platform):
    invoke(
        "submit",
        NAME,
        write_job("a.json"),
        write_job("b.json", method="llobet"),
        write_job("c.json", min_firing_rate_hz=1),
    )
    assert invoke("rekey", NAME).stdout == "Jobs whose key changed: 0.\n"
    keys = [explained(invoke, name)["job_key"] for name in ("a.json", "b.json")]
    jobs = platform.connections.ledger.mongo.collection("results_jobs").raw
    changed = {"parameters.min_firing_rate_hz": 0.5, "origins.min_firing_rate_hz": "distributed_parameters"}
    jobs.update_one({"job_key": keys[0]}, {"$set": changed})
    jobs.update_one({"job_key": keys[1]}, {"$set": {"parameters.method": "[red]", "parameters.x": 1}})
    *lines, last = invoke("rekey", NAME).stdout.splitlines()
    assert last == "Jobs whose key changed: 2."
    reported = dict(line.split(" -> ") for line in lines)
    assert explained(invoke, reported[keys[0]])["state"] == "new"
    assert reported[keys[1]].startswith("cannot be taken over: Parameters do not fit")
    assert "[red]" in reported[keys[1]]


# -- the platform fails --------------------------------------------------------------------------------------------


def test_when_the_platform_fails_the_exit_code_is_1(invoke, monkeypatch, tmp_path):
    (home := tmp_path / "[home]").mkdir()
    (home / "logs").touch()  # no server can write its log there
    monkeypatch.setenv("ANALYSIS_HOME", str(home))
    assert f"The platform failed: The supervisor of {home} ended" in invoke("results", NAME, code=1).stderr


def test_a_bad_setting_is_said(invoke, monkeypatch):
    monkeypatch.setenv("DOCDB_DATABASE", "no name")
    assert "DOCDB_DATABASE cannot be used" in invoke("results", NAME, code=2).stderr


def test_a_demo_whose_jobs_failed_ends_with_exit_code_1(invoke, platform, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "session.nwb").touch()
    (location,) = own_sessions(tmp_path / "data")
    error = JobError(kind="exception", message="no", permanent=True).model_dump()
    for name, sets in PARAMETER_SETS.items():
        for parameters in sets:
            (job,) = submit(platform, name, [location], by_hand=parameters)
            version, ledger = platform.entry(name).code_version, platform.connections.ledger
            ledger.claims.mark_unclaimed(
                ledger.jobs.get(name, job.job_key), state=JobState.FAILED, code_version=version, error=error
            )
    for file in job_files(platform, [location]):  # what the daemon would note
        platform.connections.inbox_notes.save(file.analysis, [FileNote(f"demo-again/{file.name}", "seen")])
    with only_one_daemon(platform.settings):
        shown = invoke("demo", "--data", tmp_path / "data", code=1).stdout
    assert "First pass: 3 job files, 0 computed, 3 already there." in shown


def test_dev_ends_with_dagsters_exit_code(invoke, monkeypatch, tmp_path):
    (python := tmp_path / "python").write_text("#!/bin/sh\nexit 3\n", encoding="ascii")
    python.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(python))
    port = free_port(0)
    assert f"Dagster UI   http://127.0.0.1:{port}" in invoke("dev", "--port", port, code=3).stdout


@pytest.mark.parametrize("words", [("--help",), ("submit", "--help"), ("rerun", "--help")])
def test_help_is_given(invoke, words):
    assert "Usage" in invoke(*words).stdout


# -- as a process of its own ---------------------------------------------------------------------------------------


def run(*words):
    command = [sys.executable, "-c", "from cli.main import main; main()", *words]
    return subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_other_processes_share_the_servers_of_this_one(platform, tmp_path):
    submitted = run("submit", NAME, str(tmp_path / write_job()))
    assert (submitted.returncode, submitted.stderr) == (0, "")
    key = submitted.stdout.split()[1]
    assert platform.connections.ledger.jobs.get(NAME, key).state is JobState.NEW
    add_result(platform, key)
    (listed,) = json.loads(run("results", NAME, "--json").stdout)
    assert listed["job_key"] == key
    failed = run("explain", NAME, "nothing.json")
    assert (failed.returncode, failed.stdout) == (2, "")
    assert "there is no such file" in failed.stderr
    assert "Traceback" not in failed.stderr


# -- new, try, describe --------------------------------------------------------------------------------------------


def test_an_analysis_is_described(invoke):
    text = invoke("describe", NAME).stdout
    assert "Which units of a session are well isolated?" in text
    assert "check enough_units_pass: At least one unit in twenty passes" in text
    described = json.loads(invoke("describe", NAME, "--json").stdout)
    assert {"name": "refractory_period_ms", "unit": "ms"}.items() <= described["parameters"][4].items()
    assert "There is no analysis `nothing`" in invoke("describe", "nothing", code=2).output


def test_a_job_is_tried_in_the_foreground(invoke, monkeypatch, tmp_path):
    monkeypatch.setenv("ANALYSIS_HOME", str(tmp_path / "other"))
    session = write_session(tmp_path / "s.nwb", seed=1, n_units=2, duration_s=30.0).path
    text = invoke("try", NAME, session, "--set", "method=llobet").stdout
    assert "n_units" in text
    assert "nothing was stored or posted" in text


def test_the_debugger_opens_where_a_tried_job_raises(invoke, monkeypatch, tmp_path):
    monkeypatch.setenv("ANALYSIS_HOME", str(tmp_path / "other"))
    (session := tmp_path / "s.nwb").touch()
    words, lab = ("try", "misbehave", session, "--set", "mode=raise"), Folders(analyses=PROJECT_ROOT / "tests" / "lab")
    assert "(Pdb)" not in invoke_raising(*words, obj=lab)
    assert "(Pdb)" in invoke_raising(*words, "--pdb", obj=lab)


def invoke_raising(*words, obj):
    """Run a command that shows the traceback of an analysis; gives what it printed."""
    tracing = sys.gettrace()  # the debugger ends it, and with it the measuring of coverage in this process
    try:
        found = CliRunner().invoke(app, [str(word) for word in words], obj=obj)
    finally:
        sys.settrace(tracing)
    assert found.exit_code == 2
    assert "ValueError: the scientist's own error" in found.stderr
    return found.stdout


def test_a_new_analysis_is_written_and_named(invoke, monkeypatch, tmp_path):
    (tmp_path / "analysis_assets").mkdir()
    (tmp_path / "page.md").write_text("# Analyses\n")
    folders = Folders(tmp_path / "analysis_assets", tmp_path, tmp_path / "page.md")
    text = invoke("new", "spike_sum", obj=folders).stdout
    assert f"wrote {tmp_path / 'analysis_assets' / 'spike_sum.py'}" in text
    assert "analysis try spike_sum FILE" in text
    assert "cannot be the name of an analysis" in invoke("new", "Spike Sum", code=2, obj=folders).output
    monkeypatch.delitem(sys.modules, "analysis_assets.spike_sum", raising=False)


def test_jobs_are_cancelled_and_results_invalidated_and_the_history_shows_them(invoke, platform):
    invoke("submit", NAME, "s3://b/one", "s3://b/two")
    ledger, version = platform.connections.ledger, platform.entry(NAME).code_version
    one, other = ledger.jobs.keys_in(NAME, JobState.NEW)
    assert invoke("cancel", NAME, "--key", one, "--reason", "no").stdout.startswith("Cancelled: 1.")
    assert invoke("cancel", NAME, "--dispatch", "nobody").stdout.startswith("Cancelled: 0.")
    result = result_id(NAME, version, other)
    record = to_record(rich(analysis=NAME, job_key=other, code_version=version, result_id=result))
    platform.connections.record_store.commit(record)
    found = invoke("invalidate", NAME, "--key", other, "--reason", "bad [clock]").stdout
    assert f"invalidated  {result}" in found
    assert "bad [clock]" in invoke("results", NAME, "--superseded").stdout
    (old,) = json.loads(invoke("results", NAME, "--superseded", "--json").stdout)
    assert (old["job_key"], old["how"], old["reason"]) == (other, "invalidated", "bad [clock]")


def test_jobs_that_changed_while_results_were_invalidated_are_named_after_the_results(capsys):
    with pytest.raises(typer.Exit) as ended:
        show_invalidation(NAME, Invalidation(results=("0" * 64,), changed=("key-one", "key-two")))
    shown = capsys.readouterr()
    assert ended.value.exit_code == 1
    assert shown.out.startswith(f"invalidated  {'0' * 64}\nTo compute again:")
    for key in ("key-one", "key-two"):
        assert f"Could not invalidate the result of job {key} of `{NAME}`: the job changed meanwhile" in shown.err
    with pytest.raises(typer.Exit):
        show_invalidation(NAME, Invalidation(results=(), changed=("key-one",)))
    assert capsys.readouterr().out == ""


def test_an_audit_shows_what_differs_and_repairs_it_with_an_option(invoke, platform):
    invoke("submit", NAME, "s3://b/one")
    ledger = platform.connections.ledger
    (key,) = ledger.jobs.keys_in(NAME, JobState.NEW)
    assert "Compared: " in invoke("audit", NAME).stdout
    ledger.claims.mark_unclaimed(ledger.jobs.get(NAME, key), state=JobState.DONE, code_version="1", result_id="0" * 64)
    shown = invoke("audit", NAME, code=1).stdout
    assert "1 done_without_record: A job that is done but has no record." in shown
    reported = json.loads(invoke("audit", NAME, "--json", code=1).stdout)
    assert [f["job_key"] for f in reported["findings"] if f["kind"] == "done_without_record"] == [key]
    assert "Repaired: 1 done_without_record." in invoke("audit", NAME, "--repair", "--yes").stdout
    assert ledger.jobs.get(NAME, key).state is JobState.NEW


def test_clean_lists_and_removes_nothing_young(invoke, platform):
    assert "0 attempts, 0 bytes." in invoke("clean", "--yes").stdout
    assert "younger than an hour" in " ".join(invoke("clean", "--older-than", "0h", code=2).stderr.split())


def test_the_circuit_breaker_is_shown_and_closed(invoke, platform):
    version = platform.entry(NAME).code_version
    found = trip([JobError(kind="exception", message="no", permanent=True)] * 10, Breaker())
    platform.connections.ledger.breakers.open(NAME, code_version=version, found=found, seen=None)
    assert "The circuit breaker is open since" in invoke("results", NAME).stdout
    invoke("submit", NAME, "s3://b/one")
    assert "The circuit breaker is open since" in invoke("explain", NAME, "s3://b/one").stdout
    assert "is closed; the sensor" in invoke("resume", NAME).stdout
    assert "is not open" in invoke("resume", NAME).stdout
    assert "circuit breaker" not in invoke("results", NAME).stdout


def test_a_test_alert_says_how_each_hook_answered(invoke, monkeypatch):
    assert "No hook for alerts is configured" in " ".join(invoke("alerts", code=2).stderr.split())
    with webhook() as (url, posted):
        monkeypatch.setenv("ALERT_WEBHOOK_URL", url)
        assert invoke("alerts").stdout == "ALERT_WEBHOOK_URL: delivered\n"
    assert posted[0][1]["title"] == "Test of the alerts"
    with webhook(500) as (url, _):
        monkeypatch.setenv("ALERT_WEBHOOK_URL", url)
        assert invoke("alerts", code=1).stdout == "ALERT_WEBHOOK_URL: it answered 500\n"
