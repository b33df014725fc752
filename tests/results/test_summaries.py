import json
from datetime import timedelta

import pytest

from domain.result.records import to_record
from resources.mongo import MongoConnection
from resources.records.store import RecordStore
from results.summaries import results_of
from tests.provenances import rich, sparse

CODE = rich().code_version


@pytest.fixture
def records(docdb_uri, database):
    """Give a store of records of its own."""
    return RecordStore(mongo=MongoConnection(uri=docdb_uri, database=database), name="records")


def test_a_result_says_what_was_computed_from_what_and_where_it_is(records):
    provenance = rich()
    records.commit(to_record(provenance))
    (result,) = results_of(records, "demo", code_version=CODE)
    assert (result.result_id, result.job_key, result.code_version) == ("b" * 64, "a" * 64, CODE)
    assert result.inputs == [*provenance.locations, *provenance.files]
    assert (result.subject_ids, result.session_names) == (["700001", "Füchsin"], ["700001_2024-05-01"])
    assert (result.parameters, result.outputs) == (provenance.parameters, provenance.outputs)
    assert (result.started, result.ended) == (provenance.started, provenance.ended)
    assert result.figure_location == f"{provenance.location}/figure.png"
    assert result.location == provenance.location


@pytest.mark.parametrize(("code_version", "state"), [(CODE, "done"), ("2+0123456789ab", "outdated")])
def test_a_result_of_other_code_is_outdated(code_version, state, records):
    records.commit(to_record(sparse()))
    (result,) = results_of(records, "demo", code_version=code_version)
    assert (result.state, result.figure_location) == (state, None)


def test_results_come_newest_first_and_of_one_analysis(records):
    for number in range(3):
        ended = sparse().ended + timedelta(days=number)
        records.commit(to_record(sparse(result_id=str(number) * 64, ended=ended)))
    records.commit(to_record(sparse(result_id="9" * 64, analysis="other")))
    assert [r.result_id[0] for r in results_of(records, "demo", code_version=CODE)] == ["2", "1", "0"]
    assert results_of(records, "unknown", code_version=CODE) == []


def test_a_result_is_written_as_json_with_times_that_have_a_zone(records):
    records.commit(to_record(rich()))
    (result,) = results_of(records, "demo", code_version=CODE)
    reported = json.loads(json.dumps(result.as_dict(), allow_nan=False))
    assert reported["started"] == "2025-03-01T09:30:00.123456+00:00"
    assert reported["outputs"] == rich().outputs
    assert set(reported) == set(result.__dataclass_fields__) - {"figure_location"} | {"figure"}
    assert reported["figure"] == result.figure_location
