"""Whatever lies in an inbox: a tick returns, the good files are ingested, and each bad one is listed with its reason."""

import json
import os
import re
import shutil
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, field_validator

from domain.analysis import ParametersModel
from resources.inbox.job_inbox import JobInbox
from resources.inbox.names import shown_name
from tests.conftest import BUCKET
from tests.hostile import corpus, strategies
from tests.hostile.sizes import fuzz
from tests.hostile.watching import documents, objects, tree
from tests.waiting import returned


@pytest.fixture(scope="module")
def harness(make_harness, s3, yard):
    """Give a sensor's harness whose inbox is a folder, beside secrets."""
    return make_harness(JobInbox(s3=s3, root=str(yard / "inbox")))


@pytest.fixture(scope="module", params=["folder", "s3"])
def either(request, make_harness, s3, yard):
    """Give a sensor's harness with an inbox of either kind."""
    root = f"s3://{BUCKET}/{uuid.uuid4().hex[:12]}" if request.param == "s3" else str(yard / "other_inbox")
    return make_harness(JobInbox(s3=s3, root=root))


def ticked(harness):
    """Evaluate the sensor, which may take its time but not stand still."""
    return returned(harness.tick)


def sources(harness):
    """Return the addresses of the files whose jobs the ledger has, with the keys of these jobs."""
    return {source["name"]: key for key, job in harness.jobs().items() for source in job["sources"]}


def problem_of(harness, name):
    """Return why a file was refused; it must be a sentence that says something, and never one about ourselves."""
    problem = harness.rejected()[name]
    assert len(problem.strip()) > 10
    assert len(problem) < 20_000
    assert "platform itself" not in problem
    assert "hunter2" not in problem
    return problem


def test_files_that_are_not_jobs_are_listed_and_hold_up_no_other(either):
    names = {kind: f"refused/{number}.json" for number, kind in enumerate(corpus.REFUSED_FILES)}
    for kind, name in names.items():
        either.write(name, corpus.REFUSED_FILES[kind][0])
    either.write("refused/good.json", corpus.GOOD)
    ticked(either)
    assert either.stores.inbox.url("double", "refused/good.json") in sources(either)
    assert set(names.values()) <= set(either.rejected()), [k for k, n in names.items() if n not in either.rejected()]
    assert all(problem_of(either, name) for name in names.values())


def test_files_that_look_dangerous_and_are_jobs_are_taken_in(either):
    names = {kind: f"taken/{number}.json" for number, kind in enumerate(corpus.TAKEN_FILES)}
    for kind, name in names.items():
        either.write(name, corpus.TAKEN_FILES[kind][0])
    ticked(either)
    assert not set(names.values()) & set(either.rejected())
    assert {either.stores.inbox.url("double", name) for name in names.values()} <= set(sources(either))
    assert {(job["state"], job["analysis"]) for job in either.jobs().values()} == {("new", "double")}


def test_addresses_that_are_not_what_they_seem_are_refused_without_showing_their_secrets(harness):
    names = {url: f"addresses/{number}.json" for number, url in enumerate(corpus.REFUSED_URLS)}
    for url, name in names.items():
        harness.write(name, json.dumps({"s3_location": [url]}).encode())
    ticked(harness)
    assert set(names.values()) <= set(harness.rejected()), [u for u, n in names.items() if n not in harness.rejected()]
    assert all(problem_of(harness, name) for name in names.values())
    assert "hunter2" not in documents(harness.stores.ledger.mongo)


def test_odd_names_are_taken_in_each_as_a_file_of_its_own(harness, yard):
    folder = yard / "inbox" / "double" / "n\u00e1mes" / "$or"
    folder.mkdir(parents=True)
    for number, name in enumerate(corpus.NAMES):
        data = json.dumps({"s3_location": [f"s3://names/{number}"]}).encode()
        (folder / os.fsdecode(name)).write_bytes(data)
    ticked(harness)
    names = [shown_name(f"n\u00e1mes/$or/{os.fsdecode(name)}") for name in corpus.NAMES]
    assert all(name.isprintable() for name in names)
    assert not set(names) & set(harness.rejected())
    urls = {harness.stores.inbox.url("double", name) for name in names}
    assert len(urls) == len({sources(harness)[url] for url in urls}) == len(corpus.NAMES)


