"""`analysis audit` and `analysis clean`: what differs, what is safe to mend, and what may be removed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from audit.audit import run_audit
from audit.cleaning import Removable, removable, remove
from audit.findings import Report
from audit.repair import Repairer
from audit.sources import Depth, Sources
from domain.errors import SettingsError
from operations.platform import Platform, open_dagster
from resources.process import person

_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def audit(platform: Platform, names: Sequence[str], *, depth: Depth) -> Report:
    """Compare Dagster, MongoDB and S3, and change nothing.

    Parameters
    ----------
    names : sequence of str
        The analyses; none: all.
    depth : Depth
        How much is compared.

    Raises
    ------
    UnknownJobError
        If there is no analysis of a name.
    """
    with _sources(platform, names) as sources:
        return run_audit(sources, depth)


def repair(platform: Platform, names: Sequence[str], *, depth: Depth) -> tuple[Report, Repairer]:
    """Compare, and mend what is safe while it is found.

    Returns
    -------
    tuple of Report and Repairer
        What was found, and what was done about it.
    """
    with _sources(platform, names) as sources:
        repairer = Repairer(sources, who=f"{person()}, by audit --repair")
        return run_audit(sources, depth, then=repairer.mend), repairer


def found_to_clean(platform: Platform, *, older_than: timedelta) -> Iterator[Removable]:
    """Yield what may be removed."""
    found = platform.connections
    yield from removable(found.results_store, found.record_store, found.ledger, older_than=older_than)


def clean(platform: Platform, found: Sequence[Removable]) -> int:
    """Remove what was shown, each after another look; returns how many were removed."""
    c = platform.connections
    return sum(remove(one, c.results_store, c.record_store, c.ledger) for one in found)


def parse_age(text: str) -> timedelta:
    """Read an age such as ``12h``, ``30d`` or ``8w``.

    Raises
    ------
    SettingsError
        If it has another form.
    """
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdigit() and len(number) <= 5 and unit in _UNITS):  # noqa: PLR2004
        msg = f"The age {text!r} cannot be read: expected hours, days or weeks, such as 12h, 30d or 8w."
        raise SettingsError(msg)
    return int(number) * _UNITS[unit]


@contextmanager
def _sources(platform: Platform, names: Sequence[str]) -> Iterator[Sources]:
    """Open everything that is compared; Dagster only where it has a home."""
    c = platform.connections
    entries = {name: platform.entry(name) for name in (names or platform.names)}
    with open_dagster(platform.settings) as instance:
        yield Sources(entries, c.results_store, c.record_store, c.ledger, c.inputs, instance)
