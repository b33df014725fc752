"""The systems that results are read from."""

from dataclasses import dataclass
from pathlib import Path

from resources.connections import Connections
from resources.ledger.ledger import Ledger
from resources.records.store import RecordStore
from resources.result_store.store import ResultsStore
from resources.settings import Settings


@dataclass(frozen=True)
class ResultSource:
    """The systems that results are read from.

    Attributes
    ----------
    records : RecordStore
        Store of the records; only read.
    store : ResultsStore
        Store of the result files; only read.
    ledger : Ledger
        Ledger of the jobs, for failed ones; only read.
    cache : Path
        Folder for downloaded files.
    ui_url : str
        URL of Dagster's UI, for links.
    """

    records: RecordStore
    store: ResultsStore
    ledger: Ledger
    cache: Path
    ui_url: str


def source_of(connections: Connections, settings: Settings) -> ResultSource:
    """Return the source of results.

    Parameters
    ----------
    connections : Connections
        Connections of the platform; only read.
    settings : Settings
        Folder of downloaded files, and URL of Dagster's UI.
    """
    return ResultSource(
        records=connections.record_store,
        store=connections.results_store,
        ledger=connections.ledger,
        cache=settings.analysis_home / "cache" / "results",
        ui_url=settings.dagster_ui_url,
    )
