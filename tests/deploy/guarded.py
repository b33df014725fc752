"""The platform over servers that let it do only what the policies in `deploy/` say, and a walk over its main path."""

import json
import logging
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field

import boto3
import dagster as dg
import requests
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
from pymongo import monitoring

from audit.sources import Depth
from cli.audit.run import audit
from cli.dispatch.run import run_dispatch
from cli.explain.run import explain
from cli.results.run import ListQuery, list_results
from definitions import build_defs
from dispatch.model.options import DispatchOptions
from domain.analysis.breaker import Breaker, trip
from domain.failures import JobError
from domain.job.state import JobState
from operations.archive import Choice, archive, plan, restore
from operations.breakers import resume
from operations.lifecycle import cancel, invalidate, superseded
from operations.requests import ANY_FAULT, rerun
from resources.alerts import Alerts
from resources.connections import connect
from resources.result_store.attempts import complete_attempts
from resources.settings import PROJECT_ROOT
from results.summaries import results_of
from results_table.names import report_key_of, table_key_of
from sensors.alerts import breaker_alerts
from tests.lab_workspace import LAB

DEPLOY = PROJECT_ROOT / "deploy"
ROLES = json.loads((DEPLOY / "mongodb-roles.json").read_text(encoding="utf-8"))
RESULTS, INBOX, INPUTS = "lab-results", "lab-jobs", "lab-data"
PLACES = {
    "<results>": f"{RESULTS}/analysis",
    "<results-bucket>": RESULTS,
    "<inbox>": f"{INBOX}/inbox",
    "<inbox-bucket>": INBOX,
    "<inputs-bucket>": INPUTS,
}
NAME = "double"
ACTION_OF_COMMAND = {
    **dict.fromkeys(("find", "count", "aggregate", "distinct"), "find"),
    "insert": "insert",
    **dict.fromkeys(("update", "findAndModify"), "update"),
    "delete": "remove",
    "createIndexes": "createIndex",
    "listIndexes": "listIndexes",
}
NEEDS_NOTHING = {"hello", "getMore", "killCursors", "endSessions", "saslStart", "saslContinue"}
ACTION_OF_REQUEST = {
    **dict.fromkeys(("ListObjectsV2", "HeadBucket"), "s3:ListBucket"),
    **dict.fromkeys(("GetObject", "HeadObject"), "s3:GetObject"),
    **dict.fromkeys(("PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"), "s3:PutObject"),
    **dict.fromkeys(("DeleteObject", "DeleteObjects"), "s3:DeleteObject"),
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
}


class Asked(monitoring.CommandListener):
    """Notes which actions of MongoDB a client needs, by collection."""

    def __init__(self):
        self.actions = defaultdict(set)

    def started(self, event):
        """Note what a command needs; log-ins and the like need nothing."""
        if event.command_name in NEEDS_NOTHING:
            return
        place = f"{event.database_name}.{event.command[event.command_name]}"
        self.actions[place].add(ACTION_OF_COMMAND.get(event.command_name, event.command_name))
        if any(update.get("upsert") for update in event.command.get("updates", ())):
            self.actions[place].add("insert")

    def succeeded(self, event):
        """Take no notice: what a command needs is known when it starts."""

    failed = succeeded


def policy(name):
    """Read an S3 policy with the places of the tests filled in."""
    text = (DEPLOY / f"s3-{name}.json").read_text(encoding="utf-8")
    for placeholder, place in PLACES.items():
        text = text.replace(placeholder, place)
    assert "<" not in text
    return json.loads(text)


@dataclass
class GuardedS3:
    """An S3 server that enforces policies: moto's, which is the only one from PyPI that does."""

    url: str
    keys: dict = field(default_factory=dict)
    clients: dict = field(default_factory=dict)

    def client(self, user, service="s3"):
        """Open a client of a user, once: that takes half a second."""
        if (user, service) not in self.clients:
            key, secret = self.keys[user]
            names = {"aws_access_key_id": key, "aws_secret_access_key": secret, "region_name": "us-east-1"}
            session = boto3.session.Session()
            self.clients[user, service] = session.client(service, endpoint_url=self.url, **names)
        return self.clients[user, service]

    def add_user(self, iam, user, document):
        """Add a user with one policy."""
        iam.create_user(UserName=user)
        iam.put_user_policy(UserName=user, PolicyName="only", PolicyDocument=json.dumps(document))
        made = iam.create_access_key(UserName=user)["AccessKey"]
        self.keys[user] = (made["AccessKeyId"], made["SecretAccessKey"])


