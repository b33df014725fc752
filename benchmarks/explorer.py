"""The explorer over a catalog of 100,000 results: how long the server takes, and the page in headless Chromium."""

import hashlib
import json
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from flask import Flask
from playwright.sync_api import Page, sync_playwright
from waitress.server import create_server

from benchmarks.section import Figures, Options, Section, Target
from domain.errors import ServerUnavailableError
from domain.result.rows import FACTS
from explorer.app import seen
from explorer.context import ExplorerContext
from explorer.data.analysis_data import Tables
from explorer.server import make_server
from explorer.views.plots import draw
from explorer.views.table import listed, matching, page
from resources.embedded.embedded import serving
from resources.mongo import MongoConnection
from resources.records.reader import RecordReader
from resources.result_store.catalog_files import CatalogFiles
from resources.result_store.catalog_tables import write_catalog
from resources.result_store.store import ResultsStore
from resources.s3.connection import S3Connection

_ROWS, _ASKED, _PAGE, _WANTED_MS, _WANTED_S = 100_000, 20, 200, 200.0, 10.0
_NAME, _BUCKET = "demo", "bench"
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
_SLOW_FILTER = json.dumps({"session": {"filterType": "text", "type": "contains", "filter": "7"}})
_QUESTIONS = {
    "a page, newest first": "",
    "a page, sorted by two columns": "&sort=subject&sort=-outputs.rate_hz",
    "a page, a text contains": f"&filters={_SLOW_FILTER}&sort=outputs.rate_hz",
    "a page, search and a range": "&q=session+12&sort=duration_s",
    "a page, a box in the plot": '&x=duration_s&y=outputs.rate_hz&selection={"box":{"x":[5,20],"y":[1,3]}}',
}
_PLOTS = {
    "a scatter plot of all, colored by texts": "&x=duration_s&y=outputs.rate_hz&colour=parameters.method",
    "a histogram of all": "&x=outputs.rate_hz&colour=parameters.method",
}


def _catalog(count: int) -> pl.DataFrame:
    """Make a catalog: 500 subjects, ten results for each session, values by chance."""
    chance, number = np.random.default_rng(1), np.arange(count)
    ids = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(count)]
    started = np.datetime64("2026-01-01", "ms") + (number * 10_000).astype("timedelta64[ms]")
    columns = dict.fromkeys(FACTS) | {
        "result_id": ids,
        "job_key": ids,
        "state": np.where(number % 10, "done", "outdated"),
        "subject": [f"subject {n % 500}" for n in range(count)],
        "session": [f"session {n // 10}" for n in range(count)],
        "started": started,
        "ended": started + np.timedelta64(9000, "ms"),
        "duration_s": chance.gamma(2, 5, count),
        "peak_memory_bytes": chance.integers(10**8, 10**9, count),
        "parameters.bin_s": chance.choice([0.05, 0.1, 0.2], count),
        "parameters.method": chance.choice(["hill", "llobet"], count),
        "outputs.rate_hz": chance.lognormal(1, 0.7, count),
        "outputs.n_units": chance.integers(0, 500, count),
    }
    return pl.DataFrame(columns, strict=False)


