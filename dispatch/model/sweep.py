"""Parameter sets of a dispatch: listed, or spanned by lists and ranges of values.

``{"cutoff": {"start": 0.1, "stop": 0.5, "step": 0.2}, "method": ["hill", "llobet"]}`` are six sets (the product) or,
zipped, an error, because three values and two cannot be paired.
"""

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from itertools import product
from math import isfinite, prod
from typing import Any

from domain.errors import DispatchError, JobFileError
from domain.json_values import json_type, parse_json, value_faults
from domain.messages import shown

MAX_SETS = 10_000
"""Maximum number of sets; more are probably a mistake."""

_RANGES = ({"start", "stop", "step"}, {"start", "stop", "count"})
_FORMS = '{"start": 0, "stop": 1, "step": 0.25} or {"start": 0, "stop": 1, "count": 5}'


class SweepMode(StrEnum):
    """How the values of several fields are combined. Dagster shows the names of the members."""

    product = "product"
    zip = "zip"


def sweep_sets(text: str, *, mode: SweepMode) -> list[dict[str, Any]]:
    """Return the sets of parameters that a sweep spans.

    Parameters
    ----------
    text : str
        A JSON object: for each parameter a list of values, or a range with ``start``, ``stop`` (included when a step
        meets it) and ``step`` or ``count``. Empty text means no sweep.
    mode : SweepMode
        ``product``: every combination; ``zip``: the first values together, then the second ones, and so on.

    Returns
    -------
    list of dict
        In the order of the text, the last parameter changing fastest; empty for empty text.

    Raises
    ------
    DispatchError
        If the text is invalid, a field has no values, lists to be zipped differ in length, or there are more than
        10,000 sets.

    Examples
    --------
    >>> sweep_sets('{"cutoff": {"start": 0.1, "stop": 0.5, "step": 0.2}, "bins": [10]}', mode=SweepMode.product)
    [{'cutoff': 0.1, 'bins': 10}, {'cutoff': 0.3, 'bins': 10}, {'cutoff': 0.5, 'bins': 10}]
    >>> sweep_sets('{"low_hz": [1, 4], "high_hz": [4, 8]}', mode=SweepMode.zip)
    [{'low_hz': 1, 'high_hz': 4}, {'low_hz': 4, 'high_hz': 8}]
    """
    if not text.strip():
        return []
    values = _values(text)
    counts = {name: len(found) for name, found in values.items()}
    if mode is SweepMode.zip and len(set(counts.values())) > 1:
        lengths = ", ".join(f"`{shown(name)}` has {count}" for name, count in counts.items())
        msg = f"The sweep cannot be zipped: {lengths} values. Give lists of one length, or use `product`."
        raise DispatchError(msg)
    number = prod(counts.values()) if mode is SweepMode.product else max(counts.values())
    if number > MAX_SETS:
        msg = f"The sweep spans {number} sets of parameters; at most {MAX_SETS} are taken. Sweep fewer values."
        raise DispatchError(msg)
    combined = product(*values.values()) if mode is SweepMode.product else zip(*values.values(), strict=True)
    return [dict(zip(values, combination, strict=True)) for combination in combined]


def combined_sets(listed: Sequence[dict[str, Any]], swept: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return all combinations of listed sets with those of a sweep.

    Parameters
    ----------
    listed, swept : sequence of dict
        Sets of parameters; either may be empty.

    Returns
    -------
    list of dict
        At least one set, which may be empty.

    Raises
    ------
    DispatchError
        If a parameter is in both, because it would be unclear which value applies.
    """
    both = sorted({key for entry in listed for key in entry} & {key for entry in swept for key in entry})
    if both:
        names = ", ".join(f"`{shown(name)}`" for name in both)
        msg = f"{names} is given in the distributed parameters and in the sweep: give it in one of them."
        raise DispatchError(msg)
    return [{**one, **other} for one in listed or [{}] for other in swept or [{}]]


def _values(text: str) -> dict[str, list[Any]]:
    try:
        document = parse_json(text, what="The sweep")
    except JobFileError as error:
        raise DispatchError(str(error)) from None
    if not isinstance(document, dict) or not document:
        found = "an empty object" if document == {} else json_type(document)
        msg = f"The sweep is {found}; expected an object with a list or a range for each parameter."
        raise DispatchError(msg)
    values = {name: _values_of(name, found) for name, found in document.items()}
    if faults := value_faults(values, path="", plain_keys=False):
        msg = f"The sweep cannot be used: {'; '.join(faults)}."
        raise DispatchError(msg)
    return values


def _values_of(name: str, found: Any) -> list[Any]:
    """Return the values of a list or range."""
    if isinstance(found, list) and found:
        return found
    if isinstance(found, dict) and set(found) in _RANGES:
        return _range(name, found)
    what = "an empty list" if found == [] else json_type(found)
    msg = f"The sweep of `{shown(name)}` is {what}; expected a list of values, or a range such as {_FORMS}."
    raise DispatchError(msg)


def _range(name: str, found: dict[str, Any]) -> list[int | float]:
    """Return the values of a range, computed in decimals: 0.1, 0.2, 0.3 and not 0.30000000000000004."""
    numbers = found.values()
    if any(isinstance(n, bool) or not isinstance(n, int | float) or not isfinite(n) for n in numbers):
        msg = f"The range of `{shown(name)}` holds something else than finite numbers; expected such as {_FORMS}."
        raise DispatchError(msg)
    start, stop = Decimal(str(found["start"])), Decimal(str(found["stop"]))
    if "count" in found:
        count = found["count"]
        usable = isinstance(count, int) and 1 < count <= MAX_SETS and start != stop
        step = (stop - start) / (count - 1) if usable else Decimal(0)
    else:
        step = Decimal(str(found["step"]))
        usable = step != 0 and (stop - start) / step >= 0
        count = int((stop - start) / step) + 1 if usable else 0
    if not usable or count > MAX_SETS:
        msg = (
            f"The range of `{shown(name)}` has no values, or more than {MAX_SETS}: the step must lead from `start` to "
            "`stop`, and `count` be at least 2."
        )
        raise DispatchError(msg)
    whole = all(isinstance(n, int) for n in numbers) and "step" in found
    return [int(start + step * i) if whole else float(start + step * i) for i in range(count)]