@contextmanager
def guarded_s3():
    """Serve S3 with three buckets, an administrator and the users of `deploy/`."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    s3 = GuardedS3(f"http://{host}:{port}", {"nobody yet": ("made", "up")})
    try:
        iam = s3.client("nobody yet", "iam")
        s3.add_user(
            iam, "admin", {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        )
        for name in ("platform", "dispatcher", "reader"):
            s3.add_user(iam, name, _as_moto_reads_it(policy(name)))
        for bucket in (RESULTS, INBOX, INPUTS):
            s3.client("admin").create_bucket(Bucket=bucket)
        requests.post(f"{s3.url}/moto-api/reset-auth", data="0", timeout=10)
        yield s3
    finally:
        requests.post(f"{s3.url}/moto-api/reset-auth", data="inf", timeout=10)
        requests.post(f"{s3.url}/moto-api/reset", timeout=10)
        server.stop()


def _as_moto_reads_it(document):
    """Let a batch of deletions pass: moto checks the right on the bucket, AWS on each key, as in the policy."""
    for statement in document["Statement"]:
        if "s3:DeleteObject" in statement["Action"]:
            buckets = {resource.split("/")[0] for resource in statement["Resource"]}
            document["Statement"].append({"Effect": "Allow", "Action": "s3:DeleteObject", "Resource": sorted(buckets)})
            break
    return document


def job_file(number, asset="one", **more):
    """Write a job file for the analysis `double`."""
    parameters = {"distributed_parameters": {"number": number}}
    return json.dumps({"s3_location": [f"s3://{INPUTS}/{asset}"], **parameters, **more}).encode()


class Walk:
    """The main path, step by step, as sensors, runs and commands take it."""

    def __init__(self, platform, s3, instance):
        self.platform, self.s3, self.instance = platform, s3, instance
        self.entry = platform.entry(NAME)
        self.repository = build_defs(platform.settings, folder=LAB).get_repository_def()
        self.resources = connect(platform.settings).as_dict()

    @property
    def ledger(self):
        """The ledger, as the commands have it."""
        return self.platform.connections.ledger

    def write(self, name, data):
        """Write a job file as a dispatcher does, who may do nothing else."""
        self.s3.client("dispatcher").put_object(Bucket=INBOX, Key=f"inbox/{NAME}/{name}", Body=data)

    def tick(self):
        """Evaluate the sensor, and execute the runs that it requests."""
        sensor = self.repository.get_sensor_def(f"{NAME}_job_files")
        context = dg.build_sensor_context(self.instance, repository_def=self.repository, resources=self.resources)
        with context as opened:
            found = sensor.evaluate_tick(opened)
        for request in found.run_requests or ():
            job = self.repository.get_job(f"{NAME}_batch")
            assert job.execute_in_process(instance=self.instance, tags=request.tags).success
        return found

    def done(self):
        """Return the keys of finished jobs."""
        return self.ledger.jobs.keys_in(NAME, JobState.DONE)

    def go(self):
        """Take every step."""
        for number in range(3):
            self.write(f"{number}.json", job_file(number))
        self.write("bad.json", b"{")
        self.tick()
        first = self.done()
        assert len(first) == 3
        assert [note.name for note in self.platform.connections.inbox_notes.rejected(NAME)] == ["bad.json"]
        rerun(self.platform, NAME, keys=[first[0]], force_reason="to see")
        self.take_back(first[1])
        self.dispatch()
        self.s3.client("admin").delete_object(Bucket=INBOX, Key=f"inbox/{NAME}/bad.json")
        self.tick()
        assert len(self.done()) == 5
        assert {s.job_key: s.how for s in superseded(self.platform, NAME)} == {
            first[0]: "replaced",
            first[1]: "invalidated",
        }
        assert self.platform.connections.inbox_notes.rejected(NAME) == []
        self.stop_and_go_on()
        self.catalog()
        found = audit(self.platform, [NAME], depth=Depth(content=True)).serious()
        assert set(found) <= {"not_materialized", "job_without_partition"}, "the walk has a Dagster of its own"
        self.launch(first[0])
        self.read_back(first)
        self.retire(first[0])
        self.files()
        self.inputs()

    def take_back(self, key):
        """Invalidate a result, request it, cancel the request, and request it again."""
        invalidate(self.platform, NAME, [key], reason="wrong animal")
        rerun(self.platform, NAME, keys=[key])
        assert cancel(self.platform, NAME, keys=[key], reason="not now") == 1
        assert rerun(self.platform, NAME, failed=ANY_FAULT) == []
        assert rerun(self.platform, NAME, failed="cancelled") == [key]

    def stop_and_go_on(self):
        """Open the circuit breaker, close it, and send alerts about both."""
        error = JobError(kind="exception", message="no", permanent=True)
        found = trip([error] * 10, Breaker())
        self.ledger.breakers.open(NAME, code_version=self.entry.code_version, found=found, seen=None)
        assert resume(self.platform, NAME)
        assert list(breaker_alerts(self.ledger, Alerts(), ui_url="http://ui")) == [NAME]

    def catalog(self):
        """Make catalog and report, and bring them up to date; the sensor looks whether they are due."""
        chosen = [table_key_of(NAME), report_key_of(NAME)]
        for _ in range(2):
            job = self.repository.get_job("catalog")
            assert job.execute_in_process(instance=self.instance, asset_selection=chosen).success
        sensor = self.repository.get_sensor_def("catalogs")
        context = dg.build_sensor_context(self.instance, repository_def=self.repository, resources=self.resources)
        with context as opened:
            sensor.evaluate_tick(opened)

    def dispatch(self):
        """Write job files from the metadata database, whose user may only read."""
        options = DispatchOptions(query='{"kind": "ephys"}', set_values=["number=7"])
        found = run_dispatch(self.platform, NAME, options, plan_only=False, progress=lambda *_: None)
        assert found.written.files == 2

    def launch(self, key):
        """Launch a finished job by hand: it is reused; and in a dry run."""
        span = {f"dagster/asset_partition_range_{end}": key for end in ("start", "end")}
        for config in ({}, {"dry_run": True}):
            run_config = {"ops": {f"analysis__{NAME}": {"config": config}}}
            job = self.repository.get_job(f"{NAME}_batch")
            assert job.execute_in_process(instance=self.instance, tags=span, run_config=run_config).success

    def read_back(self, keys):
        """Ask for results and reasons."""
        records = self.platform.connections.record_store
        assert len(results_of(records, NAME, code_version=self.entry.code_version)) == 5
        assert explain(self.platform, NAME, keys[0]).state == "done"
        wanted = ListQuery(where=["number>=0", "double<100"], subject="nobody", limit=5)
        assert list_results(self.platform, NAME, wanted).results == []
        page = list_results(self.platform, NAME, ListQuery(where=["number>=0"], limit=2))
        assert len(list_results(self.platform, NAME, ListQuery(after=page.next_after)).results) == 3

    def retire(self, key):
        """Archive a job, and bring it back."""
        chosen = plan(self.platform, NAME, Choice(keys=(key,)))
        assert archive(self.platform, NAME, chosen.keys).jobs == 1
        assert restore(self.platform, NAME, [key]).jobs == 1

    def files(self):
        """Upload a large file in parts, read it, and delete it: what happens to an attempt that lost a race."""
        store = self.platform.connections.results_store
        place = store.location("0" * 64, "7f3c1b1e-8f5e-4c1e-9a6e-2d3f4a5b6c7d")
        large = self.platform.settings.analysis_home / "large.bin"
        large.write_bytes(bytes(17 * 1024 * 1024))
        store.put_file(place, "large.bin", large)
        store.put_bytes(place, "metadata.nd.json", b"{}")
        assert len(complete_attempts(store, "0" * 64)) == 1
        store.discard(place)
        assert store.list_files(place) == []
        begun = store.s3.client.create_multipart_upload(Bucket=RESULTS, Key="analysis/begun")  # ended when a part fails
        store.s3.client.abort_multipart_upload(Bucket=RESULTS, Key="analysis/begun", UploadId=begun["UploadId"])

    def inputs(self):
        """Find and download an input, as a worker process does."""
        reader = self.platform.connections.inputs.reader
        found = reader.resolve(f"s3://{INPUTS}/one")
        _, fetched = reader.fetch(found, self.platform.settings.analysis_home / "work-of-the-test")
        assert fetched.bytes == 3
