"""One job in the foreground: what it shows, where it leaves its files, and that nothing else is touched."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from cli.try_job.run import prepare
from cli.try_job.show import show_trial
from domain.errors import InputError, ParametersError, UnknownJobError
from resources.mongo import MongoConnection
from resources.settings import PROJECT_ROOT, Settings

LAB = Path(__file__).parents[1] / "lab"
METADATA = Path(__file__).parents[1] / "lab_metadata"
COMMANDS = Path(__file__).parents[1] / "lab_commands"


@pytest.fixture
def settings(tmp_path):
    """Give settings of a folder in which no server runs."""
    return Settings(analysis_home=tmp_path / "home")


@pytest.fixture
def trial(settings, tmp_path):
    """Give a function that prepares a job of one of the analyses for tests."""
    (tmp_path / "session.nwb").write_text("a\n", encoding="utf-8")

    def trial(name="misbehave", target=None, folder=LAB, **by_hand):
        target = target or str(tmp_path / "session.nwb")
        return prepare(name, target, settings=settings, by_hand=by_hand, folder=folder)

    return trial


def test_outputs_checks_and_places_are_shown(trial, settings, capsys):
    made = trial("double", number=-2.5)
    assert show_trial(made, debug=False)
    shown = capsys.readouterr().out
    assert "-5.0" in shown
    assert "check is_positive does not pass: -5.0 is not above zero" in shown
    assert f"files    {settings.analysis_home}/try/double/results" in shown
    assert made.job.job_key in shown
    assert "nothing was stored or posted" in shown
    assert (settings.analysis_home / "try" / "double" / "results" / "double.txt").read_text() == "-5.0\n"
    assert made.figure is None


def test_declared_metadata_is_read_from_the_metadata_database(docdb_uri, database, tmp_path):
    mongo = MongoConnection(uri=docdb_uri, database=database)
    mongo.collection("data_assets").raw.insert_one({"_id": "r", "name": "session", "location": tmp_path.as_uri()})
    settings = Settings(
        analysis_home=tmp_path / "home",
        docdb_uri=SecretStr(docdb_uri),
        assets_database=database,
        assets_collection="data_assets",
    )
    job = {"file_location": (tmp_path / "a.nwb").as_uri(), "group_metadata": {"subject": "7"}}
    (tmp_path / "job.json").write_text(json.dumps(job), encoding="utf-8")
    made = prepare("described", str(tmp_path / "job.json"), settings=settings, by_hand={}, folder=METADATA)
    assert made.run().outputs == {"names": ["session"], "group": ["subject=7"]}


def test_the_figure_is_named(trial, capsys):
    made = trial(mode="figure")
    assert show_trial(made, debug=False)
    assert f"figure   {made.figure}" in capsys.readouterr().out


def test_a_number_that_is_not_finite_is_reported(trial, capsys):
    assert show_trial(trial(mode="not_finite"), debug=False)
    assert "None (not finite)" in capsys.readouterr().out


def test_what_it_prints_is_seen_at_once(trial, capfd):
    assert show_trial(trial(mode="print"), debug=False)
    shown = capfd.readouterr().out
    assert "printed by the analysis" in shown
    assert "printed by a child" in shown


def test_the_traceback_is_the_analysis_own(trial, capsys):
    assert not show_trial(trial(mode="raise"), debug=False)
    reported = capsys.readouterr().err
    assert "ValueError: the scientist's own error" in reported
    assert "in _fails_here" in reported
    assert "/cli/" not in reported
    assert "/engine/" not in reported


def test_the_debugger_opens_where_it_raises(trial, monkeypatch):
    opened = []
    monkeypatch.setattr("pdb.post_mortem", opened.append)
    assert not show_trial(trial(mode="raise"), debug=True)
    (trace,) = opened
    while trace.tb_next is not None:
        trace = trace.tb_next
    assert trace.tb_frame.f_code.co_name == "_fails_here"


def test_a_command_that_fails_says_so(trial, capfd):
    assert not show_trial(trial("shell", folder=COMMANDS, mode="fail"), debug=False)
    reported = capfd.readouterr().err
    assert "no such method" in reported
    assert "`sh` ended with exit code 3" in reported


def test_the_next_try_begins_with_an_empty_folder(trial):
    first = trial()
    (first.task.results / "old.txt").touch()
    assert list(trial().task.results.iterdir()) == []


def test_a_job_file_and_fixed_parameters_are_taken_as_the_platform_takes_them(settings, tmp_path):
    (job := tmp_path / "job.json").write_text('{"s3_location": ["s3://b/a"], "distributed_parameters": {"number": 7}}')
    (fixed := tmp_path / "fixed.json").write_text('{"fixed_parameters": {"number": 1, "note": "x"}}')
    made = prepare("misbehave", str(job), settings=settings, by_hand={"mode": "fine"}, fixed_file=fixed, folder=LAB)
    assert made.job.parameters == {"mode": "fine", "number": 7, "note": "x", "seconds": 0.0}
    assert made.job.origins["note"] == "fixed_parameters"


def test_what_is_wrong_is_said_before_anything_runs(trial, settings, tmp_path):
    with pytest.raises(UnknownJobError, match="There is no analysis `nothing`"):
        trial("nothing")
    with pytest.raises(ParametersError, match="did you mean `number`"):
        trial("double", numbr=1)
    with pytest.raises(InputError, match="there is no such file"):
        trial(target=str(tmp_path / "missing.nwb"))
    assert not (settings.analysis_home / "try").exists()


def test_inputs_are_refused_with_the_platforms_words(trial, tmp_path):
    made = trial("shell", target=(tmp_path / "missing.nwb").as_uri(), folder=COMMANDS)
    with pytest.raises(InputError, match="missing"):
        show_trial(made, debug=False)


def test_no_server_is_started_and_dagster_is_not_imported(tmp_path):
    code = (
        "import sys; from pathlib import Path; from cli.try_job.run import prepare;"
        "from cli.try_job.show import show_trial; from resources.settings import Settings;"
        f"trial = prepare('double', {str(tmp_path / 'a.nwb')!r}, settings=Settings(), by_hand={{}}, folder=Path({str(LAB)!r}));"
        "ok = show_trial(trial, debug=False);"
        "sys.exit(0 if ok and not {'dagster', 'pymongo'} & set(sys.modules) else 1)"
    )
    (tmp_path / "a.nwb").touch()
    home = tmp_path / "home"
    environment = {**os.environ, "ANALYSIS_HOME": str(home)}
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, env=environment, check=False)
    assert done.returncode == 0
    assert [p.name for p in home.iterdir()] == ["try"]
