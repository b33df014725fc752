"""The largest record that can occur fits into a document of MongoDB: outputs, parameters and job files have limits."""

import bson

from domain.job.inputs import InputFile
from domain.json_values import MAX_BYTES, canonical_json
from domain.result.records import to_record
from tests.provenances import sparse

MONGODB_BYTES = 16 * 1024 * 1024


def test_the_largest_outputs_parameters_and_inputs_fit_into_one_document():
    outputs = {"many": [None] * (MAX_BYTES // len("null,") - 10)}
    urls = tuple(f"s3://bucket/{'x' * 180}{n:05d}" for n in range(MAX_BYTES // 200))
    largest = sparse(
        outputs=outputs,
        not_finite=tuple(f"many[{n}]" for n in range(len(outputs["many"]))),
        parameters={"text": "x" * (MAX_BYTES - 100)},
        locations=urls,
        inputs=tuple(InputFile(url=url, etag="e" * 40, bytes=1, sha256="0" * 64, version_id="v" * 32) for url in urls),
    )
    assert MAX_BYTES - 100 < len(canonical_json(outputs)) <= MAX_BYTES
    assert len(bson.encode(to_record(largest))) < MONGODB_BYTES
