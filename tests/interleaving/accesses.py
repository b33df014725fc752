"""What a request reads and writes: two requests whose order cannot matter commute.

A request is described before it is sent, from its arguments alone, so the description covers whatever it may find.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Access:
    """A part of a server that a request uses.

    Attributes
    ----------
    space : str
        A collection, S3, or a part of Dagster's storage.
    key : str
        The document or object; of several, what their keys begin with.
    several : bool
        Everything whose key begins so.
    writes : bool
        Whether it may change.
    """

    space: str
    key: str = ""
    several: bool = False
    writes: bool = False

    def conflicts(self, other: "Access") -> bool:
        """Return whether the order of two accesses may matter."""
        if self.space != other.space or not (self.writes or other.writes):
            return False
        if self.several and other.several:
            return self.key.startswith(other.key) or other.key.startswith(self.key)
        if self.several:
            return other.key.startswith(self.key)
        if other.several:
            return self.key.startswith(other.key)
        return self.key == other.key


Accesses = tuple[Access, ...]


def conflict(one: Accesses, other: Accesses) -> bool:
    """Return whether two requests do not commute."""
    return any(a.conflicts(b) for a in one for b in other)


def of_documents(space: str, match: Mapping[str, Any], *, writes: bool) -> Accesses:
    """Return what a request with a filter uses: the documents that the filter names, else the whole collection."""
    named = match.get("_id")
    if isinstance(named, str):
        return (Access(space, named, writes=writes),)
    if isinstance(named, Mapping) and isinstance(named.get("$in"), list):
        return of_ids(space, named["$in"], writes=writes)
    if isinstance(match.get("name"), str):  # a superseded record: `<name>/<attempt>`
        return (Access(space, match["name"], several=True, writes=writes),)
    return (Access(space, several=True, writes=writes),)


def of_ids(space: str, ids: Iterable[Any], *, writes: bool) -> Accesses:
    """Return what a request for some documents uses."""
    return tuple(Access(space, str(one), writes=writes) for one in ids)
