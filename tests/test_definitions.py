"""What Dagster loads."""

import json
import re
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster._serdes import serialize_value
from pydantic import SecretStr

from definitions import build_defs, defs
from dispatch.definitions import DATA_ASSETS
from domain.errors import AnalysisFileError
from engine.assets.factory import LaunchConfig
from resources.settings import Settings

LAB = Path(__file__).parent / "lab"
CODE_VERSION = re.compile(r"\d+(\.\d+)*\+[0-9a-f]{12}")


@pytest.fixture
def settings(tmp_path):
    """Give settings with a new folder."""
    return Settings(analysis_home=tmp_path / "home")


@pytest.fixture
def lab(settings):
    """Give the definitions of the analyses for tests."""
    return build_defs(settings, folder=LAB)


def snapshot(definitions):
    """Return everything that Dagster shows of definitions."""
    return RepositorySnap.from_def(definitions.get_repository_def())


def test_definitions_load_with_only_a_home_set_and_no_server_running(monkeypatch, tmp_path):
    monkeypatch.setenv("ANALYSIS_HOME", str(tmp_path / "home"))
    loaded = defs()
    loaded = loaded if isinstance(loaded, dg.Definitions) else loaded.load_definitions_fn()
    keys = {spec.key.to_user_string() for spec in loaded.resolve_all_asset_specs()}
    assert {"analysis/unit_quality", "unit_quality/inbox"} <= keys
    assert not (tmp_path / "home").exists()


def test_every_definition_is_what_it_was(lab):
    repository = lab.get_repository_def()
    shown = {}
    for spec in lab.resolve_all_asset_specs():
        shown[spec.key.to_user_string()] = {
            "group": spec.group_name,
            "owners": list(spec.owners),
            "kinds": sorted(spec.kinds),
            "partitions": spec.partitions_def.name if spec.partitions_def else None,
            "code version": bool(CODE_VERSION.fullmatch(spec.code_version)) if spec.code_version else None,
        }

    def analysis(name):
        return {
            "group": name,
            "owners": ["team:tests"],
            "kinds": ["mongodb", "python", "s3"],
            "partitions": name,
            "code version": True,
        }

    def inbox(name):
        return {"group": name, "owners": ["team:tests"], "kinds": ["json"], "partitions": None, "code version": None}

    dispatch = inbox

    def made(name, kind):
        return {
            "group": name,
            "owners": ["team:tests"],
            "kinds": [kind, "s3"],
            "partitions": None,
            "code version": None,
        }

    assert shown == {
        "analysis/double": analysis("double"),
        "analysis/misbehave": analysis("misbehave"),
        "data_assets": {"group": "data", "owners": [], "kinds": ["mongodb"], "partitions": None, "code version": None},
        "double/catalog": made("double", "parquet"),
        "misbehave/catalog": made("misbehave", "parquet"),
        "double/dispatches": dispatch("double"),
        "misbehave/dispatches": dispatch("misbehave"),
        "double/inbox": inbox("double"),
        "misbehave/inbox": inbox("misbehave"),
        "double/report": made("double", "html"),
        "misbehave/report": made("misbehave", "html"),
    }
    assert {s.name: (s.job_name, s.minimum_interval_seconds) for s in repository.sensor_defs} == {
        "double_job_files": ("double_batch", 5),
        "misbehave_job_files": ("misbehave_batch", 5),
        "catalogs": ("catalog", 10),
    }
    assert {s.default_status for s in repository.sensor_defs} == {dg.DefaultSensorStatus.RUNNING}
    jobs = {
        "double_batch",
        "misbehave_batch",
        "dispatch",
        "audit",
        "catalog",
        "double_retry_failed",
        "misbehave_retry_failed",
    }
    assert jobs <= set(repository.job_names)
    assert {s.name: (s.job_name, s.cron_schedule, s.execution_timezone) for s in repository.schedule_defs} == {
        "audit_schedule": ("audit", "0 * * * *", "UTC"),
    }
    assert {s.default_status for s in repository.schedule_defs} == {dg.DefaultScheduleStatus.RUNNING}
    assert sorted(key.to_user_string() for key in repository.asset_graph.asset_check_keys) == [
        "analysis/double:dagster_mongodb_and_s3_agree",
        "analysis/double:files_match_manifest",
        "analysis/double:is_positive",
        "analysis/double:record_is_valid",
        "analysis/misbehave:dagster_mongodb_and_s3_agree",
        "analysis/misbehave:files_match_manifest",
        "analysis/misbehave:record_is_valid",
        "double/catalog:includes_newest_results",
        "double/inbox:job_files_readable",
        "misbehave/catalog:includes_newest_results",
        "misbehave/inbox:job_files_readable",
    ]
    assert set(repository.get_top_level_resources()) == {
        "alerts",
        "asset_records",
        "catalog_files",
        "inbox_notes",
        "inbox_queue",
        "inputs",
        "job_inbox",
        "ledger",
        "record_store",
        "results_store",
    }


def test_a_run_takes_a_batch_and_runs_in_one_process(lab):
    asset = lab.get_assets_def(dg.AssetKey(["analysis", "double"]))
    assert asset.backfill_policy.max_partitions_per_run == 100
    assert lab.resolve_job_def("double_batch").executor_def.name == "in_process"


def test_a_person_may_choose_a_dry_run_or_a_reason_and_no_parameter():
    assert set(LaunchConfig.model_fields) == {"dry_run", "force_reason"}


def test_people_see_what_parameters_and_outputs_mean(lab):
    spec = lab.get_assets_def(dg.AssetKey(["analysis", "double"])).get_asset_spec()
    (row,) = spec.metadata["parameters"].records
    assert tuple(row.data.values()) == ("number", "number", "no unit", "1.0", "", "The number.")
    assert spec.metadata["outputs"].records[0].data["meaning"] == "Twice the number."
    assert spec.description.startswith("Doubles a number")


