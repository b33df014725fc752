"""What Dagster loads."""

import json
import re
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster._serdes import serialize_value

from analysis_assets._asset import LaunchConfig
from definitions import build_defs, defs  # noqa: TID251  this file tests it
from domain.errors import AnalysisFileError
from resources.settings import Settings

LAB = Path(__file__).parent / "lab"
CODE_VERSION = re.compile(r"\d+(\.\d+)*\+[0-9a-f]{12}")


@pytest.fixture
def settings(tmp_path):
    """Give settings of a folder of their own."""
    return Settings(analysis_home=tmp_path / "home")


@pytest.fixture
def lab(settings):
    """Give the definitions of the analyses for tests."""
    return build_defs(settings, folder=LAB)


def snapshot(definitions):
    """Return everything that Dagster shows of definitions."""
    return RepositorySnap.from_def(definitions.get_repository_def())


def test_definitions_load_with_no_variable_set_and_no_server_running(monkeypatch, tmp_path):
    monkeypatch.setattr("definitions.load_settings", lambda: Settings(analysis_home=tmp_path / "home"))
    loaded = defs()
    loaded = loaded if isinstance(loaded, dg.Definitions) else loaded.load_definitions_fn()
    keys = {spec.key.to_user_string() for spec in loaded.resolve_all_asset_specs()}
    assert {"analysis/unit_quality", "inbox/unit_quality"} <= keys
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

    assert shown == {
        "analysis/double": analysis("double"),
        "analysis/misbehave": analysis("misbehave"),
        "dispatch/double": dispatch("double"),
        "dispatch/misbehave": dispatch("misbehave"),
        "inbox/double": inbox("double"),
        "inbox/misbehave": inbox("misbehave"),
    }
    assert {s.name: (s.job_name, s.minimum_interval_seconds) for s in repository.sensor_defs} == {
        "double_job_files": ("double_batch", 5),
        "misbehave_job_files": ("misbehave_batch", 5),
        "hourly_audit": ("audit", 60),
    }
    assert {s.default_status for s in repository.sensor_defs} == {dg.DefaultSensorStatus.RUNNING}
    jobs = {"double_batch", "misbehave_batch", "dispatch", "audit", "double_retry_failed", "misbehave_retry_failed"}
    assert jobs <= set(repository.job_names)
    assert repository.schedule_defs == []
    assert sorted(key.to_user_string() for key in repository.asset_graph.asset_check_keys) == [
        "analysis/double:dagster_mongodb_and_s3_agree",
        "analysis/double:is_positive",
        "analysis/misbehave:dagster_mongodb_and_s3_agree",
        "inbox/double:job_files_readable",
        "inbox/misbehave:job_files_readable",
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
    assert "| `number` | number | no unit | `1.0` |  | The number. |" in spec.metadata["parameters"].value
    assert "Twice the number." in spec.metadata["outputs"].value
    assert spec.description.startswith("Doubles a number")


def test_dispatches_lead_to_the_inbox(lab):
    (spec,) = [s for s in lab.resolve_all_asset_specs() if s.key == dg.AssetKey(["inbox", "double"])]
    assert [dep.asset_key for dep in spec.deps] == [dg.AssetKey(["dispatch", "double"])]


def test_the_folder_of_the_inbox_is_named(lab, settings):
    (spec,) = [s for s in lab.resolve_all_asset_specs() if s.key == dg.AssetKey(["inbox", "double"])]
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