def test_nothing_is_read_through_links_and_nothing_waits(harness, yard):
    folder = yard / "inbox" / "double" / "entries"
    reported = corpus.plant_entries(folder, yard)
    harness.write("beside_entries.json", corpus.GOOD)
    before = tree(yard)
    ticked(harness)
    assert {f"entries/{name}" for name in reported} <= set(harness.rejected())
    assert all(problem_of(harness, f"entries/{name}") for name in reported)
    assert harness.stores.inbox.url("double", "beside_entries.json") in sources(harness)
    secret = (yard / "secret.txt").read_text(encoding="utf-8")
    assert secret not in documents(harness.stores.ledger.mongo)
    assert tree(yard) == before


def test_folders_too_deep_for_any_path_are_reported(harness, yard):
    top = yard / "inbox" / "double" / "depths"
    top.mkdir(parents=True)
    corpus.plant_depths(top)
    try:
        harness.write("beside_depths.json", corpus.GOOD)
        ticked(harness)
        assert harness.stores.inbox.url("double", "beside_depths.json") in sources(harness)
        assert any(name.startswith("depths/") for name in harness.rejected())
    finally:
        shutil.rmtree(top)


@pytest.mark.parametrize("kind", ["link", "folder", "fifo", "operators", "deep", "two"])
def test_parameters_that_cannot_be_read_hold_up_their_own_analysis_and_say_so(make_harness, s3, tmp_path, kind):
    harness = make_harness(JobInbox(s3=s3, root=str(tmp_path / "inbox")))
    harness.write("good.json", corpus.GOOD)
    path = tmp_path / "inbox" / "double" / "analysis_parameters.json"
    match kind:
        case "link":
            (tmp_path / "secret").write_text('{"number": 12345}', encoding="utf-8")
            path.symlink_to(tmp_path / "secret")
        case "folder":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "operators":
            path.write_text('{"$where": "sleep(1000)", "a.b": {"$gt": 1}}', encoding="utf-8")
        case "deep":
            path.write_bytes(b"[" * 10_000)
        case "two":
            path.write_bytes(b'{"number": 1, "number": 2}')
    ticked(harness)
    assert problem_of(harness, "good.json")
    assert not harness.jobs()


def test_many_large_files_for_one_job_do_not_end_the_ledger(make_harness, s3, tmp_path):
    harness = make_harness(JobInbox(s3=s3, root=str(tmp_path / "inbox")))
    for number in range(20):  # together more than a document of MongoDB may hold
        harness.write(f"{number}.json", corpus.with_field("query", json.dumps("q" * 950_000 + str(number))))
    harness.write("good.json", json.dumps({"s3_location": ["s3://bucket/other"]}).encode())
    ticked(harness)
    ticked(harness)
    assert len(harness.jobs()) == 2
    assert not harness.rejected()


@fuzz(40)
@given(files=st.lists(strategies.job_files, min_size=1, max_size=8))
def test_any_bytes_are_taken_in_or_listed(harness, yard, files):
    batch = uuid.uuid4().hex[:8]
    names = [f"{batch}/{number}.json" for number in range(len(files))]
    for name, data in zip(names, files, strict=True):
        harness.write(name, data)
    harness.write(f"{batch}/good.json", corpus.GOOD)
    around = tree(yard)
    ticked(harness)
    try:
        taken, bad = sources(harness), harness.rejected()
        assert harness.stores.inbox.url("double", f"{batch}/good.json") in taken
        for name in names:
            assert (name in bad) != (harness.stores.inbox.url("double", name) in taken)
            assert name not in bad or problem_of(harness, name)
        assert tree(yard) == around
    finally:
        shutil.rmtree(yard / "inbox" / "double" / batch)
    ticked(harness)
    assert not {name for name in harness.rejected() if name.startswith(f"{batch}/")}


