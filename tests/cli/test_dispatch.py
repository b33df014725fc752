"""`analysis dispatch`: the same options as in the launchpad, and recorded in Dagster like there."""

import json
import re
import shlex
from datetime import UTC, datetime

import dagster as dg
import pytest
from typer.testing import CliRunner

from cli.dispatch.command import WORDS
from cli.dispatch.run import run_dispatch, save_dispatch
from cli.main import app
from dispatch.model.options import DispatchOptions, read_options
from dispatch.model.skips import Reason
from dispatch.recording import dispatch_key_of
from dispatch.saved import read_saved
from domain.errors import DispatchError, UnknownJobError
from examples.sessions import DATA_BUCKET, SessionTruth, UnitTruth, metadata_record
from operations.platform import open_platform
from resources.settings import PROJECT_ROOT, load_settings

NAME = "unit_quality"
PAGE = (PROJECT_ROOT / "docs" / "dispatch.md").read_text(encoding="utf-8")
EXAMPLES = list(dict.fromkeys(re.findall(r"^analysis (dispatch .*)$", PAGE, re.MULTILINE)))


def ignore(*_):
    """Take a step of progress, and do nothing about it."""


@pytest.fixture
def assets(platform):
    """Give the collection of assets, with two records."""
    found = platform.connections.asset_records.mongo.collection("data_assets").raw
    found.insert_many([{"_id": f"id-{n}", "name": n, "location": f"s3://b/{n}", "k": n} for n in ("one", "two")])
    return found


@pytest.fixture
def invoke(settings, platform, assets):
    """Give the function that runs the command in this process and checks its exit code."""

    def invoke(*words, code=0, check="none"):
        given = ["dispatch", NAME, *(str(word) for word in words), *(["--check-inputs", check] if check else [])]
        found = CliRunner().invoke(app, given)
        assert found.exit_code == code, found.output
        assert "Traceback" not in found.output
        return found

    return invoke


def files(platform, name=NAME):
    return platform.connections.job_inbox.list_files(name)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_of_the_documentation_can_be_copied(example, settings, platform, s3, monkeypatch, tmp_path):
    monkeypatch.setenv("DISPATCHES", str(tmp_path / "dispatches"))
    s3.ensure_bucket(DATA_BUCKET)
    sessions = [(f"ecephys_70000{n}_2024-05-0{n}_10-00-00", f"70000{n}", "ecephys") for n in (1, 2)]
    for name, subject, modality in sessions:
        start = datetime(2024, 5, 1, 10, tzinfo=UTC)
        units = (UnitTruth(0, "clean", spike_count=1, contamination=0.0, active_share=1.0, missed_share=0.0),)
        truth = SessionTruth(tmp_path, name, subject, modality, start, duration_s=1.0, units=units)
        platform.connections.asset_records.mongo.collection("data_assets").raw.insert_one(metadata_record(truth))
        s3.client.put_object(Bucket=DATA_BUCKET, Key=f"{name}/{name}.nwb", Body=b"x")
    (tmp_path / "query.json").write_text('{"subject.subject_id": "700001"}', encoding="utf-8")
    (tmp_path / "assets.csv").write_text("asset_id\nx\n", encoding="utf-8")
    found = CliRunner().invoke(app, shlex.split(example))
    assert found.exit_code == 0, found.output
    assert " found; " in found.output or "Saved as" in found.output
    assert not re.search("[1-9].* records? found; 0 jobs to write", found.output)
    assert "Warning" not in found.output


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_documented(reason):
    assert f"`{reason}`" in PAGE or f"`` {reason} ``" in PAGE


@pytest.mark.parametrize("option", DispatchOptions.model_fields)
def test_every_option_is_on_the_page(option):
    assert f"`{option}`" in PAGE


def test_every_option_has_a_word():
    assert set(WORDS) == set(DispatchOptions.model_fields)


def test_a_plan_is_shown_and_nothing_is_written(invoke, platform, settings):
    found = invoke("--query", "{}", "--plan")
    assert "2 records found; 2 jobs to write; 0 left out." in found.stdout
    assert "s3://b/one" in found.stdout
    assert "Nothing was written. Leave out --plan to write it." in found.stdout
    assert not files(platform)
    assert not settings.dagster_home.exists()


