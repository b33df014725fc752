"""Secrets are planted wherever a platform could find some, everything goes right and wrong, and everything is searched."""

import json
import logging
import sqlite3
import subprocess
import uuid
from contextlib import suppress
from pathlib import Path

import dagster as dg
import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from typer.testing import CliRunner

from cli.dagster_processes import free_port
from cli.dispatch.run import run_dispatch
from cli.main import app
from definitions import build_defs
from dispatch.model.options import read_options
from domain.errors import PlatformError, ServerUnavailableError, SettingsError
from engine.discovery.analyses import load_analysis
from operations.platform import open_platform
from resources.connections import connect
from resources.dagster_storage.configuration import prepare_dagster_home
from resources.embedded.programs import embedded_programs
from resources.environment import known_secrets
from resources.ledger.ledger import Ledger
from resources.mongo import MongoConnection, close_client
from resources.settings import load_settings
from sensors.job_files.stores import Stores
from tests.conftest import BUCKET
from tests.raw import database_of
from tests.sensors.harness import END, START, SensorHarness
from tests.waiting import wait_for

HERE = Path(__file__).parent
LAB = HERE / "lab"
URL_SECRETS = ("urlpassword123", "urlsignature123", "urltoken123", "codetoken123", "grouppassword123")


@pytest.fixture(scope="module")
def mongod(tmp_path_factory):
    """Serve a MongoDB that requires a password; gives its address and the password."""
    home, password, port = tmp_path_factory.mktemp("auth"), f"mongopw{uuid.uuid4().hex}", free_port(27117)
    (home / "mongo").mkdir()
    programs = embedded_programs(home, access_key="k" * 20, secret_key="s" * 20)
    program = next(program for program in programs if program.name == "mongo")
    with (home / "log").open("wb") as log:
        process = subprocess.Popen([*program.command(port), "--auth"], env=program.environment, stdout=log, stderr=log)
    try:
        root = f"mongodb://127.0.0.1:{port}/?directConnection=true"

        def has_user():
            with suppress(PyMongoError), MongoClient(root, serverSelectionTimeoutMS=500) as client:
                client.admin.command("createUser", "lab", pwd=password, roles=["root"])
                return True
            return False

        wait_for(has_user, "mongod does not answer", moving=(home / "log").stat)
        yield f"mongodb://lab:{password}@127.0.0.1:{port}/?directConnection=true", password
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def planted(monkeypatch, mongod, servers, s3, tmp_path):
    """Plant secrets in the environment; gives all of them."""
    uri, password = mongod
    session, token, key = (
        f"session{uuid.uuid4().hex}",
        f"labtoken{uuid.uuid4().hex}",
        f"-----KEY\nline{uuid.uuid4().hex}",
    )
    variables = {
        "ANALYSIS_HOME": str(tmp_path / "home"),
        "DAGSTER_HOME": str(tmp_path / "dagster"),
        "DOCDB_URI": uri,
        "ASSETS_URI": uri,
        "ANALYSIS_BUCKET": f"{BUCKET}/{uuid.uuid4().hex[:12]}",
        "JOB_INBOX": str(tmp_path / "inbox"),
        "AWS_ENDPOINT_URL": servers.s3_endpoint,
        "AWS_ACCESS_KEY_ID": servers.access_key,
        "AWS_SECRET_ACCESS_KEY": servers.secret_key,
        "AWS_SESSION_TOKEN": session,
        "AWS_DEFAULT_REGION": "us-east-1",
        "LAB_API_TOKEN": token,
        "DEPLOY_PRIVATE_KEY": key,
        "ASSETS_DATABASE": "analysis",
    }
    s3.client.put_object(Bucket=BUCKET, Key="hostile/x.nwb", Body=b"an input")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    yield {password, servers.access_key, servers.secret_key, session, token, key.splitlines()[1], *URL_SECRETS}
    close_client(uri)


