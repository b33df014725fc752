"""What the explorer stands on, made once: tables, records, files, and where Dagster's UI is."""

from dataclasses import dataclass
from urllib.parse import quote

from explorer.data.analysis_data import Tables
from explorer.data.facts import Facts
from resources.records.reader import RecordReader
from resources.result_store.store import ResultsStore


@dataclass(frozen=True)
class ExplorerContext:
    """What the explorer reads.

    Attributes
    ----------
    tables : Tables
        The tables of results.
    records : RecordReader
        The records in MongoDB.
    results : ResultsStore
        The files in S3; only read.
    dagster_url : str
        Where Dagster's UI is.
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
        """Return a link to the run that made a row; None where it is not known."""
        run = facts.row.get("run_id")
        return f"{self.dagster_url}/runs/{quote(str(run), safe='')}" if run else None
