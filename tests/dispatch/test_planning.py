"""A plan: every option on records in a real MongoDB, and the reason for everything that is left out."""

import json
from dataclasses import replace

import pytest

from dispatch.model.options import read_options
from dispatch.model.skips import Reason, counts_of
from dispatch.planning import Planning
from dispatch.writing import write_plan
from domain.errors import DispatchError, JobFileError, ServerUnavailableError
from domain.job.identity import result_id
from domain.job.state import JobState
from resources.data_assets.records import MongoAssetRecords
from resources.inputs.resource import Inputs
from resources.s3.connection import S3Connection
from tests.dispatch.conftest import Place, ignore
from tests.docdb_api import docdb_api
from tests.real_data import REAL_DATA, needs_real_data, skip_without_real_data


def locations(plan):
    """Give the last parts of the locations of each job."""
    return sorted(tuple(location.rpartition("/")[2] for location in job.candidate.locations) for job in plan.jobs)


def reasons(plan):
    """Give the number of skips for each reason."""
    return counts_of(plan.skips)


# -- every option, on real records ----------------------------------------------------------------------------------


@pytest.fixture
def real(place):
    """Give a place that holds the real records of both generations."""
    skip_without_real_data()
    for path in sorted((REAL_DATA / "records").glob("assets_*/*.json")):
        place.assets.insert_one(json.loads(path.read_text(encoding="utf-8")))

    def plan(**options):
        return place.plan(check_inputs="none", **options)

    return plan


V1_EPHYS, V1_BEHAVIOR = "a11c1e74-9da1-4242-92ad-927f05bbe3fe", "bbccfa89-7dd0-439c-8b23-cf896990ea64"
V0 = "ecephys_642478_2023-01-17_13-56-29"
V2_RAW = "828418_2026-02-13_18-31-13"
V2_DERIVED = f"{V2_RAW}_processed_2026-02-14_12-44-45"


@pytest.mark.parametrize(
    ("options", "jobs"),
    [
        ({"query": "{}"}, [(V2_RAW,), (V2_DERIVED,), (V1_EPHYS,), (V1_BEHAVIOR,), (V0,)]),
        ({"query": '{"data_description.data_level": "derived"}'}, [(V2_DERIVED,), (V1_BEHAVIOR,)]),
        ({"query": '{"data_description.modality.abbreviation": "ecephys"}'}, [(V1_EPHYS,)]),
        ({"query": '{"$or": [{"schema_version": {"$regex": "^2"}}]}'}, [(V2_RAW,), (V2_DERIVED,)]),
        ({"asset_ids": [V1_EPHYS, "3c417189-1c93-4a97-92cd-b6201171c1f4"]}, [(V1_EPHYS,), (V2_DERIVED,)]),
        (
            {"asset_csv": f"asset_id\n{V1_BEHAVIOR}\n7afcf17c-a33d-47e1-b95d-4cd000bbea33\n"},
            [(V1_BEHAVIOR,), (V2_RAW,)],
        ),
        ({"records": ["ad668ba9-326a-4b5d-abc1-63ddefaf0a41", V2_DERIVED]}, [(V2_RAW,), (V2_DERIVED,)]),
        ({"records": [f"s3://aind-open-data/{V2_RAW}/", "s3://elsewhere/new"]}, [(V2_RAW,), ("new",)]),
        (
            {"query": "{}", "group_by": ["subject.subject_id"]},
            [(V2_RAW, V2_DERIVED), (V1_EPHYS,), (V1_BEHAVIOR,), (V0,)],
        ),
        (
            {"query": "{}", "group_by": ["data_description.data_level"]},
            [(V2_DERIVED, V1_BEHAVIOR), (V2_RAW, V1_EPHYS)],
        ),
        (
            {"query": "{}", "group_by": ["data_description.data_level"], "drop_null_groups": False},
            [(V2_DERIVED, V1_BEHAVIOR), (V2_RAW, V1_EPHYS), (V0,)],
        ),
        (
            {
                "query": "{}",
                "filter_latest": "data_description.creation_time",
                "filter_by": ["data_description.subject_id"],
            },
            [(V2_DERIVED,), (V1_EPHYS,), (V1_BEHAVIOR,)],
        ),
        (
            {
                "query": '{"schema_version": {"$regex": "^2"}}',
                "unwind_list_fields": ["data_description.modalities"],
                "group_by": ["data_description.modalities.abbreviation"],
            },
            [(V2_RAW, V2_DERIVED), (V2_RAW,)],
        ),
        (
            {
                "query": '{"data_description.modality": {"$exists": true}}',
                "unwind_list_fields": ["data_description.modality"],
                "group_by": ["data_description.modality.abbreviation"],
            },
            [(V1_EPHYS,), (V1_BEHAVIOR,)],  # two modalities of one asset: the same job, see the test below
        ),
        ({"query": "{}", "max_jobs": 2}, [(V0,), (V2_RAW,)]),
        (
            {"query": '{"_id": "3b3cad8f-774b-42a1-bdce-a84269078db2"}', "sweep": '{"number": [1, 2, 3]}'},
            [(V2_DERIVED,)] * 3,
        ),
        (
            {
                "query": '{"_id": "3b3cad8f-774b-42a1-bdce-a84269078db2"}',
                "sweep": '{"number": {"start": 0, "stop": 1, "count": 2}}',
                "sweep_mode": "zip",
            },
            [(V2_DERIVED,)] * 2,
        ),
    ],
)
def test_the_real_records_are_dispatched_by_each_option(real, options, jobs):
    assert locations(real(**options)) == sorted(jobs)


