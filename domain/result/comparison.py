"""Why a result is a new one: which part of identity tells it from the nearest earlier result.

Identity has three parts: inputs, parameters and code. Of all earlier results the nearest is the one with the fewest other
inputs, then the fewest other parameters, then the same code; of equally near ones the newest.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from domain.errors import InputError
from domain.job.identity import normalize_url
from domain.json_values import canonical_json

_SHOWN_VALUE = 60
_SHOWN_INPUTS = 3
_ABSENT = "(absent)"


@dataclass(frozen=True)
class Identity:
    """What makes a result what it is.

    Attributes
    ----------
    inputs : frozenset of str
        Normalized URLs of data assets and files.
    parameters : mapping
        Validated parameters.
    code_version : str
        Declared version and source digest.
    """

    inputs: frozenset[str]
    parameters: Mapping[str, Any]
    code_version: str

    @classmethod
    def of(cls, *, urls: Iterable[str], parameters: Mapping[str, Any], code_version: str) -> "Identity":
        """Take the identity of a result from its inputs as they were spelled, its parameters and its code."""
        return cls(frozenset(_normal(url) for url in urls), parameters, code_version)


@dataclass(frozen=True)
class Earlier:
    """An earlier result: its identity, and what a person knows it by.

    Attributes
    ----------
    identity : Identity
        What it was made of.
    result_id, run_id, ended
        Which result, by which run, and when.
    how : str
        Empty for a result that counts; ``replaced`` or ``invalidated`` for one that lost its place.
    """

    identity: Identity
    result_id: str
    run_id: str | None
    ended: datetime
    how: str = ""


@dataclass(frozen=True)
class Difference:
    """One thing in which two results differ.

    Attributes
    ----------
    part : str
        ``inputs``, ``parameter`` or ``code``.
    name : str
        Which input or parameter; nested parameters by their path.
    old, new : Any
        The value then and now; ``(absent)`` where there is none.
    """

    part: str
    name: str
    old: Any
    new: Any

    def words(self) -> str:
        """Say it in a few words."""
        if self.part == "inputs":
            return f"input {'added' if self.old == _ABSENT else 'left out'}: {self.name}"
        what = f"parameter `{self.name}`" if self.part == "parameter" else "code"
        return f"{what}: {_short(self.old)} -> {_short(self.new)}"


@dataclass(frozen=True)
class Comparison:
    """The nearest earlier result, and everything that tells the two apart."""

    earlier: Earlier
    differences: tuple[Difference, ...]

    def words(self) -> str:
        """Say which result is nearest, and in what it differs."""
        when = f"{self.earlier.ended:%Y-%m-%d %H:%M}"
        lost = f", since {self.earlier.how}" if self.earlier.how else ""
        which = f"{self.earlier.result_id[:12]} of {when}{lost}"
        if not self.differences:
            return f"the same inputs, parameters and code gave result {which}"
        inputs = [d for d in self.differences if d.part == "inputs"]
        shown = [d.words() for d in (*inputs[:_SHOWN_INPUTS], *self.differences[len(inputs) :])]
        if len(inputs) > _SHOWN_INPUTS:
            shown.insert(_SHOWN_INPUTS, f"{len(inputs) - _SHOWN_INPUTS} more inputs")
        return f"the nearest earlier result, {which}, differs in {'; '.join(shown)}"

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        found = self.earlier
        return {
            "result_id": found.result_id,
            "run_id": found.run_id,
            "ended": found.ended.isoformat(),
            "since": found.how or None,
            "differences": [asdict(difference) for difference in self.differences],
        }


def nearest(job: Identity, earlier: Iterable[Earlier]) -> Comparison | None:
    """Compare a job with the nearest of some earlier results.

    Parameters
    ----------
    job : Identity
        What would be computed.
    earlier : iterable of Earlier
        Earlier results.

    Returns
    -------
    Comparison or None
        None when there is no earlier result.
    """
    found = [Comparison(one, differences(one.identity, job)) for one in earlier]
    return min(found, key=_distance, default=None)


def differences(old: Identity, new: Identity) -> tuple[Difference, ...]:
    """List everything in which two identities differ: inputs, then parameters, then code."""
    inputs = [Difference("inputs", url, _ABSENT, url) for url in sorted(new.inputs - old.inputs)]
    inputs += [Difference("inputs", url, url, _ABSENT) for url in sorted(old.inputs - new.inputs)]
    code = [] if old.code_version == new.code_version else [("", old.code_version, new.code_version)]
    return (
        *inputs,
        *(Difference("parameter", *change) for change in _changes(old.parameters, new.parameters, "")),
        *(Difference("code", *change) for change in code),
    )


def _distance(comparison: Comparison) -> tuple[int, int, int, float]:
    """Order comparisons, the nearest first."""
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
    """Show a value in little space."""
    text = value if isinstance(value, str) else canonical_json(value).decode()
    return text if len(text) <= _SHOWN_VALUE else f"{text[:_SHOWN_VALUE]}…"


def _normal(url: str) -> str:
    """Give an address the form that counts; one that was accepted under earlier rules stays as it is."""
    try:
        return normalize_url(url)
    except InputError:
        return url
