"""The Dagster job: from the launchpad to results, with a real Dagster, a real sensor and real runs."""

import json

import dagster as dg
import pytest

from definitions import build_defs
from dispatch.dispatch_job import DispatchConfig, run_config
from dispatch.model.options import DispatchOptions, read_options
from domain.job.state import JobState
from tests.dispatch.conftest import LAB

KEY = dg.AssetKey(["double", "dispatches"])


@pytest.fixture
def launch(lab, instance):
    """Give the function that launches the job as the launchpad does."""

    def launch(definitions=None, *, analysis="double", tags=None, **config):
        return (
            (definitions or lab)
            .resolve_job_def("dispatch")
            .execute_in_process(
                run_config={"ops": {"find_and_write": {"config": {"analysis": analysis, **config}}}},
                instance=instance,
                raise_on_error=False,
                tags=tags,
            )
        )

    return launch


def logged(instance, result):
    """Give what a run has logged."""
    return "\n".join(entry.user_message for entry in instance.all_logs(result.run_id))


def test_the_launchpad_shows_every_option_with_its_description_and_default(lab):
    fields = (
        lab.resolve_job_def("dispatch").get_node_named("find_and_write").definition.config_schema.config_type.fields
    )
    assert set(fields) == set(DispatchOptions.model_fields) | {"analysis", "plan_only"}
    for name, field in DispatchConfig.model_fields.items():
        assert fields[name].description == field.description
        assert name == "analysis" or not fields[name].is_required
    assert fields["plan_only"].default_value is True
    assert fields["max_jobs"].default_value == 1000


def test_the_first_launch_shows_the_plan_and_writes_nothing(launch, place, instance):
    place.add("one")
    place.add("two", files=())
    result = launch(query="{}")
    assert result.success
    text = logged(instance, result)
    assert "2 records found; 1 job to write; 1 left out." in text
    assert "skip: the input does not exist" in text
    assert "Nothing was written, because plan_only is true." in text
    assert place.files() == []
    assert instance.get_latest_materialization_event(KEY) is None
    (event,) = instance.fetch_observations(KEY, limit=5).records
    table = event.event_log_entry.dagster_event.event_specific_data.asset_observation.metadata["plan"]
    assert [record.data["what"] for record in table.records] == [
        "write",
        "skip: the input does not exist, or cannot be read",
    ]


def test_a_dispatch_from_the_launchpad_ends_in_results_without_another_click(launch, lab, place, instance):
    for name in ("one", "two"):
        place.add(name, subject={"id": "7"})
    assert launch(query="{}", group_by=["subject.id"], sweep='{"number": [1, 2]}', plan_only=False).success
    repository = lab.get_repository_def()
    sensor = repository.get_sensor_def("double_job_files")
    resources = {name: place.connections.as_dict()[name] for name in sensor.required_resource_keys}
    with dg.build_sensor_context(instance=instance, repository_def=repository, resources=resources) as context:
        (request,) = sensor.evaluate_tick(context).run_requests
    job = lab.resolve_job_def("double_batch")
    assert job.execute_in_process(instance=instance, tags=dict(request.tags)).success
    assert len(place.keys(JobState.DONE)) == 2
    entries = place.services.ledger.jobs.get_many("double", place.keys())
    records = place.connections.record_store.get_many([entry.result_id for entry in entries.values()])
    assert sorted(
        record["processing"]["data_processes"][0]["output_parameters"]["double"] for record in records.values()
    ) == [2, 4]
    for record in records.values():
        own = record["analysis_assets"]
        assert own["group"] == [{"field": "subject.id", "value": "7"}]
        assert own["dispatch_id"]
    assert launch(query="{}", group_by=["subject.id"], sweep='{"number": [1, 2]}', plan_only=False).success
    assert len(place.files()) == 2


def test_a_dispatch_is_recorded_with_who_when_what_and_where(launch, place, instance):
    place.add("one")
    place.add("two", files=())
    assert launch(query='{"name": {"$exists": true}}', plan_only=False).success
    found = instance.get_latest_materialization_event(KEY).asset_materialization
    reported = {name: value.value for name, value in found.metadata.items()}
    assert reported["who"].endswith(", from the launchpad")
    assert reported["query"] == '{"name":{"$exists":true}}'
    assert reported["options"] == {"query": '{"name": {"$exists": true}}'}
    assert reported["counts"] == {"write": 1, "the input does not exist, or cannot be read": 1}
    assert (reported["job files"], reported["records"]) == (1, 2)
    assert reported["folder"].endswith(f"/double/dispatch/{reported['dispatch id']}")
    assert reported["when"] > 1_700_000_000
    assert found.metadata["results"].asset_key == dg.AssetKey(["analysis", "double"])
    assert found.description == "2 records found; 1 job to write; 1 left out."


def test_a_schedule_is_named_as_who_dispatched(launch, place, instance):
    launch(query="{}", plan_only=False, tags={"dagster/schedule_name": "dispatch_nightly"})
    found = instance.get_latest_materialization_event(KEY).asset_materialization
    assert found.metadata["who"].value == "schedule dispatch_nightly"


def test_with_dry_run_nothing_is_written_whatever_is_requested(launch, place, instance, settings):
    place.add("one")
    definitions = build_defs(settings.model_copy(update={"dry_run": True}), folder=LAB)
    result = launch(definitions, query="{}", plan_only=False)
    assert result.success
    assert "Nothing was written, because DRY_RUN is set." in logged(instance, result)
    assert place.files() == []
    assert instance.get_latest_materialization_event(KEY) is None


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"query": '{"$where": "1"}'}, "`$where` at the top is not allowed"),
        ({"query": "{}", "analysis": "nobody"}, "There is no analysis `nobody`. The analyses are: double, misbehave."),
        ({}, "choose assets in one way"),
        ({"query": "{}", "sweep": "{"}, "The sweep is not JSON"),
    ],
)
def test_a_run_that_cannot_be_done_says_why_and_is_not_tried_again(launch, instance, config, reason):
    result = launch(**config)
    assert not result.success
    (failure,) = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    assert reason in failure.event_specific_data.user_failure_data.description


def test_warnings_and_progress_are_logged(launch, place, instance):
    place.add("one")
    text = logged(instance, launch(query="{}", group_by=["nme"], file_extension=".nwb"))
    assert "No record has a field `nme`: did you mean `name`?" in text
    text = logged(instance, launch(query="{}", file_extension=".nwb", plan_only=False))
    assert "Looking for .nwb files: 1 of 1" in text
    assert "Writing job files: 1 of 1" in text


def test_the_run_config_of_a_dispatch_holds_what_differs_from_the_defaults():
    options = read_options({"query": {"a": 1}, "sweep_mode": "zip", "sweep": {"b": [1]}, "split_files": False})
    assert run_config("double", options) == {
        "ops": {
            "find_and_write": {
                "config": {
                    "analysis": "double",
                    "plan_only": False,
                    "query": json.dumps({"a": 1}),
                    "sweep": json.dumps({"b": [1]}),
                    "sweep_mode": "zip",
                    "split_files": False,
                }
            }
        }
    }
