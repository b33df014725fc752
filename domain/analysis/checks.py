"""Declared checks: small functions that say whether a result's outputs are plausible.

A check does not prevent the publication of a result: its verdict is shown with the result. It takes the ``Outputs``
and returns True, or False, or a sentence that describes the problem.

Examples
--------
>>> class Outputs(BaseModel):
...     rate_hz: float
>>> def rate_is_plausible(outputs: Outputs) -> bool | str:
...     "The mean rate is below 200 Hz."
...     return outputs.rate_hz < 200 or f"{outputs.rate_hz:g} Hz is too fast for a neuron"
>>> verdicts([rate_is_plausible], Outputs, {"rate_hz": 350.0})
[Verdict(name='rate_is_plausible', passed=False, reason='350 Hz is too fast for a neuron')]
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

Check = Callable[[Any], bool | str]


@dataclass(frozen=True)
class Verdict:
    """The outcome of one check for one result.

    Attributes
    ----------
    name : str
        Name of the check function.
    passed : bool
        False for a failed check, and for one that raised.
    reason : str
        Why it failed; if it passed, what was checked, or empty.
    """

    name: str
    passed: bool
    reason: str


def description_of(check: Check) -> str:
    """Return the first paragraph of a check's docstring."""
    return " ".join((inspect.getdoc(check) or "").partition("\n\n")[0].split())


def faults_of(checks: Sequence[Check]) -> list[str]:
    """Return the errors of declared checks: each is a described function of one argument with a unique name."""
    faults = [
        f"`{getattr(check, '__name__', check)}` is not a plain function written with `def`"
        for check in checks
        if not inspect.isfunction(check) or check.__name__ == "<lambda>"
    ]
    if faults:
        return faults
    names = [check.__name__ for check in checks]
    faults += [
        f"`{name}` is listed {names.count(name)} times" for name in dict.fromkeys(names) if names.count(name) > 1
    ]
    faults += [f"`{check.__name__}` has no docstring" for check in checks if not description_of(check)]
    faults += [
        f"`{check.__name__}` must take one argument, the outputs"
        for check in checks
        if len(inspect.signature(check).parameters) != 1
    ]
    return faults


def verdicts(checks: Sequence[Check], model: type[BaseModel], outputs: Mapping[str, Any]) -> list[Verdict]:
    """Evaluate every check for one result.

    Parameters
    ----------
    checks : sequence of callable
        Functions that pass `faults_of`.
    model : type of BaseModel
        ``Outputs`` model of the analysis; the checks receive an instance.
    outputs : mapping
        Outputs as stored in the record.

    Returns
    -------
    list of Verdict
        One for each check; a check that raises fails, with the exception as reason.
    """
    return [_verdict(check, model, outputs) for check in checks]


def _verdict(check: Check, model: type[BaseModel], outputs: Mapping[str, Any]) -> Verdict:
    name = getattr(check, "__name__", "")
    try:
        said = check(model.model_validate(dict(outputs)))
    except Exception as error:  # noqa: BLE001  a check may raise anything, which is its reason
        return Verdict(name, passed=False, reason=f"the check itself failed: {type(error).__name__}: {error}")
    if said is None:
        return Verdict(name, passed=False, reason="the check returned None: return True, False or a sentence")
    if isinstance(said, str):
        return Verdict(name, passed=not said, reason=said)
    return Verdict(name, passed=bool(said), reason="" if said else "the outputs are not within what it expects")
