"""Which units of a session are well isolated? Quality measures of every unit, and whether it passes.

For each unit in the ``units`` table of an NWB file: how often it fires, how much of its spike train belongs to other
neurons, whether it was there for the whole recording, and how many of its spikes were too small to be seen.

Method
------
- **Time** is the unit's ``obs_intervals``. In a file without that column it is the span from the first to the last spike
  of all its units, which is slightly shorter than the recording. Spikes outside are not used.
- **Spikes** closer to the one before than the censored period are artefacts of sorting and not used; with the default
  period of 0 these are exact duplicates. Unsorted times are sorted.
- **Contamination**, from violations of the refractory period: `hill` supposes that foreign spikes come from one other
  neuron (Hill et al. 2011, doi:10.1523/JNEUROSCI.0971-11.2011), `llobet` that they come from many (Llobet et al. 2022,
  doi:10.1101/2022.02.08.479192), `violation_fraction` is the share of inter-spike intervals that are too short.
- **Presence ratio**: the share of bins of about one minute with at least one spike.
- **Amplitude cutoff**: spikes too small to be detected, relative to those detected, from the asymmetry of the column
  ``spike_amplitudes`` (Hill et al. 2011; Siegle et al. 2021, doi:10.1038/s41586-020-03171-x). Without that column, the
  column ``amplitude_cutoff`` as spike sorting stored it.
- **Isolation distance** needs waveforms: it is read from the column ``isolation_distance`` (Schmitzer-Torbert et al.
  2005, doi:10.1016/j.neuroscience.2004.09.066).

A unit passes when it meets every criterion; a measure that its data do not determine fails its criterion.

What is doubtful about the stored times is reported and changes no measure: spike times that look like sample numbers, that
are not finite or not in order; intervals that are not finite, reversed or overlapping; units that nothing but their row
distinguishes.

Outputs
-------
``units.parquet``, one row for each unit (see `Unit`), and ``unit_quality.png``. Times are in seconds, rates in hertz,
fractions between 0 and 1, amplitudes in the unit of the file. Several inputs give one table, told apart by session.
"""

from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from analysis_assets.methods.criteria import Criterion, draw_criteria
from analysis_assets.methods.spike_amplitudes import amplitude_cutoff, amplitude_cv, amplitude_median
from analysis_assets.methods.spike_trains import FloatArray, clean_spike_times, measure_train, merge_intervals
from analysis_assets.methods.tables import write_table
from analysis_assets.methods.unit_findings import (
    OF_INTERVALS,
    OF_TIMES,
    StoredTimes,
    count_repeated,
    describe_times,
    seem_sample_numbers,
)
from domain.analysis import Analysis, AnalysisJob, OutputsModel, ParametersModel
from domain.errors import InputError
from resources.nwb import UnitData, describe_session, kind_of_column, open_nwb, read_units

_CONTAMINATION = {
    "hill": ("contamination_hill", "contamination, Hill (fraction)"),
    "llobet": ("contamination_llobet", "contamination, Llobet (fraction)"),
    "violation_fraction": ("isi_violation_fraction", "ISI violations (fraction)"),
}
_FEW_PASS = 0.05
_COLUMNS_OF_METHOD = {
    "amplitude_cutoff": {"spike_amplitudes", "amplitude_cutoff"},
    "isolation_distance": {"isolation_distance"},
}


class Parameters(ParametersModel):
    """What makes a unit pass."""

    analysis_name: str = Field(default="Unit Quality Filtering", max_length=200, description="A label, for people.")
    analysis_tag: str = Field(default="baseline_v1.0", max_length=200, description="Another label, for people.")
    method: Literal["hill", "llobet", "violation_fraction", "amplitude_cutoff", "isolation_distance"] = Field(
        default="hill",
        description="Measure of contamination (the first three); the last two use `hill` and add a criterion of their own.",
    )
    isi_violations_cutoff: float = Field(
        default=0.05, ge=0, le=1, description="Highest contamination, by the measure that `method` names (fraction)."
    )
    refractory_period_ms: float = Field(
        default=1.5, gt=0, le=20, description="A neuron never fires twice within this time (ms)."
    )
    censored_period_ms: float = Field(
        default=0.0, ge=0, le=20, description="Second spikes within this time are artefacts of sorting, not used (ms)."
    )
    min_firing_rate_hz: float = Field(default=0.1, ge=0, le=1000, description="Lowest mean firing rate (Hz).")
    presence_bin_s: float = Field(default=60.0, gt=0, le=3600, description="Bin width of the presence ratio (s).")
    min_presence_ratio: float = Field(default=0.8, ge=0, le=1, description="Lowest presence ratio (fraction).")
    max_amplitude_cutoff: float = Field(
        default=0.1,
        ge=0,
        le=0.5,
        description="Highest share of missed spikes, for method `amplitude_cutoff` (fraction).",
    )
    min_isolation_distance: float = Field(
        default=20.0, ge=0, le=1e6, description="Lowest isolation distance, for method `isolation_distance` (no unit)."
    )

    @model_validator(mode="after")
    def _violations_are_possible(self) -> Self:
        """Refuse a censored period that leaves no time for a violation."""
        if self.censored_period_ms >= self.refractory_period_ms:
            msg = (
                f"censored_period_ms ({self.censored_period_ms:g}) must be shorter than "
                f"refractory_period_ms ({self.refractory_period_ms:g})"
            )
            raise ValueError(msg)
        return self


