"""The loop of the earlier wrapper, reimplemented: one query, one upload by s3fs and one insert per job.

It runs in an environment of its own (``.venv-peers``) that holds nothing of this project, and prints its seconds. What is
left out makes it faster than it was: no run of git, no REST API before the database, no look whether the folder exists in S3.
"""

import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
import uuid
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pymongo
import s3fs
from aind_data_schema.components.identifiers import Code, DataAsset
from aind_data_schema.core.processing import DataProcess, Processing, ProcessName, ProcessStage

warnings.simplefilter("ignore")
BUCKET = os.environ.get("BENCH_BUCKET", "")


def main(jobs: int) -> None:
    """Process jobs one after the other."""
    files = _files_to_s3()
    records = pymongo.MongoClient(os.environ.get("BENCH_MONGO"))["bench_wrapper"]["results"]
    folder, prefix = Path(tempfile.mkdtemp(prefix="wrapper-")), uuid.uuid4().hex
    job_files = _job_files(folder, prefix, jobs)
    _work_off({"s3_location": [f"s3://bench/{prefix}/warm"]}, folder, files, records)
    begin = time.perf_counter()
    for path in job_files:
        _work_off(json.loads(path.read_text()), folder, files, records)
    sys.stdout.write(json.dumps({"seconds": time.perf_counter() - begin}))
    shutil.rmtree(folder)


def _work_off(job: dict[str, Any], folder: Path, files: s3fs.S3FileSystem, records: Any) -> None:
    """Do one job: is it done already, run, upload, insert."""
    begin = datetime.now(UTC)
    code = Code(
        url="https://github.com/example/analysis",
        version="1",
        input_data=[DataAsset(url=location) for location in job["s3_location"]],
        parameters=job.get("distributed_parameters", {}),
    )
    name = hashlib.sha256(code.model_dump_json().encode()).hexdigest()
    if records.find_one({"_id": name}, {"_id": 1}) is not None:
        return
    results = folder / "results"
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir()
    for file in ("a.txt", "b.txt"):
        (results / file).write_text(f"{job}\n")
    record = _record(name, code, begin)
    (results / "metadata.nd.json").write_text(json.dumps(record))
    files.put(f"{results}/", f"{BUCKET}/wrapper/{name}/", recursive=True)
    records.insert_one(record)


def _record(name: str, code: Code, begin: datetime) -> dict[str, Any]:
    """Make the record of a result."""
    process = DataProcess(
        process_type=ProcessName.ANALYSIS,
        experimenters=["bench"],
        stage=ProcessStage.ANALYSIS,
        code=code,
        start_date_time=begin,
        end_date_time=datetime.now(UTC),
        output_parameters={"number": 1},
        notes="benchmark",
    )
    processing = Processing.create_with_sequential_process_graph(data_processes=[process])
    location = f"s3://{BUCKET}/wrapper/{name}"
    return {"_id": name, "name": name, "location": location, "processing": processing.model_dump(mode="json")}


def _job_files(folder: Path, prefix: str, jobs: int) -> list[Path]:
    """Write job files as the dispatcher does."""
    place = folder / "job_dict"
    place.mkdir()
    for number in range(jobs):
        job = {"s3_location": [f"s3://bench/{prefix}"], "distributed_parameters": {"number": number}}
        (place / f"{uuid.uuid4()}.json").write_text(json.dumps(job))
    return list(place.iterdir())


def _files_to_s3() -> s3fs.S3FileSystem:
    """Connect to the same S3 server as the others; keys are in the environment."""
    checks = {"request_checksum_calculation": "when_required", "response_checksum_validation": "when_required"}
    client = {"endpoint_url": os.environ.get("BENCH_S3"), "region_name": "us-east-1"}
    return s3fs.S3FileSystem(client_kwargs=client, config_kwargs=checks, use_listings_cache=False)


if __name__ == "__main__":
    main(int(sys.argv[1]))
