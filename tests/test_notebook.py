"""The notebook runs from the first cell to the last on results of the project's analysis, and says what is true.

With ``NOTEBOOK_IMAGES=docs/images`` its pictures are written there, for the documentation.
"""

import base64
import os
import re
import uuid
import warnings
from pathlib import Path

import dagster as dg
import nbformat
import pytest
from nbclient import NotebookClient

from cli.demo.jobs import generated_sessions, job_files, write_job_files
from definitions import build_defs
from domain.result.records import from_record
from operations.platform import open_platform
from resources.settings import PROJECT_ROOT, load_settings

NAME = "unit_quality"
NOTEBOOK = PROJECT_ROOT / "docs" / "notebooks" / "results.ipynb"
CELL_LIMIT_S = 120


@pytest.fixture(scope="module")
def environment(home, servers, tmp_path_factory):
    """Give the settings of the servers that all tests share, with a database and an inbox of this module alone."""
    folder = tmp_path_factory.mktemp("notebook")
    return {
        "ANALYSIS_ENV_FILE": os.devnull,
        "ANALYSIS_HOME": str(home),
        "DOCDB_DATABASE": f"test_{uuid.uuid4().hex[:16]}",
        "JOB_INBOX": str(folder / "inbox"),
        "DAGSTER_HOME": str(folder / "dagster"),
    }


@pytest.fixture(scope="module")
def made(environment):
    """Make the demo's results of one analysis, in this process; gives what was made, by session and tag."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        with open_platform(load_settings(env_file=Path(environment["DAGSTER_HOME"], "no.env"))) as platform:
            files = [f for f in job_files(platform, generated_sessions(platform)) if f.analysis == NAME]
            write_job_files(platform, files, "notebook")
            _run(platform)
            records = map(from_record, platform.connections.record_store.newest(NAME))
            found = {(r.session_names[0], r.parameters["analysis_tag"]): r for r in records}
        assert len(found) == len(files) == 10
        yield found


def _run(platform):
    """Ingest the job files, and execute the runs that the sensor requests."""
    repository = build_defs(platform.settings).get_repository_def()
    resources = platform.connections.as_dict()
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance, repository_def=repository, resources=resources)
        with context as opened:
            requests = repository.get_sensor_def(f"{NAME}_job_files").evaluate_tick(opened).run_requests
        for request in requests:
            job = repository.get_job(f"{NAME}_batch")
            assert job.execute_in_process(instance=instance, tags=request.tags).success


@pytest.fixture(scope="module")
def executed(made):
    """Execute the notebook from the first cell to the last; gives its cells of code."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=CELL_LIMIT_S, kernel_name="python3").execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(executed, source):
    """Return what the one cell that holds some source shows, by kind; texts of all its outputs are joined."""
    (cell,) = [cell for cell in executed if source in cell.source]
    shown = {}
    for output in cell.outputs:
        for kind, text in output.get("data", {}).items():
            shown[kind] = shown.get(kind, "") + text
    return shown


def pictures(executed):
    """Return every picture of the notebook."""
    return [o["data"]["image/png"] for cell in executed for o in cell.outputs if "image/png" in o.get("data", {})]


def test_the_notebook_is_kept_without_outputs():
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    assert not [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]


@pytest.mark.slow
def test_it_finds_every_result_of_the_demo(executed, made):
    assert outputs(executed, "results.analyses()")["text/plain"] == "['unit_quality']"
    listed = outputs(executed, "found = ")["text/html"]
    assert "10 results" in listed
    assert all(session in listed for session, _ in made)


@pytest.mark.slow
def test_it_shows_outputs_and_parameters_as_they_are_recorded(executed, made):
    table = outputs(executed, "frame = ")["text/html"]
    for provenance in made.values():
        assert f"<td>{provenance.parameters['method']}</td>" in table
        assert f"<td>{provenance.outputs['n_passing']}</td>" in table


@pytest.mark.slow
def test_it_compares_the_parameter_sets_on_the_same_sessions(executed, made):
    pairs = outputs(executed, "pairs = ")["text/html"]
    compared = {session for session, _ in made if made[session, "hill"].outputs["n_units"]}
    assert len(compared) == 4
    for session in compared:
        hill, llobet = (made[session, tag].outputs["passing_fraction"] for tag in ("hill", "llobet"))
        assert hill > llobet, "the second set allows less contamination"
        row = pairs.partition(f"<th>{session}</th>")[2].partition("</tr>")[0]
        assert f"<td>{hill:.2f}" in row
        assert f"<td>{llobet - hill:.2f}" in row


@pytest.mark.slow
def test_it_opens_table_and_figure_of_a_result(executed, made):
    session = min(session for session, _ in made if made[session, "hill"].outputs["n_units"])
    assert "units.parquet" in outputs(executed, "result.files()")["text/plain"]
    assert "contamination_hill" in outputs(executed, "units = ")["text/html"]
    assert base64.b64decode(outputs(executed, "result.figure()")["image/png"]).startswith(b"\x89PNG")
    assert made[session, "hill"].code_version in outputs(executed, "process = ")["text/plain"]


@pytest.mark.slow
def test_every_plot_is_shown_and_the_only_message_is_that_there_is_no_catalog(executed):
    assert len(pictures(executed)) == 4
    said = [o["text"] for cell in executed for o in cell.outputs if o.output_type == "stream"]
    assert all("The current code of `unit_quality` is unknown" in text for text in said)
    if folder := os.environ.get("NOTEBOOK_IMAGES"):
        for number, picture in enumerate(pictures(executed), 1):
            Path(folder, f"notebook-{number}.png").write_bytes(base64.b64decode(picture))


@pytest.mark.slow
def test_the_code_of_the_guide_runs_in_its_order(environment, made, monkeypatch):
    for name, value in (environment | {"MPLBACKEND": "agg"}).items():
        monkeypatch.setenv(name, value)
    guide = (PROJECT_ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", guide, re.MULTILINE | re.DOTALL)
    (requested,) = re.findall(r'results\.get\("(\w+)"\)', guide)
    a_result = made["ecephys_700001_2024-05-01_10-00-00", "hill"].result_id
    names = {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The current code of", UserWarning)
        for block in blocks:
            exec(block.replace(requested, a_result[: len(requested)]), names)  # noqa: S102  the project's own page
    assert (len(names["found"]), len(names["frame"]), len(names["units"])) == (10, 10, 20)
    assert names["pairs"]["hill"].gt(names["pairs"]["llobet"]).sum() == 4
    names["results"].close()
