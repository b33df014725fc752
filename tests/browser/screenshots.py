"""Regenerates the images of the documentation: `make screenshots`.

A new platform, started by the commands that a user would run, computes synthetic sessions. Then a browser opens
the pages in the documentation. Only the size of the window is chosen.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlencode

import requests
from playwright.sync_api import sync_playwright

from cli.dagster_processes import free_port
from domain.job.state import JobState
from examples.sessions import DATA_BUCKET, metadata_record, write_demo_sessions
from operations.platform import open_platform
from resources.environment import child_environment
from resources.explorer_links import SHORT_ID, analysis_in_explorer
from resources.result_store.catalog_files import REPORT
from resources.result_store.catalog_tables import read_catalog
from resources.settings import PROJECT_ROOT, load_settings
from tests.browser.conftest import ARGUMENTS, NAMES

IMAGES = PROJECT_ROOT / "docs" / "images"
N_SESSIONS = 24
PARAMETERS = {
    "unit_quality": (
        {"analysis_name": "Demo", "analysis_tag": "hill", "method": "hill", "isi_violations_cutoff": 0.1},
        {"analysis_name": "Demo", "analysis_tag": "llobet", "method": "llobet", "isi_violations_cutoff": 0.1},
        {"analysis_name": "Demo", "analysis_tag": "strict", "method": "hill", "isi_violations_cutoff": 0.02},
    ),
    "foraging_choice_model": ({"analysis_name": "Demo", "analysis_tag": "three_lags", "n_lags": 3},),
}
_PATIENCE_S = 600
ANALYSIS = "unit_quality"
_REST_MS = 2500


@contextmanager
def command(*words, log):
    """Run a command of the platform for as long as the context lasts."""
    with log.open("wb") as output:
        program = Path(sys.executable).with_name("analysis")
        process = subprocess.Popen([program, *words], env=child_environment(), stdout=output, stderr=output)
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)


def wait_for(condition, what):
    """Wait until a condition holds."""
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end:
        with suppress(requests.ConnectionError):
            if found := condition():
                return found
        time.sleep(1)
    message = f"after {_PATIENCE_S} s: {what}"
    raise TimeoutError(message)


def ask_for_results(platform):
    """Write sessions and job files; one job names data that does not exist, so that a failure is shown too."""
    sessions = write_demo_sessions(platform.settings.analysis_home / "s3" / DATA_BUCKET, n=N_SESSIONS)
    assets = platform.connections.asset_records.mongo.collection("data_assets").raw
    assets.insert_many([metadata_record(session) for session in sessions])
    names = [session.name for session in sessions]
    for analysis, parameter_sets in PARAMETERS.items():
        for name in [*names, "ecephys_700099_2024-06-01_10-00-00"]:
            for parameters in parameter_sets:
                job = {"s3_location": [f"s3://{DATA_BUCKET}/{name}"], "distributed_parameters": parameters}
                file = f"{parameters['analysis_tag']}/{name}.json"
                platform.connections.job_inbox.write(analysis, file, json.dumps(job).encode())


def all_ended(platform):
    """Return whether every job of the job files has ended."""
    ledger = platform.connections.ledger
    for analysis, parameter_sets in PARAMETERS.items():
        counts = ledger.jobs.counts(analysis)
        if counts[JobState.DONE] + counts[JobState.FAILED] < len(parameter_sets) * (N_SESSIONS + 1):
            return False
    return True


def all_reported(platform):
    """Return whether catalog and report have every job."""
    files = platform.connections.catalog_files
    for analysis, parameter_sets in PARAMETERS.items():
        found = read_catalog(files, analysis)
        if found is None or found.table.num_rows < len(parameter_sets) * (N_SESSIONS + 1):
            return False
    return all(files.etag(analysis, REPORT) for analysis in PARAMETERS)


def take(page, name, url, *, ready, height=900, width=1400, then=None):  # noqa: PLR0913  one for each choice
    """Open a page, wait until a text is seen, do what is to be done on it, and take the picture."""
    page.set_viewport_size({"width": width, "height": height})
    page.goto(url)
    page.get_by_text(ready).filter(visible=True).first.wait_for()
    if then is not None:
        then(page)
    page.wait_for_timeout(_REST_MS)  # transitions and charts
    page.screenshot(path=IMAGES / f"{name}.png")


def dagster_pictures(page, url, platform):
    """Take the pictures of Dagster's UI."""
    asset = f"{url}/assets/analysis/{ANALYSIS}"
    done, *_ = platform.connections.ledger.jobs.keys_in(ANALYSIS, JobState.DONE)
    take(
        page,
        "lineage",
        f"{asset}?view=lineage&lineageScope=neighbors&lineageDepth=3",
        ready="catalog",
        height=600,
        width=2350,
    )
    take(page, "asset", f"{asset}?view=overview", ready="Which units of a session", height=1500)
    take(page, "materialization", f"{asset}?view=partitions&partition={done}", ready="Metadata", height=1100)
    take(page, "checks", f"{asset}?view=checks", ready="files_match_manifest", then=open_the_files_check)
    take(
        page, "runs", f"{url}/runs?q[0]=tag%3Adagster%2Fsubject.700001%3D700001", ready=f"{ANALYSIS}_batch", height=400
    )
    take(page, "catalog", f"{url}/assets/{ANALYSIS}/catalog?view=overview", ready="Metadata", height=1100)
    report = platform.connections.catalog_files.browse_url(ANALYSIS, REPORT)
    take(page, "report", report, ready="Distributions", height=1500)