@pytest.mark.parametrize("name", ["dispatch_input_query.json", "template_input_query.json"])
def test_the_real_queries_run(real, place, name):
    query = (REAL_DATA / "queries" / name).read_text(encoding="utf-8")
    assert real(query=query).records == 0
    wanted = json.loads(query)
    subject, description = {"subject_id": wanted["subject.subject_id"]}, {"data_level": "derived"}
    description |= {"modality": [{"abbreviation": "behavior"}], "process_name": "processed"}
    place.assets.insert_one(
        {"_id": "x", "name": "x", "location": "s3://b/x", "subject": subject, "data_description": description}
    )
    assert locations(real(query=query)) == [("x",)]


def test_the_real_csv_runs(real, place):
    text = (REAL_DATA / "queries" / "data_asset_input.csv").read_text(encoding="utf-8")
    assert reasons(real(asset_csv=text)) == {Reason.NOT_FOUND: 3}
    one = {"external_links": {"Code Ocean": ["d94ab360-f393-41f4-831f-e098f11803df"]}}
    two = {"other_identifiers": {"Code Ocean": ["a52edfb8-0f42-4ad4-899d-1801e9a550ae"]}}
    place.assets.insert_many(
        [{"_id": name, "name": name, "location": f"s3://b/{name}", **ids} for name, ids in (("x", one), ("y", two))]
    )
    plan = real(asset_csv=text)
    assert locations(plan) == [("x",), ("y",)]
    assert [skip.what for skip in plan.skips] == ["0ec22758-6001-447e-b66a-9cd695bbdd09"]


@needs_real_data
@pytest.mark.parametrize(
    "path",
    sorted((REAL_DATA / "analysis_parameters").glob("*.json")) or [None],
    ids=lambda path: path.name if path else "",
)
def test_every_older_form_of_the_parameters_is_taken(place, path):
    place.add("one")
    with pytest.raises(DispatchError, match="unknown key `analysis_name`"):
        place.plan(parameters=path.read_text(encoding="utf-8"))


# -- files and inputs -----------------------------------------------------------------------------------------------


def test_files_are_found_in_s3_and_an_asset_without_them_is_reported(place):
    place.add("one", files=["a.nwb", "deep/b.nwb", "c.txt"])
    place.add("two", files=["c.txt"])
    split, whole = place.plan(file_extension=".nwb"), place.plan(file_extension=".nwb", split_files=False)
    assert [[url.rpartition("one/")[2] for url in job.candidate.files] for job in split.jobs] == [
        ["a.nwb"],
        ["deep/b.nwb"],
    ]
    assert [len(job.candidate.files) for job in whole.jobs] == [2]
    assert reasons(split) == reasons(whole) == {Reason.NO_FILE: 1}


def test_an_asset_whose_bucket_is_not_there_is_reported_and_not_fatal(place):
    place.add("one")
    place.assets.insert_one({"_id": "x", "name": "x", "location": "https://host/x"})
    plan = place.plan(file_extension=".nwb")
    assert (locations(plan), reasons(plan)) == ([("one",)], {Reason.NO_INPUT: 1})


