"""What an audit compares: the outside systems, and what of a record or job it needs."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import dagster as dg

from audit.findings import Finding
from engine.discovery.analyses import AnalysisEntry
from resources.inputs.resource import Inputs
from resources.ledger.ledger import Ledger
from resources.records.store import RecordStore
from resources.result_store.store import ResultsStore

T = TypeVar("T")
Tell = Callable[[Finding], None]
AT_ONCE = 500


@dataclass(frozen=True)
class Ages:
    """From which age on something is reported.

    Attributes
    ----------
    young : timedelta
        Attempts whose latest file is younger may still be running, whatever the ledger said a moment ago.
    stuck : timedelta
        A job that has been running for longer without a live lease is reported.
    grace : timedelta
        A tick releases an expired lease within seconds; leases are reported that it has not released after this time.
    """

    young: timedelta = timedelta(minutes=10)
    stuck: timedelta = timedelta(hours=1)
    grace: timedelta = timedelta(minutes=2)


@dataclass(frozen=True)
class Sources:
    """Everything that is compared.

    Attributes
    ----------
    entries : dict of str to AnalysisEntry
        The analyses that are audited, by name.
    results, records, ledger, inputs
        See ``resources/``.
    instance : dagster.DagsterInstance or None
        Dagster's storage; None where it has no home yet, and then nothing of it is compared.
    ages : Ages
        Ages below which nothing is reported.
    """

    entries: dict[str, AnalysisEntry]
    results: ResultsStore
    records: RecordStore
    ledger: Ledger
    inputs: Inputs
    instance: dg.DagsterInstance | None
    ages: Ages = Ages()


@dataclass(frozen=True)
class Depth:
    """How much is compared.

    Attributes
    ----------
    content : bool
        Read every file and compare its sha256, and compare manifest and ``metadata.nd.json`` with the record.
    inputs : bool
        Ask for the present state of every input.
    """

    content: bool = False
    inputs: bool = False
