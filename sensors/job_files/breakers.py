"""Circuit breakers in a sensor: which new jobs it requests while one is open, and when it closes."""

from collections.abc import Sequence

from domain.analysis.breaker import trip
from engine.discovery.analyses import AnalysisEntry
from resources.ledger.ledger import Ledger

PROBED_JOBS = 3


def let_through(entry: AnalysisEntry, ledger: Ledger, new: Sequence[str]) -> list[str]:
    """Return the new jobs that may be requested now.

    Parameters
    ----------
    entry : AnalysisEntry
        The analysis, with its current code version.
    ledger : Ledger
        Ledger whose breakers are read, probed and closed.
    new : sequence of str
        Keys of new jobs, oldest first.

    Returns
    -------
    list of str
        All jobs while the breaker is closed. While it is open, none; a few if a probe is due. The breaker closes when a job
        succeeds after it opened, or when the code version changes.
    """
    rule, name, version = entry.analysis.breaker, entry.analysis.name, entry.code_version
    if rule is None:
        return list(new)
    breaker = ledger.breakers.state(name, code_version=version)
    ended = ledger.breakers.latest_ended(name, code_version=version, since=breaker.changed)
    if breaker.opened is None:
        found = trip(ended, rule)
        if found is None:
            return list(new)
        ledger.breakers.open(name, code_version=version, found=found, seen=breaker.changed)
        return []
    if any(error is None for error in ended):
        closed = ledger.breakers.close(name, who="the platform", reason="a job succeeded", opened=breaker.opened)
        return list(new) if closed else []
    return list(new[:PROBED_JOBS]) if ledger.breakers.begin_probe(name) else []