def test_inputs_that_do_not_exist_are_found_before_anything_is_written(place):
    place.add("good")
    place.add("empty", files=["readme.txt"])
    place.add("many", files=["a.nwb", "b.nwb"])
    place.add("missing", files=())
    place.assets.insert_one({"_id": "f", "name": "f", "location": f"{place.bucket}/good/none.nwb"})
    plan = place.plan()
    assert locations(plan) == [("good",)]
    assert reasons(plan) == {Reason.SEVERAL_FILES: 1, Reason.NO_INPUT: 3}
    assert "Several NWB files are under" in next(s.detail for s in plan.skips if s.reason is Reason.SEVERAL_FILES)
    plan = place.plan(check_inputs="exists")
    assert locations(plan) == [("empty",), ("good",), ("many",)]
    assert reasons(plan) == {Reason.NO_INPUT: 2}
    assert len(place.plan(check_inputs="none").jobs) == 5


def test_a_group_with_a_missing_input_says_which_one(place):
    place.add("one", k=1)
    place.add("two", k=1, files=())
    (skip,) = place.plan(group_by=["k"]).skips
    assert skip.what.endswith("/two")
    assert skip.reason is Reason.NO_INPUT


def test_inputs_are_looked_for_once_and_no_more_than_are_written(place, monkeypatch):
    for number in range(6):
        place.add(f"asset{number}", files=["a.nwb"] if number != 1 else ())
    reported = []
    options = read_options({"query": "{}", "max_jobs": 4, "sweep": '{"number": [1, 2]}'})
    plan = Planning(place.entry, options, place.services, lambda *step: reported.append(step)).plan()
    assert [len(plan.jobs), reasons(plan)] == [4, {Reason.NO_INPUT: 2, Reason.BEYOND_MAX_JOBS: 6}]
    assert [step for step in reported if step[0] == "Checking inputs"] == [
        ("Checking inputs", 1, 2),
        ("Checking inputs", 2, 2),
        ("Checking inputs", 1, 1),
    ]


# -- what is known already ------------------------------------------------------------------------------------------


def test_a_plan_writes_nothing(place):
    place.add("one")
    place.plan()
    assert place.files() == []
    assert place.keys() == set()


def test_the_keys_of_the_plan_are_those_that_the_sensor_computes(place):
    place.add("one", s={"number": 5})
    place.add("two", s={"number": 6})
    place.services.inbox.write("double", "analysis_parameters.json", b'{"fixed_parameters": {"number": 9}}')
    for options in ({}, {"sweep": '{"number": [1, 2]}'}, {"set_values": ["number=3"]}, {"group_by": ["s.number"]}):
        plan, _ = place.dispatch(**options)
        place.harness.tick()
        assert {job.job_key for job in plan.jobs} <= place.keys()
        assert not place.harness.rejected()
    assert {job["parameters"]["number"] for job in place.harness.jobs().values()} == {9, 1, 2, 3}


def test_the_same_dispatch_twice_writes_no_second_job(place):
    for number in range(3):
        place.add(f"asset{number}")
    first, written = place.dispatch()
    assert (len(first.jobs), written.files, len(place.files())) == (3, 3, 3)
    again, written = place.dispatch()
    assert (again.jobs, written.files, reasons(again)) == ((), 0, {Reason.IN_INBOX: 3})
    assert all("by dispatch/" in skip.detail for skip in again.skips)
    place.harness.tick()
    assert reasons(place.plan()) == {Reason.ASKED: 3}
    assert len(place.files()) == 3


def test_what_is_done_requested_or_failed_is_left_out_with_the_reason(place):
    keys = {}
    for name in ("new", "running", "done", "failed", "other-code", "failed-other-code"):
        place.add(name)
        plan, _ = place.dispatch(query=json.dumps({"name": name}))
        keys[name] = plan.jobs[0].job_key
    place.harness.tick()
    for name in ("running", "done", "failed"):
        place.settle(keys[name], name)
    place.settle(keys["other-code"], "done", code_version="0")
    place.settle(keys["failed-other-code"], "failed", code_version="0")
    plan = place.plan()
    assert reasons(plan) == {Reason.DONE: 1, Reason.ASKED: 2, Reason.FAILED: 1}
    (failed,) = [skip for skip in plan.skips if skip.reason is Reason.FAILED]
    assert failed.detail == f"try it again with: analysis rerun double --key {keys['failed']}"
    assert {job.job_key for job in plan.jobs} == plan.outdated == {keys["other-code"], keys["failed-other-code"]}
    write_plan(plan, place.services, progress=ignore)
    assert reasons(place.plan()) == {Reason.DONE: 1, Reason.ASKED: 2, Reason.FAILED: 1, Reason.IN_INBOX: 2}
    place.harness.tick()
    assert place.keys(JobState.NEW) == {keys["new"], keys["other-code"], keys["failed-other-code"]}


