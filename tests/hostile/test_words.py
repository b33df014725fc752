"""Words on the command line: names of analyses, keys, kinds, targets. Nothing of them becomes a path, an operator or a crash."""

import json
import os

import pytest
from typer.testing import CliRunner

from cli.main import app
from tests.hostile.watching import tree

NAMES = [
    *(
        "../unit_quality",
        "/etc/passwd",
        "..",
        ".",
        "",
        "unit_quality/../unit_quality",
        "unit_quality.py",
        "$gt",
        '{"$gt": ""}',
    ),
    *(
        "unit_quality\n",
        "UNIT_QUALITY",
        "unit_quality ",
        "a" * 5000,
        "\u202eunit_quality",
        "un\u0456t_quality",
        "_asset",
        "__init__",
    ),
    *("s3://bucket/x", "-1", "*", "%2e%2e", "a;reboot", "$(reboot)"),
]


@pytest.fixture
def invoke(monkeypatch, servers, home, database, tmp_path, watched):
    """Give the function that runs a command, which may refuse and may not crash."""
    monkeypatch.setenv("ANALYSIS_HOME", str(home))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    monkeypatch.setenv("DOCDB_URI", watched[0])
    monkeypatch.setenv("DOCDB_DATABASE", database)
    monkeypatch.setenv("JOB_INBOX", str(tmp_path / "inbox"))
    monkeypatch.chdir(tmp_path)

    def invoke(*words):
        found = CliRunner().invoke(app, [str(word) for word in words])
        assert found.exception is None or isinstance(found.exception, SystemExit), (words, found.exception)
        assert "Traceback" not in found.output
        return found

    return invoke


def test_a_name_that_is_not_an_analysis_is_refused_by_every_command(invoke, commands, tmp_path):
    (tmp_path / "job.json").write_text('{"s3_location": ["s3://b/a"]}', encoding="utf-8")
    (tmp_path / "inbox").mkdir()
    before = tree(tmp_path)
    for name in NAMES:
        for words in (
            ["describe", "--", name],
            ["results", "--", name],
            ["submit", "--", name, "job.json"],
            ["explain", "--", name, "job.json"],
            ["try", "--", name, "job.json"],
            ["new", "--", name],
            ["rerun", "--failed", "--", name],
            ["rekey", "--", name],
            ["dispatch", "--plan", "--query", "{}", "--", name],
            ["validate", "--analysis", name or " ", "job.json"],
        ):
            assert invoke(*words).exit_code == 2, words
    assert tree(tmp_path) == before


@pytest.mark.parametrize("word", ["$gt", '{"$gt": ""}', "../x", "a\nb", "x" * 5000, "\u202e", "[red]x[/red]", "%00"])
def test_keys_and_targets_are_words_and_nothing_else(invoke, commands, word):
    for words in (
        ["rerun", "unit_quality", "--key", word],
        ["rerun", "unit_quality", "--kind", word],
        ["cancel", "unit_quality", "--key", word],
        ["cancel", "unit_quality", "--dispatch", word],
        ["invalidate", "unit_quality", "--key", word, "--reason", "r"],
        ["explain", "unit_quality", word],
        ["submit", "unit_quality", "--", word],
        ["submit", "unit_quality", "s3://b/x.nwb", "--set", f"method={word}"],
        ["submit", "unit_quality", "s3://b/x.nwb", "--set", f"{word}=1"],
        ["validate", "--", word],
        ["dispatch", "unit_quality", "--plan", "--query", word],
        ["dispatch", "unit_quality", "--query", "{}", "--save", word, "--cron", "0 0 * * *"],
    ):
        found = invoke(*words)
        assert found.exit_code in {0, 1, 2}, words
        assert "\u202e" not in found.output
    assert json.dumps(sorted(os.listdir())) in {'["inbox"]', "[]"}  # noqa: PTH208  relative, as commands see it


@pytest.mark.parametrize("kind", ["fifo", "zero", "loop", "folder", "deep", "large", "binary"])
def test_targets_that_are_not_job_files_are_refused(invoke, tmp_path, kind):
    path = tmp_path / "x.json"
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "zero":
            path.symlink_to("/dev/zero")
        case "loop":
            path.symlink_to("x.json")
        case "folder":
            path.mkdir()
        case "deep":
            path.write_bytes(b"[" * 10_000)
        case "large":
            path.write_bytes(b" " * 10_000_000)
        case "binary":
            path.write_bytes(bytes(range(256)))
    assert invoke("validate", str(path)).exit_code == 2
    assert invoke("submit", "unit_quality", str(path)).exit_code in {0, 2}
    if kind in {"deep", "large", "binary"}:
        assert invoke("submit", "unit_quality", str(path)).exit_code == 2


CONDITIONS = [
    *("$where=1", "$gt=1", "a.$b=1", 'presence_ratio_cutoff={"$gt": 0}', "presence_ratio_cutoff=[1]", "=1", "", "\0=1"),
    *(
        "parameters.$where=1",
        "parameters.=1",
        "outputs.n_units.$gt=1",
        "__class__=1",
        "model_fields=1",
        "n_units=" + "9" * 300,
    ),
    *("n_units=NaN", "n_units=\ud800", "method=\ud800", "x" * 5000, "n_units=" + "[" * 300, "\u202e=1"),
]


@pytest.mark.parametrize("word", CONDITIONS)
def test_conditions_on_results_are_words_and_nothing_else(invoke, commands, word):
    assert invoke("results", "unit_quality", f"--where={word}").exit_code == 2


@pytest.mark.parametrize("word", ["$gt", '{"$gt": ""}', "../x", "a\nb", "[red]x[/red]", "a.b", "parameters.method"])
def test_subjects_sessions_and_versions_are_only_compared(invoke, commands, word):
    for option in ("subject", "session", "code"):
        assert invoke("results", "unit_quality", f"--{option}={word}", "--json").stdout.strip() == "[]"
    assert invoke("results", "unit_quality", f"--after={word}").exit_code == 2
    assert invoke("archive", "unit_quality", f"--before={word}").exit_code == 2
    assert invoke("archive", "unit_quality", f"--key={word}").exit_code == 2
