"""Synthetic recording sessions with known truth, for the demo and the tests.

Every session is a valid NWB file named as the Allen Institute for Neural Dynamics names its data assets. Its units are
Poisson processes with a refractory period; some are contaminated, some vanish halfway, some lose their small spikes,
some hardly fire. A session may also hold the trials of a foraging animal (`examples.behavior`). The same seed gives the
same numbers, though not the same bytes: NWB stamps each object with a new id.
"""

import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples.behavior import Behavior, add_trials, make_behavior
from examples.nwb_file import NAMESPACE, Backend, empty_file, write_file

FloatArray = NDArray[np.float64]

REFRACTORY_PERIOD_S = 0.0025  # no neuron fires twice within this time; foreign spikes may come at any
DATA_BUCKET = "demo-data"  # bucket of the demo's sessions

_NAME = re.compile(r"(?P<modality>[a-z]+)_(?P<subject>\d+)_(?P<start>\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d)")
_NOISE_SHARE = 0.12
_KINDS_OF_FILES = 3


@dataclass(frozen=True)
class Recipe:
    """How one kind of unit differs from a clean one."""

    kind: str
    contamination: float = 0.0
    active_share: float = 1.0
    missed_share: float = 0.0
    rate_factor: float = 1.0


RECIPES = (
    Recipe("clean"),
    Recipe("slightly contaminated", contamination=0.02),
    Recipe("clean"),
    Recipe("contaminated", contamination=0.25),
    Recipe("clean"),
    Recipe("vanishes halfway", active_share=0.5),
    Recipe("loses small spikes", missed_share=0.15),
    Recipe("hardly fires", rate_factor=0.005),
)
"""The kinds of units, in turn; clean ones most often."""


@dataclass(frozen=True)
class UnitTruth:
    """The true properties of a synthetic unit.

    ``contamination`` is the exact fraction of foreign spikes, ``active_share`` the part of the session, from its
    start, in which the unit fires, ``missed_share`` the exact fraction of its spikes, the smallest, left unwritten.
    """

    unit_id: int
    kind: str
    spike_count: int
    contamination: float
    active_share: float
    missed_share: float


@dataclass(frozen=True)
class SessionTruth:
    """What is true of one session that was made up; without units it has no units table, without behavior no trials."""

    path: Path
    name: str
    subject_id: str
    modality: str
    session_start: datetime
    duration_s: float
    units: tuple[UnitTruth, ...]
    behavior: Behavior | None = None