def test_what_is_archived_is_left_out_whatever_the_code_is(place):
    for name in ("one", "two"):
        place.add(name)
    jobs = place.plan().jobs
    write_plan(place.plan(), place.services, progress=ignore)
    place.harness.tick()
    for job, version in zip(jobs, (place.entry.code_version, "0"), strict=True):
        place.settle(job.job_key, "done", code_version=version)
        place.harness.stores.ledger.requests.archive("double", [job.job_key])
    plan = place.plan()
    assert reasons(plan) == {Reason.ARCHIVED: 2}
    assert plan.skips[0].detail == f"bring it back with: analysis archive double --restore --key {jobs[0].job_key}"


def test_a_result_whose_job_the_ledger_has_lost_is_done(place):
    place.add("one")
    (job,) = place.plan().jobs
    place.harness.add_record(job.job_key)
    assert place.services.results.existing([result_id("double", place.entry.code_version, job.job_key)])
    assert reasons(place.plan()) == {Reason.DONE: 1}


def test_known_jobs_are_found_in_one_query_and_not_one_by_one(place):
    for number in range(50):
        place.add(f"asset{number:02}", files=())
    plan, _ = place.dispatch(check_inputs="none")
    place.harness.tick()
    for key in [job.job_key for job in plan.jobs][:25]:
        place.settle(key, "done")
    database = place.services.ledger.mongo.collection("x").raw.database
    database.command("profile", 2)
    assert reasons(place.plan(check_inputs="none")) == {Reason.DONE: 25, Reason.ASKED: 25}
    database.command("profile", 0)
    requested = [
        d["ns"].partition(".")[2] for d in database["system.profile"].find({"op": {"$in": ["query", "command"]}})
    ]
    assert (requested.count("results_jobs"), requested.count("results")) == (1, 0), "every job is known"


def test_beyond_max_jobs_the_next_dispatch_goes_on(place):
    for number in range(5):
        place.add(f"asset{number}")
    seen = []
    for _ in range(3):
        plan, _ = place.dispatch(max_jobs=2)
        seen += [job.job_key for job in plan.jobs]
    assert len(seen) == len(set(seen)) == 5


def test_groups_of_the_same_assets_are_one_job_unless_a_parameter_distinguishes_them(place):
    place.add("one", m=[{"k": 1, "number": 1}, {"k": 2, "number": 2}])
    plan = place.plan(unwind_list_fields=["m"], group_by=["m.k"])
    assert (len(plan.jobs), reasons(plan)) == (1, {Reason.DUPLICATE: 1})
    assert len(place.plan(unwind_list_fields=["m"], group_by=["m.number"]).jobs) == 2
    assert len(place.plan(unwind_list_fields=["m"], group_by=["m.k"], group_parameters=["m.k=number"]).jobs) == 2


# -- parameters and groups ------------------------------------------------------------------------------------------


def test_sets_of_the_inbox_are_used_unless_the_dispatch_gives_some(place):
    place.add("one")
    content = {"fixed_parameters": {"number": 9}, "distributed_parameters": [{"number": 1}, {"number": 2}]}
    place.services.inbox.write("double", "analysis_parameters.json", json.dumps(content).encode())
    assert len(place.plan().jobs) == 2
    assert len(place.plan(sweep='{"number": [1, 2, 3]}').jobs) == 3
    assert len(place.plan(parameters='[{"number": 4}, {"number": 5}, {"number": 6}, {"number": 7}]').jobs) == 4


