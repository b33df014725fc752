"""Every number of ``unit_quality``, computed by SpikeInterface's quality metrics; nothing here is our code.

pynwb reads the file. SpikeInterface gets each spike as a whole number of nanoseconds since the start of the observed time,
so that no time is rounded; it counts a spike for itself only where the formula says so.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hdmf_zarr import NWBZarrIO
from pynwb import NWBHDF5IO
from scipy.stats import variation
from spikeinterface.core import NumpySorting, create_sorting_analyzer
from spikeinterface.core.generate import NoiseGeneratorRecording
from spikeinterface.metrics import quality
from spikeinterface.metrics.quality.misc_metrics import amplitude_cutoff
from spikeinterface.metrics.spiketrain.metrics import compute_firing_rates, compute_num_spikes

NANOSECOND = 1e-9
SAMPLES_PER_S = 1e9
MOST_HILL = 0.25  # the largest F (1 - F): above it no F solves Hill's equation


def units_of(path: str) -> pd.DataFrame:
    """Read the units table; empty without one."""
    opened = NWBZarrIO(path, "r") if Path(path).is_dir() else NWBHDF5IO(path, "r")
    with opened as io:
        nwb = io.read()
        if nwb.units is None:
            return pd.DataFrame()
        units = nwb.units.to_dataframe().rename_axis("unit_id").reset_index()
        units["subject"] = nwb.subject and (nwb.subject.subject_id or None)
        units["session"] = nwb.session_id or nwb.identifier
    if "obs_intervals" not in units:
        spikes = np.concatenate(units.spike_times.to_list())
        units["obs_intervals"] = [np.array([[spikes.min(), spikes.max()]])] * len(units)
    return units


def metrics_of(units: pd.DataFrame, settings: dict[str, Any]) -> pd.DataFrame:
    """Compute SpikeInterface's metrics of all units of one file, which share one observed time."""
    ((start, stop),) = {tuple(interval) for intervals in units.obs_intervals for interval in intervals}
    trains = {i: np.round((np.sort(t) - start) / NANOSECOND).astype(np.int64) for i, t in enumerate(units.spike_times)}
    duration = stop - start
    sorting = NumpySorting.from_unit_dict([trains], SAMPLES_PER_S)
    # No metric reads the recording, which only says how long it is: with a channel for each unit given, nothing is read.
    length = duration + 10 * NANOSECOND  # a spike at the very end is inside
    recording = NoiseGeneratorRecording(1, SAMPLES_PER_S, [length], noise_block_size=1000)
    recording.set_dummy_probe_from_locations(np.zeros((1, 2)))
    channels = np.zeros(len(trains), dtype=int)
    analyzer = create_sorting_analyzer(sorting, recording, main_channel_indices=channels, sparse=False)
    refractory, censored = settings["refractory_period_ms"], settings["censored_period_ms"]
    # Pairs at exactly the refractory period are no violations. It counts them, or not, as their time is rounded, so it gets
    # a period that is shorter by less than any difference between two times.
    isi = quality.compute_isi_violations(analyzer, isi_threshold_ms=refractory - 5e-7, min_isi_ms=censored)
    pairs = quality.compute_refrac_period_violations(
        analyzer, refractory_period_ms=refractory - 1e-6, censored_period_ms=censored
    )
    width = duration / max(1, round(duration / settings["presence_bin_s"]))  # it drops what is left of the last bin
    return pd.DataFrame(
        {
            "used_spike_count": compute_num_spikes(analyzer),
            "observed_s": duration,
            "firing_rate_hz": compute_firing_rates(analyzer),
            "isi_violation_count": isi.isi_violations_count,
            "isi_ratio": isi.isi_violations_ratio,
            "contamination_llobet": pairs.rp_contamination,
            "presence_ratio": quality.compute_presence_ratios(analyzer, bin_duration_s=width),
        }
    )


def rows_of(path: str, settings: dict[str, Any]) -> pd.DataFrame:
    """Return one row for each unit of a file, by the columns of ``units.parquet``."""
    units = units_of(path)
    if units.empty:
        return units
    rows = units[["unit_id", "subject", "session"]].join(metrics_of(units, settings))
    rows["spike_count"] = units.spike_times.map(len)
    rows["isi_violation_fraction"] = rows.isi_violation_count / (rows.used_spike_count - 1)
    rows["contamination_hill"] = [hill(ratio) for ratio in rows.pop("isi_ratio")]
    sizes = units.get("spike_amplitudes", pd.Series([np.empty(0)] * len(units))).map(np.abs)
    rows["amplitude_median"] = sizes.map(lambda size: np.median(size) if len(size) else None)
    rows["amplitude_cv"] = sizes.map(lambda size: variation(size) if len(size) else None)
    missing = sizes.map(lambda size: amplitude_cutoff(size) if len(size) else None).astype(float)
    rows["amplitude_cutoff"] = (missing / (1 - missing)).clip(upper=0.5)  # relative to the spikes that were seen
    rows["isolation_distance"] = units.get("isolation_distance")
    return rows


def hill(ratio: float) -> float:
    """Solve Hill's equation for the share of foreign spikes, of which SpikeInterface gives the left side."""
    return (1 - math.sqrt(1 - 4 * ratio)) / 2 if ratio <= MOST_HILL else 1.0


def judge(rows: pd.DataFrame, settings: dict[str, Any]) -> pd.DataFrame:
    """Name the criteria that each unit fails; an unknown measure fails."""
    method = settings["method"]
    contamination = {"llobet": "contamination_llobet", "violation_fraction": "isi_violation_fraction"}
    measure = contamination.get(method, "contamination_hill")
    is_met = {
        "firing_rate_hz": rows.firing_rate_hz >= settings["min_firing_rate_hz"],
        measure: rows[measure] <= settings["isi_violations_cutoff"],
        "presence_ratio": rows.presence_ratio >= settings["min_presence_ratio"],
    }
    if method == "amplitude_cutoff":
        is_met[method] = rows[method] <= settings["max_amplitude_cutoff"]
    if method == "isolation_distance":
        is_met[method] = rows[method] >= settings["min_isolation_distance"]
    met = pd.DataFrame(is_met)
    rows["fails"] = [",".join(met.columns[~row]) for row in met.to_numpy()]
    rows["passing"] = met.all(axis=1)
    rows.attrs["contamination"] = measure
    return rows


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Return the outputs and the table of units."""
    tables = [rows_of(path, question) for path in question["paths"]]
    rows = pd.concat(tables, ignore_index=True)
    if rows.empty:
        counts = dict.fromkeys(("n_units", "n_passing", "n_spikes"), 0)
        medians = ("passing_fraction", "median_firing_rate_hz", "median_contamination", "median_presence_ratio")
        outputs = {"outcome": "no_units"} | counts | dict.fromkeys(medians)
    else:
        rows = judge(rows, question)
        outputs = {
            "outcome": "units",
            "n_units": len(rows),
            "n_passing": int(rows.passing.sum()),
            "n_spikes": int(rows.spike_count.sum()),
            "passing_fraction": rows.passing.mean(),
            "median_firing_rate_hz": rows.firing_rate_hz.median(),
            "median_contamination": rows[rows.attrs["contamination"]].median(),
            "median_presence_ratio": rows.presence_ratio.median(),
        }
    table = rows.astype(object).where(rows.notna(), None).to_dict("records")
    return {"outputs": outputs | {"n_sessions": len(tables)}, "table": table}


if __name__ == "__main__":
    print(json.dumps([answer(question) for question in json.loads(sys.argv[1])], default=lambda number: number.item()))  # noqa: T201