def measure(options: Options) -> Figures:
    """Put a results table into the embedded S3, call the functions behind the page, then open it."""
    count, times = options.size(_ROWS, least=1000), max(1, options.rounds * _ASKED // 3)
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as addresses:
        s3 = S3Connection(embedded_home=folder)
        s3.ensure_bucket(_BUCKET)
        catalogs = CatalogFiles(s3=s3, root=_BUCKET)
        write_catalog(catalogs, _NAME, _catalog(count).to_arrow())
        records = RecordReader(mongo=MongoConnection(uri=addresses.docdb_uri, database="bench"), name="results")
        tables = Tables(catalogs, records, {_NAME: None})
        harness = ExplorerContext(tables, records, ResultsStore(s3=s3, root=_BUCKET), "http://127.0.0.1:3000")
        begin = time.perf_counter()
        tables.table(_NAME)
        read_s = time.perf_counter() - begin
        requested = {what: _timed(lambda more=more: _page(harness, more), times) for what, more in _QUESTIONS.items()}  # type: ignore[misc]
        drawn = {what: _timed(lambda more=more: _plot(harness, more), times) for what, more in _PLOTS.items()}  # type: ignore[misc]
        with _served(make_server(harness, login=None)) as url:
            opened = [_opened(url) for _ in range(options.rounds)]
    browser = {name: statistics.median(one[name] for one in opened) for name in opened[0]}
    return {"rows": count, "read_s": read_s, "asked": requested | drawn, "browser": browser}


def _page(harness: ExplorerContext, more: str) -> int:
    """Give one page of the table; returns how many rows match."""
    table, view, _ = seen(harness, f"?analysis={_NAME}{more}")
    found = listed(table, view)
    page(found, 0, _PAGE)
    return found.height


def _plot(harness: ExplorerContext, more: str) -> int:
    """Draw a plot; returns how many rows are drawn."""
    table, view, _ = seen(harness, f"?analysis={_NAME}{more}")
    rows = matching(table, view)
    draw(table, rows, view)
    return rows.height


def _timed(work: Callable[[], int], times: int) -> Figures:
    """Do the same several times: the median and the 95th percentile (ms)."""
    took = []
    for _ in range(times):
        begin = time.perf_counter()
        found = work()
        took.append(1000 * (time.perf_counter() - begin))
    late = sorted(took)[min(len(took) - 1, int(0.95 * len(took)))]
    return {"found": found, "median_ms": statistics.median(took), "p95_ms": late}


@contextmanager
def _served(app: Flask) -> Iterator[str]:
    """Serve an application on a free port."""
    server: Any = create_server(app, host="127.0.0.1", port=0, threads=8)
    threading.Thread(target=server.run, daemon=True).start()
    yield f"http://127.0.0.1:{server.effective_port}"
    server.close()


def _opened(url: str) -> dict[str, float]:
    """Open the page in a fresh browser, filter and sort; seconds until each is seen."""
    found = next((path for name in _CHROMIUM if (path := shutil.which(name))), None)
    if found is None:
        msg = "There is no Chromium: install it (Debian: apt-get install chromium)."
        raise ServerUnavailableError(msg)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(_ARGUMENTS))
        tab = browser.new_page(viewport={"width": 1500, "height": 1000})
        tab.set_default_timeout(30_000)
        begin = time.perf_counter()
        tab.goto(f"{url}/?analysis={_NAME}&x=outputs.n_units&y=outputs.rate_hz&colour=parameters.method")
        tab.wait_for_selector("#grid .ag-row [col-id=session]:not(:empty)")
        rows_s = time.perf_counter() - begin
        tab.wait_for_selector("#plot .gl-canvas", state="attached")
        plot_s = time.perf_counter() - begin
        tab.wait_for_load_state("networkidle")
        seconds = {"rows seen": rows_s, "points drawn": plot_s, "filtered": _filtered(tab), "sorted": _sorted(tab)}
        browser.close()
    return seconds


def _filtered(tab: Page) -> float:
    """Filter by a session; seconds from the last key to the rows, half a second of which the grid waits for more keys."""
    box = tab.locator('#grid .ag-floating-filter [aria-label^="session"]').first
    begin = time.perf_counter()
    box.fill("session 12")
    tab.wait_for_function(
        "() => { const words = document.querySelector('#count').innerText.split(' ');"
        " return words.length === 4 && words[0] !== words[2]; }"
    )
    return time.perf_counter() - begin


def _sorted(tab: Page) -> float:
    """Sort by a column; seconds from the click to the rows."""
    before = tab.locator('#grid .ag-row[row-index="0"] [col-id="outputs.rate_hz"]').inner_text()
    begin = time.perf_counter()
    tab.get_by_role("columnheader", name="rate_hz").locator(".ag-header-cell-label").click()
    tab.wait_for_function(
        'before => { const cell = document.querySelector(\'#grid .ag-row[row-index="0"] [col-id="outputs.rate_hz"]\');'
        " return cell && cell.innerText && cell.innerText !== before; }",
        arg=before,
    )
    return time.perf_counter() - begin


def as_markdown(figures: Figures) -> str:
    """Write the figures as tables."""
    lines = [
        f"{figures['rows']:,} results in the catalog, read in {figures['read_s']:.1f} s when it is new. What the server takes:",
        "",
        "| query | rows | median (ms) | 95% within (ms) |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {what} | {one['found']:,} | {one['median_ms']:.0f} | {one['p95_ms']:.0f} |"
        for what, one in figures["asked"].items()
    ]
    lines += ["", "In headless Chromium without a graphics card, from the address or the key to what is seen:", ""]
    lines += ["| | seconds |", "|---|---|"]
    lines += [f"| {what} | {seconds:.1f} |" for what, seconds in figures["browser"].items()]
    return "\n".join(lines)


def targets(figures: Figures) -> list[Target]:
    """Compare the figures with the targets: a response before a user notices, a page before a user gives up."""
    slowest = max(figures["asked"], key=lambda what: figures["asked"][what]["p95_ms"])
    late = figures["asked"][slowest]["p95_ms"]
    drawn = figures["browser"]["points drawn"]
    rows = f"{figures['rows']:,} rows in the explorer"
    return [
        Target(f"{rows}, {slowest}", f"under {_WANTED_MS:.0f} ms (95% of times)", f"{late:.0f} ms", late < _WANTED_MS),
        Target(f"{rows}, table and plot in Chromium", f"under {_WANTED_S:.0f} s", f"{drawn:.1f} s", drawn < _WANTED_S),
    ]


SECTION = Section("explorer", "The explorer", measure, as_markdown, targets)
