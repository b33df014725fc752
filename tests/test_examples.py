"""The examples of the most used functions and classes run, and show what they say."""

import doctest
import importlib
import inspect

import pyarrow as pa
import pytest

from domain.result.records import to_record
from resources.connections import connect
from resources.result_store.catalog_tables import with_facts, write_catalog
from resources.settings import Settings
from tests.provenances import sparse

ENTRY_POINTS = (
    "dispatch.model.sweep:sweep_sets",
    "domain.analysis.checks:",  # the type `Check` has no docstring: its module describes it
    "domain.analysis:Analysis",
    "domain.analysis:Retry",
    "domain.command:Command",
    "domain.errors:PlatformError",
    "domain.job.identity:job_key",
    "domain.job.identity:result_id",
    "domain.messages:counted",
    "domain.retry:Backoff",
    "resources.nwb:open_nwb",
    "resources.nwb:read_units",
    "results:Results.find",
)
CODE = "1+0123456789ab"


def example_of(entry_point, **given):
    """Give the example of an entry point, with the names of its module and those that are given."""
    module_name, _, path = entry_point.partition(":")
    found = importlib.import_module(module_name)
    for name in path.split(".") if path else ():
        found = getattr(found, name)
    docstring = inspect.getdoc(found) or ""
    assert "Examples\n--------\n" in docstring, f"{entry_point} has no section `Examples`"
    names = vars(inspect.getmodule(found)) | given
    return doctest.DocTestParser().get_doctest(docstring, names, entry_point, None, None)


def failures_of(example):
    """Run an example; gives what it printed and should not have."""
    assert example.examples, f"the section `Examples` of {example.name} has no example"
    printed = []
    doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(example, out=printed.append)
    return "".join(printed)


@pytest.fixture
def results_of_rates(monkeypatch, s3, home, database):
    """Name servers, in the environment as a user does, that have two results of the analysis `rates`."""
    monkeypatch.setenv("ANALYSIS_HOME", str(home))
    monkeypatch.setenv("DOCDB_DATABASE", database)
    connections = connect(Settings(analysis_home=home, docdb_database=database))
    connections.results_store.ensure_bucket()
    for number, rate in enumerate((12.5, 3.0)):
        made = {"analysis": "rates", "code_version": CODE, "job_key": f"{number:064x}", "result_id": f"{number:064x}"}
        values = {
            "parameters": {"bin_s": 0.1},
            "outputs": {"mean_rate_hz": rate},
            "subject_ids": (f"70000{1 + number}",),
        }
        connections.record_store.commit(to_record(sparse(**made, **values)))
    facts = {"code_version": CODE}
    write_catalog(connections.catalog_files, "rates", with_facts(pa.table({"result_id": ["x"]}), facts))


@pytest.mark.parametrize("entry_point", [name for name in ENTRY_POINTS if name != "results:Results.find"])
def test_an_entry_point_has_an_example_that_is_true(entry_point, tmp_path):
    assert failures_of(example_of(entry_point, folder=tmp_path)) == ""


@pytest.mark.usefixtures("results_of_rates")
def test_finding_results_has_an_example_that_is_true():
    assert failures_of(example_of("results:Results.find")) == ""


def test_a_missing_example_and_a_wrong_one_are_noticed():
    with pytest.raises(AssertionError, match="has no section"):
        example_of("domain.job.urls:normalize_url")
    wrong = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, None)
    assert "Expected:\n    3\nGot:\n    2" in failures_of(wrong)
