"""`analysis audit` and `analysis clean`: differences, safe repairs, and attempts that may be deleted."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from audit.audit import run_audit
from audit.cleaning import Removable, removable, remove
from audit.findings import AuditReport
from audit.repair import Repairer
from audit.sources import Depth, Sources
from domain.errors import SettingsError
from operations.platform import Platform, open_dagster
from resources.process import person

_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def audit(platform: Platform, names: Sequence[str], *, depth: Depth) -> AuditReport:
    """Compare Dagster, MongoDB and S3 without changing anything.

    Parameters
    ----------
    names : sequence of str
        Names of analyses; empty for all.
    depth : Depth
        Whether to compare content and inputs too.

    Raises
    ------
    UnknownJobError
        If a name is not that of an analysis.
    """
    with _sources(platform, names) as sources:
        return run_audit(sources, depth)


def repair(platform: Platform, names: Sequence[str], *, depth: Depth) -> tuple[AuditReport, Repairer]:
    """Compare, and apply safe repairs to each finding.

    Returns
    -------
    tuple of AuditReport and Repairer
        All findings, and the numbers of fixed and remaining ones.
    """
    with _sources(platform, names) as sources:
        repairer = Repairer(sources, who=f"{person()}, by audit --repair")
        return run_audit(sources, depth, then=repairer.fix), repairer


def found_to_clean(platform: Platform, *, older_than: timedelta) -> Iterator[Removable]:
    """Yield the attempts that may be deleted."""
    found = platform.connections
    yield from removable(found.results_store, found.record_store, found.ledger, older_than=older_than)


def clean(platform: Platform, found: Sequence[Removable]) -> int:
    """Delete attempts, each after another check, and return the number of deleted ones."""
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
    """Open everything that is compared; Dagster only if its home exists."""
    entries = {name: platform.entry(name) for name in (names or platform.names)}
    with open_dagster(platform.settings) as instance:
        yield Sources.of(entries, platform.connections, instance)