def open_the_files_check(page):
    """Show one check with its partitions."""
    page.get_by_text("files_match_manifest").first.click()


def explorer_pictures(page, url, platform):
    """Take the pictures of the explorer."""
    axes = "x=outputs.median_firing_rate_hz&y=outputs.passing_fraction&colour=parameters.analysis_tag"
    place = f"{analysis_in_explorer(url, ANALYSIS)}&{axes}"
    take(page, "explorer", place, ready=ANALYSIS, height=1250)
    box = urlencode({"selection": json.dumps({"box": {"x": [14, 17], "y": [0.55, 0.62]}})})
    take(page, "selection", f"{place}&{box}", ready=ANALYSIS, height=1700, then=scroll_down)
    one, other = two_of_a_session(platform)
    compared = f"{place}&compare={one}&compare={other}"
    take(page, "compare", compared, ready="Comparison", height=1000, then=lambda page: scroll_to(page, "Comparison"))


def two_of_a_session(platform):
    """Return two results of one session, with different parameters."""
    by_session = {}
    for record in platform.connections.record_store.newest(ANALYSIS):
        session, name = tuple(record["analysis_assets"]["session_names"]), record["_id"][:SHORT_ID]
        if session in by_session:
            return by_session[session], name
        by_session[session] = name
    raise LookupError(ANALYSIS)


def scroll_down(page):
    """Show the end of the page, after it has received all responses."""
    page.wait_for_timeout(_REST_MS)
    page.mouse.wheel(0, 10_000)


def scroll_to(page, heading):
    """Show what is below a heading."""
    place = page.get_by_role("heading", name=heading)
    place.wait_for()
    page.wait_for_timeout(_REST_MS)
    place.evaluate("place => place.scrollIntoView()")


def main():
    """Make all pictures."""
    chromium = next(path for name in NAMES if (path := shutil.which(name)))
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        os.environ["ANALYSIS_HOME"] = str(home)
        ports = free_port(3000), free_port(3001)
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        with (
            open_platform(load_settings(env_file=home / "no.env")) as platform,
            command("dev", "--port", str(ports[0]), log=home / "dev.log"),
            command("explore", "--port", str(ports[1]), log=home / "explore.log"),
            sync_playwright() as playwright,
        ):
            ask_for_results(platform)
            wait_for(lambda: all_ended(platform), "not all jobs ended")
            wait_for(lambda: all_reported(platform), "no catalog has every job")
            wait_for(lambda: all(requests.get(url, timeout=10).ok for url in urls), "the pages did not answer")
            browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
            page = browser.new_page()
            dagster_pictures(page, urls[0], platform)
            explorer_pictures(page, urls[1], platform)
            browser.close()


if __name__ == "__main__":
    main()
