"""Inputs from everywhere: which file is meant, a faithful copy of it, and what is remembered."""

import hashlib
import os
import pickle
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.errors import InputChangedError, InputError, ServerUnavailableError
from domain.job.inputs import InputFile
from resources.inputs.reader import InputReader
from resources.s3.server import S3Server
from tests.real_data import REAL_DATA, needs_real_data


@pytest.fixture
def inputs(s3):
    """Read inputs from the embedded server."""
    return InputReader(s3=s3.server)


@pytest.fixture
def bucket(s3):
    """Give a bucket of this test's own."""
    name = f"inputs-{uuid.uuid4().hex[:12]}"
    s3.ensure_bucket(name)
    return name


@pytest.fixture(params=["file", "s3"])
def asset(request, tmp_path, s3):
    """Make an asset with the given files, on disk or in S3; gives its address."""

    def _make(*paths):
        if request.param == "file":
            for path in paths:
                file = tmp_path / "asset ü" / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(path)
            return (tmp_path / "asset ü").as_uri()
        name = request.getfixturevalue("bucket")
        for path in paths:
            s3.client.put_object(Bucket=name, Key=f"asset ü/{path}", Body=path.encode())
        return f"s3://{name}/asset ü"

    return _make


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (["nwb/behavior_1.nwb", "readme.md"], "nwb/behavior_1.nwb"),
        (["a/b/c/d/e/x.nwb", "y.txt"], "a/b/c/d/e/x.nwb"),
        (["x.nwb.zarr/.zgroup", "x.nwb.zarr/deep/inner.nwb"], "x.nwb.zarr"),
        (["nwb/x.nwb/.zgroup", "image.ome.zarr/hidden.nwb/.zgroup"], "nwb/x.nwb"),
        (["X.NWB"], "X.NWB"),
    ],
)
def test_the_single_nwb_file_under_a_location_is_meant(inputs, asset, files, found):
    location = asset(*files)
    for spelled in (location, f"{location}/"):
        assert inputs.resolve(spelled) == f"{location}/{found}"


def test_a_location_that_is_an_nwb_file_is_meant_itself(inputs):
    for url in ("s3://bucket/a.nwb", "s3://bucket/a.nwb.zarr", "file:///a.nwb", "https://h/a.nwb?versionId=3"):
        assert inputs.resolve(url) == url
    assert inputs.resolve("s3://bucket/a.nwb/") == "s3://bucket/a.nwb"


def test_none_or_several_are_an_error_that_lists_them(inputs, asset):
    location = asset("a/b/c/d/e/f/too_deep.nwb", "readme.md")
    with pytest.raises(InputError, match=r"No NWB file .* was found under .*file_location"):
        inputs.resolve(location)
    asset("a.nwb", "b/c.nwb")
    with pytest.raises(InputError, match=r"Several NWB files .*a\.nwb, .*b/c\.nwb\. Name"):
        inputs.resolve(location)
    asset(*(f"many/{i:02}.nwb" for i in range(20)))
    with pytest.raises(InputError, match=r"many/\d\d.nwb, and more") as error:
        inputs.resolve(location)
    assert str(error.value).count(".nwb") == 10


def test_a_location_that_does_not_exist_is_named(inputs, bucket, tmp_path):
    for location in (f"s3://{bucket}/nothing", f"s3://{bucket}"):
        with pytest.raises(InputError, match="No NWB file"):
            inputs.resolve(location)
    (tmp_path / "file.txt").touch()
    for path in (tmp_path / "nothing", tmp_path / "file.txt"):
        with pytest.raises(InputError, match=f"{path.name} cannot be searched on host"):
            inputs.resolve(path.as_uri())


def test_what_cannot_be_searched_is_refused(inputs):
    with pytest.raises(InputError, match="cannot be searched over http"):
        inputs.resolve("https://host/asset")
    with pytest.raises(InputError, match="Expected an address"):
        inputs.resolve("gs://bucket/asset")


