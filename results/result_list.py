"""The results of a query: a sequence that reads records lazily, and converts them to data frames."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape
from typing import Any, overload

import pandas as pd
import polars as pl

from domain.batching import in_batches
from domain.errors import UnknownJobError
from domain.result.rows import failure_row, result_row
from domain.result.search_entries import search_time
from results.frames import pandas_frame, polars_frame
from results.html import html_table
from results.refs import FOR_ROWS, ResultRef, records_at
from results.result import FailedJob, Result
from results.source import ResultSource
from results.summaries import parsed_or_warned

_SHOWN = 10

Item = ResultRef | FailedJob


class ResultList(Sequence[Result | FailedJob]):
    """Results, and failed jobs if requested, newest first.

    The list does not change after the query; records are read when an item is accessed.

    Parameters
    ----------
    source : ResultSource
        Source of records and files.
    items : sequence of ResultRef or FailedJob
        References to results, and failed jobs.
    at_once, page : int
        Number of records in one query: for all items, and for a single item.
    """

    def __init__(self, source: ResultSource, items: Sequence[Item], *, at_once: int = 1000, page: int = 50) -> None:
        self._source, self._items = source, items
        self._at_once, self._page_size = at_once, page
        self._page: dict[int, Result] = {}

    @property
    def items(self) -> Sequence[Item]:
        """References to results, and failed jobs, without reading them."""
        return self._items

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> Result | FailedJob: ...
    @overload
    def __getitem__(self, index: slice) -> "ResultList": ...
    def __getitem__(self, index: int | slice) -> "Result | FailedJob | ResultList":
        if isinstance(index, slice):
            return ResultList(self._source, self._items[index], at_once=self._at_once, page=self._page_size)
        number = range(len(self))[index]
        item = self._items[number]
        if isinstance(item, FailedJob):
            return item
        if number not in self._page:
            self._page = self._read(number // self._page_size * self._page_size)
        if number not in self._page:
            msg = f"The record of result {item.result_id} cannot be read, or is gone since it was found: search again."
            raise UnknownJobError(msg)
        return self._page[number]

    def __iter__(self) -> Iterator[Result | FailedJob]:
        """Yield all readable items, many records at a time."""
        for items in in_batches(self._items, self._at_once):
            yield from (item for item in _opened(self._source, items) if item is not None)

    def to_pandas(self) -> pd.DataFrame:
        """Return one row for each result or failed job.

        Returns
        -------
        pandas.DataFrame
            The columns of `domain.result.rows`: facts such as ``subject``, ``session`` and ``state``, then
            ``parameters.<name>`` and ``outputs.<name>``. Times are in UTC.
        """
        return pandas_frame(self.rows())

    def to_polars(self) -> pl.DataFrame:
        """Return one row for each result or failed job; columns as in `to_pandas`.

        Returns
        -------
        polars.DataFrame
            A column with values of several types contains JSON texts.
        """
        return polars_frame(self.rows())

    def __repr__(self) -> str:
        some = "".join(f"\n  {item!r}" for item in self[:_SHOWN])
        return f"<ResultList of {len(self)}{some}{self._more()}>"

    def _repr_html_(self) -> str:
        """Return the first items as a table for Jupyter; every text is escaped."""
        count = f"{len(self)} result{'' if len(self) == 1 else 's'}"
        rows = [item.row() for item in self[:_SHOWN]]
        return f"<p>{count}</p>{html_table(rows)}<p>{escape(self._more())}</p>"

    def _more(self) -> str:
        return f"\n  and {len(self) - _SHOWN} more" if len(self) > _SHOWN else ""

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield all readable items as the rows of `to_pandas`, many records at a time."""
        for items in in_batches(self._items, self._at_once):
            refs = [item for item in items if isinstance(item, ResultRef)]
            found = dict(records_at(self._source.records, refs, FOR_ROWS))
            for item in items:
                if isinstance(item, FailedJob):
                    yield failure_row(item.entry)
                elif item in found and (provenance := parsed_or_warned(found[item])) is not None:
                    yield result_row(provenance, state=item.state)

    def _read(self, begin: int) -> dict[int, Result]:
        """Read one page of results, by their positions in the list."""
        opened = _opened(self._source, self._items[begin : begin + self._page_size])
        return {number: item for number, item in enumerate(opened, start=begin) if isinstance(item, Result)}


def sorted_items(refs: Sequence[ResultRef], failed: Sequence[FailedJob]) -> list[Item]:
    """Return results and failed jobs sorted together, newest first."""
    if not failed:
        return list(refs)
    return sorted([*refs, *failed], key=ended_of, reverse=True)


def ended_of(item: Item) -> str:
    """Return the end of a result, or of a failed job's last attempt, in the form of `search_time`."""
    if isinstance(item, ResultRef):
        return item.ended
    ended = item.row()["ended"]
    return search_time(ended) if isinstance(ended, datetime) else ""


def _opened(source: ResultSource, items: Sequence[Item]) -> list[Result | FailedJob | None]:
    """Return the items' results in order; None for a record that is missing or cannot be read."""
    found = dict(records_at(source.records, (item for item in items if isinstance(item, ResultRef))))
    return [item if isinstance(item, FailedJob) else opened(source, item, found.get(item)) for item in items]


def opened(source: ResultSource, ref: ResultRef, record: dict[str, Any] | None) -> Result | None:
    """Return the result of a reference, from its record."""
    provenance = None if record is None else parsed_or_warned(record)
    if record is None or provenance is None:
        return None
    return Result.of(provenance, state=ref.state, source=source, superseded=record.get("superseded"))
