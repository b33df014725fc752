"""Why a result is new: how its identity differs from that of the nearest earlier result.

Identity has three parts: inputs, parameters and code. The nearest earlier result has the fewest different
inputs, then the fewest different parameters, then the same code; of equally near ones it is the newest.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from domain.errors import InputError
from domain.job.urls import normalize_url
from domain.json_values import canonical_json

_SHOWN_VALUE = 60
_SHOWN_INPUTS = 3
_ABSENT = "(absent)"


@dataclass(frozen=True)
class Identity:
    """The identity of a result.

    Attributes
    ----------
    inputs : frozenset of str
        Normalized URLs of data assets and files.
    parameters : mapping
        Validated parameters, with defaults filled in.
    code_version : str
        Declared version and source digest.
    """

    inputs: frozenset[str]
    parameters: Mapping[str, Any]
    code_version: str

    @classmethod
    def of(cls, *, urls: Iterable[str], parameters: Mapping[str, Any], code_version: str) -> "Identity":
        """Return the identity of a result from its inputs in any spelling, its parameters and its code version."""
        return cls(frozenset(_normal(url) for url in urls), parameters, code_version)


@dataclass(frozen=True)
class Earlier:
    """An earlier result: its identity, id and time.

    Attributes
    ----------
    identity : Identity
        Inputs, parameters and code version.
    result_id, run_id, ended
        Result id, Dagster run and end time.
    how : str
        Empty for a current result; ``replaced`` or ``invalidated`` for a superseded one.
    """

    identity: Identity
    result_id: str
    run_id: str | None
    ended: datetime
    how: str = ""


@dataclass(frozen=True)
class Difference:
    """One difference between two results.

    Attributes
    ----------
    part : str
        ``inputs``, ``parameter`` or ``code``.
    name : str
        Name of the input or parameter; nested parameters by their path.
    old, new : Any
        The earlier and the new value; ``(absent)`` if there is none.
    """

    part: str
    name: str
    old: Any
    new: Any

    def message(self) -> str:
        """Return the difference as a short text."""
        if self.part == "inputs":
            return f"input {'added' if self.old == _ABSENT else 'left out'}: {self.name}"
        what = f"parameter `{self.name}`" if self.part == "parameter" else "code"
        return f"{what}: {_short(self.old)} -> {_short(self.new)}"


@dataclass(frozen=True)
class Comparison:
    """The nearest earlier result, and all differences from it."""

    earlier: Earlier
    differences: tuple[Difference, ...]

    def message(self) -> str:
        """Return the nearest result and its differences as a sentence."""
        when = f"{self.earlier.ended:%Y-%m-%d %H:%M}"
        lost = f", since {self.earlier.how}" if self.earlier.how else ""
        which = f"{self.earlier.result_id[:12]} of {when}{lost}"
        if not self.differences:
            return f"the same inputs, parameters and code gave result {which}"
        inputs = [d for d in self.differences if d.part == "inputs"]
        shown = [d.message() for d in (*inputs[:_SHOWN_INPUTS], *self.differences[len(inputs) :])]
        if len(inputs) > _SHOWN_INPUTS:
            shown.insert(_SHOWN_INPUTS, f"{len(inputs) - _SHOWN_INPUTS} more inputs")
        return f"the nearest earlier result, {which}, differs in {'; '.join(shown)}"

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON values."""
        found = self.earlier
        return {
            "result_id": found.result_id,
            "run_id": found.run_id,
            "ended": found.ended.isoformat(),
            "since": found.how or None,
            "differences": [asdict(difference) for difference in self.differences],
        }


def nearest(job: Identity, earlier: Iterable[Earlier]) -> Comparison | None:
    """Return the comparison with the nearest earlier result.

    Parameters
    ----------
    job : Identity
        Identity of the new result.
    earlier : iterable of Earlier
        Results of the same analysis, in any order.

    Returns
    -------
    Comparison or None
        None if there is no earlier result.
    """
    found = [Comparison(one, differences(one.identity, job)) for one in earlier]
    return min(found, key=_distance, default=None)


def differences(old: Identity, new: Identity) -> tuple[Difference, ...]:
    """Return all differences of two identities: inputs, then parameters, then code."""
    inputs = [Difference("inputs", url, _ABSENT, url) for url in sorted(new.inputs - old.inputs)]
    inputs += [Difference("inputs", url, url, _ABSENT) for url in sorted(old.inputs - new.inputs)]
    code = [] if old.code_version == new.code_version else [("", old.code_version, new.code_version)]
    return (
        *inputs,
        *(Difference("parameter", *change) for change in _changes(old.parameters, new.parameters, "")),
        *(Difference("code", *change) for change in code),
    )


def _distance(comparison: Comparison) -> tuple[int, int, int, float]:
    """Return the sort key of comparisons, the nearest first."""
    parts = [d.part for d in comparison.differences]
    newest = -comparison.earlier.ended.timestamp()
    return parts.count("inputs"), parts.count("parameter"), parts.count("code"), newest


def _changes(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield path, old and new value of everything that differs as JSON; to Python, ``True`` and ``1`` are equal."""
    for key in sorted({*old, *new}):
        before, after, where = old.get(key, _ABSENT), new.get(key, _ABSENT), f"{path}{key}"
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _changes(before, after, f"{where}.")
        elif key not in old or key not in new or canonical_json(before) != canonical_json(after):
            yield where, before, after


def _short(value: Any) -> str:
    """Return a value as short text."""
    text = value if isinstance(value, str) else canonical_json(value).decode()
    return text if len(text) <= _SHOWN_VALUE else f"{text[:_SHOWN_VALUE]}…"


def _normal(url: str) -> str:
    """Normalize a URL; one that only earlier rules accepted is not changed."""
    try:
        return normalize_url(url)
    except InputError:
        return url