def test_a_search_without_end_is_given_up(inputs, bucket, s3):
    for folder in "abc":
        s3.client.put_object(Bucket=bucket, Key=f"{folder}/x.txt", Body=b"")
    with pytest.raises(InputError, match="More than 2 folders"):
        replace(inputs, max_folders=2).resolve(f"s3://{bucket}")


def test_a_local_file_is_linked_and_described(inputs, tmp_path):
    file = tmp_path / "a b.nwb"
    file.write_bytes(b"12345")
    os.utime(file, ns=(0, 1_700_000_000_123_456_789))
    path, fact = inputs.fetch(file.as_uri(), tmp_path / "job")
    assert path == tmp_path / "job" / "0" / "a b.nwb"
    assert path.is_symlink()
    assert path.read_bytes() == b"12345"
    when = datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=UTC)
    digest = hashlib.sha256(b"12345").hexdigest()
    assert fact == InputFile(url=file.as_uri(), bytes=5, files=1, modified=when, sha256=digest)
    inputs.check(fact)


def test_a_local_directory_is_linked_and_described(inputs, tmp_path):
    for name in ("x.nwb.zarr/.zgroup", "x.nwb.zarr/0/0.0"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    path, fact = inputs.fetch((tmp_path / "x.nwb.zarr").as_uri(), tmp_path / "job")
    assert (path / "0" / "0.0").read_text() == "x.nwb.zarr/0/0.0"
    assert (fact.files, fact.bytes, fact.etag) == (2, 34, None)
    inputs.check(fact)
    (tmp_path / "x.nwb.zarr" / "0" / "0.1").touch()
    with pytest.raises(InputChangedError, match="changed while the job ran"):
        inputs.check(fact)


def test_an_empty_directory_can_be_linked(inputs, tmp_path):
    (tmp_path / "x.nwb").mkdir()
    _, fact = inputs.fetch((tmp_path / "x.nwb").as_uri(), tmp_path / "job")
    assert (fact.files, fact.bytes) == (0, 0)


@pytest.mark.parametrize("change", ["size", "time", "gone"])
def test_a_local_input_that_changed_is_found_out(inputs, tmp_path, change):
    file = tmp_path / "a.nwb"
    file.write_bytes(b"12345")
    _, fact = inputs.fetch(file.as_uri(), tmp_path / "job")
    facts = file.stat()
    if change == "size":
        file.write_bytes(b"123456")
        os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    elif change == "time":
        os.utime(file, ns=(0, facts.st_mtime_ns + 1_000_000))
    else:
        file.unlink()
    with pytest.raises(InputChangedError, match=r"a\.nwb"):
        inputs.check(fact)


@pytest.mark.parametrize("name", ["a.nwb", "b.nwb.zarr/0/0.0"])
def test_a_replacement_of_the_same_size_and_time_is_found_out(inputs, tmp_path, name):
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"12345")
    url = (tmp_path / name.partition("/")[0]).as_uri()
    stamp = inputs.stamp(url)
    _, fact = inputs.fetch(url, tmp_path / "job")
    inputs.check(fact, stamp=stamp)
    other = tmp_path / "other"
    other.write_bytes(b"54321")
    os.utime(other, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    other.replace(file)
    inputs.check(fact)  # by size and time it is the same
    with pytest.raises(InputChangedError, match=r"\.(nwb|zarr) was replaced while the job ran"):
        inputs.check(fact, stamp=stamp)


def test_only_local_inputs_have_a_stamp(inputs, tmp_path):
    assert inputs.stamp("s3://bucket/a.nwb") is None
    assert inputs.stamp("https://host/a.nwb") is None
    with pytest.raises(InputError, match=r"none\.nwb cannot be read on host .*: No such file"):
        inputs.stamp((tmp_path / "none.nwb").as_uri())


def test_inputs_of_the_same_name_lie_side_by_side(inputs, tmp_path):
    for folder in "ab":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.nwb").write_text(folder)
    paths = [inputs.fetch((tmp_path / f / "x.nwb").as_uri(), tmp_path / "job")[0] for f in "ab"]
    assert [path.read_text() for path in paths] == ["a", "b"]
    assert {path.name for path in paths} == {"x.nwb"}


def test_a_missing_local_file_is_named(inputs, tmp_path):
    with pytest.raises(InputError, match=r"nothing\.nwb cannot be read on host .*: No such file"):
        inputs.fetch((tmp_path / "nothing.nwb").as_uri(), tmp_path / "job")


def test_an_object_is_downloaded_and_described(inputs, bucket, s3, tmp_path):
    etag = s3.client.put_object(Bucket=bucket, Key="x/a b%.nwb", Body=b"12345")["ETag"].strip('"')
    url = f"s3://{bucket}/x/a b%.nwb"
    path, fact = inputs.fetch(url, tmp_path / "job")
    assert path.read_bytes() == b"12345"
    assert (fact.url, fact.etag, fact.bytes, fact.files) == (url, etag, 5, 1)
    assert fact.modified.tzinfo is not None
    inputs.check(fact)  # a copy cannot change


def test_a_large_object_is_downloaded_in_parts(inputs, bucket, s3, tmp_path):
    data = os.urandom(3 * 1024 * 1024)
    s3.client.put_object(Bucket=bucket, Key="large.nwb", Body=data)
    path, _ = replace(inputs, large_bytes=1024 * 1024).fetch(f"s3://{bucket}/large.nwb", tmp_path / "job")
    assert path.read_bytes() == data


def test_a_directory_is_downloaded_and_described(inputs, bucket, s3, tmp_path):
    files = {".zgroup": b"{}", "0/0.0": b"abc", "0/0.1": b"", "é/x": b"1"}
    for name, body in files.items():
        s3.client.put_object(Bucket=bucket, Key=f"a.nwb.zarr/{name}", Body=body)
    s3.client.put_object(Bucket=bucket, Key="a.nwb.zarr.txt", Body=b"beside")
    url = f"s3://{bucket}/a.nwb.zarr"
    path, fact = inputs.fetch(url, tmp_path / "job")
    assert {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()} == files
    lines = "".join(
        f"{name}\0{hashlib.md5(files[name], usedforsecurity=False).hexdigest()}\0{len(files[name])}\n"
        for name in sorted(files)
    )
    assert fact.etag == f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"
    assert (fact.url, fact.bytes, fact.files) == (url, 6, 4)
    assert inputs.fetch(f"{url}/", tmp_path / "job")[1].etag == fact.etag


def test_a_missing_object_or_bucket_is_named(inputs, bucket, tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"nothing\.nwb does not exist on the embedded S3"):
        inputs.fetch(f"s3://{bucket}/nothing.nwb", tmp_path)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    unsigned = InputReader(s3=inputs.s3, input_unsigned=True, input_endpoint_url=inputs.s3.embedded.s3_endpoint)
    with pytest.raises(InputError, match=r"INPUT_S3_UNSIGNED"):
        unsigned.fetch("s3://Not A Bucket/x.nwb", tmp_path)


def test_keys_that_lead_outside_are_refused_before_anything_is_read(serve_http, failing_s3, tmp_path, s3):
    for key in ("d.nwb/../../evil", "d.nwb/a//b", "d.nwb/a\\nb"):
        listed = key.replace("\\n", "%0A")
        body = f"<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>{listed}</Key><Size>1</Size><LastModified>2024-01-01T00:00:00Z</LastModified></Contents></ListBucketResult>"
        with serve_http(lambda path, body=body: (200, {}, body.encode()) if "?" in path else (404, {}, b"")) as (
            address,
            requested,
        ):
            inputs = InputReader(s3=s3.server, input_endpoint_url=address)
            with pytest.raises(InputError, match="not a path below it: nothing was read"):
                inputs.fetch("s3://bucket/d.nwb", tmp_path / "job")
        assert not any("evil" in path for path in requested)


@pytest.mark.parametrize("change", ["written", "deleted"])
def test_an_object_that_changes_while_it_is_read_is_found_out(inputs, bucket, tmp_path, change):
    client = inputs.s3.client

    def change_it(**_):
        if change == "written":
            client.put_object(Bucket=bucket, Key="a.nwb", Body=b"new")
        else:
            client.delete_object(Bucket=bucket, Key="a.nwb")

    client.put_object(Bucket=bucket, Key="a.nwb", Body=b"old")
    client.meta.events.register("after-call.s3.HeadObject", change_it)  # as soon as it was looked at
    try:
        with pytest.raises(InputChangedError, match="changed while it was read"):
            inputs.fetch(f"s3://{bucket}/a.nwb", tmp_path / "job")
    finally:
        client.meta.events.unregister("after-call.s3.HeadObject", change_it)


@pytest.mark.parametrize("change", ["more", "gone"])
def test_a_directory_that_changes_after_it_was_listed_is_found_out(inputs, bucket, tmp_path, change):
    client = inputs.s3.client

    def change_it(**_):
        if change == "more":
            client.put_object(Bucket=bucket, Key="a.nwb.zarr/0.1", Body=b"late")
        else:
            client.delete_object(Bucket=bucket, Key="a.nwb.zarr/0.0")

    client.put_object(Bucket=bucket, Key="a.nwb.zarr/0.0", Body=b"early")
    client.meta.events.register("after-call.s3.GetObject", change_it)  # its answer has the object already
    try:
        with pytest.raises(InputChangedError, match=r"a\.nwb\.zarr changed while it was read: it held 1 object at"):
            inputs.fetch(f"s3://{bucket}/a.nwb.zarr", tmp_path / "job")
    finally:
        client.meta.events.unregister("after-call.s3.GetObject", change_it)


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        ((503, "SlowDown"), ServerUnavailableError, "SlowDown|503"),
        ((403, "AccessDenied"), InputError, "INPUT_S3_UNSIGNED"),
        ((404, "NoSuchBucket"), InputError, "no such bucket|does not exist"),
    ],
)
def test_trouble_is_distinguished_from_refusal(failing_s3, s3, tmp_path, answer, kind, text):
    with failing_s3(*answer) as address:
        inputs = InputReader(s3=s3.server, input_endpoint_url=address)
        for act in (lambda: inputs.resolve("s3://bucket/x"), lambda: inputs.fetch("s3://bucket/x.nwb", tmp_path)):
            with pytest.raises(kind, match=text):
                act()


