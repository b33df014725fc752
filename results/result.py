"""A result whose files can be opened, and a failed job: the items of `Results`."""

from dataclasses import dataclass, field
from datetime import UTC
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Literal
from urllib.parse import quote

from domain.errors import OutputError, UnknownJobError
from domain.job.state import LedgerEntry
from domain.result.provenance import Provenance
from domain.result.records import without_search
from domain.result.rows import FAILED, SUPERSEDED, failure_row, result_row
from resources.result_store.stored_file import StoredFile
from results.files import Figure, ResultFiles
from results.frames import Engine
from results.html import html_facts
from results.source import ResultSource
from results.summaries import ResultState, ResultSummary, summary_fields


@dataclass(frozen=True, repr=False)
class Result(ResultSummary):
    """One result: inputs, parameters, code version, outputs and files.

    Attributes
    ----------
    provenance : Provenance
        Parsed record, with inputs, parameters and outputs.
    superseded : dict or None
        For a superseded result: ``how`` (replaced or invalidated), ``who``, ``when`` and ``reason``.
    source : ResultSource
        Source of record and files.
    """

    provenance: Provenance = field(compare=False)
    superseded: dict[str, Any] | None = field(compare=False)
    source: ResultSource = field(compare=False)

    @classmethod
    def of(
        cls, provenance: Provenance, *, state: ResultState, source: ResultSource, superseded: dict[str, Any] | None
    ) -> "Result":
        """Return a result from its provenance."""
        facts = summary_fields(provenance, state)
        return cls(**facts, provenance=provenance, superseded=superseded, source=source)

    @property
    def analysis(self) -> str:
        """Name of the analysis."""
        return self.provenance.analysis

    def files(self) -> list[StoredFile]:
        """Return the result's files: ``path`` and ``bytes`` of each."""
        return self._files.listed()

    def path(self, name: str) -> Path:
        """Return a local copy of one file, which is downloaded on the first call.

        Parameters
        ----------
        name : str
            Path of the file, from `files`.

        Raises
        ------
        OutputError
            If there is no such file; the message lists the files.
        """
        return self._files.path(name)

    def open(self, name: str, mode: Literal["rb", "r"] = "rb") -> IO[Any]:
        """Open one file for reading: a local copy.

        Parameters
        ----------
        name : str
            Path of the file, from `files`.
        mode : {"rb", "r"}
            ``rb`` for bytes, ``r`` for UTF-8 text.

        Raises
        ------
        OutputError
            If there is no such file; the message lists the files.
        """
        return self._files.open(name, mode)

    def table(self, name: str | None = None, *, engine: Engine = "pandas") -> Any:
        """Read a Parquet or CSV file.

        Parameters
        ----------
        name : str, optional
            Path from `files`; optional if the result has only one table.
        engine : {"pandas", "polars"}
            Library of the returned data frame.

        Returns
        -------
        pandas.DataFrame or polars.DataFrame
            All rows and columns of the file.

        Raises
        ------
        OutputError
            If there is no such file, or it is not a table.
        """
        return self._files.table(name, engine)

    def figure(self, name: str | None = None) -> Figure:
        """Return a figure, which Jupyter shows; ``bytes(result.figure())`` is the file.

        Parameters
        ----------
        name : str, optional
            Path from `files`; by default the figure that the analysis declares.

        Raises
        ------
        OutputError
            If the result has no such figure.
        """
        chosen = name or self.provenance.figure
        if chosen is None:
            msg = f"The result {self.result_id} declares no figure: give the name of one of its files()."
            raise OutputError(msg)
        return Figure(chosen, self.path(chosen).read_bytes())

    def record(self) -> dict[str, Any]:
        """Return the whole record: an aind-data-schema ``Metadata`` document with an ``analysis_assets`` object.

        Raises
        ------
        UnknownJobError
            If the record no longer exists.
        """
        key, attempt = self.result_id, self.provenance.attempt
        found = None if self.state == SUPERSEDED else self.source.records.get(key)
        if found is None or found["analysis_assets"]["attempt"] != attempt:
            kept = self.source.records.find({"_id": f"{key}/{attempt}"}, superseded=True)
            found = next(iter(kept), None)
        if found is None:
            msg = f"The record of result {key}, attempt {attempt}, is gone since it was found: search again."
            raise UnknownJobError(msg)
        return without_search(found)

    @property
    def links(self) -> dict[str, str]:
        """URLs for a browser: ``files``, and if available ``figure`` and ``run`` (in Dagster's UI)."""
        found = {"files": self.source.store.browse_url(self.location)}
        if self.provenance.figure:
            found["figure"] = self.source.store.browse_url(self.location, self.provenance.figure)
        if self.provenance.run_id:
            found["run"] = f"{self.source.ui_url.rstrip('/')}/runs/{quote(self.provenance.run_id, safe='')}"
        return found

    def row(self) -> dict[str, Any]:
        """Return the result as one row of a table: the columns of `ResultList.to_pandas`."""
        return result_row(self.provenance, state=self.state)

    def __repr__(self) -> str:
        whom = ", ".join(self.session_names) or ", ".join(self.inputs)
        return f"<Result {self.result_id[:12]} of {self.analysis}, {self.state}: {whom}>"

    def _repr_html_(self) -> str:
        """Show the result as a table in Jupyter; every text is escaped."""
        facts: dict[str, object] = {
            "result": f"{self.result_id} ({self.state})",
            "analysis": f"{self.analysis}, code {self.code_version}",
            "subject": ", ".join(self.subject_ids),
            "session": ", ".join(self.session_names),
            "inputs": "\n".join(self.inputs),
            **{f"parameter {name}": value for name, value in self.parameters.items()},
            **{f"output {name}": value for name, value in self.outputs.items()},
            "ended (UTC)": self.ended.astimezone(UTC),
        }
        return html_facts(facts, self.links)

    @cached_property
    def _files(self) -> ResultFiles:
        """Access to the files."""
        return ResultFiles(self.source.store, self.location, self.source.cache)


@dataclass(frozen=True)
class FailedJob:
    """A failed job: it has no result, only its request and its error.

    Attributes
    ----------
    entry : LedgerEntry
        Document of the job in the ledger.
    """

    entry: LedgerEntry
    state: Literal["failed"] = FAILED

    @property
    def job_key(self) -> str:
        """Digest of inputs and parameters."""
        return self.entry.job_key

    @property
    def parameters(self) -> dict[str, Any]:
        """Validated parameters, defaults filled in."""
        return self.entry.parameters

    @property
    def message(self) -> str:
        """Why it failed, in one line."""
        return self.entry.error.message if self.entry.error else ""

    @property
    def traceback(self) -> str:
        """The analysis's traceback."""
        return self.entry.error.traceback if self.entry.error else ""

    def row(self) -> dict[str, Any]:
        """Return the job as one row of a table: the columns of `ResultList.to_pandas`."""
        return failure_row(self.entry)

    def __repr__(self) -> str:
        return f"<FailedJob {self.job_key[:12]} of {self.entry.analysis}: {self.message}>"
