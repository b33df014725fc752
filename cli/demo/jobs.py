"""The sessions and job files of the demo: one for each session and parameter set."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domain.errors import InputError
from domain.job.job_file import read_job
from domain.job.stored import ingest
from domain.json_values import canonical_json
from examples.sessions import DATA_BUCKET, metadata_record, write_demo_sessions
from operations.platform import Platform

PARAMETER_SETS: dict[str, tuple[dict[str, Any], ...]] = {
    "unit_quality": (
        {"analysis_name": "Demo", "analysis_tag": "hill", "method": "hill", "isi_violations_cutoff": 0.1},
        {"analysis_name": "Demo", "analysis_tag": "llobet", "method": "llobet", "isi_violations_cutoff": 0.01},
    ),
    "foraging_choice_model": ({"analysis_name": "Demo", "analysis_tag": "three_lags", "n_lags": 3},),
}
"""Parameter sets by analysis. A session without units or trials also gets a result."""


@dataclass(frozen=True)
class JobFile:
    """A job file of the demo: analysis, file name, content and job key."""

    analysis: str
    name: str
    content: bytes
    job_key: str


def generated_sessions(platform: Platform) -> list[str]:
    """Generate sessions with known truth in a bucket of the embedded server, and their metadata records.

    Returns
    -------
    list of str
        Addresses of the sessions.
    """
    folder = platform.settings.analysis_home / "s3" / DATA_BUCKET
    sessions = write_demo_sessions(folder)
    records = [metadata_record(session) for session in sessions]
    assets = platform.connections.record_store.mongo.collection("data_assets")
    for record in records:
        assets.replace_one({"_id": record["_id"]}, record, upsert=True)
    return [f"s3://{DATA_BUCKET}/{session.path.relative_to(folder).parts[0]}" for session in sessions]


def own_sessions(folder: Path) -> list[str]:
    """Return the NWB files of a folder: HDF5 files and Zarr directories.

    Raises
    ------
    InputError
        If the folder has no NWB file.
    """
    found = [p for p in sorted(folder.rglob("*")) if p.suffix == ".nwb" or p.name.endswith(".nwb.zarr")]
    tops = [p for p in found if not any(parent in found for parent in p.parents)]
    if not tops:
        msg = f"{folder} holds no *.nwb or *.nwb.zarr file or directory."
        raise InputError(msg)
    return [path.resolve().as_uri() for path in tops]


def job_files(platform: Platform, locations: Sequence[str]) -> list[JobFile]:
    """Return a job file for each analysis, session and parameter set."""
    made = []
    for analysis, parameter_sets in PARAMETER_SETS.items():
        for number, location in enumerate(locations):
            for parameters in parameter_sets:
                content = canonical_json({"s3_location": [location], "distributed_parameters": parameters})
                name = f"{number:03d}-{parameters['analysis_tag']}.json"
                stored, _ = ingest(platform.entry(analysis).analysis, read_job(content, name=name), name=name, fixed={})
                made.append(JobFile(analysis, name, content, stored.job_key))
    return made


def write_job_files(platform: Platform, files: Sequence[JobFile], folder: str) -> None:
    """Write job files into a folder of their inboxes."""
    for file in files:
        platform.connections.job_inbox.write(file.analysis, f"{folder}/{file.name}", file.content)