def test_a_bucket_is_read_where_it_is(s3, bucket, serve_http):
    def connection(inputs, name):
        found = inputs.server_of(f"s3://{name}/key")
        return found.name, found.unsigned

    embedded = (s3.server_name, False)
    own = InputReader(s3=s3.server, input_endpoint_url="http://h:1", input_unsigned=True)
    assert connection(own, bucket) == embedded
    assert connection(own, "elsewhere") == ("http://h:1", True)
    assert connection(InputReader(s3=s3.server, input_unsigned=True), "elsewhere") == ("AWS S3", True)
    named = S3Server(endpoint_url="http://minio:9000")
    assert connection(InputReader(s3=named), bucket) == ("http://minio:9000", False)
    assert connection(InputReader(s3=named, input_unsigned=True), bucket) == ("http://minio:9000", True)


def test_a_file_is_downloaded_over_http(inputs, serve_http, tmp_path):
    headers = {"ETag": 'W/"abc"', "Last-Modified": "Tue, 14 Nov 2023 22:13:20 GMT"}
    with serve_http(lambda _: (200, headers, b"12345")) as (address, _):
        path, fact = inputs.fetch(f"{address}/x/a%20b.nwb", tmp_path / "job")
    assert path.name == "a b.nwb"
    assert path.read_bytes() == b"12345"
    when = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert fact == InputFile(
        url=f"{address}/x/a%20b.nwb", etag="abc", bytes=5, modified=when, sha256=hashlib.sha256(b"12345").hexdigest()
    )