def spike_train(
    rng: np.random.Generator, *, rate_hz: float, duration_s: float, contamination: float = 0.0
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Draw the spikes of one neuron with a refractory period, and foreign ones that come at any time.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all random numbers; it is advanced.
    rate_hz : float, hertz
        The neuron's own mean rate, refractory time included.
    duration_s : float, seconds
        Length of the recording, which starts at 0.
    contamination : float
        Foreign spikes as a fraction of all, below 1.

    Returns
    -------
    times_s : ndarray, shape (n_spikes,), seconds
        Sorted; own spikes are at least `REFRACTORY_PERIOD_S` apart.
    is_foreign : ndarray of bool, shape (n_spikes,)
        Which spikes are foreign.
    """
    n_enough = int(rate_hz * duration_s + 10 * np.sqrt(rate_hz * duration_s) + 10)
    own = np.cumsum(REFRACTORY_PERIOD_S + rng.exponential(1 / rate_hz - REFRACTORY_PERIOD_S, n_enough))
    own = own[own < duration_s]
    foreign = rng.uniform(0, duration_s, round(len(own) * contamination / (1 - contamination)))
    times = np.concatenate([own, foreign])
    order = np.argsort(times)
    return times[order], order >= len(own)


def write_session(  # noqa: PLR0913 - one argument for each thing that a session may differ in
    path: Path,
    *,
    seed: int,
    session_name: str = "ecephys_700001_2024-05-01_10-00-00",
    n_units: int = 20,
    duration_s: float = 600.0,
    backend: Backend = "hdf5",
    behavior: Behavior | None = None,
) -> SessionTruth:
    """Write one session as an NWB file.

    Parameters
    ----------
    path : Path
        File (HDF5) or directory (Zarr) to write; its folder must exist.
    seed : int
        Same seed, same units.
    session_name : str
        ``<modality>_<subject>_<date>_<time>``; the subject and the start of the session (UTC) are read from it.
    n_units : int
        Units, made by the `RECIPES` in turn; 0 writes a file without a units table.
    duration_s : float, seconds
        Length of the recording.
    backend : {"hdf5", "zarr"}
        How the file is stored.
    behavior : Behavior, optional
        What the animal did, as `examples.behavior.make_behavior` gives it; None writes no trials table.

    Returns
    -------
    SessionTruth
        What was written.

    Raises
    ------
    ValueError
        If the session's name has another form.
    """
    if not (name := _NAME.fullmatch(session_name)):
        msg = f"session name `{session_name}` must look like `ecephys_700001_2024-05-01_10-00-00`"
        raise ValueError(msg)
    start = datetime.strptime(name["start"], "%Y-%m-%d_%H-%M-%S").replace(tzinfo=UTC)
    nwb = empty_file(session_name, subject_id=name["subject"], start=start)
    rng = np.random.default_rng(seed)
    units = tuple(_add_unit(nwb, rng, unit_id=unit_id, duration_s=duration_s) for unit_id in range(n_units))
    if behavior is not None:
        add_trials(nwb, behavior, duration_s=duration_s)
    write_file(nwb, path, backend=backend)
    return SessionTruth(path, session_name, name["subject"], name["modality"], start, duration_s, units, behavior)


def write_demo_sessions(folder: Path, *, n: int = 5) -> list[SessionTruth]:
    """Write the sessions of the demo: HDF5 files, one Zarr directory, and last one file without a units table.

    The first one, the Zarr directory and the last one hold the trials of a foraging animal.

    Parameters
    ----------
    folder : Path
        Made if it does not exist. Each session becomes ``<folder>/<session name>/<session name>.nwb``, as a data asset
        is laid out in its bucket; the Zarr directory ends in ``.nwb.zarr``.
    n : int
        Sessions, at least 3.

    Returns
    -------
    list of SessionTruth
        In the order of their names.

    Raises
    ------
    ValueError
        If `n` is below 3.
    """
    if n < _KINDS_OF_FILES:
        msg = f"the demo needs at least {_KINDS_OF_FILES} sessions, one of each kind of file, not {n}"
        raise ValueError(msg)
    sessions = []
    for number in range(n):
        is_last = number == n - 1
        backend: Backend = "zarr" if number == n - 2 else "hdf5"
        modality = "behavior" if is_last else "ecephys"
        name = f"{modality}_{700001 + number}_2024-05-{number + 1:02d}_10-00-00"
        asset = folder / name
        asset.mkdir(parents=True, exist_ok=True)
        path = asset / (f"{name}.nwb.zarr" if backend == "zarr" else f"{name}.nwb")
        sessions.append(
            write_session(
                path,
                seed=number,
                session_name=name,
                n_units=0 if is_last else 20,
                backend=backend,
                behavior=make_behavior(number, is_baited=is_last) if number in {0, n - 2, n - 1} else None,
            )
        )
    return sessions


def metadata_record(session: SessionTruth) -> dict[str, Any]:
    """Return the record of a session's data asset in the form of a metadata database (aind-data-schema 2.x).

    Parameters
    ----------
    session : SessionTruth
        A session that was written.

    Returns
    -------
    dict
        Values of JSON only; the same session gives the same record.
    """
    record_id, asset_id = (str(uuid.uuid5(NAMESPACE, f"{kind}/{session.name}")) for kind in ("record", "asset"))
    created = session.session_start.isoformat().replace("+00:00", "Z")
    kinds = {"ecephys": "Extracellular electrophysiology"} if session.units else {}
    kinds |= {} if session.behavior is None else {"behavior": "Behavior"}
    return {
        "_id": record_id,
        "object_type": "Metadata",
        "schema_version": "2.7.6",
        "name": session.name,
        "location": f"s3://{DATA_BUCKET}/{session.name}",
        "other_identifiers": {"Code Ocean": [asset_id]},
        "subject": {
            "object_type": "Subject",
            "subject_id": session.subject_id,
            "subject_details": {"object_type": "Mouse subject", "sex": "Female", "genotype": "wt/wt"},
        },
        "data_description": {
            "object_type": "Data description",
            "name": session.name,
            "subject_id": session.subject_id,
            "creation_time": created,
            "data_level": "derived",
            "modalities": [{"name": name, "abbreviation": short} for short, name in kinds.items()],
            "project_name": "Made-up sessions",
        },
        "acquisition": {"object_type": "Acquisition", "acquisition_start_time": created},
    }


def _add_unit(nwb: Any, rng: np.random.Generator, *, unit_id: int, duration_s: float) -> UnitTruth:
    """Draw one unit and add it to the units table."""
    if unit_id == 0:
        nwb.add_unit_column("spike_amplitudes", "Peak amplitude of each spike, in microvolts.", index=True)
        nwb.add_unit_column("isolation_distance", "Made up: stands for what a spike sorter would store.")
    recipe = RECIPES[unit_id % len(RECIPES)]
    times, is_foreign = spike_train(
        rng,
        rate_hz=rng.uniform(8, 20) * recipe.rate_factor,
        duration_s=duration_s * recipe.active_share,
        contamination=recipe.contamination,
    )
    size = rng.uniform(80, 200)
    amplitudes = rng.normal(size, _NOISE_SHARE * size, len(times))
    is_seen = np.argsort(np.argsort(amplitudes)) >= round(recipe.missed_share * len(times))
    nwb.add_unit(
        id=unit_id,
        spike_times=times[is_seen],
        obs_intervals=[[0.0, duration_s]],
        spike_amplitudes=amplitudes[is_seen],
        isolation_distance=rng.uniform(30, 90) * (1 - recipe.contamination) ** 5,
    )
    return UnitTruth(
        unit_id=unit_id,
        kind=recipe.kind,
        spike_count=int(is_seen.sum()),
        contamination=float(is_foreign.mean()) if len(times) else 0.0,
        active_share=recipe.active_share,
        missed_share=float(1 - is_seen.mean()) if len(times) else 0.0,
    )
