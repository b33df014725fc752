"""What a person sees and clicks in the explorer, in a real browser."""

import io
import re
import threading
import uuid
from contextlib import suppress

import polars as pl
import pytest
import requests
from playwright.sync_api import Error, expect
from pydantic import SecretStr
from waitress.server import create_server

from explorer.server import Login, make_server
from resources.result_store.store import ResultsStore
from tests.conftest import BUCKET
from tests.explorer.harness import (
    NAME,
    catalog_of,
    make_harness,
    many,
    provenance,
    publish,
    record_store,
    result_id,
    write,
)
from tests.waiting import wait_for

pytestmark = pytest.mark.slow
COUNT, BIG = 60, "many"


@pytest.fixture(scope="module")
def harness(docdb_uri, s3):
    """Make sixty results with figures, and a hundred thousand in the catalog of another analysis."""
    unique = uuid.uuid4().hex[:16]
    root, database = f"{BUCKET}/{unique}", f"explorer_{unique}"
    store, records = ResultsStore(s3=s3, root=root), record_store(docdb_uri, database)
    found = [provenance(number, root=root) for number in range(COUNT)]
    for one in found:
        publish(store, records, one)
    write(s3, root, catalog_of(found))
    write(s3, root, many(100_000), name=BIG)
    made = make_harness(s3=s3, root=root, uri=docdb_uri, database=database, store=store)
    made.tables.entries[BIG] = None
    return made


def serve(app):
    """Serve an application on a free port; gives the server and its address."""
    server = create_server(app, host="127.0.0.1", port=0, threads=8)

    def run():
        with suppress(OSError):  # the loop of waitress waits on the very socket that `close` takes away
            server.run()

    threading.Thread(target=run, daemon=True).start()
    return server, f"http://127.0.0.1:{server.effective_port}"


@pytest.fixture(scope="module")
def url(harness):
    """Serve the explorer on this machine."""
    server, address = serve(make_server(harness, login=None))
    yield address
    server.close()


@pytest.fixture
def watched(page, url):
    """Give a page that has not been opened; at the end, no other server was requested and no error was logged."""
    foreign, said = [], []
    page.on(
        "request",
        lambda requested: None if requested.url.startswith((url, "data:", "blob:")) else foreign.append(requested.url),
    )
    page.on("console", lambda reported: said.append(reported.text) if reported.type == "error" else None)
    yield page
    assert foreign == []
    assert said == []


def count(page, number):
    """Wait until the table says how many results are left."""
    expect(page.locator("#count")).to_have_text(
        re.compile(rf"^{number:,} of " if isinstance(number, int) else rf"^{number} of ")
    )


def cells(page, column):
    """Return what is seen in a column, from top to bottom."""
    page.wait_for_function("document.querySelectorAll('#grid .ag-row:not(.ag-row-loading)').length > 0")
    found = page.locator(f'#grid .ag-center-cols-container .ag-row [col-id="{column}"]')
    rows = found.evaluate_all(
        "all => all.map(one => [Number(one.parentElement.getAttribute('row-index')), one.innerText])"
    )
    return [text for _, text in sorted(rows)]


def first_is(page, column, text):
    """Wait until the first row has a text in a column."""
    cell = page.locator(f'#grid .ag-center-cols-container .ag-row[row-index="0"] [col-id="{column}"]')
    expect(cell).to_have_text(text)


def drag(page, first, last):
    """Drag a box over a part of the plot, given in parts of its size."""
    page.locator("#plot .nsewdrag").first.scroll_into_view_if_needed()
    box = page.locator("#plot .nsewdrag").first.bounding_box()
    corners = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (first, last)]
    page.mouse.move(*corners[0])
    page.mouse.down()
    page.mouse.move(*corners[1], steps=8)
    page.mouse.up()


def choose(page, control, text):
    """Choose from one of the lists."""
    page.locator(f"#{control}").click()
    page.get_by_role("option", name=text, exact=True).click()
    page.keyboard.press("Escape")


PLOT = f"/?analysis={NAME}&x=outputs.rate_hz&y=duration_s&colour=parameters.method"