@pytest.mark.parametrize("header", ["yesterday", "", "Tue, 14 Nov 2023 22:13:20 -0000"])
def test_a_server_that_names_no_usable_time_is_believed_the_rest(inputs, serve_http, tmp_path, header):
    with serve_http(lambda _: (200, {"Last-Modified": header}, b"x")) as (address, _):
        _, fact = inputs.fetch(f"{address}/a.nwb", tmp_path / "job")
    assert (fact.modified, fact.etag, fact.bytes) == (None, None, 1)


@pytest.mark.parametrize(
    ("status", "kind"), [(404, InputError), (403, InputError), (418, InputError), (501, ServerUnavailableError)]
)
def test_http_refusals_are_distinguished_from_trouble_and_show_no_secret(inputs, serve_http, tmp_path, status, kind):
    with (
        serve_http(lambda _: (status, {}, b"")) as (address, _),
        pytest.raises(kind, match=f"status {status}") as error,
    ):
        inputs.fetch(f"{address}/a.nwb?sig=hunter2", tmp_path)
    assert "hunter2" not in str(error.value)


def test_a_busy_server_is_queried_again(inputs, serve_http, tmp_path):
    answers = iter([(503, {}, b""), (200, {}, b"x")])
    with serve_http(lambda _: next(answers)) as (address, requested):
        path, _ = inputs.fetch(f"{address}/a.nwb", tmp_path)
    assert len(requested) == 2
    assert path.read_bytes() == b"x"


