"""Shared fixtures: real servers on free loopback ports, and an environment without anybody's settings."""

import os
import signal
import threading
import uuid

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from xdist.scheduler import LoadScopeScheduling

from resources.embedded.embedded import serving
from resources.inbox.job_inbox import JobInbox
from resources.mongo import close_client
from resources.result_store.store import ResultsStore
from resources.s3.connection import S3Connection
from resources.settings import RETIRED, Settings
from tests import commands_seen  # noqa: F401  before the first client of MongoDB

BUCKET = "analysis-results"
SHARING_FOLDERS = ("tests/browser/dagster_ui/",)
SERVER_FIXTURES = {"servers", "docdb_uri", "s3", "shared_lab"}
QUICK, SLOW, USUAL = range(3)

# The same examples at every run: a red test is then about the change at hand. `long` searches for new ones.
hypothesis_settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("repeatable")
hypothesis_settings.register_profile(
    "long", max_examples=10_000, derandomize=False, deadline=None
)  # for `--hypothesis-profile=long`


def pytest_configure():
    """Take Ctrl-C as usual, however the tests were started.

    In the background of a script it is ignored, Dagster then ignores SIGTERM too, and so would every server that the
    tests start and end.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    """Run quick files first, so that a fault shows within seconds; then slow ones, so that all workers end together."""
    ranks = {}
    for item in items:
        ranks.setdefault(item.path, set()).add(_rank(item))
    items.sort(key=lambda item: min(ranks[item.path] - {QUICK}, default=QUICK))


def _rank(item):
    """Return when the file of a test is run; one slow test makes its file a slow one."""
    if item.get_closest_marker("slow") is not None:
        return SLOW
    return USUAL if SERVER_FIXTURES & set(item.fixturenames) else QUICK


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Hand out whole files, and whole folders whose tests share a platform."""
    return Together(config, log)


class Together(LoadScopeScheduling):
    """Keeps the tests together that share what takes long to start."""

    def _split_scope(self, nodeid):
        """Return the name of the group of tests that one worker runs."""
        file = nodeid.partition("::")[0]
        return next((folder for folder in SHARING_FOLDERS if file.startswith(folder)), file)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch, tmp_path):
    """Hide the settings and credentials of the user who runs the tests."""
    settings = {name.upper() for name in Settings.model_fields} | set(RETIRED)
    for name in [name for name in os.environ if name.upper() in settings or name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ANALYSIS_ENV_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-aws-credentials"))


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """Folder of the servers that all tests of one worker share."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def servers(home):
    """Addresses of the running servers; do not kill these, start some of your own."""
    with serving(home) as addresses:
        yield addresses
        close_client(addresses.docdb_uri)


@pytest.fixture(scope="session")
def docdb_uri(servers):
    """Address of the running MongoDB."""
    return servers.docdb_uri


@pytest.fixture
def database():
    """Name of a database that no other test uses."""
    return f"test_{uuid.uuid4().hex[:16]}"


@pytest.fixture(scope="session")
def s3(servers, home):
    """Connect to the running S3 server, with one bucket."""
    connection = S3Connection(embedded_home=str(home))
    connection.ensure_bucket(BUCKET)
    return connection


@pytest.fixture
def results_store(s3):
    """Results below a prefix that no other test uses."""
    return ResultsStore(s3=s3, root=f"{BUCKET}/{uuid.uuid4().hex[:16]}")


@pytest.fixture
def folder_inbox(s3, tmp_path):
    """Inbox in a folder."""
    inbox = JobInbox(s3=s3, root=str(tmp_path / "inbox"))
    inbox.ensure()
    return inbox


@pytest.fixture
def s3_inbox(s3):
    """Inbox in S3, below a prefix that no other test uses."""
    return JobInbox(s3=s3, root=f"s3://{BUCKET}/{uuid.uuid4().hex[:16]}")


@pytest.fixture(params=["folder", "s3"])
def inbox(request):
    """Give an inbox of either kind: both keep the same contract."""
    return request.getfixturevalue(f"{request.param}_inbox")
