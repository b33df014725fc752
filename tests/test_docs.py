"""The documentation is true: what is there is documented, and what is documented is there."""

import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import get_args

import pytest
import typer
import yaml

from audit.findings import KINDS
from cli.explain.run import ShownState
from cli.main import app
from cli.tools.reference import refreshed
from domain import errors
from domain.analysis import Analysis
from domain.command import Command
from domain.failures import FailureKind
from engine.discovery.analyses import find_analyses, load_analysis
from resources.settings import RETIRED, Settings

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ERRORS = [name for name, found in vars(errors).items() if isinstance(found, type) and issubclass(found, Exception)]
COMMANDS = typer.main.get_command(app).commands
ANALYSES = find_analyses()
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def text_of(*parts):
    """Read a file of the project."""
    return ROOT.joinpath(*parts).read_text(encoding="utf-8")


def rows(text):
    """Return what stands in the first cell of each table row, between backticks."""
    return re.findall(r"^\| `([^`|]+)`", text, re.MULTILINE)


def section(text, heading):
    """Return the part of a page under a heading, up to the next one of its level or above."""
    level = heading.split()[0]
    begin = re.search(rf"^{re.escape(heading)}(?=[\s`:]|$)", text, re.MULTILINE)
    assert begin, f"there is no heading {heading!r}"
    rest = text[begin.end() :]
    end = re.search(rf"^#{{1,{len(level)}}} ", FENCED.sub(lambda m: " " * len(m[0]), rest), re.MULTILINE)
    return rest[: end.start()] if end else rest