class Outputs(OutputsModel):
    """How many units pass, and what the typical unit is like."""

    outcome: Literal["units", "no_units"] = Field(description="`no_units` when no input has a unit; a result too.")
    n_sessions: int = Field(description="Inputs read (count).")
    n_units: int = Field(description="Units in all inputs (count).")
    n_passing: int = Field(description="Units that meet every criterion (count).")
    n_spikes: int = Field(description="Spikes of all units, as stored (count).")
    passing_fraction: float | None = Field(description="n_passing / n_units (fraction); None without units.")
    median_firing_rate_hz: float | None = Field(description="Over all units (Hz); None when no unit has it.")
    median_contamination: float | None = Field(description="By the measure of `method` (fraction); None likewise.")
    median_presence_ratio: float | None = Field(description="Over all units (fraction); None likewise.")
    n_inputs_in_samples: int | None = Field(
        default=None,
        description="Inputs whose spike times look like sample numbers (count); None in results of version 1.0, as below.",
    )
    n_units_with_unsound_times: int | None = Field(
        default=None, description="Units with spike times that are not finite or not in order (count)."
    )
    n_units_with_unsound_intervals: int | None = Field(
        default=None, description="Units with intervals that are not finite, reversed or overlapping (count)."
    )
    n_units_not_distinct: int | None = Field(
        default=None, description="Units that share input, probe, electrode group and id with another one (count)."
    )


class Unit(OutputsModel):
    """One row of ``units.parquet``; a measure that the data do not determine is null."""

    input: str = Field(description="The input's URL, as the job names it.")
    subject: str | None = Field(description="Subject, from the file's header.")
    session: str | None = Field(description="Session, from the file's header.")
    row: int = Field(description="Row in the units table, from 0; with the input it names one unit (no unit).")
    probe: str | None = Field(description="Probe, from the file.")
    electrode_group: str | None = Field(description="Electrode group, from the file; several joined by commas.")
    unit_id: int = Field(description="Id in the units table; probes may use the same ids.")
    spike_count: int = Field(description="Spikes, as stored (count).")
    used_spike_count: int = Field(description="Spikes inside the observed time and not censored (count).")
    observed_s: float = Field(description="Observed time (s).")
    firing_rate_hz: float | None = Field(description="Used spikes by observed time (Hz).")
    isi_violation_count: int = Field(description="Inter-spike intervals below the refractory period (count).")
    isi_violation_fraction: float | None = Field(description="Their share of all intervals (fraction).")
    contamination_hill: float | None = Field(description="Foreign spikes, if from one neuron (fraction).")
    contamination_llobet: float | None = Field(description="Foreign spikes, if from many neurons (fraction).")
    presence_ratio: float | None = Field(description="Bins with a spike (fraction).")
    amplitude_median: float | None = Field(description="Median size of the spikes (unit of the file).")
    amplitude_cv: float | None = Field(description="Standard deviation by mean of the amplitudes (ratio).")
    amplitude_cutoff: float | None = Field(description="Spikes missed, relative to those seen (fraction, at most 0.5).")
    isolation_distance: float | None = Field(description="As spike sorting stored it (no unit).")
    findings: str = Field(
        default="", description="What is doubtful about times and intervals, joined by commas; changes no measure."
    )
    fails: str = Field(default="", description="Columns whose criterion is not met, joined by commas.")
    passing: bool = Field(default=False, description="Whether every criterion is met.")


