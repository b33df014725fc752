"""Opening the results, with servers that run, or that are started."""

import subprocess
import sys

import pytest

from domain.errors import SettingsError
from domain.result.records import to_record
from resources.connections import connect
from resources.settings import PROJECT_ROOT
from results.results import Results
from tests.provenances import rich


def test_servers_that_do_not_run_are_started_and_stop_at_the_end_of_python(tmp_path):
    program = (
        "import gc; from results.results import Results; found = Results()._source; gc.collect(); "
        "print(found.records.analyses())"  # what was found is read although nobody has kept the `Results`
    )
    environment = {"PATH": "/usr/bin:/bin", "ANALYSIS_HOME": str(tmp_path / "home"), "DOCDB_DATABASE": "x"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
    assert not (tmp_path / "home" / "servers.json").exists()
    assert list((tmp_path / "home" / "users").iterdir()) == []


def test_it_may_be_closed_more_than_once(settings):
    results = Results(settings)
    results.close()
    results.close()


def test_settings_that_cannot_be_used_are_refused(monkeypatch):
    monkeypatch.setenv("DOCDB_HOST", "somewhere")
    monkeypatch.setenv("ANALYSIS_BUCKET", "")
    with pytest.raises(SettingsError):
        Results()


def test_everything_of_a_rich_result_fits_into_both_frames(settings):
    own = settings.model_copy(update={"docdb_collection": "rich"})
    records = connect(own).record_store
    with Results(own) as results:
        records.commit(to_record(rich()))
        found = results.find("demo", current_code_version=rich().code_version)
        assert found.to_pandas().iloc[0]["inputs"] == found[0].row()["inputs"]
        assert list(found.rows()) == [one.row() for one in found], "what rows are read without is in none of them"
        assert found.to_pandas()["group"].tolist() == ["subject.subject_id=700001, $odd.name=None, n=2, list=[1,2]"]
        assert found.to_polars()["outputs.list"].to_list() == [[1.0, None]]
