"""The systems that an audit compares, and its ages and depth."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Self, TypeVar

import dagster as dg

from audit.findings import Finding
from engine.discovery.analyses import AnalysisEntry
from engine.execution.outcome import stores_of
from resources.data_assets.records import AssetRecords
from resources.inputs.resource import Inputs
from resources.ledger.ledger import Ledger
from resources.records.store import RecordStore
from resources.result_store.store import ResultsStore

T = TypeVar("T")
OnFinding = Callable[[Finding], None]
AT_ONCE = 500


@dataclass(frozen=True)
class Ages:
    """Ages from which findings are reported.

    Attributes
    ----------
    young : timedelta
        Attempts whose latest file is younger are not reported: they may be running, even if the ledger says otherwise.
    stuck : timedelta
        A run that has been running for longer without a live lease is reported.
    grace : timedelta
        Time after which an expired lease is reported; a tick normally releases it within seconds.
    """

    young: timedelta = timedelta(minutes=10)
    stuck: timedelta = timedelta(hours=1)
    grace: timedelta = timedelta(minutes=2)


@dataclass(frozen=True)
class Sources:
    """Open connections to everything that is compared.

    Attributes
    ----------
    entries : dict of str to AnalysisEntry
        The analyses that are audited, by name.
    results, records, ledger, inputs, assets
        Result store, record store, ledger, input reader and metadata database; see ``resources/``.
    instance : dagster.DagsterInstance or None
        Dagster's storage; None if ``DAGSTER_HOME`` does not exist, and Dagster is not compared then.
    ages : Ages
        Ages below which nothing is reported.
    """

    entries: dict[str, AnalysisEntry]
    results: ResultsStore
    records: RecordStore
    ledger: Ledger
    inputs: Inputs
    assets: AssetRecords
    instance: dg.DagsterInstance | None
    ages: Ages = Ages()

    @classmethod
    def of(
        cls,
        entries: dict[str, AnalysisEntry],
        resources: object,
        instance: dg.DagsterInstance | None,
        ages: Ages = Ages(),
    ) -> Self:
        """Return what is compared, from open connections or Dagster's resources."""
        return cls(entries=entries, instance=instance, ages=ages, **stores_of(resources))


@dataclass(frozen=True)
class Depth:
    """What is compared in addition to names, sizes and ETags.

    Attributes
    ----------
    content : bool
        Read every file and compare its sha256, and compare manifest and ``metadata.nd.json`` with the record.
    inputs : bool
        Compare the current state of every input, and of its metadata if the analysis received it, with the recorded one.
    """

    content: bool = False
    inputs: bool = False
