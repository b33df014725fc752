"""Settings are read once, checked, and named in plain words when they are wrong."""

import logging
import os
import re
import tomllib
from pathlib import Path
from unittest.mock import patch

import pytest
from pydantic import ValidationError

from domain.errors import SettingsError
from resources.settings import PROJECT_ROOT, RETIRED, Settings, load_settings


def test_nothing_set_means_embedded_servers_below_the_project():
    settings = Settings()
    assert settings.embedded_mongo
    assert settings.embedded_s3
    assert settings.analysis_home == PROJECT_ROOT / ".analysis"
    assert settings.job_inbox == str(PROJECT_ROOT / ".analysis" / "inbox")
    assert (settings.analysis_bucket, settings.docdb_database, settings.docdb_collection) == (
        "analysis-results",
        "analysis",
        "results",
    )
    assert settings.s3_endpoint_url is None
    assert not settings.dry_run


def test_the_environment_is_read(monkeypatch):
    values = {
        "ANALYSIS_BUCKET": "lab-results/analysis/",
        "DOCDB_URI": "mongodb://me:secret@db.example:27017/?tls=true",
        "DRY_RUN": "Yes",
        "INPUT_S3_UNSIGNED": "1",
        "JOB_INBOX": "s3://lab-jobs/inbox/",
        "RESULTS_BROWSER_URL": "https://results.example/",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.analysis_bucket == "lab-results/analysis"
    assert settings.job_inbox == "s3://lab-jobs/inbox"
    assert settings.results_browser_url == "https://results.example"
    assert settings.docdb_uri.get_secret_value() == values["DOCDB_URI"]
    assert settings.dry_run
    assert settings.input_s3_unsigned
    assert not settings.embedded_mongo
    assert not settings.embedded_s3
    assert "secret" not in repr(settings)


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        Settings().dry_run = True


def test_relative_folders_are_read_against_the_project(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANALYSIS_HOME", "elsewhere")
    assert Settings().job_inbox == str(PROJECT_ROOT / "elsewhere" / "inbox")
    monkeypatch.setenv("JOB_INBOX", "jobs")
    assert Settings().job_inbox == str(PROJECT_ROOT / "jobs")


def test_a_home_folder_is_expanded(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ANALYSIS_HOME", "~/here")
    assert Settings().analysis_home == tmp_path / "here"


def test_a_variable_set_to_nothing_counts_as_not_set(monkeypatch):
    for name in ("DOCDB_URI", "JOB_INBOX", "DRY_RUN", "AWS_ENDPOINT_URL", "ANALYSIS_HOME"):
        monkeypatch.setenv(name, " ")
    assert Settings() == Settings.model_construct(**Settings().model_dump())
    assert Settings().embedded_mongo


@pytest.mark.parametrize(
    "value",
    ["", "s3://None/x", "None/x", "none", "s3://bucket/x", "bucket//x", "bucket/../x", "UPPER", "ab", "b/a\nb", "/x"],
)
def test_an_unusable_bucket_is_refused_with_the_good_form(monkeypatch, value):
    monkeypatch.setenv("ANALYSIS_BUCKET", value)
    with pytest.raises(SettingsError, match=r"(?s)ANALYSIS_BUCKET cannot be used: found .* expected `bucket` or"):
        Settings()


@pytest.mark.parametrize(
    ("name", "value", "good"),
    [
        ("DRY_RUN", "maybe", "1, true, yes, on"),
        ("INPUT_S3_UNSIGNED", "2", "1, true, yes, on"),
        ("JOB_INBOX", "s3://None/x", "s3://bucket/prefix"),
        ("JOB_INBOX", "ftp://host/x", "a folder"),
        ("DOCDB_DATABASE", "a.b", "letters"),
        ("DOCDB_COLLECTION", "system.users", "letters"),
        ("DOCDB_COLLECTION", "a$b", "letters"),
        ("AWS_ENDPOINT_URL", "localhost:9000", "https://host:9000"),
        ("INPUT_S3_ENDPOINT_URL", "http://", "https://host:9000"),
        ("RESULTS_BROWSER_URL", "ftp://host", "https://host:9000"),
        ("ASSETS_API_URL", "api.example.org", "https://host:9000"),
        ("ASSETS_DATABASE", "a.b", "letters"),
        ("ASSETS_COLLECTION", "system.users", "letters"),
    ],
)
def test_a_bad_value_is_named_with_the_good_form(monkeypatch, name, value, good):
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"{name} cannot be used: found .*{re.escape(good)}"):
        Settings()


@pytest.mark.parametrize("name", ["DOCDB_URI", "ASSETS_URI"])
@pytest.mark.parametrize("value", ["hunter2@db.example", "http://me:hunter2@db.example", "mongodb://me:hunter2@/"])
def test_an_unusable_database_address_is_refused_without_being_shown(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name) as error:
        Settings()
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("name", ["INPUT_S3_ENDPOINT_URL", "JOB_INBOX"])
def test_a_password_in_an_address_is_refused_and_not_shown(monkeypatch, name):
    monkeypatch.setenv(name, "https://me:hunter2@host:9000/?sig=hunter2")
    with pytest.raises(SettingsError, match=name) as error:
        Settings()
    assert "hunter2" not in str(error.value)


def test_the_records_of_assets_have_one_place(monkeypatch):
    monkeypatch.setenv("ASSETS_URI", "mongodb://me:hunter2@db.example/")
    monkeypatch.setenv("ASSETS_API_URL", "https://api.example.org/v2")
    with pytest.raises(SettingsError, match="ASSETS_API_URL cannot be used: found ASSETS_URI beside it") as error:
        Settings()
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_a_server_without_a_bucket_is_refused(monkeypatch, name):
    monkeypatch.setenv(name, "https://s3.example/")
    with pytest.raises(SettingsError, match="ANALYSIS_BUCKET cannot be used: found nothing"):
        Settings()
    monkeypatch.setenv("ANALYSIS_BUCKET", "lab")
    assert Settings().s3_endpoint_url == "https://s3.example"
    assert not Settings().embedded_s3


def test_the_file_adds_to_the_environment_and_never_replaces(monkeypatch, tmp_path):
    file = tmp_path / ".env"
    file.write_text("ANALYSIS_BUCKET=from-file\nDOCDB_DATABASE=from_file\nAWS_DEFAULT_REGION=us-west-2\n")
    monkeypatch.setenv("DOCDB_DATABASE", "from_environment")
    with patch.dict(os.environ):
        settings = load_settings(env_file=file)
        assert os.environ["AWS_DEFAULT_REGION"] == "us-west-2"
    assert (settings.analysis_bucket, settings.docdb_database) == ("from-file", "from_environment")


def test_the_environment_may_name_another_file_which_has_to_be_there(monkeypatch, tmp_path):
    file = tmp_path / "night.env"
    monkeypatch.setenv("ANALYSIS_ENV_FILE", str(file))
    with pytest.raises(SettingsError, match=r"ANALYSIS_ENV_FILE cannot be used: found '.*night\.env'"):
        load_settings()
    file.write_text("ANALYSIS_BUCKET=from-file\n")
    with patch.dict(os.environ):
        assert load_settings().analysis_bucket == "from-file"
    monkeypatch.delenv("ANALYSIS_ENV_FILE")
    assert Settings().analysis_env_file is None


def test_no_file_is_needed(tmp_path):
    assert load_settings(env_file=tmp_path / "none").embedded_s3


def test_the_old_database_host_alone_is_an_error_that_names_its_successor(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCDB_HOST", "db.example")
    with pytest.raises(SettingsError, match=r"DOCDB_HOST is no longer read.*DOCDB_URI"):
        load_settings(env_file=tmp_path / "none")


def test_retired_settings_are_reported_and_otherwise_ignored(monkeypatch, tmp_path, caplog):
    for name in RETIRED:
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("DOCDB_URI", "mongodb://db.example/")
    with caplog.at_level(logging.WARNING):
        load_settings(env_file=tmp_path / "none")
    assert [record.args[0] for record in caplog.records] == list(RETIRED)


def _names():
    return {name.upper() for name in Settings.model_fields}


def test_the_example_file_lists_every_setting_with_a_comment():
    lines = (PROJECT_ROOT / ".env.example").read_text().splitlines()
    listed = [i for i, line in enumerate(lines) if re.match(r"#?[A-Z0-9_]+=", line)]
    assert {lines[i].lstrip("#").partition("=")[0] for i in listed} == _names()
    assert all(lines[i - 1].startswith("# ") for i in listed)


def test_the_documentation_lists_every_setting_and_every_retired_one():
    text = (PROJECT_ROOT / "docs" / "settings.md").read_text()
    assert [name for name in sorted(_names() | set(RETIRED)) if f"| `{name}` |" not in text] == []


def test_one_module_uses_the_environment():
    tools = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["tool"]
    packages = [*tools["importlinter"]["root_packages"], "examples"]
    sources = [path for name in packages for path in (PROJECT_ROOT / name).glob("**/*.py")]
    users = [p for p in sources if re.search(r"^(?!.*``).*\bos\.(environ|getenv)\b", p.read_text(), re.MULTILINE)]
    assert len(sources) > 200
    assert [path.relative_to(PROJECT_ROOT) for path in users] == [Path("resources/environment.py")]


@pytest.mark.parametrize(
    ("values", "reported"),
    [
        ({"ALERT_WEBHOOK_URL": "ftp://host/secret-word"}, "ALERT_WEBHOOK_URL cannot be used"),
        ({"SMTP_URL": "http://ann:secret-word@host", "ALERT_EMAIL_TO": "a@b"}, "SMTP_URL cannot be used"),
        ({"SMTP_URL": "smtp://ann:secret-word@host"}, "ALERT_EMAIL_TO cannot be used: found nothing, while SMTP_URL"),
        ({"ALERT_EMAIL_TO": "a@b"}, "SMTP_URL cannot be used: found nothing, while ALERT_EMAIL_TO"),
        ({"ALERT_EMAIL_TO": "ann", "SMTP_URL": "smtp://host"}, "expected addresses such as ann@lab.org"),
    ],
)
def test_a_hook_for_alerts_that_cannot_work_is_refused_and_no_secret_shown(monkeypatch, values, reported):
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=reported) as caught:
        Settings()
    assert "secret-word" not in str(caught.value)


def test_a_queue_reports_new_files_of_an_inbox_in_s3(monkeypatch):
    assert Settings().listing_s == 0
    monkeypatch.setenv("JOB_INBOX", "s3://lab-jobs/inbox")
    monkeypatch.setenv("JOB_INBOX_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs")
    assert Settings().listing_s == 3600
    monkeypatch.setenv("JOB_INBOX_LISTING_S", "60")
    assert Settings().listing_s == 60


def test_a_queue_beside_a_folder_is_refused_by_the_names_of_both_settings(monkeypatch):
    monkeypatch.setenv("JOB_INBOX", "/data/jobs")
    monkeypatch.setenv("JOB_INBOX_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs")
    with pytest.raises(
        SettingsError, match=r"JOB_INBOX_QUEUE_URL cannot be used.*JOB_INBOX is the folder '/data/jobs'"
    ):
        Settings()


@pytest.mark.parametrize("value", ["jobs", "arn:aws:sqs:eu-west-1:123456789012:jobs", "https://me:hidden@sqs/1/jobs"])
def test_a_queue_is_an_address_without_secrets(monkeypatch, value):
    monkeypatch.setenv("JOB_INBOX", "s3://lab-jobs/inbox")
    monkeypatch.setenv("JOB_INBOX_QUEUE_URL", value)
    with pytest.raises(SettingsError, match="JOB_INBOX_QUEUE_URL") as reported:
        Settings()
    assert "hidden" not in str(reported.value)


@pytest.mark.parametrize("value", ["0", "-1", "soon", "nan", "1e9"])
def test_a_listing_is_made_again_after_a_time_that_makes_sense(monkeypatch, value):
    monkeypatch.setenv("JOB_INBOX_LISTING_S", value)
    with pytest.raises(
        SettingsError, match=r"JOB_INBOX_LISTING_S cannot be used.*expected seconds between 1 and 604800"
    ):
        Settings()


@pytest.mark.parametrize(
    ("values", "reported"),
    [
        ({"EXPLORER_USER": "lab"}, "EXPLORER_PASSWORD"),
        ({"EXPLORER_PASSWORD": "correct horse battery"}, "EXPLORER_USER"),
        ({"EXPLORER_USER": "lab", "EXPLORER_PASSWORD": "horse"}, "at least 12"),
        ({"EXPLORER_USER": "l:ab", "EXPLORER_PASSWORD": "correct horse battery"}, "colon"),
    ],
)
def test_half_a_log_in_or_a_weak_one_is_refused_and_no_password_shown(monkeypatch, values, reported):
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=reported) as caught:
        Settings()
    assert "horse" not in str(caught.value)


def test_the_explorer_is_on_this_machine_only_while_everything_is(monkeypatch):
    assert Settings().explorer_address == "http://127.0.0.1:3001"
    monkeypatch.setenv("ANALYSIS_BUCKET", "lab")
    assert Settings().explorer_address is None
    monkeypatch.setenv("EXPLORER_URL", "https://explorer.lab.org/")
    assert Settings().explorer_address == "https://explorer.lab.org"