def test_the_graph_leads_from_data_assets_to_results(lab):
    deps = {
        s.key.to_user_string(): [d.asset_key.to_user_string() for d in s.deps] for s in lab.resolve_all_asset_specs()
    }
    assert deps["data_assets"] == []
    assert deps["double/dispatches"] == ["data_assets"]
    assert deps["double/inbox"] == ["double/dispatches"]
    assert deps["analysis/double"] == ["double/inbox"]


def test_the_metadata_database_is_named_without_its_password(settings):
    uri = SecretStr("mongodb://reader:hidden-word@db.lab.org:27017/")
    reported = settings.model_copy(update={"assets_uri": uri, "assets_database": "metadata_index"})
    (spec,) = [s for s in build_defs(reported, folder=LAB).resolve_all_asset_specs() if s.key == DATA_ASSETS]
    shown = {name: value.value for name, value in spec.metadata.items() if isinstance(value, dg.MetadataValue)}
    assert (shown["database"], shown["collection"]) == ("metadata_index", "data_assets")
    assert "hidden-word" not in str(spec)


def test_the_source_of_an_analysis_is_a_reference(lab):
    spec = lab.get_assets_def(dg.AssetKey(["analysis", "double"])).get_asset_spec()
    (reference,) = spec.metadata["dagster/code_references"].code_references
    assert "double.py" in reference.source


def test_the_columns_of_tables_are_shown_with_their_units(settings):
    spec = build_defs(settings).get_assets_def(dg.AssetKey(["analysis", "unit_quality"])).get_asset_spec()
    columns = {column.name: column for column in spec.metadata["dagster/column_schema"].columns}
    assert columns["firing_rate_hz"].type == "float"
    assert columns["firing_rate_hz"].constraints.nullable
    assert columns["firing_rate_hz"].description.endswith("(Hz).")
    assert (columns["passing"].type, columns["passing"].constraints.nullable) == ("bool", False)


def test_dispatches_lead_to_the_inbox(lab):
    (spec,) = [s for s in lab.resolve_all_asset_specs() if s.key == dg.AssetKey(["double", "inbox"])]
    assert [dep.asset_key for dep in spec.deps] == [dg.AssetKey(["double", "dispatches"])]


def test_results_lead_to_the_catalog_and_the_catalog_to_the_report(lab):
    deps = {
        s.key.to_user_string(): [d.asset_key.to_user_string() for d in s.deps] for s in lab.resolve_all_asset_specs()
    }
    assert deps["double/catalog"] == ["analysis/double"]
    assert deps["double/report"] == ["double/catalog"]


def test_the_folder_of_the_inbox_is_named(lab, settings):
    (spec,) = [s for s in lab.resolve_all_asset_specs() if s.key == dg.AssetKey(["double", "inbox"])]
    assert spec.metadata["folder"].value == f"{settings.job_inbox}/double"


def test_no_secret_is_shown(tmp_path, monkeypatch):
    uri = "mongodb://analyst:the-password@db.example.org/"
    monkeypatch.setenv("DOCDB_URI", uri)
    monkeypatch.setenv("ASSETS_URI", "mongodb://reader:the-password@docdb.example.org/")
    monkeypatch.setenv("ALERT_WEBHOOK_URL", "https://hooks.example.org/the-password")
    monkeypatch.setenv("ALERT_EMAIL_TO", "ann@example.org")
    monkeypatch.setenv("SMTP_URL", "smtp://ann:the-password@mail.example.org:587")
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"):
        monkeypatch.setenv(name, "the-secret-key")
    settings = Settings(analysis_home=tmp_path / "home")
    assert settings.docdb_uri.get_secret_value() == uri
    found = build_defs(settings, folder=LAB)
    text = serialize_value(snapshot(found))
    assert "DOCDB_URI" in text
    assert "ASSETS_URI" in text
    assert {"alert_on_failed_runs", "alert_on_what_stands_still"} <= {s.name for s in found.sensors}
    for secret in ("the-password", "the-secret-key"):
        assert secret not in text
        assert secret not in repr(found)


def test_an_analysis_that_cannot_be_loaded_is_named(tmp_path, settings):
    (tmp_path / "broken.py").write_text("ANALYSIS = 1\n", encoding="utf-8")
    with pytest.raises(AnalysisFileError, match=r"broken\.py:1: expected `ANALYSIS = Analysis"):
        build_defs(settings, folder=tmp_path)


def test_the_snapshot_is_json(lab):
    assert json.loads(serialize_value(snapshot(lab)))


def test_a_queue_has_a_sensor_of_its_own(monkeypatch):
    assert "inbox_queue" not in {sensor.name for sensor in build_defs(Settings(), folder=LAB).sensors}
    monkeypatch.setenv("JOB_INBOX", "s3://lab-jobs/inbox")
    monkeypatch.setenv("JOB_INBOX_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs")
    assert "inbox_queue" in {sensor.name for sensor in build_defs(Settings(), folder=LAB).sensors}


def test_an_analysis_links_to_its_results_in_the_explorer(lab, tmp_path):
    (double,) = [spec for spec in lab.resolve_all_asset_specs() if spec.key.path == ["analysis", "double"]]
    assert double.metadata["explorer"].value == "http://127.0.0.1:3001/?analysis=double"
    elsewhere = build_defs(Settings(analysis_home=tmp_path, analysis_bucket="lab"), folder=LAB)
    assert not [spec for spec in elsewhere.resolve_all_asset_specs() if "explorer" in spec.metadata]
