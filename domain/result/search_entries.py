"""What a result can be found by: its code, subjects and sessions, and its parameters and outputs that are single values.

Kept with each record as a list of pairs, so that one index of the database serves a question about any of them,
whatever the analysis calls its fields.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from domain.json_values import MAX_INTEGER, has_surrogate
from domain.result.provenance import Provenance

LONGEST_TEXT = 200
"""Longer texts are not searched: an index holds every value that can be."""

PARAMETERS, OUTPUTS, CODE, SUBJECT, SESSION = "parameters", "outputs", "code", "subject", "session"
"""What the names of entries are made of."""


def search_entries(provenance: Provenance) -> list[dict[str, Any]]:
    """Return the pairs that a result is found by.

    Parameters
    ----------
    provenance : Provenance
        The result.

    Returns
    -------
    list of dict
        Name ``k`` and value ``v`` of each: at least those of the code.
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
    """Return the time that a result ended at as a text whose alphabetic order is the order of time."""
    return ended.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def is_searchable(value: object) -> bool:
    """Tell whether a value is a single one that an index can hold."""
    if isinstance(value, str):
        return len(value) <= LONGEST_TEXT and not has_surrogate(value)
    if isinstance(value, int):
        return abs(value) <= MAX_INTEGER
    return value is None or isinstance(value, float)


def _is_known(name: str) -> bool:
    """Return whether a name is one that `search_entries` makes."""
    return name in {CODE, SUBJECT, SESSION} or name.startswith((f"{PARAMETERS}.", f"{OUTPUTS}."))


def _values(kind: str, fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the fields of a parameter or output object by the names of their entries."""
    for name, value in fields.items():
        yield f"{kind}.{name}", value