def job_files(planted_key):
    """Return job files, good ones and such as carry secrets, by name."""
    good = [{"how": how} for how in ("print", "raise", "nest", "crash", "return", "address", "quiet")]
    signed = "https://h/x?X-Amz-Signature=urlsignature123&X-Amz-Security-Token=urltoken123"
    recorded = {
        "query": json.dumps({"location": signed, "a": "s3://someone:urlpassword123@b/x"}),
        "group_metadata": {"link": "https://someone:grouppassword123@host/", "n": {"deep": [signed]}},
        "analysis_code": {"url": "https://someone:urlpassword123@git/x?token=codetoken123", "version": "1"},
        "asset_name": [signed],
    }
    files = {f"good{n}.json": {"s3_location": ["s3://b/a"], "distributed_parameters": p} for n, p in enumerate(good)}
    files["recorded.json"] = {"s3_location": ["s3://b/c"], "distributed_parameters": {"how": "quiet"}, **recorded}
    refused = {
        "user.json": {"s3_location": ["s3://someone:urlpassword123@bucket/x"]},
        "slashes.json": {"s3_location": ["s3:///someone:urlpassword123@bucket/x"]},
        "signed.json": {"s3_location": [signed]},
        "token.json": {"file_location": ["https://h/x?token=urltoken123"]},
        "parameter.json": {
            "s3_location": ["s3://b/a"],
            "distributed_parameters": {"note": "https://u:urlpassword123@h/"},
        },
        "ours.json": {"s3_location": ["s3://b/a"], "distributed_parameters": {"note": planted_key}},
        "wrong.json": {"s3_location": ["s3://b/a"], "distributed_parameters": {"how": "https://u:urlpassword123@h/"}},
    }
    return files, refused


def ran(name, harness, settings, instance):
    """Take the job files of an analysis in, and run them as Dagster would; gives the run."""
    found = harness.tick()
    for event in found.asset_events:
        instance.report_runless_asset_event(event)
    (request,) = found.run_requests
    defs = build_defs(settings, folder=LAB)
    job = defs.resolve_implicit_global_asset_job_def()
    order = harness.partitions()
    return job.execute_in_process(
        instance=instance,
        asset_selection=[dg.AssetKey(["analysis", name])],
        tags={START: order[0], END: order[-1], **{k: v for k, v in request.tags.items() if k not in {START, END}}},
        raise_on_error=False,
    )


def harness_of(name, settings, instance):
    """Open the harness of an analysis by the settings."""
    c = connect(settings)
    c.job_inbox.ensure()
    stores = Stores(c.job_inbox, c.inbox_notes, c.ledger, c.record_store, c.results_store)
    return SensorHarness(load_analysis(LAB / f"{name}.py"), stores, instance)


def everything_kept(settings, home):
    """Yield, by where it is, everything that the platform has stored anywhere."""
    uri = settings.docdb_uri.get_secret_value()
    database = database_of(MongoConnection(uri=uri, database=settings.docdb_database))
    for name in database.list_collection_names():
        if name != "data_assets":  # what others wrote, and we only read
            for document in database[name].find():
                yield f"MongoDB {name} {document['_id']}", repr(document).encode()
    client = connect(settings).results_store.s3.client
    bucket, prefix = settings.analysis_bucket.split("/")
    for item in client.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", []):
        yield f"S3 {item['Key']}", client.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
    for path in (p for folder in home for p in folder.rglob("*") if p.is_file()):
        yield str(path), path.read_bytes()
        if path.suffix == ".db":
            with sqlite3.connect(path) as found:
                for (table,) in found.execute("select name from sqlite_master where type = 'table'").fetchall():
                    rows = found.execute(f'select * from "{table}"').fetchall()  # noqa: S608  names of its own
                    yield f"{path} {table}", repr(rows).encode()
            found.close()


@pytest.mark.slow
def test_nothing_that_was_planted_is_found_anywhere(planted, tmp_path, capfd, caplog):
    caplog.set_level(logging.INFO)
    settings = load_settings(env_file=tmp_path / "no.env")
    prepare_dagster_home(settings)
    good, refused = job_files(next(iter(known_secrets())))
    reported = []
    with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        harness = harness_of("leaks", settings, instance)
        for name, document in (good | refused).items():
            harness.write(name, json.dumps(document).encode())
        result = ran("leaks", harness, settings, instance)
        assert set(harness.rejected()) == set(refused)
        states = {
            job["parameters"]["how"]: job["state"]
            for job in harness.jobs().values()
            if job["inputs"]["locations"] == ["s3://b/a"]
        }
        failed = dict.fromkeys(("raise", "nest", "crash", "return", "address"), "failed")
        assert states == {"print": "done", "quiet": "done", **failed}
        assert not result.success
        command = harness_of("leaks_command", settings, instance)
        for code in (0, 3):
            document = {"s3_location": [f"s3://{BUCKET}/hostile/x.nwb"], "distributed_parameters": {"code": code}}
            command.write(f"{code}.json", json.dumps(document).encode())
        ran("leaks_command", command, settings, instance)
        states = [job["state"] for job in command.jobs().values() if job["analysis"] == "leaks_command"]
        assert sorted(states) == ["done", "failed"], [
            j["error"] for j in command.jobs().values() if j["analysis"] == "leaks_command"
        ]
    reported += outputs_of_commands(settings, harness, tmp_path)
    out, err = capfd.readouterr()
    kept = dict(everything_kept(settings, [settings.dagster_home, settings.analysis_home]))
    reported += [out, err, caplog.text, repr([r.__dict__ for r in caplog.records])]
    kept |= {f"reported {number}": text.encode() for number, text in enumerate(reported)}
    assert any("compute_logs" in place for place in kept)
    assert any(b"[secret removed]" in content for place, content in kept.items() if place.endswith("analysis.log"))
    found = {(place, secret) for place, content in kept.items() for secret in planted if secret.encode() in content}
    assert not found


