"""The facts of one row in parts: from its record in MongoDB, otherwise from the row."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from domain.errors import PlatformError
from domain.result.provenance import Provenance
from domain.result.records import newer_format, readable
from domain.result.search_entries import OUTPUTS, PARAMETERS
from explorer.data.columns import ROW, Column
from resources.records.reader import RecordReader

PARTS = (PARAMETERS, OUTPUTS, "code", "inputs", "times", "where")
_TIMES = ("started", "ended", "duration_s", "peak_memory_bytes")
_LONGEST = 2000


@dataclass(frozen=True)
class Facts:
    """The facts of one row.

    Attributes
    ----------
    row : dict
        Values of the row, by column.
    parts : dict
        Values by name, for each of `PARTS`.
    note : str
        Message about what could not be read; may be empty.
    """

    row: Mapping[str, Any]
    parts: dict[str, dict[str, Any]]
    note: str = ""
    provenance: Provenance | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """The row's short name."""
        return str(self.row[ROW])

    @property
    def result_id(self) -> str | None:
        """The result's id; None for a failed job."""
        return self.row.get("result_id")

    @property
    def title(self) -> str:
        """Session, otherwise subject, otherwise the first digits of the id."""
        return str(self.row.get("session") or self.row.get("subject") or self.name)


def facts_of(row: Mapping[str, Any], records: RecordReader) -> Facts:
    """Return the facts of a row.

    Parameters
    ----------
    row : mapping
        A row of an explorer's table.
    records : RecordReader
        Reader of its record; if MongoDB does not answer, the facts are those of the row, with a note.
    """
    result_id = row.get("result_id")
    if not isinstance(result_id, str):
        return Facts(row, _parts_of_row(row))
    try:
        record = records.get_many([result_id]).get(result_id)
    except PlatformError as error:
        return Facts(row, _parts_of_row(row), f"The record cannot be read now, so some facts are missing: {error}")
    found = readable(record) if record is not None else None
    if found is None:
        newer = newer_format(record) if record is not None else None
        note = newer or "MongoDB has no readable record of this result any more: it was replaced or invalidated since."
        return Facts(row, _parts_of_row(row), note)
    return Facts(row, _parts_of_record(row, found), provenance=found)


def label(part: str, name: str, columns: Mapping[str, Column]) -> str:
    """Return the label of a fact, with its unit if it is known."""
    column = columns.get(f"{part}.{name}") or columns.get(name)
    return column.title if column is not None else name.replace("_", " ")


def text_of(value: Any) -> str:
    """Return a value as text."""
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _parts_of_row(row: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the facts in a row, by part."""
    prefixed = {
        part: {name.removeprefix(f"{part}."): value for name, value in row.items() if name.startswith(f"{part}.")}
        for part in (PARAMETERS, OUTPUTS)
    }
    inputs = [one for one in str(row.get("inputs") or "").split(", ") if one]
    return {
        **prefixed,
        "code": {"code_version": row.get("code_version")},
        "inputs": {"subject": row.get("subject"), "session": row.get("session"), **_numbered("input", inputs)},
        "times": {name: row.get(name) for name in _TIMES},
        "where": {name: row.get(name) for name in ("job_key", "result_id", "attempt", "location", "run_id")},
    }


def _parts_of_record(row: Mapping[str, Any], found: Provenance) -> dict[str, dict[str, Any]]:
    """Return the facts in a record, by part."""
    code, used = found.code, found.resources
    return {
        PARAMETERS: dict(found.parameters),
        OUTPUTS: dict(found.outputs),
        "code": {
            "code_version": found.code_version,
            "commit": code.commit,
            "uncommitted changes": code.dirty,
            "repository": code.url,
            "file": code.run_script,
            "language": f"{code.language} {code.language_version}",
            "locked dependencies": code.lock_sha256,
            **_environment(found),
        },
        "inputs": {
            "subject": row.get("subject"),
            "session": row.get("session"),
            **_numbered("input", [*found.locations, *found.files]),
            "group": row.get("group"),
        },
        "times": {
            "started": found.started,
            "ended": found.ended,
            "duration_s": found.duration_s,
            "peak_memory_bytes": used.peak_memory_bytes,
            "processor time (s)": used.cpu_s,
            "machine": f"{used.os} {used.architecture}",
        },
        "where": {
            "job_key": found.job_key,
            "result_id": found.result_id,
            "attempt": found.attempt,
            "location": found.location,
            "run_id": found.run_id,
            "dispatch_id": found.dispatch_id,
            "why it was computed": found.why,
            "reason of a forced run": found.reason,
        },
    }


def _environment(found: Provenance) -> dict[str, Any]:
    """Return the facts about the environment; results of version 0.1 have none."""
    facts = found.environment
    if facts is None:
        return {}
    return {
        "packages": facts.packages_sha256,
        "packages match the lock": facts.matches_lock,
        "image": facts.image,
        "host": facts.host,
        "BLAS": ", ".join(f"{one.name} {one.version} ({one.core_type})" for one in facts.numeric.libraries) or None,
    }


def _numbered(word: str, values: list[str]) -> dict[str, str]:
    """Return values by numbered names; a single value has no number."""
    return {word if len(values) == 1 else f"{word} {n}": value for n, value in enumerate(values, start=1)}
