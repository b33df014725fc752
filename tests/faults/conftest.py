"""One lab for all faults: servers that die and come back, proxies in front, and a count of everything."""

import os
from pathlib import Path

import pytest

from resources.s3.connection import S3Connection
from tests.faults import processes
from tests.faults.end_state import end_state
from tests.faults.injection import Injection
from tests.faults.mongo_proxy import MongoProxy
from tests.faults.processes import Servers
from tests.faults.s3_proxy import S3Proxy
from tests.faults.stage import BUCKET, Stage, make_dagster_template
from tests.faults.table import Tally, write
from tests.unmeasured import unmeasured

MOST_JOBS = 8
RANDOM = (70, "random schedule of faults")
"""The only kind that may miss: its faults strike at whatever request comes, if one comes."""
TALLY = pytest.StashKey[Tally]()


class Lab:
    """Servers, proxies, and what jobs come to when nothing happens."""

    def __init__(self, folder: Path) -> None:
        self.servers = Servers(folder / "servers")
        self.injection = Injection()
        self.mongo_proxy = MongoProxy(self.servers.mongo.port, self.injection)
        self.s3_proxy = S3Proxy(self.servers.s3.port, self.injection)
        self.dagster_template = make_dagster_template(folder / "template")
        self.folder, self._undisturbed, self._stages = folder, {}, 0

    @property
    def mongo_uri(self):
        """Address of MongoDB itself."""
        return f"mongodb://127.0.0.1:{self.servers.mongo.port}/?directConnection=true&journal=true"

    @property
    def proxied_mongo_uri(self):
        """Address of the proxy before it."""
        return f"mongodb://127.0.0.1:{self.mongo_proxy.port}/?directConnection=true&journal=true"

    def restart_what_died(self):
        """Start servers again that were killed."""
        self.servers.restart_what_died()

    def stage(self, **options):
        """Make a new stage."""
        self._stages += 1
        return Stage(self, self.folder / f"stage_{self._stages}", **options)

    def undisturbed(self, seconds=0.0):
        """Return the end state of jobs when nothing happens, by job key; computed once."""
        if seconds not in self._undisturbed:
            self.injection.arm()
            stage = self.stage()
            stage.ask(*range(MOST_JOBS), seconds=seconds)
            stage.settle()
            state = end_state(stage, stage.job_keys())
            assert (state.problems, state.extra, len(state.jobs)) == ([], 0, MOST_JOBS)
            self._undisturbed[seconds] = state.jobs
            stage.close()
        return self._undisturbed[seconds]

    def close(self):
        """End everything."""
        self.mongo_proxy.close()
        self.s3_proxy.close()
        self.servers.stop()


@pytest.fixture(scope="package")
def shared_lab(tmp_path_factory):
    """Give the lab that all tests of this process share."""
    lab = Lab(tmp_path_factory.mktemp("faults"))
    yield lab
    lab.close()


@pytest.fixture
def lab(shared_lab, monkeypatch):
    """Give the lab, with its own credentials and nothing armed."""
    unmeasured(monkeypatch)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{shared_lab.servers.s3.port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", processes.ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", processes.SECRET_KEY)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    shared_lab.restart_what_died()
    client = S3Connection(endpoint_url=os.environ["AWS_ENDPOINT_URL"], region_name=None).client
    if BUCKET not in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]:
        client.create_bucket(Bucket=BUCKET)
    shared_lab.injection.arm()
    yield shared_lab
    shared_lab.injection.arm()


@pytest.fixture
def stage(lab):
    """Give a new stage."""
    found = lab.stage()
    yield found
    found.close()


def pytest_configure(config):
    """Count from here on."""
    config.stash[TALLY] = Tally()


def pytest_sessionfinish(session, exitstatus):
    """Write the table, if requested and if all checks passed."""
    page = os.environ.get("FAULTS_TABLE")
    if page and exitstatus == 0:
        write(Path(page), session.config.stash[TALLY])


@pytest.fixture
def judge(lab, request):
    """Give the function that compares a stage with an undisturbed one, counts, and lets no difference pass."""

    def judge(fault, stage, *, injected, seconds, by_hand=False, slow=0.0, **explained):
        order, name = fault
        expected = {k: e for k, e in lab.undisturbed(slow).items() if e.record["parameters"]["number"] in stage.asked}
        lab.injection.arm()
        state = end_state(stage, expected, **explained)
        tally = request.config.stash[TALLY]
        tally.count(order, name, state, injected=injected, seconds=seconds, by_hand=by_hand)
        assert injected > 0 or order == RANDOM[0], "the fault was never injected"
        assert state.problems == []
        assert state.jobs == expected
        assert (state.lost, state.duplicated) == (0, 0)
        return state

    return judge