def test_a_dispatch_is_written_and_recorded_in_dagster(invoke, platform, settings):
    found = invoke("--query", '{"name": "one"}', "--set", "method=llobet")
    assert "1 job files were written to file://" in found.stdout
    (file,) = files(platform)
    with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        event = instance.get_latest_materialization_event(dispatch_key_of(NAME)).asset_materialization
    assert event.metadata["who"].value.endswith(", from the command line")
    assert event.metadata["dispatch id"].value in file.name
    assert "already" not in found.stdout
    again = invoke("--query", '{"name": "one"}', "--set", "method=llobet")
    assert "1  requested by a file in the inbox that is not ingested yet" in again.stdout
    assert "0 job files were written" in again.stdout


def test_queries_parameters_and_sweeps_may_be_files(invoke, tmp_path):
    (tmp_path / "query.json").write_text('{"name": "one"}', encoding="utf-8")
    (tmp_path / "parameters.json").write_text('{"analysis_parameter": {"method": "llobet"}}', encoding="utf-8")
    (tmp_path / "sweep.json").write_text('{"presence_bin_s": {"start": 10, "stop": 30, "step": 10}}', encoding="utf-8")
    words = ["--query", "query.json", "--parameters", "parameters.json", "--sweep", "sweep.json", "--plan", "--json"]
    reported = json.loads(invoke(*words).stdout)
    assert reported["counts"] == {"write": 3}
    assert [job["distributed_parameters"] for job in reported["jobs"]] == [{"presence_bin_s": n} for n in (10, 20, 30)]


def test_a_csv_of_asset_ids_is_read(invoke, assets, tmp_path):
    assets.insert_one({"_id": "x", "name": "x", "location": "s3://b/x", "other_identifiers": {"Code Ocean": ["a-1"]}})
    (tmp_path / "ids.csv").write_bytes(b"\xef\xbb\xbfname,asset_id\r\nx,a-1\r\ny,a-2\r\n")
    reported = json.loads(invoke("--asset-csv", "ids.csv", "--plan", "--json").stdout)
    assert reported["counts"] == {"write": 1, "no record was found": 1}
    (tmp_path / "ids.csv").write_bytes("asset_id\nä\n".encode("utf-16"))
    assert "is not UTF-8" in invoke("--asset-csv", "ids.csv", code=2).stderr


def test_a_file_that_is_too_large_is_refused(invoke, tmp_path):
    (tmp_path / "ids.csv").write_bytes(b"asset_id\n" + b"x" * 1024 * 1024)
    assert "ids.csv: is larger than 1 MiB" in invoke("--asset-csv", "ids.csv", code=2).stderr


def test_options_that_take_several_values_are_given_again(invoke):
    words = ["--record", "one", "--record", "id-two", "--group-by", "k", "--group-by", "name"]
    reported = json.loads(invoke(*words, "--group-parameter", "k=analysis_tag", "--plan", "--json").stdout)
    assert sorted(job["distributed_parameters"]["analysis_tag"] for job in reported["jobs"]) == ["one", "two"]
    assert reported["query"] is None


def test_choices_and_switches_are_passed_on(invoke):
    words = ["--query", "{}", "--group-by", "nothing", "--plan", "--json"]
    assert json.loads(invoke(*words).stdout)["counts"] == {"write": 0, "no value to group or filter by": 2}
    assert json.loads(invoke(*words, "--keep-null-groups").stdout)["counts"] == {"write": 2}, "never pooled"
    lists = '{"presence_bin_s": [10, 20], "min_firing_rate_hz": [1, 2]}'
    zipped = invoke("--query", "{}", "--sweep", lists, "--sweep-mode", "zip", "--plan", "--json")
    assert json.loads(zipped.stdout)["counts"] == {"write": 4}


def test_warnings_are_shown(invoke):
    found = invoke("--query", '{"nme": "one"}', "--plan")
    assert "No record has a field `nme`: did you mean `name`?" in " ".join(found.stderr.split())


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((), "choose assets in one way"),
        (("--query", '{"$where": "1"}'), "`$where` at the top is not allowed: it runs code on the server"),
        (("--query", "nothing.json"), "nothing.json: cannot be read"),
        (("--query", "{}", "--asset-csv", "nothing.csv"), "nothing.csv: cannot be read"),
        (("--query", "{}", "--sweep", '{"metho": ["hill"]}'), "did you mean `method`?"),
        (("--query", "{}", "--max-jobs", "0"), "`max_jobs`: Input should be greater"),
        (("--query", "{}", "--sweep-mode", "both"), "'both' is not one of"),
        (("--query", "{}", "--save", "x"), "`--save` (a name) and `--cron` (times) go together"),
        (("--query", "{}", "--cron", "1 1 * * *"), "go together"),
        (("--query", "{}", "--save", "../x", "--cron", "1 1 * * *"), "Not a name for a dispatch"),
        (("--query", "{}", "--save", "x", "--cron", "at night"), "its times cannot be used"),
    ],
)
def test_what_is_wrong_is_said_and_the_exit_code_is_2(invoke, platform, words, reason):
    found = invoke(*words, code=2)
    assert reason in " ".join(found.stderr.replace("│", " ").split())
    assert not files(platform)


