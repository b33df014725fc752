"""Synthetic provenances for tests."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from domain.job.inputs import InputFile
from domain.result.environment import EnvironmentFacts, Library, NumericFacts, Variable
from domain.result.provenance import CodeFacts, GroupField, Provenance, ResourceFacts, TableRows

STARTED = datetime(2025, 3, 1, 9, 30, 0, 123456, tzinfo=UTC)
EASTERN = timezone(timedelta(hours=-5, minutes=-30))


def sparse(**changes: Any) -> Provenance:
    """Make a provenance with nothing that can be left out."""
    fields: dict[str, Any] = {
        "analysis": "demo",
        "job_key": "a" * 64,
        "code_version": "1+0123456789ab",
        "result_id": "b" * 64,
        "attempt": "7d0c3f5e-5d1a-4b7e-9a68-0d7f0a2a8c11",
        "location": f"s3://bucket/{'b' * 64}/7d0c3f5e-5d1a-4b7e-9a68-0d7f0a2a8c11",
        "code": CodeFacts(url="https://host/repo", run_script="analysis_assets/demo.py", language_version="3.11.7"),
        "locations": ("s3://bucket/asset",),
        "parameters": {},
        "outputs": {},
        "started": STARTED,
        "ended": STARTED + timedelta(seconds=12.5),
        "resources": ResourceFacts(os="Linux", architecture="x86_64"),
        "owners": ("team:test",),
        "manifest_sha256": "c" * 64,
        "listing_sha256": "d" * 64,
        "file_count": 0,
        "file_bytes": 0,
    }
    return Provenance(**(fields | changes))


def rich(**changes: Any) -> Provenance:
    """Make a provenance with everything that can be known."""
    fields: dict[str, Any] = {
        "code": CodeFacts(
            url="https://host/répo",
            commit="0123456789abcdef" * 2 + "01234567",
            dirty=True,
            run_script="analysis_assets/demo.py",
            language_version="3.11.7",
            lock_sha256="e" * 64,
            requested_url="https://host/other",
            requested_version="v2",
        ),
        "locations": ("s3://bucket/ässet 1", "S3://Bucket/asset_2/"),
        "files": ("s3://bucket/a/file.nwb",),
        "inputs": (
            InputFile(
                url="s3://bucket/a",
                etag='"0f-3"',
                bytes=5_000_000_000,
                files=7,
                modified=STARTED,
                sha256="f" * 64,
                version_id="v1",
            ),
            InputFile(url="file:///data/b.nwb", modified=STARTED.astimezone(EASTERN)),
        ),
        "parameters": {"bin_s": 0.05, "n": 2**40, "window": {"stop_s": 1.0, "labels": ["gut", "日本"]}, "limit": None},
        "origins": {"bin_s": "by_hand", "n": "default"},
        "outputs": {"rate_hz": 1.25e-7, "count": 3, "ok": True, "word": "naïve 🧠", "bad": None, "list": [1.0, None]},
        "not_finite": ("bad", "list[1]"),
        "ended": STARTED.astimezone(EASTERN) + timedelta(seconds=12.5),
        "resources": ResourceFacts(
            os="Linux",
            architecture="x86_64",
            cpu="Some CPU",
            cpu_cores=2,
            memory_bytes=8_123_456_789,
            cpu_s=3.25,
            peak_memory_bytes=2**33 + 1,
        ),
        "environment": EnvironmentFacts(
            host="node-1",
            engine_version="0.2.0",
            image="registry/lab@sha256:0",
            packages_sha256="1" * 64,
            matches_lock=False,
            lock_differences=("numpy 2.0 (lock: ==1.0)",),
            patch_sha256="2" * 64,
            patch_is_complete=True,
            numeric=NumericFacts(
                cpu_features=("AVX2", "X86_V3"),
                libraries=(Library(api="blas", name="openblas", version="0.3", core_type="Haswell", threads=2),),
                variables=(Variable(name="OMP_NUM_THREADS", value="1"),),
            ),
        ),
        "subject_ids": ("700001", "Füchsin"),
        "session_names": ("700001_2024-05-01",),
        "asset_names": ("asset",),
        "record_ids": ("00000000-0000-0000-0000-000000000001",),
        "query": '{"subject.subject_id": {"$in": ["700001"]}}',
        "group": (
            GroupField(field="subject.subject_id", value="700001"),
            GroupField(field="$odd.name", value=None),
            GroupField(field="n", value=2),
            GroupField(field="list", value="[1,2]"),
        ),
        "dispatch_id": "dispatch-1",
        "owners": ("team:test", "who@example.org"),
        "run_id": "6b1d6a3c-0000-4000-8000-000000000000",
        "reason": "new drift correction",
        "figure": "figure.png",
        "tables": (TableRows(file="units.parquet", rows=12), TableRows(file="deep/odd.name.csv", rows=0)),
        "file_count": 4,
        "file_bytes": 6_000_000_000,
    }
    return sparse(**(fields | changes))
