"""The web server: who may ask, what is told to browsers, files, downloads; and that nothing is ever written."""

import base64
import io
import json

import polars as pl
import pytest
from pydantic import SecretStr
from pymongo import monitoring

from domain.errors import SettingsError
from domain.result.records import to_record
from explorer.app import EVENTS
from explorer.server import Login, is_loopback, make_server
from explorer.state import from_search
from explorer.views.page import PARTS
from resources.mongo import close_client
from tests.commands_seen import by_another_name, listening
from tests.explorer.harness import NAME, catalog_of, make_harness, provenance, publish, record_store, result_id, write

LOGIN = Login("lab", SecretStr("correct horse battery"))


def basic(user, password):
    """Write a log-in as a browser sends it."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def callback(client, output, inputs, state=(), changed=()):
    """Ask a callback as the page does; gives what it answers by output."""
    parts = [dict(zip(("id", "property"), one.split("."), strict=True)) for one in output.strip(".").split("...")]
    requested = {
        "output": output,
        "outputs": parts if output.startswith("..") else parts[0],
        "inputs": inputs,
        "state": list(state),
        "changedPropIds": list(changed),
    }
    answer = client.post("/_dash-update-component", json=requested)
    assert answer.status_code == 200, answer.text
    return answer.json["response"]


def prop(name, value):
    """Write the value of a property."""
    part, what = name.split(".")
    return {"id": part, "property": what, "value": value}


@pytest.fixture
def client(harness):
    """Open the explorer, as somebody on this machine."""
    return make_server(harness, login=None).test_client()


# -- who may ask -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("host", "here"), [("127.0.0.1", True), ("localhost", True), ("::1", True), ("127.8.8.8", True), ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("lab.org", False), ("", False)])  # noqa: S104  addresses are only looked at  # fmt: skip
def test_what_can_be_reached_from_elsewhere_is_known(host, here):
    assert is_loopback(host) is here


def test_without_a_login_no_other_host_is_served(harness):
    with pytest.raises(SettingsError, match="EXPLORER_USER and EXPLORER_PASSWORD"):
        make_server(harness, login=None, loopback=False)


PLACES = ["/", "/_dash-layout", "/_dash-dependencies", "/assets/explorer.js", f"/figure/{result_id(0)}", f"/file/{result_id(0)}/numbers.csv", f"/record/{result_id(0)}", f"/download.csv?analysis={NAME}", "/_dash-component-suites/dash_ag_grid/dash_ag_grid.min.js", "/nowhere"]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_every_request_asks_for_the_login(harness, place):
    client = make_server(harness, login=LOGIN, loopback=False).test_client()
    assert client.get(place, buffered=True).status_code == 401
    assert client.get(place, buffered=True, headers=basic("lab", "wrong")).status_code == 401
    assert client.get(place, buffered=True, headers=basic("", "")).status_code == 401
    answer = client.get(place, buffered=True, headers=basic("lab", "correct horse battery"))
    assert answer.status_code in {200, 404}
    assert answer.status_code == 200 or place == "/nowhere" or "component" in place


def test_callbacks_ask_for_the_login_too(harness):
    client = make_server(harness, login=LOGIN, loopback=False).test_client()
    assert client.post("/_dash-update-component", json={}).status_code == 401


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:3001", "10.0.0.1", "[::2]:80", "", "["]
)
def test_on_this_machine_no_other_name_is_answered(client, host):
    assert client.get("/", headers={"Host": host}).status_code in {400, 403}


@pytest.mark.parametrize("host", ["127.0.0.1:3001", "localhost", "[::1]:3001"])
def test_the_names_of_this_machine_are_answered(client, host):
    assert client.get("/", headers={"Host": host}).status_code == 200


def test_a_password_is_never_shown():
    assert "horse" not in repr(LOGIN)
    assert LOGIN.is_right("lab", "correct horse battery")
    assert not LOGIN.is_right("läb", "correct horse battery ")


# -- what browsers are told --------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["/", "/_dash-layout", "/assets/explorer.css", f"/figure/{result_id(0)}", "/nowhere"])
def test_every_answer_has_the_headers_that_keep_a_page_safe(client, place):
    headers = client.get(place, buffered=True).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "default-src" in headers["Content-Security-Policy"]
    assert "Server" not in headers


def test_scripts_come_from_this_server_alone(client):
    page = client.get("/")
    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]
    assert "//" not in policy
    assert 'src="http' not in page.text
    assert 'href="http' not in page.text


# -- files -------------------------------------------------------------------------------------------------------


def test_a_figure_is_shown_as_an_image_that_can_do_nothing(client):
    answer = client.get(f"/figure/{result_id(0)}")
    assert answer.mimetype == "image/png"
    assert answer.data.startswith(b"\x89PNG")
    assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_files_are_downloads_whatever_they_are_called(client, results_store, docdb_uri, database, root):
    hostile = provenance(50, root=root, figure="page.svg")
    page = b"<script>alert(1)</script>"
    files = {"page.html": page, "page.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>", 'a"b\u00e4 c.txt': b"x"}
    publish(results_store, record_store(docdb_uri, database), hostile, files)
    answer = client.get(f"/file/{hostile.result_id}/page.html")
    assert (answer.data, answer.mimetype) == (page, "application/octet-stream")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="page.html"'
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    named = client.get(f"/file/{hostile.result_id}/a%22b%C3%A4 c.txt")
    assert named.headers["Content-Disposition"] == 'attachment; filename="a_b_c.txt"'
    drawn = client.get(f"/figure/{hostile.result_id}")
    assert drawn.mimetype == "image/svg+xml"
    assert "default-src 'none'" in drawn.headers["Content-Security-Policy"]


def test_a_record_is_a_download(client):
    answer = client.get(f"/record/{result_id(1)}")
    assert json.loads(answer.data)["_id"] == result_id(1)
    assert answer.headers["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize(
    "place",
    [
        f"/file/{result_id(0)}/secret.txt",
        f"/file/{result_id(0)}/../{result_id(1)}/numbers.csv",
        f"/file/{result_id(0)}/%2e%2e/%2e%2e/x",
        f"/file/{result_id(39)}/figure.png",
        "/file/short/figure.png",
        f"/file/{result_id(0).upper()}/figure.png",
        f"/figure/{result_id(39)}",
        "/figure/%7B%22$ne%22:1%7D",
        f"/record/{'0' * 64}",
        "/download.csv?analysis=nothing",
    ],
)
def test_what_a_result_does_not_have_is_not_found(client, place):
    answer = client.get(place, buffered=True)
    assert answer.status_code == 404
    assert "Traceback" not in answer.text


def test_files_below_another_root_are_not_read(client, docdb_uri, database, results_store):
    elsewhere = provenance(60, root="other-bucket")
    record_store(docdb_uri, database).commit(to_record(elsewhere))
    answer = client.get(f"/figure/{elsewhere.result_id}")
    assert answer.status_code == 404
    assert f"not below s3://{results_store.root}" in answer.text
    assert answer.mimetype == "text/plain"


# -- downloads ---------------------------------------------------------------------------------------------------


def test_the_listed_rows_are_downloaded_in_their_order(client):
    search = "?analysis=quality&facet=subject&value=subject1&sort=duration_s"
    rows = pl.read_csv(client.get(f"/download.csv{search}").data)
    assert rows["session"].to_list() == [f"session {n}" for n in range(1, 40, 5)]
    table = pl.read_parquet(io.BytesIO(client.get(f"/download.parquet{search}").data))
    assert table["outputs.rate_hz"].to_list() == rows["outputs.rate_hz"].to_list()
    assert not [name for name in table.columns if name.startswith("_")]


def test_texts_that_a_spreadsheet_would_run_are_neutralised_in_csv_alone(s3, root, docdb_uri, database):
    texts = ["=1+1", "+1", "-1", "@sum", "\tx", "plain", "a=b"]
    found = [
        provenance(n, root=root, session_names=(text,), outputs={"delta": -1.5, "=evil": 1.0})
        for n, text in enumerate(texts)
    ]
    write(s3, root, catalog_of(found))
    harness = make_harness(s3=s3, root=root, uri=docdb_uri, database=database)
    client = make_server(harness, login=None).test_client()
    rows = pl.read_csv(client.get("/download.csv?analysis=quality&sort=started").data)
    assert rows["session"].to_list() == ["'=1+1", "'+1", "'-1", "'@sum", "'\tx", "plain", "a=b"]
    assert rows["outputs.delta"].to_list() == [-1.5] * 7
    table = pl.read_parquet(io.BytesIO(client.get("/download.parquet?analysis=quality&sort=started").data))
    assert table["session"].to_list() == texts


# -- the page ----------------------------------------------------------------------------------------------------


def shown(answer):
    """Return the page as JSON text."""
    return json.dumps(answer)


def test_a_page_restores_its_address(client):
    search = f"?analysis=quality&x=outputs.rate_hz&log=x&q=session+1&show={result_id(0)[:20]}"
    found = shown(callback(client, "page.children", [prop("url.search", search)], changed=["url.search"]))
    assert '"value": "session 1"' in found
    assert "rate_hz (Hz)" in found
    assert "any more" not in found


@pytest.mark.parametrize(
    ("search", "reported"),
    [
        ("?analysis=<script>alert(1)</script>", "There is no analysis"),
        ("?analysis=quality&x=gone", "There is no column `gone`"),
        ("?analysis=quality&show=feed", "There is no result feed"),
        ("?analysis=quality&compare=feed", "There is no result feed"),
        ("?analysis=quality&filters={]", "filters of this address cannot be read"),
        ("?analysis=quality&nonsense=1", "nonsense"),
    ],
)
def test_an_address_with_nonsense_gives_a_page_and_a_note(client, search, reported):
    assert reported in shown(callback(client, "page.children", [prop("url.search", search)], changed=["url.search"]))


def rows_of(client, search, **request):
    """Ask for rows as the grid does."""
    requested = {"startRow": 0, "endRow": 100, "sortModel": [], "filterModel": {}} | request
    inputs = [prop("grid.getRowsRequest", requested)]
    found = callback(client, "..grid.getRowsResponse...count.children..", inputs, [prop("part-rows.data", search)])
    return found["grid"]["getRowsResponse"], found["count"]["children"]


def test_the_grid_gets_the_rows_that_it_asks_for(client):
    model = {"outputs.rate_hz": {"filterType": "number", "type": "lessThan", "filter": 2}}
    sort = [{"colId": "outputs.rate_hz", "sort": "asc"}]
    found, reported = rows_of(client, "?analysis=quality", startRow=2, endRow=4, filterModel=model, sortModel=sort)
    assert [row["session"] for row in found["rowData"]] == ["session 2", "session 3"]
    assert found["rowCount"] == 10
    assert reported == "10 of 40 results"


def test_all_analyses_are_one_table(client):
    found, reported = rows_of(client, "")
    assert reported == "40 of 40 results"
    assert {row["analysis"] for row in found["rowData"]} == {NAME}


@pytest.mark.parametrize(
    "request_",
    [{"startRow": "x"}, {"filterModel": [1]}, {"sortModel": [{"colId": {"$gt": 1}}]}, {"sortModel": {"a": 1}}],
)
def test_a_grid_that_asks_for_nonsense_gets_rows_or_an_error_and_no_more(client, request_):
    requested = {"startRow": 0, "endRow": 2} | request_
    body = {
        "output": "..grid.getRowsResponse...count.children..",
        "outputs": [{"id": "grid", "property": "getRowsResponse"}, {"id": "count", "property": "children"}],
        "inputs": [prop("grid.getRowsRequest", requested)],
        "state": [prop("part-rows.data", "?analysis=quality")],
        "changedPropIds": [],
    }
    assert client.post("/_dash-update-component", json=body).status_code == 200


def button(kind, row, clicks):
    """Write a button of a row, and the name of its clicks, as the page sends them."""
    found = {"id": {"type": kind, "row": row}, "property": "n_clicks", "value": clicks}
    return found, f'{{"row":"{row}","type":"{kind}"}}.n_clicks'


def test_a_click_that_comes_with_new_buttons_and_a_request_of_the_grid_is_that_click(client):
    compared, clicked = (result_id(number)[:20] for number in (1, 2))
    (pressed, pressed_name), (added, added_name) = button("compare", clicked, 1), button("uncompare", compared, None)
    found = callback(
        client,
        f"..view.data...{'...'.join(f'part-{name}.data' for name in PARTS)}..",
        [*(prop(name, None) for name in EVENTS), [], [], [pressed], [added]],
        state=[prop("view.data", f"?analysis=quality&compare={compared}")],
        changed=["grid.getRowsRequest", added_name, pressed_name],
    )
    assert from_search(found["view"]["data"])[0].compare == (compared, clicked)


def details_of(client, row):
    """Ask for the details of a row."""
    return shown(callback(client, "details.children", [prop("part-details.data", f"?analysis=quality&show={row}")]))


def test_details_tell_everything_and_link_to_dagster(client):
    found = details_of(client, result_id(2)[:20])
    one = provenance(2)
    assert f"/assets/analysis/{NAME}?view=partitions&partition={one.job_key}" in found
    assert "/runs/run-2" in found
    assert f"/file/{one.result_id}/numbers.csv" in found
    assert f"/figure/{one.result_id}" in found
    assert "rate_hz (Hz)" in found
    assert "session_2" in found


def test_details_without_a_record_tell_what_the_table_has(client):
    found = details_of(client, result_id(20)[:20])
    assert "no readable record" in found
    assert "rate_hz (Hz)" in found


def test_two_results_are_compared_field_by_field(client):
    search = f"?analysis=quality&compare={result_id(0)[:20]}&compare={result_id(1)[:20]}"
    found = callback(client, "..comparison.children...compare-part.hidden..", [prop("part-compare.data", search)])
    assert found["compare-part"]["hidden"] is False
    reported = shown(found)
    assert "fields differ" in reported
    assert '"+0.1"' in reported


def test_selected_points_are_shown_side_by_side(client):
    search = '?analysis=quality&x=outputs.rate_hz&selection={"box":{"x":[1,1.35]}}'
    found = callback(client, "..gallery.children...gallery-part.hidden..", [prop("part-gallery.data", search)])
    reported = shown(found)
    assert "4 selected." in reported
    assert all(f"/figure/{result_id(n)}" in reported for n in range(4))


def test_a_plot_is_drawn(client):
    search = "?analysis=quality&x=outputs.rate_hz&y=outputs.n_units"
    found = callback(
        client, "..plot.figure...plot-note.children..", [prop("part-plot.data", search)], [prop("view.data", search)]
    )
    assert found["plot-note"]["children"] == "40 results drawn."
    assert found["plot"]["figure"]["data"][0]["type"] == "scatter"


# -- nothing is written ------------------------------------------------------------------------------------------


class Asked(monitoring.CommandListener):
    """Notes which commands MongoDB gets."""

    def __init__(self):
        self.commands = set()

    def started(self, event):
        """Note one command."""
        self.commands.add(event.command_name)

    def succeeded(self, event):
        """Take no notice."""

    failed = succeeded


def test_everything_that_can_be_done_only_reads(s3, root, results_store, docdb_uri, database):
    publish(results_store, record_store(docdb_uri, database), provenance(0, root=root))
    uri, operations = by_another_name(docdb_uri), set()
    s3.client.meta.events.register("before-call.s3", lambda model, **_: operations.add(model.name), unique_id="asked")
    try:
        harness = make_harness(s3=s3, root=root, uri=uri, database=database, store=results_store)
        with listening(Asked(), uri) as requested:
            client = make_server(harness, login=None).test_client()
            rows_of(client, "?analysis=quality")
            details_of(client, result_id(0)[:20])
            search = f"?analysis=quality&compare={result_id(0)[:20]}"
            callback(client, "..comparison.children...compare-part.hidden..", [prop("part-compare.data", search)])
            for place in PLACES:
                client.get(place, buffered=True)
        seen = set(operations)
    finally:
        s3.client.meta.events.unregister("before-call.s3", unique_id="asked")
        close_client(uri)
    assert requested.commands <= {"find", "hello", "getMore", "killCursors", "endSessions"}
    assert "find" in requested.commands
    assert seen <= {"HeadObject", "GetObject"}
    assert "GetObject" in seen
