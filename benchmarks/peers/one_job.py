"""The script of Snakemake's rule: three small files and one record."""

import json
import os
import sys

import boto3
import pymongo
from botocore.config import Config


def main(number: str) -> None:
    """Do one job."""
    checks = Config(request_checksum_calculation="when_required", response_checksum_validation="when_required")
    client = boto3.client("s3", endpoint_url=os.environ.get("BENCH_S3"), region_name="us-east-1", config=checks)
    prefix = os.environ.get("BENCH_PREFIX", "")
    record = {"_id": f"{prefix}/{number}", "number": number, "files": ["a.txt", "b.txt"]}
    for name, body in {"a.txt": number, "b.txt": number, "metadata.nd.json": json.dumps(record)}.items():
        client.put_object(
            Bucket=os.environ.get("BENCH_BUCKET", ""), Key=f"{prefix}/{number}/{name}", Body=body.encode()
        )
    pymongo.MongoClient(os.environ.get("BENCH_MONGO"))["bench_snakemake"]["results"].insert_one(record)


if __name__ == "__main__":
    main(sys.argv[1])
