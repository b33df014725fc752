"""All resources for one set of settings."""

import pytest
from dagster import EnvVar

from resources.connections import connect
from resources.settings import Settings

URI = "mongodb://analyst:the-password@db.example.org:27017/?tls=true"


def test_without_addresses_everything_is_on_the_embedded_servers(tmp_path):
    found = connect(Settings(analysis_home=tmp_path))
    assert found.ledger.mongo.uri is None
    assert found.ledger.mongo.embedded_home == str(tmp_path)
    assert found.results_store.s3.embedded_home == str(tmp_path)
    assert found.job_inbox.root == str(tmp_path / "inbox")


def test_configured_addresses_are_used_and_nothing_is_embedded(tmp_path):
    found = connect(
        Settings(
            analysis_home=tmp_path,
            docdb_uri=URI,
            docdb_database="science",
            docdb_collection="units",
            analysis_bucket="bucket/prefix",
            aws_endpoint_url="http://s3.example.org",
            job_inbox="s3://jobs/in",
            input_s3_endpoint_url="http://inputs.example.org",
            input_s3_unsigned="yes",
            results_browser_url="http://browse.example.org",
        )
    )
    assert (found.record_store.mongo.uri, found.record_store.mongo.embedded_home) == (URI, None)
    assert (found.record_store.mongo.database, found.record_store.name) == ("science", "units")
    assert found.ledger.records_name == found.inbox_notes.records_name == "units"
    assert (found.results_store.s3.endpoint_url, found.results_store.s3.embedded_home) == (
        "http://s3.example.org",
        None,
    )
    assert (found.results_store.root, found.results_store.browser_url) == ("bucket/prefix", "http://browse.example.org")
    assert (found.job_inbox.root, found.job_inbox.s3) == ("s3://jobs/in", found.results_store.s3)
    assert (found.inputs.input_endpoint_url, found.inputs.input_unsigned) == ("http://inputs.example.org", True)


def test_dagster_gets_the_name_of_the_variable_and_never_its_value(tmp_path):
    settings = Settings(analysis_home=tmp_path, docdb_uri=URI)
    assert "the-password" in str(connect(settings).ledger.mongo.uri)
    for resource in connect(settings, for_dagster=True).as_dict().values():
        assert "the-password" not in repr(resource)
    uri = connect(settings, for_dagster=True).ledger.mongo.uri
    assert isinstance(uri, EnvVar)
    assert uri.env_var_name == "DOCDB_URI"


def test_resources_have_the_names_that_dagster_injects(tmp_path):
    found = connect(Settings(analysis_home=tmp_path))
    names = {
        "job_inbox",
        "inbox_queue",
        "inbox_notes",
        "ledger",
        "record_store",
        "results_store",
        "inputs",
        "alerts",
        "asset_records",
        "catalog_files",
    }
    assert set(found.as_dict()) == names
    assert all(found.as_dict()[name] is getattr(found, name) for name in names)


def test_records_of_assets_are_read_where_the_settings_say(tmp_path):
    beside = connect(Settings(analysis_home=tmp_path, docdb_uri=URI, docdb_database="lab")).asset_records
    assert (beside.mongo.uri, beside.mongo.database, beside.name) == (URI, "lab", "data_assets")
    embedded = connect(Settings(analysis_home=tmp_path)).asset_records
    assert (embedded.mongo.uri, embedded.mongo.embedded_home) == (None, str(tmp_path))
    other = "mongodb://reader:other-password@docdb/"
    own = Settings(analysis_home=tmp_path, docdb_uri=URI, assets_uri=other, assets_collection="assets")
    found = connect(own).asset_records
    assert (found.mongo.uri, found.mongo.database, found.name) == (other, "metadata_index", "assets")
    assert found.mongo.setting == "ASSETS_URI"
    reported = connect(own, for_dagster=True).asset_records
    assert reported.mongo.uri.env_var_name == "ASSETS_URI"
    assert "other-password" not in repr(reported)
    rest = connect(Settings(analysis_home=tmp_path, assets_api_url="https://api.example.org/v2/")).asset_records
    assert (rest.url, rest.database, rest.name) == ("https://api.example.org/v2", "metadata_index", "data_assets")


@pytest.mark.parametrize("for_dagster", [True, False])
def test_nothing_is_opened_before_it_is_used(tmp_path, for_dagster):
    connect(Settings(analysis_home=tmp_path / "home", docdb_uri="mongodb://127.0.0.1:9/"), for_dagster=for_dagster)
    assert not (tmp_path / "home").exists()
