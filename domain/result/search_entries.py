"""Search entries of a result: code, subjects, sessions, and parameters and outputs that are single values.

Each record stores them as a list of pairs, so that one index serves conditions on any field of any analysis.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from domain.json_values import MAX_INTEGER, has_surrogate
from domain.result.provenance import Provenance

LONGEST_TEXT = 200
"""Maximum length of a searchable text: the index stores all values."""

PARAMETERS, OUTPUTS, CODE, SUBJECT, SESSION = "parameters", "outputs", "code", "subject", "session"
"""Parts of the names of entries."""


def search_entries(provenance: Provenance) -> list[dict[str, Any]]:
    """Return the search entries of a result.

    Parameters
    ----------
    provenance : Provenance
        Parsed record of the result.

    Returns
    -------
    list of dict
        Name ``k`` and value ``v`` of each entry; at least those of the code version.
    """
    declared = provenance.code_version.partition("+")[0]
    texts = [(CODE, version) for version in dict.fromkeys((provenance.code_version, declared))]
    texts += [(SUBJECT, subject) for subject in provenance.subject_ids]
    texts += [(SESSION, session) for session in provenance.session_names]
    values = [*_values(PARAMETERS, provenance.parameters), *_values(OUTPUTS, provenance.outputs)]
    return [{"k": name, "v": value} for name, value in (*texts, *values) if is_searchable(value)]


def known_entries(stored: object) -> list[Any]:
    """Return those of a record's stored entries whose names this version makes; a newer one may add others."""
    entries = stored if isinstance(stored, list) else []
    return [entry for entry in entries if not isinstance(entry, dict) or _is_known(str(entry.get("k")))]


def search_time(ended: datetime) -> str:
    """Return the end of a result as text that sorts by time."""
    return ended.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def is_searchable(value: object) -> bool:
    """Return whether a value is a scalar that an index can store."""
    if isinstance(value, str):
        return len(value) <= LONGEST_TEXT and not has_surrogate(value)
    if isinstance(value, int):
        return abs(value) <= MAX_INTEGER
    return value is None or isinstance(value, float)


def _is_known(name: str) -> bool:
    """Return whether a name is one that `search_entries` makes."""
    return name in {CODE, SUBJECT, SESSION} or name.startswith((f"{PARAMETERS}.", f"{OUTPUTS}."))


def _values(kind: str, fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        yield f"{kind}.{name}", value
