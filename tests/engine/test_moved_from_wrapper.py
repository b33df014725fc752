"""What `docs/from-the-wrapper.md` shows is real: both files, that little changed, and that the analysis runs."""

import ast
import difflib
import re
import warnings

import pytest

from domain.job.job_file import Job
from domain.job.stored import Source, ingest
from engine.discovery.analyses import load_analysis
from examples.sessions import write_session
from resources.settings import PROJECT_ROOT
from tests.raw import records_of

MOVED = PROJECT_ROOT / "tests" / "lab_moved"
BEFORE, AFTER = MOVED / "run_capsule.py", MOVED / "isi_violations.py"
PAGE = (PROJECT_ROOT / "docs" / "from-the-wrapper.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
PARAMETERS = {"analysis_name": "n", "analysis_tag": "strict", "isi_violations_cutoff": 0.005}


@pytest.mark.parametrize("path", [BEFORE, AFTER], ids=lambda path: path.stem)
def test_the_page_shows_the_whole_file(path):
    assert path.read_text(encoding="utf-8") in BLOCKS


def test_models_and_function_are_the_same_but_for_the_folder_of_the_files():
    parts = [
        {
            node.name: ast.unparse(node)
            for node in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(node, ast.ClassDef | ast.FunctionDef)
        }
        for path in (BEFORE, AFTER)
    ]
    assert {name: text.replace("/results/", "") for name, text in parts[0].items()} == parts[1]
    lines = [path.read_text(encoding="utf-8").splitlines() for path in (BEFORE, AFTER)]
    gone = [line[2:] for line in difflib.ndiff(*lines) if line.startswith("- ")]
    assert len(gone) == 3, "the import of the wrapper, the path in /results, and the loop"


@pytest.fixture
def done(make_platform, tmp_path):
    """Compute one session with known truth; gives the platform, the session and the provenance."""
    session = write_session(tmp_path / "session.nwb", seed=1, n_units=8)
    platform = make_platform(AFTER)
    job = Job(file_location=((tmp_path / "session.nwb").as_uri(),), distributed_parameters=PARAMETERS)
    stored, _ = ingest(platform.entry.analysis, job, name="test", fixed={})
    platform.services.ledger.requests.store([(stored, Source(name="test"))], code_version=platform.entry.code_version)
    outcome = platform.work(stored.job_key)[stored.job_key]
    assert outcome.error is None, outcome.error
    return platform, session, outcome.provenance


def test_the_moved_analysis_loads_and_finds_the_units_that_are_contaminated(done):
    platform, session, provenance = done
    contaminated = [unit.unit_id for unit in session.units if unit.contamination > 0.1]
    assert provenance.outputs == {"isi_violations": contaminated, "n_units": 8}
    assert contaminated == [3]
    assert provenance.code_version.startswith("1.0.0+")
    assert load_analysis(AFTER).analysis.name == "isi_violations"
    assert "units.txt" in {file.path for file in platform.services.results.list_files(provenance.location)}


def test_the_query_of_the_page_finds_it_and_the_old_record_beside_it(done, monkeypatch, home):
    platform, session, provenance = done
    records = platform.services.records
    monkeypatch.setenv("ANALYSIS_HOME", str(home))
    monkeypatch.setenv("DOCDB_DATABASE", records.mongo.database)
    monkeypatch.setenv("DOCDB_COLLECTION", records.name)
    code = {"parameters": PARAMETERS, "input_data": [{"url": provenance.files[0]}]}
    process = {"code": code, "output_parameters": {"isi_violations": [3]}}
    records_of(records).insert_one(
        {"_id": "of the wrapper", "location": "s3://b/of the wrapper", "processing": {"data_processes": [process]}}
    )
    names = {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The current code of", UserWarning)
        for block in BLOCKS[-2:]:
            exec(block, names)  # noqa: S102  the project's own page
    assert [one.result_id for one in names["found"]] == [one.result_id for one in names["new"]]
    assert names["found"][0].provenance == provenance
    assert names["units"] == "3"
    assert names["frame"]["outputs.n_units"].tolist()[0] == len(session.units)
    assert [record["_id"] for record in names["old"]] == ["of the wrapper"]
    assert names["old"][0]["processing"]["data_processes"][0]["code"]["input_data"][0]["url"] in names["new"][0].inputs
    names["results"].close()