def test_a_broken_parameter_file_of_the_inbox_is_named(place):
    place.services.inbox.write("double", "analysis_parameters.json", b"{")
    with pytest.raises(JobFileError, match=r"analysis_parameters\.json is not JSON"):
        place.plan()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"parameters": "{"}, "Parameter file of the dispatch is not JSON"),
        ({"set_values": ["number"]}, "expected name=value"),
        ({"set_values": ["number=NaN"]}, "not a finite number"),
        ({"set_values": ["numbr=1"]}, "did you mean `number`"),
        ({"file_extension": "x/"}, "`file_extension`"),
        ({"query": '{"$where": "1"}'}, r"`\$where` at the top is not allowed"),
        ({"query": '{"a": {"$nonsense": 1}}'}, "rejected it: unknown operator"),
        ({"max_records": 1}, "The query finds 2 records; at most 1 are taken"),
        ({"records": ["a", "b"], "max_records": 1}, "There are 2 records; at most 1"),
        ({"asset_ids": ["a", "b"], "max_records": 1}, "There are 2 asset ids; at most 1"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(place, options, reason):
    place.add("one")
    place.add("two")
    with pytest.raises(DispatchError, match=reason):
        place.plan(**options)


class FewerRecords(MongoAssetRecords):
    """Records of which all but one were added after they were counted."""

    def count(self, *_, **__):
        """Return how many there were."""
        return 1


def test_records_that_were_added_since_they_were_counted_are_not_taken(place):
    place.add("one")
    place.add("two")
    assets = place.services.assets
    counted_before = FewerRecords(mongo=assets.mongo, name=assets.name)
    place.services = replace(place.services, assets=counted_before)
    with pytest.raises(DispatchError, match="finds 2 records"):
        place.plan(max_records=1)


def test_a_field_that_no_record_has_gives_a_warning_with_the_nearest_one(place):
    place.add("one", subject={"subject_id": "1"})
    plan = place.plan(query='{"subject.subjct_id": "1"}', group_by=["subject.subject_i"])
    assert plan.warnings == (
        "No record has a field `subject.subjct_id`: did you mean `subject.subject_id`?",
        "No record has a field `subject.subject_i`: did you mean `subject.subject_id`?",
    )
    assert place.plan(query='{"subject.subject_id": "2"}').warnings == ()


def test_an_empty_database_is_noticed(place):
    assert place.plan().warnings == (
        f"No records found in {place.services.assets.description}. Check the settings ASSETS_….",
    )


def test_a_plan_through_the_rest_api_is_the_same(place, settings, instance, docdb_uri):
    for name, level in (("one", "raw"), ("two", "raw"), ("three", "derived")):
        place.add(name, d={"level": level}, other_identifiers={"Code Ocean": [f"asset-{name}"]})
    with docdb_api(docdb_uri) as api:
        own = {"assets_api_url": api.url, "assets_database": settings.docdb_database}
        rest = Place(settings.model_copy(update=own), instance)
        for options in (
            {"group_by": ["d.level"]},
            {"query": '{"d.level": "raw", "d.nothing": 1}'},
            {"asset_ids": ["asset-one", "asset-none"]},
            {"records": ["two", f"{place.bucket}/three"]},
        ):
            direct, through = place.plan(**options), rest.plan(**options)
            assert [job.job_key for job in through.jobs] == [job.job_key for job in direct.jobs]
            assert (reasons(through), through.warnings) == (reasons(direct), direct.warnings)
        assert api.asked


def test_names_ids_and_cells_never_become_operators_or_paths(place):
    evil = ["$where", "../../etc/passwd", '{"$gt": ""}', "$(rm -rf)", "a\n;b"]
    plan = place.plan(records=evil)
    assert reasons(plan) == {Reason.NOT_FOUND: 5}
    assert reasons(place.plan(asset_ids=evil)) == {Reason.NOT_FOUND: 5}
    place.assets.insert_one({"_id": "../../x", "name": "../../y", "location": "s3://b/../../z", "k": "../../g"})
    _, written = place.dispatch(check_inputs="none", group_by=["k"])
    (name,) = place.files()
    assert name == f"dispatch/{written.dispatch_id}/0000/000000.json"


def test_a_server_of_the_inputs_that_is_away_ends_the_dispatch(place, tmp_path):
    place.add("one")
    away = Inputs(s3=S3Connection(embedded_home=str(tmp_path)))
    place.services = replace(place.services, inputs=away)
    with pytest.raises(ServerUnavailableError, match="are not running"):
        place.plan(file_extension=".nwb")


def test_a_group_that_is_too_large_for_a_job_file_is_left_out(place):
    names = [f"{number}-{'n' * 900}" for number in range(600)]
    located = [{"_id": name, "name": name, "location": f"{place.bucket}/{name}", "k": "x"} for name in names]
    place.assets.insert_many(located)
    place.add("two", k="y")
    plan = place.plan(group_by=["k"], check_inputs="none")
    assert (locations(plan), reasons(plan)) == ([("two",)], {Reason.TOO_LARGE: 1})
