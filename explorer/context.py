"""The context of the explorer, which is created once: tables, records, files, and the URL of Dagster's UI."""

from dataclasses import dataclass
from urllib.parse import quote

from explorer.data.analysis_data import Tables
from explorer.data.facts import Facts
from resources.records.reader import RecordReader
from resources.result_store.store import ResultsStore


@dataclass(frozen=True)
class ExplorerContext:
    """Connections and settings of the explorer.

    Attributes
    ----------
    tables : Tables
        Cache of the results tables.
    records : RecordReader
        Reader of the records in MongoDB.
    results : ResultsStore
        Store of the files in S3; only read.
    dagster_url : str
        URL of Dagster's UI, for links.
    """

    tables: Tables
    records: RecordReader
    results: ResultsStore
    dagster_url: str

    def partition_url(self, facts: Facts) -> str:
        """Return a link to the partition of a row in Dagster's UI."""
        name, key = (quote(str(facts.row.get(word) or ""), safe="") for word in ("analysis", "job_key"))
        return f"{self.dagster_url}/assets/analysis/{name}?view=partitions&partition={key}"

    def run_url(self, facts: Facts) -> str | None:
        """Return a link to the run of a row; None if it is unknown."""
        run = facts.row.get("run_id")
        return f"{self.dagster_url}/runs/{quote(str(run), safe='')}" if run else None
