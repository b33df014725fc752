"""Jobs whose model has changed are stored again under new keys, with all given values."""

import shutil
from pathlib import Path

import pytest

from domain.job.job_file import Job
from domain.job.state import JobState
from domain.job.stored import ingest
from operations.platform import Platform
from operations.rekey import rekey
from resources.connections import connect
from resources.settings import Settings

LAB = Path(__file__).parent.parent / "lab"


@pytest.fixture
def opened(servers, home, database, tmp_path):
    """Give a function that opens the platform over the analysis `double`, with changes to its text."""
    settings = Settings(analysis_home=home, docdb_database=database)

    def open_with(*changes):
        folder = tmp_path / f"analyses{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        shutil.copy(LAB / "double.py", folder)
        file = folder / "double.py"
        for old, new in changes:
            file.write_text(file.read_text().replace(old, new))
        return Platform(settings, folder, connect(settings))

    return open_with


def store(platform, **parameters):
    entry = platform.entry("double")
    job = Job(s3_location=("s3://b/X/",), distributed_parameters=parameters)
    stored, source = ingest(entry.analysis, job, name="file:///x.json", fixed={})
    platform.connections.ledger.requests.store([(stored, source)], code_version=entry.code_version)
    return stored


FIELD = 'number: float = Field(default=1.0, description="The number (no unit).")'


def test_a_new_field_with_a_default_gives_new_keys_and_keeps_what_was_given(opened):
    given = store(opened(), number=3)
    platform = opened((FIELD, FIELD + '\n    offset: int = Field(default=7, description="Added.")'))
    (found,) = rekey(platform, "double")
    assert (found.old_key, found.problem) == (given.job_key, None)
    new = platform.connections.ledger.jobs.get("double", found.new_key)
    assert new.parameters == {"number": 3.0, "offset": 7}
    assert new.origins == {"number": "distributed_parameters", "offset": "default"}
    assert new.state is JobState.NEW
    assert [source.name for source in new.sources] == ["file:///x.json"]
    assert new.inputs.spelled_locations == ("s3://b/X/",)


def test_it_is_harmless_to_do_it_twice_and_leaves_jobs_that_fit(opened):
    store(opened(), number=3)
    assert rekey(opened(), "double") == []
    platform = opened(("default=1.0", "default=2.0"))
    store(platform)
    assert rekey(platform, "double") == []


def test_a_job_that_the_model_refuses_now_says_why(opened):
    given = store(opened(), number=-3)
    platform = opened((FIELD, 'number: float = Field(default=1.0, ge=0, description="The number (no unit).")'))
    (found,) = rekey(platform, "double")
    assert found.old_key == given.job_key
    assert found.new_key is None
    assert "number" in found.problem