def _criteria(parameters: Parameters) -> tuple[Criterion, ...]:
    """Return what these parameters demand: firing rate, contamination, presence, then what the method adds."""
    contamination, label = _CONTAMINATION.get(parameters.method, _CONTAMINATION["hill"])
    added = {
        "amplitude_cutoff": Criterion(
            "amplitude_cutoff", "amplitude cutoff (fraction)", highest=parameters.max_amplitude_cutoff, limit=0.5
        ),
        "isolation_distance": Criterion(
            "isolation_distance", "isolation distance", lowest=parameters.min_isolation_distance
        ),
    }
    return (
        Criterion("firing_rate_hz", "firing rate (Hz)", lowest=parameters.min_firing_rate_hz),
        Criterion(contamination, label, highest=parameters.isi_violations_cutoff, limit=1),
        Criterion("presence_ratio", "presence ratio (fraction)", lowest=parameters.min_presence_ratio, limit=1),
        *([added[parameters.method]] if parameters.method in added else []),
    )


def run(job: AnalysisJob, parameters: Parameters, results_dir: Path) -> Outputs:
    """Measure every unit of every input, and write the table and the figure.

    Parameters
    ----------
    job : AnalysisJob
        One or several NWB files.
    parameters : Parameters
        The method and the bounds.
    results_dir : Path
        An empty folder for ``units.parquet`` and ``unit_quality.png``.

    Returns
    -------
    Outputs
        Counts and medians over all units.

    Raises
    ------
    InputError
        If an input is not an NWB file, its units have no spike times or cannot be read as they are stored, or it lacks the
        column that the method judges by.
    """
    paths = job.open_inputs()
    urls = job.files or job.locations
    units, described = [], []
    for url, path in zip(urls, paths, strict=True):
        found = list(_units_of(path, url, parameters))
        units += [unit for unit, _ in found]
        described.append([times for _, times in found])
    write_table(units, Unit, results_dir / "units.parquet")
    (results_dir / "unit_quality.png").write_bytes(_figure(units, parameters))
    summary = _summary(units, parameters, n_sessions=len(paths))
    return summary.model_copy(update=_findings(units, described))


def _units_of(path: Path, url: str, parameters: Parameters) -> Iterator[tuple[Unit, StoredTimes]]:
    """Measure and judge the units of one input; none when it has no units table."""
    session = describe_session(path)
    names = {"input": url, "subject": session.subject_id, "session": session.session_name}
    with open_nwb(path) as nwb:
        span = cache(lambda: _span(nwb))  # costs a second reading, so only where a file lacks observation intervals
        for data in read_units(nwb):
            _refuse_missing_column(data, nwb.units, parameters.method, url)
            observed = span() if data.obs_intervals_s is None else data.obs_intervals_s
            times = describe_times(data.spike_times_s, intervals_s=data.obs_intervals_s)
            place = {"row": data.row, "probe": data.probe, "electrode_group": data.electrode_group}
            unit = Unit(**names, **place, unit_id=data.unit_id, **_measures(data, observed, parameters))
            fails = [criterion.column for criterion in _criteria(parameters) if not criterion.is_met(unit)]
            verdict = {"fails": ",".join(fails), "passing": not fails, "findings": ",".join(times.findings)}
            yield unit.model_copy(update=verdict), times


def _findings(units: list[Unit], described: list[list[StoredTimes]]) -> dict[str, int]:
    """Count what is doubtful, by the names of the outputs."""
    found = [set(times.findings) for of_input in described for times in of_input]
    return {
        "n_inputs_in_samples": sum(seem_sample_numbers(of_input) for of_input in described),
        "n_units_with_unsound_times": sum(bool(names & OF_TIMES) for names in found),
        "n_units_with_unsound_intervals": sum(bool(names & OF_INTERVALS) for names in found),
        "n_units_not_distinct": count_repeated([(u.input, u.probe, u.electrode_group, u.unit_id) for u in units]),
    }


def _span(nwb: Any) -> FloatArray:
    """Return the interval from the first to the last spike of all units, shape (1, 2), seconds; (0, 2) without any."""
    trains = (clean_spike_times(data.spike_times_s) for data in read_units(nwb))
    ends = [time for train in trains if len(train) for time in (train[0], train[-1])]
    return merge_intervals([[min(ends), max(ends)]] if ends else [])


def _refuse_missing_column(data: UnitData, table: Any, method: str, url: str) -> None:
    """Refuse a method whose column is not in the file, rather than fail all its units without a word."""
    wanted = _COLUMNS_OF_METHOD.get(method, set())
    known = set(data.metrics) | (set() if data.spike_amplitudes is None else {"spike_amplitudes"})
    if not wanted or wanted & known:
        return
    kinds = {column: kind_of_column(table, column) for column in sorted(wanted)}
    held = [f"holds {kind} in column {column}" for column, kind in kinds.items() if kind is not None]
    found = " and ".join(held) or f"has no column {' or '.join(sorted(wanted))}"
    msg = (
        f"method `{method}` cannot judge the units of `{url}`: its units table {found}. "
        "Use method `hill`, `llobet` or `violation_fraction`, or store the column when sorting."
    )
    raise InputError(msg)