def outputs_of_commands(settings, harness, tmp_path):
    """Run commands, also such as fail; gives what they say."""
    assets = harness.stores.ledger.mongo.collection("data_assets").raw
    assets.insert_many(
        [
            {"_id": "a", "name": "a", "location": "s3://someone:urlpassword123@bucket/a"},
            {"_id": "b", "name": "b", "location": "https://h/x?X-Amz-Signature=urlsignature123"},
            {"_id": "c", "name": "https://someone:urlpassword123@h/c", "location": f"s3://{BUCKET}/nothing"},
        ]
    )
    reported = []
    with open_platform(settings, folder=LAB) as platform:
        for options in (
            {"query": "{}"},
            {"query": "{}", "check_inputs": "none"},
            {"query": "{}", "file_extension": ".nwb"},
        ):
            found = run_dispatch(platform, "leaks", read_options(options), plan_only=False, progress=lambda *_: None)
            reported.append(json.dumps(found.as_dict(), default=str))
    job = tmp_path / "job.json"
    job.write_text('{"s3_location": ["https://someone:urlpassword123@h/x?token=urltoken123"]}', encoding="utf-8")
    lines = [
        ["validate", str(job), "--analysis", "unit_quality"],
        ["explain", "unit_quality", str(job)],
        ["explain", "unit_quality", "https://someone:urlpassword123@h/x?token=urltoken123"],
        ["submit", "unit_quality", "s3://someone:urlpassword123@b/x.nwb"],
        ["submit", "unit_quality", "s3://b/x.nwb", "--set", "method=https://someone:urlpassword123@h/"],
        ["results", "unit_quality", "--json"],
        ["try", "unit_quality", "https://someone:urlpassword123@127.0.0.1:9/x.nwb"],
        ["rerun", "unit_quality", "--key", "https://someone:urlpassword123@h/"],
    ]
    return reported + [CliRunner().invoke(app, words).output for words in lines]


def ledger_of(folder):
    """Give the ledger that the settings name; it asks a server once."""
    found = connect(load_settings(env_file=folder / "no.env")).ledger
    mongo = MongoConnection(uri=found.mongo.uri, database=found.mongo.database, attempts=1)
    return Ledger(mongo=mongo, records_name=found.records_name)


@pytest.mark.parametrize("uri", ["wrong password", "nobody", "malformed", "srv"])
def test_a_server_that_refuses_or_is_not_there_is_named_without_its_password(mongod, monkeypatch, tmp_path, uri, capfd):
    address, password = mongod
    secret = "wrongpassword123"  # noqa: S105  planted to be looked for
    monkeypatch.setenv("ANALYSIS_HOME", str(tmp_path))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ANALYSIS_BUCKET", "bucket")
    monkeypatch.setenv("JOB_INBOX", str(tmp_path / "inbox"))
    uris = {
        "wrong password": f"{address.replace(password, secret)}&serverSelectionTimeoutMS=200",
        "nobody": f"mongodb://lab:{secret}@127.0.0.1:9/?serverSelectionTimeoutMS=20",
        "malformed": f"mongodb://lab:{secret}@127.0.0.1:port/?x",
        "srv": f"mongodb+srv://lab:{secret}@nothing.invalid/",
    }
    monkeypatch.setenv("DOCDB_URI", uris[uri])
    found = CliRunner().invoke(app, ["results", "unit_quality"])
    assert found.exit_code in {1, 2}
    with pytest.raises((SettingsError, ServerUnavailableError)) as raised:
        ledger_of(tmp_path).jobs.counts("x")
    assert isinstance(raised.value, PlatformError)
    with dg.DagsterInstance.ephemeral() as instance:
        asset = dg.asset(name="asks")(lambda: ledger_of(tmp_path).jobs.counts("x"))
        run = dg.materialize([asset], instance=instance, raise_on_error=False)
        assert not run.success
        events = repr([record.event_log_entry for record in instance.get_records_for_run(run.run_id).records])
    close_client(uris[uri])
    reported = "".join([found.output, str(raised.value), events, *capfd.readouterr()])
    assert secret not in reported
    assert password not in reported
