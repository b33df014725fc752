"""Conversion between a provenance and the stored record.

The record is an aind-data-schema ``Metadata`` document whose ``processing`` holds one analysis, and beside its fields
one object, ``analysis_assets``, with the facts that have no field in the schema. The schema's classes validate what is written;
records are read as plain dictionaries, because later versions must be able to read old ones.
"""

from datetime import datetime
from typing import Any, Literal

from aind_data_schema.components.identifiers import Code, DataAsset
from aind_data_schema.core.processing import DataProcess, Processing, ProcessStage, ResourceUsage
from aind_data_schema_models.process_names import ProcessName
from aind_data_schema_models.units import MemoryUnit

from domain.errors import NewerFormatError
from domain.formats import check_format
from domain.messages import shown
from domain.result.provenance import Provenance, ResourceFacts
from domain.result.search_entries import search_entries, search_time

RECORD_FORMAT = "analysis-record/1"

# Importing aind_data_schema.core.metadata costs every run 1.8 s, for this one string; a test compares the two.
METADATA_SCHEMA_VERSION = "2.7.6"
METADATA_DESCRIBED_BY = (
    "https://raw.githubusercontent.com/AllenNeuralDynamics/aind-data-schema/main/src/aind_data_schema/core/metadata.py"
)
_EMPTY_SECTIONS = (
    "other_identifiers",
    "subject",
    "data_description",
    "procedures",
    "instrument",
    "acquisition",
    "quality_control",
    "model",
)
_GIGABYTE = 1e9


_IN_PROCESSING = {"parameters", "outputs", "started", "ended", "location", "result_id", "owners"}
"""Fields that are stored only in the schema's part of the record."""

_BESIDE = {"format", "state", "search_time", "search"}
"""Fields of the record's own object that are not part of the provenance."""


def to_record(provenance: Provenance, *, state: Literal["done"] = "done") -> dict[str, Any]:
    """Return the record to store: a ``Metadata`` document with an ``analysis_assets`` object beside its fields.

    Parameters
    ----------
    provenance : Provenance
        All facts about the result.
    state : str
        State written into the record.

    Returns
    -------
    dict
        JSON values only; ``_id`` and ``name`` are the result id.
    """
    own = provenance.model_dump(mode="json", exclude=_IN_PROCESSING)
    return {
        "_id": provenance.result_id,
        "object_type": "Metadata",
        "describedBy": METADATA_DESCRIBED_BY,
        "schema_version": METADATA_SCHEMA_VERSION,
        "name": provenance.result_id,
        "location": provenance.location,
        **dict.fromkeys(_EMPTY_SECTIONS),
        "processing": _processing(provenance).model_dump(mode="json"),
        "analysis_assets": {"format": RECORD_FORMAT, "state": state, **own, **search_fields(provenance)},
    }


def search_fields(provenance: Provenance) -> dict[str, Any]:
    """Return the fields of the record's own object that queries use; they repeat other fields."""
    return {"search_time": search_time(provenance.ended), "search": search_entries(provenance)}


def without_search(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record without the fields that queries use, which repeat others."""
    own = record.get("analysis_assets")
    if not isinstance(own, dict):  # damaged
        return record
    return {**record, "analysis_assets": {k: v for k, v in own.items() if k not in {"search_time", "search"}}}


def from_record(record: dict[str, Any]) -> Provenance:
    """Return the provenance of a stored record.

    Parameters
    ----------
    record : dict
        A record made by `to_record`, of this or an earlier version of the schema.

    Returns
    -------
    Provenance
        Equal to the argument of `to_record`; fields that a newer version has added are left out.

    Raises
    ------
    NewerFormatError
        If the record has a newer format.
    ValueError, LookupError, TypeError, AttributeError, RecursionError
        If it is damaged.
    """
    check_record_format(record)
    process = record["processing"]["data_processes"][0]
    own = {k: v for k, v in record["analysis_assets"].items() if k not in _BESIDE}
    return Provenance(
        **own,
        result_id=record["_id"],
        location=record["location"],
        owners=tuple(process["experimenters"]),
        parameters=process["code"]["parameters"] or {},
        outputs=process["output_parameters"] or {},
        started=datetime.fromisoformat(process["start_date_time"]),
        ended=datetime.fromisoformat(process["end_date_time"]),
    )


def from_superseded(record: dict[str, Any]) -> Provenance:
    """Return the provenance of a superseded record, whose ``_id`` contains its attempt."""
    return from_record({**record, "_id": record["name"]})


def check_record_format(record: dict[str, Any]) -> None:
    """Raise for a record of a newer format; a damaged one passes."""
    check_format(record.get("analysis_assets"), RECORD_FORMAT, what=f"record {shown(str(record.get('_id')))}")


def newer_format(record: dict[str, Any]) -> str | None:
    """Return why this version does not read a record, if a newer version wrote it."""
    try:
        check_record_format(record)
    except NewerFormatError as error:
        return str(error)
    return None


def readable(record: dict[str, Any]) -> Provenance | None:
    """Return the provenance of a stored record; None if it is damaged or has a newer format.

    Parameters
    ----------
    record : dict
        A record, as for `from_record`.
    """
    try:
        return from_record(record)
    except (NewerFormatError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def _processing(provenance: Provenance) -> Processing:
    """Return the analysis as the schema's own classes, which validate it."""
    process = DataProcess(
        process_type=ProcessName.ANALYSIS,
        name=provenance.analysis,
        stage=ProcessStage.ANALYSIS,
        experimenters=list(provenance.owners),
        code=_code(provenance),
        start_date_time=provenance.started,
        end_date_time=provenance.ended,
        output_parameters=provenance.outputs,
        notes=_notes(provenance),
        resources=_resource_usage(provenance.resources),
    )
    return Processing(data_processes=[process], dependency_graph={provenance.analysis: []})


def _code(provenance: Provenance) -> Code:
    facts = provenance.code
    return Code(
        url=facts.url,
        name=provenance.analysis,
        version=provenance.code_version,
        commit_hash=facts.commit,
        run_script=facts.run_script,
        language=facts.language,
        language_version=facts.language_version,
        input_data=[DataAsset(url=url) for url in (*provenance.locations, *provenance.files)],
        parameters=provenance.parameters,
    )


def _resource_usage(facts: ResourceFacts) -> ResourceUsage:
    """Return the facts about the machine as the schema's class."""
    return ResourceUsage(
        os=facts.os,
        architecture=facts.architecture,
        cpu=facts.cpu,
        cpu_cores=facts.cpu_cores,
        system_memory=None if facts.memory_bytes is None else round(facts.memory_bytes / _GIGABYTE, 3),
        system_memory_unit=None if facts.memory_bytes is None else MemoryUnit.GB,
    )


def _notes(provenance: Provenance) -> str | None:
    """Return as text what the schema's part of the record does not contain."""
    notes = []
    if provenance.code.dirty:
        notes.append("The working tree had uncommitted changes.")
    if provenance.not_finite:
        notes.append(f"Not finite, stored as null: {', '.join(provenance.not_finite)}.")
    if provenance.reason:
        notes.append(f"Computed again: {provenance.reason}.")
    return " ".join(notes) or None