def _measures(data: UnitData, observed: FloatArray, parameters: Parameters) -> dict[str, Any]:
    """Compute the measures of one unit, by the names of the table's columns."""
    train = measure_train(
        data.spike_times_s,
        intervals_s=observed,
        refractory_period_s=parameters.refractory_period_ms / 1e3,
        censored_period_s=parameters.censored_period_ms / 1e3,
        presence_bin_s=parameters.presence_bin_s,
    )
    stored = {name: value for name, value in data.metrics.items() if np.isfinite(value)}
    amplitudes = data.spike_amplitudes
    missed = stored.get("amplitude_cutoff") if amplitudes is None else amplitude_cutoff(amplitudes)
    return {
        **asdict(train),
        "amplitude_median": None if amplitudes is None else amplitude_median(amplitudes),
        "amplitude_cv": None if amplitudes is None else amplitude_cv(amplitudes),
        "amplitude_cutoff": missed,
        "isolation_distance": stored.get("isolation_distance"),
    }


def _summary(units: list[Unit], parameters: Parameters, *, n_sessions: int) -> Outputs:
    """Count the units and take the medians."""

    def middle(column: str) -> float | None:
        values = [value for unit in units if (value := getattr(unit, column)) is not None]
        return median(values) if values else None

    firing_rate, contamination, presence = _criteria(parameters)[:3]
    n_passing = sum(unit.passing for unit in units)
    return Outputs(
        outcome="units" if units else "no_units",
        n_sessions=n_sessions,
        n_units=len(units),
        n_passing=n_passing,
        n_spikes=sum(unit.spike_count for unit in units),
        passing_fraction=n_passing / len(units) if units else None,
        median_firing_rate_hz=middle(firing_rate.column),
        median_contamination=middle(contamination.column),
        median_presence_ratio=middle(presence.column),
    )


def _figure(units: list[Unit], parameters: Parameters) -> bytes:
    """Draw every judged measure; a file without units gets a figure that says so."""
    counts = f"{sum(unit.passing for unit in units)} of {len(units)} units pass" if units else "No units in this input"
    title = f"{counts}  ·  method {parameters.method}, {parameters.analysis_name}, {parameters.analysis_tag}"
    return draw_criteria(units, _criteria(parameters), title=title)


def enough_units_pass(outputs: Outputs) -> bool | str:
    """At least one unit in twenty passes: where hardly any does, sorting or parameters have gone wrong."""
    fraction = outputs.passing_fraction
    return fraction is None or fraction >= _FEW_PASS or f"only {outputs.n_passing} of {outputs.n_units} units pass"


def spike_times_are_in_seconds(outputs: Outputs) -> bool | str:
    """Spike times are seconds: not all whole numbers, as sample numbers are, and not spread over more than a year."""
    return _none_of(
        outputs.n_inputs_in_samples, outputs.n_sessions, "inputs have spike times that look like sample numbers"
    )


def spike_times_are_sound(outputs: Outputs) -> bool | str:
    """Spike times are finite, and in order."""
    return _none_of(
        outputs.n_units_with_unsound_times, outputs.n_units, "units have spike times not finite or in order"
    )


def observation_intervals_are_sound(outputs: Outputs) -> bool | str:
    """Observation intervals are finite, end after they start, and do not overlap."""
    what = "units have obs_intervals that are not finite, reversed or overlapping"
    return _none_of(outputs.n_units_with_unsound_intervals, outputs.n_units, what)


def units_are_distinct(outputs: Outputs) -> bool | str:
    """Probe, electrode group and id name one unit of an input; otherwise only its row does."""
    what = "units share probe, electrode group and id with another unit of their input"
    return _none_of(outputs.n_units_not_distinct, outputs.n_units, what)


def _none_of(count: int | None, total: int, what: str) -> bool | str:
    """Pass for zero, and for results that do not have the count."""
    return not count or f"{count} of {total} {what}"


ANALYSIS = Analysis(
    name="unit_quality",
    version="1.1.0",
    owners=("team:ephys",),
    parameters=Parameters,
    outputs=Outputs,
    run=run,
    time_limit_s=1800,
    figure="unit_quality.png",
    tables={"units.parquet": Unit},
    tags={"modality": "ecephys"},
    checks=(
        enough_units_pass,
        spike_times_are_in_seconds,
        spike_times_are_sound,
        observation_intervals_are_sound,
        units_are_distinct,
    ),
)
