"""Reading results back: what was computed, from what, by which code, and where it is."""

import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from domain.json_values import shown
from domain.provenance import Provenance
from domain.records import readable
from resources.record_store import RecordStore

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """One result, for people and scripts.

    Attributes
    ----------
    result_id, job_key, code_version : str
        Identity.
    state : str
        ``done``, or ``outdated`` when the analysis's code has changed since.
    location : str
        Folder of its files.
    inputs : list of str
        Data assets and files.
    subject_ids, session_names : list of str
        Whom the inputs were recorded from, and when.
    parameters, outputs : dict
        What went in and what came out.
    started, ended : datetime
        Times of user code.
    figure : str or None
        The figure's address.
    """

    result_id: str
    job_key: str
    state: Literal["done", "outdated"]
    location: str
    inputs: list[str]
    subject_ids: list[str]
    session_names: list[str]
    parameters: dict[str, Any]
    outputs: dict[str, Any]
    code_version: str
    started: datetime
    ended: datetime
    figure: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return asdict(self) | {"started": self.started.isoformat(), "ended": self.ended.isoformat()}


def results_of(records: RecordStore, analysis: str, *, code_version: str) -> list[Result]:
    """Return the results of an analysis, newest first.

    Parameters
    ----------
    records : RecordStore
        Where they are.
    analysis : str
        Name of the analysis.
    code_version : str
        Its current code; results of other code are outdated.

    Returns
    -------
    list of Result
        Records that cannot be read are left out, with a warning that names them.
    """
    return results_among(records.of_analysis(analysis), code_version=code_version)


def results_among(records: Iterable[dict[str, Any]], *, code_version: str) -> list[Result]:
    """Return the results that records describe, in their order; what it takes and leaves out: as `results_of`."""
    found = []
    for record in records:
        provenance = readable(record)
        if provenance is None:
            _log.warning("The record %s cannot be read and is left out.", shown(str(record.get("_id"))))
        else:
            found.append(_result(provenance, code_version))
    return found


def _result(found: Provenance, code_version: str) -> Result:
    """Show one provenance as a result."""
    return Result(
        result_id=found.result_id,
        job_key=found.job_key,
        state="done" if found.code_version == code_version else "outdated",
        location=found.location,
        inputs=[*found.locations, *found.files],
        subject_ids=list(found.subject_ids),
        session_names=list(found.session_names),
        parameters=found.parameters,
        outputs=found.outputs,
        code_version=found.code_version,
        started=found.started,
        ended=found.ended,
        figure=f"{found.location}/{found.figure}" if found.figure else None,
    )
