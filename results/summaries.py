"""Summaries of results, as listed by `analysis results`.

Scripts and notebooks use `results.results.Results`, which also opens files.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal

from domain.messages import shown
from domain.result.provenance import Provenance
from domain.result.records import newer_format, readable
from domain.result.rows import state_by_code
from resources.records.store import RecordStore

ResultState = Literal["done", "outdated", "superseded"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ResultSummary:
    """Summary of one result.

    Attributes
    ----------
    result_id, job_key, code_version : str
        Identity of the result.
    state : str
        ``done``; ``outdated`` if it is from an older code version; ``superseded`` if it was replaced by a newer
        result of the same code version, or invalidated.
    location : str
        URL of the folder of its files.
    inputs : list of str
        URLs of data assets and files.
    subject_ids, session_names : list of str
        Subjects and sessions of the inputs.
    parameters, outputs : dict
        Validated parameters, and outputs.
    started, ended : datetime
        Start and end of user code.
    figure_location : str or None
        URL of the figure; None if there is none.
    """

    result_id: str
    job_key: str
    state: ResultState
    location: str
    inputs: list[str]
    subject_ids: list[str]
    session_names: list[str]
    parameters: dict[str, Any]
    outputs: dict[str, Any]
    code_version: str
    started: datetime
    ended: datetime
    figure_location: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return the summary as JSON values."""
        values = {field.name: getattr(self, field.name) for field in fields(ResultSummary)}
        values["figure"] = values.pop("figure_location")
        return values | {"started": self.started.isoformat(), "ended": self.ended.isoformat()}


def results_of(records: RecordStore, analysis: str, *, code_version: str) -> list[ResultSummary]:
    """Return the results of an analysis, newest first.

    Parameters
    ----------
    records : RecordStore
        Store of the records; only read.
    analysis : str
        Name of the analysis.
    code_version : str
        Current code version; results of others are outdated.

    Returns
    -------
    list of ResultSummary
        Records that cannot be read are left out, with a warning that names them.
    """
    return results_among(records.newest(analysis), code_version=code_version)


def results_among(records: Iterable[dict[str, Any]], *, code_version: str) -> list[ResultSummary]:
    """Return the results of records, in order; arguments and unreadable records as in `results_of`."""
    found = []
    for record in records:
        provenance = parsed_or_warned(record)
        if provenance is not None:
            state = state_by_code(provenance.code_version, current=code_version)
            found.append(ResultSummary(**summary_fields(provenance, state)))
    return found


def parsed_or_warned(record: dict[str, Any]) -> Provenance | None:
    """Parse a record; if it cannot be parsed, warn and return None."""
    provenance = readable(record)
    if provenance is None and (newer := newer_format(record)):
        _log.warning("Left out: %s", newer)
    elif provenance is None:
        _log.warning("The record %s cannot be read and is left out.", shown(str(record.get("_id"))))
    return provenance


def summary_fields(found: Provenance, state: ResultState) -> dict[str, Any]:
    """Return the fields of a `ResultSummary`."""
    return {
        "result_id": found.result_id,
        "job_key": found.job_key,
        "state": state,
        "location": found.location,
        "inputs": [*found.locations, *found.files],
        "subject_ids": list(found.subject_ids),
        "session_names": list(found.session_names),
        "parameters": found.parameters,
        "outputs": found.outputs,
        "code_version": found.code_version,
        "started": found.started,
        "ended": found.ended,
        "figure_location": f"{found.location}/{found.figure}" if found.figure else None,
    }