def anchors(page):
    """Return the anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", [field.upper() for field in Settings.model_fields])
def test_every_setting_is_documented_and_in_the_example_file(name):
    assert name in rows(text_of("docs", "settings.md"))
    assert re.search(rf"^#?{name}=", text_of(".env.example"), re.MULTILINE)


def test_the_example_file_and_the_table_name_no_setting_that_is_not_read():
    known = {field.upper() for field in Settings.model_fields}
    assert set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", text_of(".env.example"), re.MULTILINE)) == known
    assert set(rows(text_of("docs", "settings.md"))) == known | set(RETIRED)


@pytest.mark.parametrize("name", RETIRED)
def test_every_retired_setting_is_documented(name):
    assert name in rows(section(text_of("docs", "settings.md"), "## Retired settings"))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_documented(name):
    page = section(text_of("docs", "commands.md"), f"## `analysis {name}")
    options = {word for parameter in COMMANDS[name].params for word in parameter.opts if word.startswith("--")}
    documented = {row.split()[0] for row in rows(page) if row.startswith("--")}
    assert documented == options
    for parameter in COMMANDS[name].params:
        if parameter.param_type_name == "argument":
            assert (parameter.metavar or parameter.name.upper()).strip("{}.") in page + text_of("docs", "commands.md")


def test_no_command_is_documented_that_is_not_there():
    documented = re.findall(r"^## `analysis (\w+)", text_of("docs", "commands.md"), re.MULTILINE)
    assert sorted(documented) == sorted(COMMANDS)


def test_pages_show_only_commands_and_options_that_exist():
    shown = re.compile(r"(?:`|^\$ |bin/)analysis (\w+)([^`\n]*)", re.MULTILINE)
    for page in PAGES:
        for name, rest in shown.findall(page.read_text(encoding="utf-8")):
            assert name in COMMANDS, f"{page.name}: analysis {name}"
            options = {word for found in COMMANDS[name].params for word in (*found.opts, *found.secondary_opts)}
            assert set(re.findall(r"--[a-z][a-z-]*", rest)) <= options, f"{page.name}: analysis {name}{rest}"


@pytest.mark.parametrize("name", ERRORS)
def test_every_error_is_documented_with_its_kind(name):
    page = section(text_of("docs", "errors.md"), "## Errors")
    (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
    if issubclass(getattr(errors, name), errors.TransientError) and name != "TransientError":
        assert "| transient |" in row
    if issubclass(getattr(errors, name), errors.PermanentError):
        assert "| permanent |" in row


def test_every_failure_kind_is_documented_and_no_other():
    assert rows(section(text_of("docs", "errors.md"), "## Why a job failed")) == list(get_args(FailureKind))


def test_every_state_that_explain_shows_is_documented():
    states = set(rows(section(text_of("docs", "operate.md"), "## States of a job")))
    assert states == set(get_args(ShownState)) - {"unknown"}
    assert all(f"`{state}`" in text_of("docs", "commands.md") for state in get_args(ShownState))


@pytest.mark.parametrize("name", ANALYSES)
def test_every_analysis_is_documented_with_parameters_and_outputs(name):
    page = section(text_of("docs", "analyses.md"), f"## `{name}`")
    analysis = ANALYSES[name].analysis
    assert set(rows(section(page, "### Parameters"))) >= set(analysis.parameters.model_fields)
    assert set(rows(section(page, "### Outputs"))) == set(analysis.outputs.model_fields)


def test_the_tables_of_the_analyses_are_those_of_their_models():
    page = text_of("docs", "analyses.md")
    assert refreshed(page, ANALYSES.values()) == page, "run `make docs`"


def test_the_picture_of_packages_is_that_of_the_code():
    program = runpy.run_path(str(ROOT / "docs" / "import_graph.py"))
    page = text_of("CONTRIBUTING.md")
    assert program["refreshed"](page) == page, "run `make docs`"


def test_every_make_target_is_in_the_readme_and_no_other():
    targets = re.findall(r"^([a-z][a-z-]*):.*##", text_of("Makefile"), re.MULTILINE)
    assert sorted(rows(section(text_of("README.md"), "## Make targets"))) == sorted(f"make {t}" for t in targets)


def test_continuous_integration_runs_the_commands_of_the_readme():
    workflow = yaml.safe_load(text_of(".github", "workflows", "ci.yml"))
    assert ".ci/run" in [step.get("run") for step in workflow["jobs"]["ci"]["steps"]]
    assert {"make check", "make test-all"} <= set(text_of(".ci", "run").splitlines())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_relative_link_and_image_leads_somewhere(page):
    for link in LINK.findall(FENCED.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors(target), f"{link}: no such heading"


def test_the_readme_leads_to_every_page():
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in LINK.findall(text_of("README.md"))}
    only_in_the_site = {
        page for page in PAGES if re.search(r"^(::: |\{% include)", page.read_text("utf-8"), re.MULTILINE)
    }
    assert {page for page in PAGES if page.name != "README.md"} - only_in_the_site <= linked


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(tests/[^`]+)`", text_of("SECURITY.md")))))
def test_every_test_that_the_threat_model_names_is_there(name):
    path, _, test = name.partition("::")
    assert not test or re.search(rf"^def {test}\(", text_of(path), re.MULTILINE), name
    assert (ROOT / path).is_file()


def test_every_threat_names_a_test():
    threats = section(text_of("SECURITY.md"), "## Threats")
    lines = [line for line in threats.splitlines() if line.startswith("| ") and not line.startswith("| threat |")]
    assert len(lines) > 20
    assert not [line for line in lines if "`tests/" not in line]


def test_the_version_is_that_of_the_newest_changelog_entry():
    versions = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", text_of("CHANGELOG.md"), re.MULTILINE)
    assert versions[0] == PROJECT["project"]["version"]


EXTRAS = PROJECT["project"]["optional-dependencies"]
LOCKED = [("base", requirement) for requirement in PROJECT["project"]["dependencies"]]
LOCKED += [(extra, requirement) for extra, requirements in EXTRAS.items() for requirement in requirements]


@pytest.mark.parametrize(("lock", "requirement"), LOCKED)
def test_every_dependency_is_locked(lock, requirement):
    name = re.match(r"[A-Za-z0-9._-]+", requirement)[0]
    for file in (f"{lock}.txt", "dev.txt"):
        assert re.search(rf"^{re.escape(name)}==", text_of("requirements", file), re.MULTILINE | re.IGNORECASE)


def test_every_extra_is_documented():
    page = section(text_of("docs", "real-servers.md"), "## Install only what a machine needs")
    assert {f"requirements/{extra}.txt" for extra in ("base", *EXTRAS)} <= set(rows(page))


@pytest.mark.parametrize(
    "path",
    ["pyproject.toml", "Makefile", *sorted(f"requirements/{p.name}" for p in (ROOT / "requirements").glob("*.txt"))],
)
def test_no_file_names_a_package_registry(path):
    lines = text_of(*path.split("/")).splitlines()
    assert not [line for line in lines if re.search(r"https?://|(?<!-emit)-(extra-)?index-url|--find-links", line)]


@pytest.mark.parametrize("page", ["add-an-analysis", "other-languages", "from-the-wrapper"])
def test_every_python_block_about_analyses_compiles(page):
    blocks = PYTHON.findall(text_of("docs", f"{page}.md"))
    assert blocks
    for number, block in enumerate(blocks):
        compile(block, f"{page}, block {number}", "exec")


def test_every_field_of_the_forms_is_documented():
    form = rows(section(text_of("docs", "add-an-analysis.md"), "### `ANALYSIS = Analysis(...)`"))
    text = section(text_of("docs", "add-an-analysis.md"), "### `ANALYSIS = Analysis(...)`")
    assert all(f"`{name}`" in text for name in Analysis.model_fields)
    assert set(form) - {"parameters", "outputs", "run"} <= set(Analysis.model_fields)
    assert rows(section(text_of("docs", "other-languages.md"), "## The fields of `Command`")) == list(
        Command.model_fields
    )


def test_the_example_of_another_language_loads(tmp_path, monkeypatch):
    example = PYTHON.findall(text_of("docs", "other-languages.md"))[0]
    (tmp_path / "lab" / "scripts").mkdir(parents=True)
    (tmp_path / "lab" / "scripts" / "isi_fit.R").write_text("1 + 1\n", encoding="utf-8")
    (tmp_path / "lab" / "isi_fit.py").write_text(example, encoding="utf-8")
    monkeypatch.setitem(sys.modules, "lab.isi_fit", None)  # removed again afterwards
    assert load_analysis(tmp_path / "lab" / "isi_fit.py").analysis.run.language == "R"


@pytest.fixture
def example(tmp_path):
    """Write the complete example of the page to a file of its name, and the test that goes with it."""
    file, *_, test = PYTHON.findall(text_of("docs", "add-an-analysis.md"))
    name = re.search(r'name="(\w+)"', file)[1]
    (folder := tmp_path / "lab").mkdir()
    (folder / f"{name}.py").write_text(file, encoding="utf-8")
    (folder / f"test_{name}.py").write_text(test.replace("analysis_assets.median_isi", f"lab.{name}"), encoding="utf-8")
    return folder / f"{name}.py"


def test_the_complete_example_loads(example, monkeypatch):
    monkeypatch.setitem(sys.modules, f"lab.{example.stem}", None)  # removed again afterwards
    entry = load_analysis(example)
    assert entry.analysis.name == example.stem
    assert entry.analysis.figure in text_of("docs", "add-an-analysis.md")


def test_the_complete_example_passes_its_own_test(example):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(example.parents[1])]
    path = f"{example.parents[1]}:{ROOT}"
    done = subprocess.run(
        [*command, "-o", f"pythonpath={example.parents[1]} {ROOT}", str(example.parent)],
        cwd=example.parents[1],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_text_is_spelled_well():
    codespell = Path(sys.executable).with_name("codespell")
    done = subprocess.run(
        [codespell, "--ignore-words-list", PROJECT["tool"]["codespell"]["ignore-words-list"], *PAGES],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stdout + done.stderr


def test_every_kind_of_finding_is_documented_with_what_fixes_it():
    table = section(text_of("docs", "audit.md"), "## Kinds")
    for name, kind in KINDS.items():
        cells = (f"`{name}`", kind.severity, kind.meaning, kind.remedy, kind.advice)
        assert f"| {' | '.join(cells)} |" in table
