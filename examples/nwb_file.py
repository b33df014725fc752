"""NWB files for synthetic sessions: an empty one in memory, and writing it to disk."""

import uuid
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

Backend = Literal["hdf5", "zarr"]

NAMESPACE = uuid.UUID("6e0e8a5c-3f0c-5a55-9d5f-0b7c7f1c9a10")


def empty_file(session_name: str, *, subject_id: str, start: datetime) -> Any:
    """Return an NWB file in memory that has only a header."""
    from pynwb import NWBFile  # noqa: PLC0415 - importing pynwb takes seconds
    from pynwb.file import Subject  # noqa: PLC0415

    return NWBFile(
        session_description="A made-up session whose truth is known.",
        identifier=str(uuid.uuid5(NAMESPACE, session_name)),
        session_start_time=start,
        session_id=session_name,
        institution="Made up",
        subject=Subject(subject_id=subject_id, species="Mus musculus", sex="F", age="P90D"),
    )


def write_file(nwb: Any, path: Path, *, backend: Backend) -> None:
    """Write an NWB file from memory to disk."""
    if backend == "zarr":
        from hdmf_zarr import NWBZarrIO as Writer  # noqa: PLC0415
    else:
        from pynwb import NWBHDF5IO as Writer  # noqa: N811, PLC0415
    with Writer(str(path), mode="w") as writer:
        writer.write(nwb)
