"""Candidates and sets of parameters become jobs, with the keys that they will get."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from dispatch.model.groups import Candidate
from dispatch.model.options import read_options
from dispatch.model.plan import ParameterLayers, PlanLimits, Planner, is_too_large, job_document
from dispatch.model.report import SHOWN, DispatchPlan
from dispatch.model.skips import Reason, Skip, counts_of
from domain.analysis import ParametersModel
from domain.data_asset.record import AssetRecord
from domain.errors import DispatchError
from domain.job.job_file import read_job
from domain.job.stored import ingest
from domain.json_values import canonical_json
from tests.lab.double import ANALYSIS

A, B = (AssetRecord(f"id-{name}", name, f"s3://b/{name}") for name in ("a", "b"))


class Grouped(ParametersModel):
    """Parameters, one of which is called like the end of a group field."""

    number: float = Field(default=1.0, description="A number.")
    subject_id: str = Field(default="nobody", description="The group's subject.")
    level: str = Field(default="", description="Named by hand.")


GROUPED = ANALYSIS.model_copy(update={"parameters": Grouped})


ENOUGH = PlanLimits()


def jobs(candidates, *, analysis=ANALYSIS, limits=ENOUGH, **layers):
    skips = []
    return Planner(analysis, ParameterLayers(**layers), limits=limits).jobs(candidates, skips), skips


def taken_in(job, layers, *, analysis=ANALYSIS, query=None):
    document = job_document(job, given=layers.given, query=query, dispatch_id="d-1")
    found = read_job(canonical_json(document), name="x")
    return ingest(analysis, found, name="x", fixed=dict(layers.inbox))


def test_each_candidate_gets_a_job_for_each_set():
    found, skips = jobs([Candidate((A,)), Candidate((B,))], sets=({"number": 1}, {"number": 2}, {"number": 3}))
    assert len({job.job_key for job in found}) == len(found) == 6
    assert not skips


def test_the_same_job_twice_is_one():
    found, skips = jobs([Candidate((A,)), Candidate((A,))], sets=({"number": 1}, {"number": 1.0}, {}))
    assert len(found) == 1
    assert counts_of(skips) == {Reason.DUPLICATE: 5}


NUMBERS = st.one_of(st.integers(-5, 5), st.floats(-5, 5))
LAYER = st.fixed_dictionaries(
    {}, optional={"number": NUMBERS, "subject_id": st.text(max_size=3), "level": st.text(max_size=3)}
)
GROUP = st.one_of(
    st.none(),
    st.dictionaries(
        st.sampled_from(["s.subject_id", "level", "k"]), st.one_of(st.none(), st.text(max_size=3)), min_size=1
    ),
)


@given(
    st.permutations([A, B]),
    LAYER,
    LAYER,
    st.lists(LAYER, min_size=1, max_size=3),
    GROUP,
    st.lists(st.sampled_from(["s3://b/x", "S3://B/x/", "s3://b/y"]), min_size=2, max_size=3) | st.just([]),
)
def test_the_key_of_the_plan_is_the_key_that_the_sensor_computes(records, inbox, given_, sets, group, files):
    layers = ParameterLayers(inbox=inbox, given=given_, sets=tuple(sets))
    skips = []
    candidate = Candidate(tuple(records), group, tuple(files))
    for job in Planner(GROUPED, layers).jobs([candidate], skips):
        stored, _ = taken_in(job, layers, analysis=GROUPED)
        assert stored.job_key == job.job_key


def test_layers_win_in_their_order():
    layers = ParameterLayers(
        inbox={"number": 1, "level": "inbox"}, given={"number": 2, "level": "given"}, sets=({"number": 3},)
    )
    (job,) = Planner(GROUPED, layers).jobs([Candidate((A,))], [])
    stored, _ = taken_in(job, layers, analysis=GROUPED)
    assert (stored.parameters["number"], stored.parameters["level"]) == (3, "given")
    assert stored.origins["level"] == "analysis_code"


def test_a_group_field_reaches_the_parameter_of_its_name_and_the_one_it_is_named_for():
    group = {"subject.subject_id": "7", "data.level": "raw", "x.other": 1}
    candidate = Candidate((A, B), group)
    layers = ParameterLayers(of_group={"x.other": "number"})
    (job,) = Planner(GROUPED, layers).jobs([candidate], [])
    stored, source = taken_in(job, layers, analysis=GROUPED)
    assert stored.parameters == {"number": 1.0, "subject_id": "7", "level": "raw"}
    assert {pair.field: pair.value for pair in source.group} == group


@pytest.mark.parametrize(
    "layer", [{"inbox": {"subject_id": "8"}}, {"given": {"subject_id": "8"}}, {"sets": ({"subject_id": "8"},)}]
)
def test_a_parameter_that_is_given_is_not_filled_from_the_group(layer):
    layers = ParameterLayers(**layer)
    (job,) = Planner(GROUPED, layers).jobs([Candidate((A,), {"subject.subject_id": "7"})], [])
    assert taken_in(job, layers, analysis=GROUPED)[0].parameters["subject_id"] == "8"


def test_a_group_without_a_value_leaves_the_default():
    (job,), _ = jobs([Candidate((A,), {"subject.subject_id": None})], analysis=GROUPED)
    assert job.distributed == {}


def test_a_parameter_is_given_in_one_place():
    with pytest.raises(DispatchError, match="`number` is given as a parameter and named in `group_parameters`"):
        Planner(ANALYSIS, ParameterLayers(sets=({"number": 1},), of_group={"a": "number"}))


def test_parameters_that_the_analysis_refuses_are_left_out_and_the_others_go_on():
    found, skips = jobs([Candidate((A,)), Candidate((B,))], sets=({"number": "many"}, {"number": 2}))
    assert len(found) == 2
    assert counts_of(skips) == {Reason.PARAMETERS: 2}
    assert "found 'many'" in skips[0].detail


def test_parameters_that_the_analysis_refuses_for_every_job_are_an_error():
    with pytest.raises(DispatchError, match="unknown key `numbr`"):
        jobs([Candidate((A,)), Candidate((B,))], given={"numbr": 2})


def test_too_many_jobs_are_not_planned():
    with pytest.raises(DispatchError, match="More than 3 jobs"):
        jobs([Candidate((A,)), Candidate((B,))], sets=({"number": 1}, {"number": 2}), limits=PlanLimits(jobs=3))


def test_what_was_validated_is_forgotten_when_it_grows_too_large():
    sets = tuple({"number": number} for number in range(4))
    found, _ = jobs([Candidate((A,))], sets=sets, limits=PlanLimits(remembered=1))
    assert len(found) == 4


def test_a_file_whose_name_is_not_an_address_is_left_out():
    found, skips = jobs([Candidate((A,), None, ("s3://b/a/x?X-Amz-Signature=1",)), Candidate((B,))])
    assert len(found) == 1
    assert counts_of(skips) == {Reason.LOCATION_REFUSED: 1}


def test_a_job_file_says_who_requested_what_and_why():
    layers = ParameterLayers(given={"number": 2})
    (job,) = Planner(ANALYSIS, layers).jobs([Candidate((A, B), {"s": 1}, ("s3://b/a/1", "s3://b/b/1"))], [])
    assert job_document(job, given=layers.given, query='{"q":1}', dispatch_id="d-1") == {
        "asset_name": ["a", "b"],
        "s3_location": ["s3://b/a", "s3://b/b"],
        "docdb_record_id": ["id-a", "id-b"],
        "file_location": ["s3://b/a/1", "s3://b/b/1"],
        "distributed_parameters": {},
        "group_metadata": {"s": 1},
        "query": '{"q":1}',
        "analysis_code": {"parameters": {"number": 2}},
        "dispatch_id": "d-1",
    }


def test_assets_that_were_named_are_found_again_by_their_ids():
    (job,), _ = jobs([Candidate((A, B))])
    assert json.loads(job_document(job, given={}, query=None, dispatch_id=None)["query"]) == {
        "_id": {"$in": ["id-a", "id-b"]}
    }
    (job,), _ = jobs([Candidate((AssetRecord.by_hand("s3://b/c"),))])
    document = job_document(job, given={}, query=None, dispatch_id=None)
    assert document["query"] is document["docdb_record_id"] is document["analysis_code"] is None


def test_a_group_whose_file_could_not_be_read_is_noticed():
    many = tuple(AssetRecord(f"id-{i}", "name" * 20, f"s3://bucket/{'x' * 200}/{i}") for i in range(4000))
    (large,), _ = jobs([Candidate(many, {"s": 1})])
    (small,), _ = jobs([Candidate(many[:600], {"s": 1})])
    assert is_too_large(large, given={}, query=None)
    assert not is_too_large(small, given={}, query=None)


def test_a_plan_is_reported_with_every_count_and_a_limited_number_of_lines():
    found, _ = jobs(
        [Candidate((AssetRecord("i", "n", f"s3://b/{i:03}"),)) for i in range(SHOWN + 5)], sets=({"number": 7},)
    )
    skips = [Skip(Reason.DONE, str(i)) for i in range(SHOWN + 1)] + [Skip(Reason.NO_FILE, "x", "y")]
    plan = DispatchPlan(
        "double",
        read_options({"query": "{}"}),
        tuple(found),
        tuple(skips),
        records=50,
        outdated=frozenset([found[0].job_key]),
    )
    assert plan.counts == {Reason.DONE.value: SHOWN + 1, Reason.NO_FILE.value: 1}
    assert (
        plan.summary
        == "50 records found; 25 jobs to write (1 of them have a result from an older code version); 22 left out."
    )
    rows = plan.rows()
    assert rows[0] == ("write", 's3://b/000 {"number":7}', "made by other code before")
    assert rows[SHOWN] == ("write", "… and 5 more", "")
    assert rows[-1] == (f"skip: {Reason.NO_FILE}", "x", "y")
    assert len(rows) == 2 * (SHOWN + 1) + 1
    reported = plan.as_dict()
    assert len(reported["jobs"]) == SHOWN + 5
    assert reported["counts"]["write"] == SHOWN + 5
    assert json.loads(json.dumps(reported)) == reported


def test_a_job_is_called_by_its_first_file_and_its_own_parameters():
    (job,), _ = jobs([Candidate((A, B), {"s": 1})])
    assert job.description == "s3://b/a and 1 more"