def test_the_table_is_filtered_and_sorted_and_the_address_restores_it(watched, url):
    watched.goto(f"{url}/")
    count(watched, COUNT + 100_000)
    watched.get_by_role("link", name=NAME, exact=True).click()
    count(watched, COUNT)
    first_is(watched, "session", "session 59")
    watched.get_by_role("columnheader", name="rate_hz (Hz)").locator(".ag-header-cell-label").click()
    first_is(watched, "session", "session 0")
    watched.locator('#grid .ag-floating-filter [aria-label^="subject"]').first.fill("subject3")
    count(watched, 12)
    first_is(watched, "session", "session 3")
    watched.get_by_role("searchbox").fill("tag3")
    count(watched, 3)
    assert cells(watched, "session") == ["session 3", "session 23", "session 43"]
    address = watched.url
    watched.goto("about:blank")
    watched.goto(address)
    count(watched, 3)
    assert cells(watched, "session") == ["session 3", "session 23", "session 43"]
    assert watched.url == address


def test_only_some_values_are_kept_and_columns_are_chosen(watched, url):
    watched.goto(f"{url}/?analysis={NAME}&column=session&column=outputs.rate_hz")
    count(watched, COUNT)
    assert watched.get_by_role("columnheader").filter(has_text=re.compile("[a-z]")).all_inner_texts() == [
        "session",
        "rate_hz (Hz)",
    ]
    choose(watched, "facet", "parameter method")
    choose(watched, "values", "a")
    count(watched, COUNT // 2)
    choose(watched, "columns", "subject")
    expect(watched.get_by_role("columnheader", name="subject")).to_be_visible()
    count(watched, COUNT // 2)


def test_points_are_selected_their_figures_seen_and_two_of_them_compared(watched, url):
    watched.goto(url + PLOT)
    watched.wait_for_selector("#plot .scatterlayer .point")
    drag(watched, (0.6, 0.02), (0.98, 0.4))
    cards = watched.locator("#gallery .card")
    expect(cards.first).to_be_visible()
    picked = int(watched.locator("#gallery [role=status]").inner_text().split()[0])
    assert 12 < picked < COUNT
    assert cards.count() == 12
    count(watched, picked)
    image = cards.first.locator("img")
    image.scroll_into_view_if_needed()
    assert image.evaluate("one => one.decode().then(() => one.naturalWidth)") == 480
    for number in (0, 1):
        cards.nth(number).get_by_role("button", name="Compare this one").click()
        expect(watched.locator("#comparison .chips > span")).to_have_count(number + 1)
    table = watched.locator("#comparison table")
    expect(table.locator("tr.differs", has_text="rate_hz (Hz)")).to_contain_text("-0.1")
    assert watched.locator("#comparison img").count() == 2
    address = watched.url
    watched.goto("about:blank")
    watched.goto(address)
    count(watched, picked)
    expect(watched.locator("#comparison table")).to_be_visible()
    expect(watched.locator("#plot .selectionlayer path").first).to_be_attached()
    watched.get_by_role("button", name="Clear the selection").click()
    count(watched, COUNT)
    expect(watched.locator("#gallery-part")).to_be_hidden()


def test_a_click_on_a_point_shows_its_figure(watched, url):
    watched.goto(url + PLOT)
    watched.wait_for_selector("#plot .scatterlayer .point")
    for number in (1, 2):
        point = watched.locator("#plot .scatterlayer .point").nth(10 * number)
        point.scroll_into_view_if_needed()
        box = point.bounding_box()
        watched.mouse.move(5, 5)
        expect(watched.locator("#plot .hoverlayer .hovertext")).to_have_count(0)
        watched.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=4)
        expect(watched.locator("#plot .hoverlayer .hovertext").first).to_be_visible()
        watched.mouse.down()
        watched.mouse.up()
        expect(watched.locator("#gallery .card")).to_have_count(number)
        count(watched, number)


def test_a_histogram_is_drawn_and_a_bar_chosen(watched, url):
    watched.goto(f"{url}/?analysis={NAME}&x=outputs.rate_hz&colour=parameters.method")
    watched.wait_for_selector("#plot .bars .point path")
    drag(watched, (0.5, 0.1), (0.99, 0.9))
    expect(watched.locator("#gallery .card").first).to_be_visible()
    choose(watched, "y", "output n_units")
    watched.wait_for_selector("#plot .scatterlayer .point")
    count(watched, COUNT)


def test_a_row_shows_its_details_by_mouse_and_by_keyboard(watched, url, harness):
    watched.goto(f"{url}/?analysis={NAME}")
    count(watched, COUNT)
    watched.locator('#grid .ag-row[row-index="1"] [col-id="session"]').click()
    panel = watched.get_by_label("Details of one result")
    expect(panel.get_by_role("heading", name="session 58")).to_be_visible()
    watched.keyboard.press("ArrowDown")
    watched.keyboard.press("Space")
    expect(panel.get_by_role("heading", name="session 57")).to_be_visible()
    link = panel.get_by_role("link", name="Partition in Dagster").get_attribute("href")
    assert link == f"{harness.dagster_url}/assets/analysis/{NAME}?view=partitions&partition={provenance(57).job_key}"
    with watched.expect_download() as saved:
        panel.get_by_role("link", name="numbers.csv").click()
    assert saved.value.path().read_bytes() == b"a,b\n1,2\n"
    panel.get_by_role("button", name="Close").click()
    expect(panel).to_have_count(0)
    watched.goto(f"{url}/?analysis={NAME}&show={result_id(5)[:20]}")
    expect(panel.get_by_role("heading", name="session 5", exact=True)).to_be_visible()


def test_the_listed_rows_are_downloaded(watched, url):
    watched.goto(f"{url}/?analysis={NAME}")
    count(watched, COUNT)
    watched.get_by_role("searchbox").fill("subject2")
    count(watched, COUNT // 5)
    for name, read in (("CSV", pl.read_csv), ("Parquet", pl.read_parquet)):
        with watched.expect_download() as saved:
            watched.get_by_role("link", name=f"Download {name}").click()
        assert read(io.BytesIO(saved.value.path().read_bytes()))["subject"].to_list() == ["subject2"] * (COUNT // 5)


def test_an_address_with_nonsense_gives_a_note(watched, url):
    watched.goto(f"{url}/?analysis={NAME}&x=outputs.gone&filters=%7B&q=<img src=x onerror=alert(1)>")
    expect(watched.locator("#notes")).to_contain_text("outputs.gone")
    count(watched, 0)
    expect(watched.locator("#grid")).to_contain_text("No result matches.")
    watched.goto(f"{url}/?analysis=<script>alert(1)</script>")
    expect(watched.get_by_text("There is no analysis")).to_be_visible()


def test_a_hundred_thousand_rows_stay_fluid(watched, url):
    watched.goto(f"{url}/?analysis={BIG}&x=duration_s&y=outputs.rate_hz&colour=parameters.method")
    count(watched, "100,000")
    watched.wait_for_selector("#plot .gl-canvas", state="attached")
    expect(watched.locator("#plot-note")).to_have_text("100,000 results drawn.")
    watched.locator('#grid .ag-floating-filter [aria-label^="session"]').first.fill("session 77")
    count(watched, "1,110")
    watched.get_by_role("columnheader", name="duration (s)").locator(".ag-header-cell-label").click()

    def ascending():
        shown = [float(text) for text in cells(watched, "duration_s") if text]
        return shown == sorted(shown) and shown

    shown = wait_for(ascending, "the rows are not sorted by duration")
    assert len(shown) < 200, "the browser holds only what is seen"


def test_every_control_has_a_name_for_screen_readers(watched, url):
    watched.goto(url + PLOT)
    count(watched, COUNT)
    unnamed = "all => all.filter(one => !(one.labels && one.labels.length) && !one.ariaLabel && !one.ariaHidden && !one.innerText.trim() && one.offsetParent).map(one => one.outerHTML.slice(0, 200))"
    assert watched.locator("main input, main button, main select").evaluate_all(unnamed) == []


def test_elsewhere_the_browser_asks_for_the_login(browser, harness):
    server, address = serve(
        make_server(harness, login=Login("lab", SecretStr("correct horse battery")), loopback=False)
    )
    try:
        assert requests.get(address, timeout=60).status_code == 401
        assert requests.get(address, timeout=60).headers["WWW-Authenticate"].startswith("Basic")
        stranger = browser.new_context()
        with pytest.raises(Error, match="ERR_INVALID_AUTH_CREDENTIALS"):
            stranger.new_page().goto(f"{address}/?analysis={NAME}")
        stranger.close()
        known = browser.new_context(http_credentials={"username": "lab", "password": "correct horse battery"})
        page = known.new_page()
        page.goto(f"{address}/?analysis={NAME}")
        count(page, COUNT)
        known.close()
    finally:
        server.close()
