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
from domain.analysis import Analysis, AnalysisJob, OutputsModel, ParametersModel
from domain.errors import InputError
from resources.nwb import UnitData, describe_session, open_nwb, read_units

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


class Unit(OutputsModel):
    """One row of ``units.parquet``; a measure that the data do not determine is null."""

    input: str = Field(description="The input's URL, as the job names it.")
    subject: str | None = Field(description="Subject, from the file's header.")
    session: str | None = Field(description="Session, from the file's header.")
    unit_id: int = Field(description="Id in the units table.")
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
        If an input is no NWB file, or lacks the column that the method judges by.
    """
    paths = job.open_inputs()
    urls = job.files or job.locations
    units = [unit for url, path in zip(urls, paths, strict=True) for unit in _units_of(path, url, parameters)]
    write_table(units, Unit, results_dir / "units.parquet")
    (results_dir / "unit_quality.png").write_bytes(_figure(units, parameters))
    return _summary(units, parameters, n_sessions=len(paths))


def _units_of(path: Path, url: str, parameters: Parameters) -> Iterator[Unit]:
    """Measure and judge the units of one input; none when it has no units table."""
    session = describe_session(path)
    names = {"input": url, "subject": session.subject_id, "session": session.session_name}
    with open_nwb(path) as nwb:
        span = cache(lambda: _span(nwb))  # costs a second reading, so only where a file lacks observation intervals
        for data in read_units(nwb):
            _refuse_missing_column(data, parameters.method, url)
            observed = span() if data.obs_intervals_s is None else data.obs_intervals_s
            unit = Unit(**names, unit_id=data.unit_id, **_measures(data, observed, parameters))
            fails = [criterion.column for criterion in _criteria(parameters) if not criterion.is_met(unit)]
            yield unit.model_copy(update={"fails": ",".join(fails), "passing": not fails})


def _span(nwb: Any) -> FloatArray:
    """Return the interval from the first to the last spike of all units, shape (1, 2), seconds; (0, 2) without any."""
    trains = (clean_spike_times(data.spike_times_s) for data in read_units(nwb))
    ends = [time for train in trains if len(train) for time in (train[0], train[-1])]
    return merge_intervals([[min(ends), max(ends)]] if ends else [])


def _refuse_missing_column(data: UnitData, method: str, url: str) -> None:
    """Refuse a method whose column is not in the file, rather than fail all its units without a word."""
    wanted = _COLUMNS_OF_METHOD.get(method, set())
    known = set(data.metrics) | (set() if data.spike_amplitudes is None else {"spike_amplitudes"})
    if not wanted or wanted & known:
        return
    msg = (
        f"method `{method}` cannot judge the units of `{url}`: its units table has no column {' or '.join(sorted(wanted))}. "
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


ANALYSIS = Analysis(
    name="unit_quality",
    version="1.0.0",
    owners=("team:ephys",),
    parameters=Parameters,
    outputs=Outputs,
    run=run,
    time_limit_s=1800,
    figure="unit_quality.png",
    tables={"units.parquet": Unit},
    tags={"modality": "ecephys"},
    checks=(enough_units_pass,),
)
