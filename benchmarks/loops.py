"""What the same jobs cost without the platform: bare loops, and the events that Dagster itself writes.

Each job ends with two small files, ``metadata.nd.json`` and a record; a platform's job has its manifest besides.
"""

import json
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg

from operations.platform import Platform

BATCH = 100
_PARTITIONS = dg.DynamicPartitionsDefinition(name="floor")
_SILENT = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}  # the same lines on a terminal are no events
_STORAGES = {"sqlite": "", "postgres": "storage:\n  postgres:\n    postgres_url: {env: DAGSTER_POSTGRES_URL}\n"}


def bare_loop(platform: Platform, jobs: int, *, threads: int = 1) -> float:
    """Write three small files and one record for each job and nothing else; gives seconds."""
    client, bucket = platform.connections.results_store.s3.client, platform.settings.analysis_bucket
    records = platform.connections.ledger.mongo.collection("bare_loop", durable=True).raw
    prefix = uuid.uuid4().hex

    def one(number: int) -> None:
        record = {"_id": f"{prefix}-{number}", "number": number, "files": ["a.txt", "b.txt"]}
        bodies = {"a.txt": f"{number}\n", "b.txt": f"{number}\n", "metadata.nd.json": json.dumps(record)}
        for name, body in bodies.items():
            client.put_object(Bucket=bucket, Key=f"bare/{prefix}/{number}/{name}", Body=body.encode())
        records.insert_one(record)

    one(-1)  # connections are made before the clock runs
    begin = time.perf_counter()
    if threads == 1:
        for number in range(jobs):
            one(number)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(one, range(jobs)))
    return time.perf_counter() - begin


@dg.asset(partitions_def=_PARTITIONS, output_required=False)
def floor(context: dg.AssetExecutionContext) -> Iterator[dg.Output[None]]:
    """Report each partition as materialized, and do nothing."""
    for key in context.partition_keys:
        context.log_event(dg.AssetMaterialization("floor", partition=key))
    yield from ()


def dagster_events(folder: Path, storage: str, jobs: int) -> float:
    """Let Dagster write what it cannot do without, for each job: planned and materialized; gives seconds.

    Runs of a hundred partitions in this process, one after the other, over Dagster's own storage as it comes, whatever
    this project configures; `DAGSTER_POSTGRES_URL` names the database.
    """
    folder.mkdir(parents=True)
    (folder / "dagster.yaml").write_text(f"telemetry: {{enabled: false}}\n{_STORAGES[storage]}", encoding="utf-8")
    keys = [f"{number:064x}" for number in range(jobs)]
    defs = dg.Definitions(assets=[floor], jobs=[dg.define_asset_job("floor_job", selection=[floor])])
    job = defs.resolve_job_def("floor_job")
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        instance.add_dynamic_partitions("floor", keys)
        begin = time.perf_counter()
        for first in range(0, jobs, BATCH):
            batch = keys[first : first + BATCH]
            tags = {
                "dagster/asset_partition_range_start": batch[0],
                "dagster/asset_partition_range_end": batch[-1],
            }
            if not job.execute_in_process(instance=instance, tags=tags, run_config=_SILENT).success:
                msg = f"the run of partitions {first} and following failed"
                raise RuntimeError(msg)
        return time.perf_counter() - begin