@fuzz(40)
@given(names=st.lists(strategies.file_names, min_size=1, max_size=8, unique=True))
def test_any_name_is_one_file(harness, yard, names):
    batch = uuid.uuid4().hex[:8]
    folder = yard / "inbox" / "double" / batch
    folder.mkdir()
    for number, name in enumerate(names):
        data = json.dumps({"s3_location": [f"s3://any/{batch}/{number}"]}).encode()
        (folder / os.fsdecode(name)).write_bytes(data)
    try:
        ticked(harness)
        urls = {harness.stores.inbox.url("double", shown_name(f"{batch}/{os.fsdecode(name)}")) for name in names}
        assert len(urls) == len(names) == len({sources(harness)[url] for url in urls})
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def parametrized(make_harness, s3, yard):
    """Give a sensor's harness whose fixed parameters change."""
    return make_harness(JobInbox(s3=s3, root=str(yard / "parametrized")))


@fuzz(25)
@given(fixed=strategies.job_files | strategies.parameters.map(lambda p: json.dumps(p).encode()))
def test_any_fixed_parameters_are_used_or_reported(parametrized, fixed):
    good = f"{uuid.uuid4().hex}.json"
    parametrized.stores.inbox.place.write("double", "analysis_parameters.json", fixed)
    parametrized.write(good, corpus.GOOD)
    ticked(parametrized)
    try:
        assert (good in parametrized.rejected()) != (
            parametrized.stores.inbox.url("double", good) in sources(parametrized)
        )
        assert good not in parametrized.rejected() or problem_of(parametrized, good)
    finally:
        shutil.rmtree(parametrized.stores.inbox.root)
        parametrized.stores.inbox.ensure()


def test_results_and_other_objects_in_s3_are_left_alone(either, s3):
    before = objects(s3)
    ticked(either)
    assert objects(s3) == before


class Picky(ParametersModel):
    """A model whose validator raises what it likes, and repeats what it was given."""

    number: float = Field(default=1.0, description="The number (no unit).")
    text: str = Field(default="", description="A text.")

    @field_validator("text")
    @classmethod
    def _looked_at(cls, value: str) -> str:
        """Raise for a text, each time in another way."""
        if value.startswith("re:"):
            re.compile(value[3:])
        if value.startswith("path:"):
            Path(value[5:]).stat()
        if value.startswith("say:"):
            raise ValueError(value)
        if value.startswith("exit:"):
            raise Exception(value)  # noqa: TRY002  anything at all
        return value


def test_a_validator_that_raises_anything_refuses_its_file_alone(make_harness, s3, tmp_path):
    harness = make_harness(JobInbox(s3=s3, root=str(tmp_path / "inbox")))
    harness.with_parameters(Picky)
    texts = [
        "re:(",
        f"path:{'x' * 10_000}",
        f"say:{'x' * 100_000}",
        "say:https://u:hunter2@host/",
        "exit:x",
        "https://u:hunter2@h/",
    ]
    for number, text in enumerate(texts):
        harness.write(f"{number}.json", corpus.with_parameters(json.dumps({"text": text})))
    harness.write("good.json", corpus.GOOD)
    ticked(harness)
    assert set(harness.rejected()) == {f"{number}.json" for number in range(len(texts))}
    assert all(len(problem_of(harness, name)) < 2000 for name in harness.rejected())
    assert len(harness.jobs()) == 1


def test_the_first_hundred_requests_for_a_job_are_kept_and_the_first_one_whole(make_harness, s3, tmp_path):
    harness = make_harness(JobInbox(s3=s3, root=str(tmp_path / "inbox")))
    for number in range(130):
        large = "q" * (200_000 if number in {0, 1} else 10)
        harness.write(f"{number:03d}.json", corpus.with_field("query", json.dumps(f"{large}{number}")))
    ticked(harness)
    (job,) = harness.jobs().values()
    assert len(job["sources"]) == 100
    assert len(job["sources"][0]["query"]) > 200_000
    assert len(job["sources"][1]["query"]) == 1001
    assert job["sources"][2]["query"] == f"{'q' * 10}2"