def test_inputs_are_checked_unless_that_is_not_wanted(invoke, assets, tmp_path):
    assets.update_many({}, {"$set": {"location": (tmp_path / "nothing").as_uri()}})
    reported = json.loads(invoke("--query", "{}", "--plan", "--json", check=None).stdout)
    assert reported["counts"] == {
        "write": 0,
        "the input does not exist, or cannot be read": 1,
        "the same job twice in this dispatch": 1,
    }


def test_with_dry_run_nothing_is_written(platform, assets):
    dry = type(platform)(platform.settings.model_copy(update={"dry_run": True}), platform.folder, platform.connections)
    options = read_options({"query": "{}", "check_inputs": "none"})
    done = run_dispatch(dry, "double", options, plan_only=False, progress=ignore)
    assert (done.written, done.message) == (None, "Nothing was written, because DRY_RUN is set.")
    assert not files(platform, "double")
    with pytest.raises(DispatchError, match="Nothing was saved, because DRY_RUN is set"):
        save_dispatch(dry, "double", options, name="nightly", cron="30 2 * * *")


def test_a_dagster_home_that_an_operator_has_configured_stays_as_it_is(platform, assets, settings):
    settings.dagster_home.mkdir(parents=True)
    own = settings.dagster_home / "dagster.yaml"
    own.write_text("telemetry:\n  enabled: false\n", encoding="utf-8")
    options = read_options({"query": "{}", "check_inputs": "none"})
    assert run_dispatch(platform, "double", options, plan_only=False, progress=ignore).written.files == 2
    assert own.read_text(encoding="utf-8") == "telemetry:\n  enabled: false\n"


def test_a_dispatch_that_could_not_be_recorded_is_not_written(platform, assets, settings):
    settings.dagster_home.mkdir(parents=True)
    (settings.dagster_home / "dagster.yaml").write_text("nonsense: 1\n", encoding="utf-8")
    options = read_options({"query": "{}", "check_inputs": "none"})
    with pytest.raises(dg.DagsterInvalidConfigError, match="nonsense"):
        run_dispatch(platform, "double", options, plan_only=False, progress=ignore)
    assert not files(platform, "double")


def test_a_dispatch_can_be_saved_and_is_never_written_over(platform, settings, monkeypatch, tmp_path):
    settings = settings.model_copy(update={"dispatches": tmp_path / "dispatches"})
    other = type(platform)(settings, platform.folder, platform.connections)
    options = read_options({"query": {"name": "one"}, "sweep": {"number": [1]}})
    path = save_dispatch(other, "double", options, name="nightly", cron="30 2 * * *")
    assert read_saved(path, analyses=["double"]).dispatch_options() == options
    assert [file.name for file in path.parent.iterdir()] == ["nightly.json"]
    with pytest.raises(DispatchError, match=r"is saved as .* already"):
        save_dispatch(other, "double", options, name="nightly", cron="30 2 * * *")
    with pytest.raises(DispatchError, match="there is no analysis `nobody`"):
        save_dispatch(other, "nobody", options, name="other", cron="30 2 * * *")
    assert [file.name for file in path.parent.iterdir()] == ["nightly.json"]


def test_the_command_saves_what_it_was_given(invoke, monkeypatch, tmp_path):
    monkeypatch.setenv("DISPATCHES", str(tmp_path / "saved"))
    found = invoke(
        "--query", "{}", "--filter-latest", "t", "--filter-by", "k", "--save", "nightly", "--cron", "1 1 * * *"
    )
    assert "Reload the code location" in found.stdout
    saved = json.loads((tmp_path / "saved" / "nightly.json").read_text(encoding="utf-8"))
    assert saved == {
        "analysis": NAME,
        "cron": "1 1 * * *",
        "options": {"query": "{}", "filter_latest": "t", "filter_by": ["k"], "check_inputs": "none"},
    }


def test_an_analysis_that_does_not_exist_is_named(settings, tmp_path):
    with (
        open_platform(load_settings(env_file=tmp_path / "no.env")) as platform,
        pytest.raises(UnknownJobError, match="nobody"),
    ):
        run_dispatch(platform, "nobody", read_options({"query": "{}"}), plan_only=True, progress=ignore)