def test_a_transfer_that_ends_early_is_transient_and_leaves_nothing(inputs, serve_http, tmp_path):
    with (
        serve_http(lambda _: (200, {"Content-Length": "10"}, b"12345")) as (address, _),
        pytest.raises(ServerUnavailableError, match="did not answer") as error,
    ):
        inputs.fetch(f"{address}/a.nwb?sig=hunter2", tmp_path / "job")
    assert "hunter2" not in repr(error.value)
    assert [p for p in (tmp_path / "job").rglob("*") if p.is_file()] == []


def test_an_address_that_http_cannot_use_is_refused(inputs, tmp_path):
    with pytest.raises(InputError, match="cannot be read over http"):
        inputs.fetch("http://[bad/a.nwb", tmp_path)


def test_it_travels_to_worker_processes(inputs, bucket, s3, tmp_path):
    s3.client.put_object(Bucket=bucket, Key="a.nwb", Body=b"1")
    copy = pickle.loads(pickle.dumps(inputs))  # noqa: S301 - our own bytes
    assert copy.fetch(f"s3://{bucket}/a.nwb", tmp_path)[0].read_bytes() == b"1"


def test_errors_name_the_input_without_its_secrets(inputs, bucket, tmp_path):
    gone = (tmp_path / "gone.nwb").as_uri()
    with pytest.raises(InputError) as raised:
        inputs.fetch(gone, tmp_path)
    assert raised.value.location == gone
    with pytest.raises(InputError) as raised:
        inputs.resolve(f"s3://{bucket}/empty")
    assert raised.value.location == f"s3://{bucket}/empty"
    with pytest.raises(InputError) as raised:
        inputs.fetch(f"s3://{bucket}/gone.nwb", tmp_path)
    assert raised.value.location == f"s3://{bucket}/gone.nwb"
    with pytest.raises(InputError) as raised:
        inputs.resolve("https://user:hunter2@host/folder?token=hunter2")
    assert raised.value.location == "https://host/folder"


@needs_real_data
def test_a_real_zarr_directory_comes_back_from_s3_as_it_was(inputs, bucket, tmp_path):
    (source,) = (REAL_DATA / "nwb").glob("717121_*.nwb")
    files = [p for p in source.rglob("*") if p.is_file()]
    for file in files:
        key = f"asset/nwb/{source.name}/{file.relative_to(source)}"
        inputs.s3.client.put_object(Bucket=bucket, Key=key, Body=file.read_bytes())
    url = inputs.resolve(f"s3://{bucket}/asset")
    path, fact = inputs.fetch(url, tmp_path / "job")
    assert fact.files == len(files)
    assert all((path / f.relative_to(source)).read_bytes() == f.read_bytes() for f in files)
    local, described = inputs.fetch(source.as_uri(), tmp_path / "job")
    assert (described.files, described.bytes) == (fact.files, fact.bytes)
    assert local.resolve() == Path(source).resolve()
