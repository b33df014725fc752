"""Files are read once, in bounded memory, and must hold still meanwhile."""

import hashlib

import pytest

from domain.errors import OutputError, ServerUnavailableError
from resources.result_store.store import ResultsStore
from resources.s3.connection import S3Connection
from resources.s3.server import SINGLE_PUT_BYTES
from tests.conftest import BUCKET

ATTEMPT = ("a" * 64, "7f3c1b1e-8f5e-4c1e-9a6e-2d3f4a5b6c7d")
LARGE = SINGLE_PUT_BYTES * 2 + 17


@pytest.fixture
def parts(s3):
    """Give the list of boto3's operations for large files, in the order of the calls."""
    operations = []

    def note(model, **_):
        operations.append(model.name)

    s3.client.meta.events.register("before-call.s3", note)
    yield operations
    s3.client.meta.events.unregister("before-call.s3", note)


@pytest.mark.parametrize("size", [0, 1, SINGLE_PUT_BYTES, SINGLE_PUT_BYTES + 1, LARGE])
def test_the_digest_is_that_of_the_content_whatever_the_size(s3, parts, tmp_path, size):
    file = tmp_path / "file.bin"
    file.write_bytes((bytes(range(256)) * (size // 256 + 1))[:size])
    results = ResultsStore(s3=s3, root=f"{BUCKET}/uploads-{size}")
    location = results.location(*ATTEMPT)
    sent = results.put_file(location, "file.bin", file)
    assert sent.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    head = s3.client.head_object(Bucket=BUCKET, Key=f"{location}/file.bin".removeprefix(f"s3://{BUCKET}/"))
    assert (head["ContentLength"], head["ETag"].strip('"')) == (size, sent.etag)
    assert ("CreateMultipartUpload" in parts) == (size > SINGLE_PUT_BYTES)
    assert parts.count("UploadPart") == {SINGLE_PUT_BYTES + 1: 2, LARGE: 3}.get(size, 0)


@pytest.mark.parametrize("size", [10, LARGE])
@pytest.mark.parametrize("change", ["more", "other"])
def test_a_file_that_changes_meanwhile_is_refused(serve_http, failing_s3, tmp_path, size, change):
    file = tmp_path / "file.bin"
    file.write_bytes(bytes(size))

    def meddle(path):
        """Answer as S3 does, after an analysis's forgotten process has written into the file."""
        with file.open("r+b") as open_file:
            open_file.seek(0, 2 if change == "more" else 0)
            open_file.write(b"y")
        begun = b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
        done = b"<CompleteMultipartUploadResult><ETag>tag</ETag></CompleteMultipartUploadResult>"
        body = begun if path.endswith("?uploads") else done if "uploadId" in path else b""
        return 200, {"ETag": '"tag"', **({} if body else {"Content-Length": str(size if size > 10 else 0)})}, body

    with failing_s3(200, "x"), serve_http(meddle) as (address, _):
        results = ResultsStore(s3=S3Connection(endpoint_url=address), root="lab")
        with pytest.raises(OutputError, match=r"file\.bin changed while it was uploaded.*must have closed its files"):
            results.put_file(results.location(*ATTEMPT), "file.bin", file)


def test_a_large_upload_that_fails_is_undone(serve_http, failing_s3, tmp_path):
    file = tmp_path / "file.bin"
    file.write_bytes(bytes(LARGE))
    begun = b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
    broken = b"<Error><Code>InternalError</Code></Error>"

    def answer(path):
        return (500, {}, broken) if "partNumber" in path else (200, {}, begun if path.endswith("?uploads") else b"")

    with failing_s3(200, "x"), serve_http(answer) as (address, paths):
        results = ResultsStore(s3=S3Connection(endpoint_url=address), root="lab")
        location = results.location(*ATTEMPT)
        with pytest.raises(ServerUnavailableError, match="InternalError"):
            results.put_file(location, "k", file)
    assert paths[-1] == f"/{location}/k?uploadId=u".replace("s3://", "")
    assert not any("partNumber" not in path and "uploadId" in path for path in paths[:-1])


def test_many_large_files_at_once_hold_few_parts_in_memory(s3):
    config = s3.transfers.config
    parts = config.max_in_memory_upload_chunks + config.max_submission_concurrency
    assert parts * config.multipart_chunksize <= 100 * 1024 * 1024
    assert s3.transfers is ResultsStore(s3=s3, root=BUCKET).s3.transfers
