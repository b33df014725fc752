"""The page of partitions in Dagster's UI, in a real browser: an analysis, and a plain asset with as many partitions."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dagster as dg
import requests
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks import plain_asset
from benchmarks.medians import medians
from benchmarks.section import Figures, Options, Section, Target
from benchmarks.stage import Storage, bench_home, postgres_server, storage, write_workspace
from cli.dagster_processes import dagster_process, free_port
from domain.errors import ServerUnavailableError
from resources.settings import Settings

PARTITIONS, MATERIALIZED = 100_000, 2_000
PLACES = {"analysis": dg.AssetKey(["analysis", "batched"]), "plain": plain_asset.KEY}
_SETS = {"analysis": "batched", "plain": "plain"}
_LABELS = {"analysis": "an analysis of this platform", "plain": "a plain Dagster asset"}
_STORAGES: dict[Storage, str] = {"sqlite": "SQLite", "postgres": "PostgreSQL"}
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_PATIENCE_S = 300


def measure(options: Options) -> Figures:
    """Fill Dagster's storage, and open both pages in each round, with a fresh browser each time."""
    step = PARTITIONS // MATERIALIZED
    partitions = step * options.size(MATERIALIZED, least=2)
    sizes = {"partitions": partitions, "materialized": partitions // step}
    found: dict[str, list[dict[str, float]]] = {}
    with bench_home(keep=("DAGSTER_POSTGRES_URL",)) as home, postgres_server() as server:
        for kind in _STORAGES:
            with storage(home, kind, server) as settings:
                _fill(settings, sizes)
                with _ui(settings) as url:
                    found[kind] = [_open_both(url, sizes, turn=n) for n in range(options.rounds + 1)]
            options.keep({"sizes": sizes, "storages": found})
    return {"sizes": sizes, "storages": found}


def _fill(settings: Settings, sizes: dict[str, int]) -> None:
    """Add partitions, and report some of them as materialized."""
    keys = [f"{number:064x}" for number in range(sizes["partitions"])]
    step = sizes["partitions"] // sizes["materialized"]
    with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        for name, key in PLACES.items():
            instance.add_dynamic_partitions(_SETS[name], keys)
            for partition in keys[::step]:
                instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition))


@contextmanager
def _ui(settings: Settings) -> Iterator[str]:
    """Run Dagster's web server over the benchmark's analyses and the plain asset; gives its address."""
    home, port = settings.dagster_home.parent, free_port(0)
    workspace = write_workspace(home, Path(plain_asset.__file__))
    words = ["-m", "dagster_webserver", "-h", "127.0.0.1", "-p", str(port)]
    with dagster_process(settings, words, log=home / "ui.log", workspace=workspace):
        url = f"http://127.0.0.1:{port}"
        _wait_until_it_answers(url, home / "ui.log")
        yield url


def _wait_until_it_answers(url: str, log: Path) -> None:
    """Wait until both locations are loaded."""
    question = {"query": "{ workspaceOrError { ... on Workspace { locationEntries { loadStatus } } } }"}
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        with suppress(requests.ConnectionError):
            found = requests.post(f"{url}/graphql", json=question, timeout=60).json()["data"]["workspaceOrError"]
            if {entry["loadStatus"] for entry in found["locationEntries"]} == {"LOADED"}:
                return
        time.sleep(0.5)
    msg = f"Dagster's UI did not answer at {url}: {log.read_text(encoding='utf-8')[-2000:]}"
    raise ServerUnavailableError(msg)


def _open_both(url: str, sizes: dict[str, int], *, turn: int) -> dict[str, float]:
    """Open both pages, each in a new browser, in alternating order."""
    found, places = {}, list(PLACES.items())
    with sync_playwright() as playwright:
        for name, key in places if turn % 2 else reversed(places):
            browser = playwright.chromium.launch(executable_path=_chromium(), args=["--no-sandbox", "--disable-gpu"])
            found.update({f"{name} {what}": value for what, value in _open(browser, url, key, sizes).items()})
            browser.close()
    return found


def _open(browser: Browser, url: str, key: dg.AssetKey, sizes: dict[str, int]) -> dict[str, float]:
    """Open the page; return the seconds until the first partitions and their number are shown, and the requests."""
    page = browser.new_page(viewport={"width": 1500, "height": 1000})
    page.set_default_timeout(1000 * _PATIENCE_S)
    answers: list[Any] = []
    page.on("response", lambda answer: answers.append(answer) if "/graphql" in answer.url else None)
    begin = time.perf_counter()
    page.goto(f"{url}/assets/{'/'.join(key.path)}?view=partitions")
    _wait_for_partitions(page, sizes)
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "questions": len(answers)}


def _wait_for_partitions(page: Page, sizes: dict[str, int]) -> None:
    """Wait until the numbers of partitions, and of those that are materialized, and the list's first key are there."""
    page.get_by_text(f"{sizes['partitions']:,} Partitions Selected").wait_for()
    page.get_by_text(f"Materialized ({sizes['materialized']})").wait_for()
    page.get_by_text(f"{0:064x}").first.wait_for(state="attached")  # shown shortened, beside the whole for its width


def _chromium() -> str:
    """Find Chromium."""
    found = next((path for name in _CHROMIUM if (path := shutil.which(name))), None)
    if found is None:
        msg = "There is no Chromium: install it (Debian: apt-get install chromium)."
        raise ServerUnavailableError(msg)
    return found


def as_markdown(figures: Figures) -> str:
    """Write first and later openings as a table."""
    rows = []
    for kind, label in _STORAGES.items():
        if rounds := figures["storages"].get(kind):
            later = medians(rounds[1:])
            rows += [
                f"| {label} | {what} | {rounds[0][f'{name} seconds']:.1f} | {later[f'{name} seconds']:.1f} "
                f"| {later[f'{name} questions']:.0f} |"
                for name, what in _LABELS.items()
            ]
    return _TEXT.format(rows="\n".join(rows), **figures["sizes"])


_TEXT = """
Seconds from the address typed to the number of partitions and the list of them on the screen, in headless Chromium, a fresh browser each
time: {partitions:,} partitions, {materialized:,} of them materialized. At the *first* opening the web server computes and keeps the state of all partitions; *later*
is the median of the others. *Questions* is how often the page asked the server until then.

| Dagster on | asset | first, s | later, s | questions |
|---|---|---|---|---|
{rows}

What the analysis costs beyond the plain asset is ours (checks and metadata); the rest is Dagster's.
"""


def targets(figures: Figures) -> list[Target]:
    """Return the seconds; if the page did not open, there would be no figures."""
    found = []
    for kind, label in _STORAGES.items():
        if rounds := figures["storages"].get(kind):
            later = medians(rounds[1:])
            seconds = f"{later['analysis seconds']:.1f} s, a plain asset {later['plain seconds']:.1f} s"
            what = f"page of {figures['sizes']['partitions']:,} partitions in the UI, {label}"
            found.append(Target(what, "opens", seconds, met=True))
    return found


SECTION = Section("ui", "Partition page in the UI", measure, as_markdown, targets)
