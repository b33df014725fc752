"""Finding results with conditions, by the command and by its function."""

import json

import pytest
from typer.testing import CliRunner

from cli.main import app
from cli.results.run import ListQuery, list_results
from domain.errors import ParametersError
from domain.job.identity import result_id
from domain.result.records import to_record
from operations.platform import open_platform
from tests.provenances import rich
from tests.raw import records_of

NAME = "double"


@pytest.fixture
def ids(platform):
    """Store four results of an analysis for tests, the second of other code; gives their ids, newest last."""
    return stored(platform, NAME)


def stored(platform, name, *, parameter="number", output="double"):
    """Store four results, the second of other code; gives their ids, newest last."""
    entry, found = platform.entry(name), []
    for number in range(4):
        version = "0+old" if number == 1 else entry.code_version
        key = f"{number:064d}"
        result = result_id(name, version, key)
        fields = {"parameters": {parameter: float(number)}, "outputs": {output: 2.0 * number}}
        ended = rich().ended.replace(microsecond=number)
        record = to_record(
            rich(analysis=name, job_key=key, code_version=version, result_id=result, ended=ended, **fields)
        )
        platform.connections.record_store.commit(record)
        found.append(result)
    return found


def numbers(page):
    """Return which results a page has."""
    return [int(result.parameters["number"]) for result in page.results]


@pytest.fixture
def invoke(settings):
    """Give the function that runs `analysis results` over the analyses of the project."""

    def invoke(*words, code=0):
        found = CliRunner().invoke(app, ["results", "unit_quality", *words])
        assert found.exit_code == code, found.output
        return found

    return invoke


@pytest.mark.usefixtures("ids")
@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (ListQuery(), [3, 2, 1, 0]),
        (ListQuery(where=["number>=2"]), [3, 2]),
        (ListQuery(where=["parameters.number>0", "double<6"]), [2, 1]),
        (ListQuery(code="0"), [1]),
        (ListQuery(subject="700001", session="700001_2024-05-01", code="1"), [3, 2, 0]),
        (ListQuery(subject="1"), []),
    ],
)
def test_results_are_those_that_meet_all_conditions(platform, wanted, found):
    page = list_results(platform, NAME, wanted)
    assert (numbers(page), page.next_after) == (found, None)


def test_a_full_page_says_how_to_go_on(platform, ids):
    page = list_results(platform, NAME, ListQuery(limit=3))
    assert (numbers(page), page.next_after) == ([3, 2, 1], ids[1])
    rest = list_results(platform, NAME, ListQuery(limit=3, after=page.next_after))
    assert (numbers(rest), rest.next_after) == ([0], None)


def test_records_that_cannot_be_searched_are_reported(platform, ids):
    records = records_of(platform.connections.record_store)
    records.update_one({"_id": ids[0]}, {"$unset": {"analysis_assets.search": "", "analysis_assets.search_time": ""}})
    page = list_results(platform, NAME, ListQuery(limit=10))
    assert numbers(page) == [3, 2, 1]
    assert page.notes == [
        "Not searched: 1 results of an earlier version of the platform. `analysis audit double --repair` includes them."
    ]
    assert numbers(list_results(platform, NAME, ListQuery())) == [3, 2, 1, 0], "everything is everything"


def test_a_field_that_does_not_exist_is_refused(platform):
    with pytest.raises(ParametersError, match="There are parameters: number; outputs: double"):
        list_results(platform, NAME, ListQuery(where=["x=1"]))


def test_the_command_prints_what_the_function_finds(invoke, settings):
    with open_platform(settings) as platform:
        ids = stored(platform, "unit_quality", parameter="presence_bin_s", output="n_units")
    reported = json.loads(invoke("--where", "presence_bin_s>0", "--where", "n_units<6", "--json").stdout)
    assert [one["parameters"]["presence_bin_s"] for one in reported] == [2.0, 1.0]
    assert set(reported[0]) == set(json.loads(invoke("--json").stdout)[0])
    text = invoke("--limit", "2").stdout.replace("\n", " ")
    assert f"Next page: the same command with  --after {ids[2]}" in text
    assert "Next page" not in invoke("--after", ids[2], "--limit", "9").stdout


def test_the_command_refuses_what_makes_no_sense(invoke):
    assert "--superseded lists everything" in invoke("--superseded", "--limit", "2", code=2).output
    assert "There are parameters" in invoke("--where", "x=1", code=2).output
    assert invoke("--limit", "-1", code=2)
    assert json.loads(invoke("--superseded", "--json").stdout) == []
