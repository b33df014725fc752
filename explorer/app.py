"""The Dash application: thin callbacks over the functions of this package.

The state of the page is its URL (`explorer.state`). One callback changes it; each part of the page is rendered again
when its part of the state has changed. The server keeps no state, so any process can answer any request. See
https://dash.plotly.com/sharing-data-between-callbacks for why.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dash
from dash import ALL, ClientsideFunction, Input, Output, State, ctx, no_update
from flask import Flask

from explorer.changes import changed
from explorer.context import ExplorerContext
from explorer.data.analysis_data import Table
from explorer.data.facts import Facts, facts_of
from explorer.state import MOST_CHOSEN, View, fitted, from_search, to_search, with_axes
from explorer.views.page import PARTS, page, part_of, shell, unknown, values_of
from explorer.views.panels import comparison, details, gallery
from explorer.views.plots import draw
from explorer.views.table import column_definitions, listed, matching, row_named
from explorer.views.table import page as page_of

EVENTS = {
    "grid.getRowsRequest": "grid",
    "grid.selectedRows": "row",
    "columns.value": "columns",
    "q.value": "q",
    "facet.value": "facet",
    "values.value": "values",
    "x.value": "x",
    "y.value": "y",
    "colour.value": "colour",
    "log.value": "log",
    "picked.data": "picked",
    "clicked.data": "clicked",
    "clear.n_clicks": "clear",
}
"""Properties of controls, and the events that their changes are."""
_INDEX = """<!DOCTYPE html>
<html lang="en">
<head>{%metas%}<title>{%title%}</title>{%favicon%}{%css%}</head>
<body>{%app_entry%}<footer>{%config%}{%scripts%}{%renderer%}</footer></body>
</html>"""
_BUTTONS = ("show", "hide", "compare", "uncompare")


def make_app(context: ExplorerContext, server: Flask) -> dash.Dash:
    """Return the application on a Flask server.

    Parameters
    ----------
    context : ExplorerContext
        Tables, records and files to show.
    server : Flask
        Server to add the routes to; it is responsible for login and headers.
    """
    app = dash.Dash(
        "explorer",
        server=server,  # type: ignore[arg-type]  # dash takes a Flask server too, as its documentation says
        title="Results explorer",
        update_title="",
        serve_locally=True,
        compress=False,
        assets_folder=str(_assets()),
        index_string=_INDEX,
        add_log_handler=False,
    )
    app.layout = shell()
    app.validation_layout = None
    app.config.suppress_callback_exceptions = True  # the page is rendered when its URL is known
    _Callbacks(context).register(app)
    return app


def seen(context: ExplorerContext, search: str) -> tuple[Table, View, list[str]]:
    """Return table, view and notes for the query of a URL.

    Raises
    ------
    KeyError
        If the analysis does not exist.
    """
    requested, notes = from_search(search)
    table = context.tables.table(requested.analysis)
    view, more = fitted(requested, table.columns)
    return table, view, notes + more


def facts_named(context: ExplorerContext, table: Table, name: str) -> Facts | None:
    """Return the facts of a row by its short name; None if there is no such row."""
    row = row_named(table, name) if name else None
    return None if row is None else facts_of(row, context.records)


class _Callbacks:
    """The callbacks of the application."""

    def __init__(self, context: ExplorerContext) -> None:
        self._context = context

    def register(self, app: dash.Dash) -> None:
        """Register the callbacks with the application."""
        add = app.callback
        add(Output("page", "children"), Input("url", "search"))(self.whole)
        buttons = [Input({"type": kind, "row": ALL}, "n_clicks") for kind in _BUTTONS]
        events = [Input(part, what) for part, _, what in (name.partition(".") for name in EVENTS)]
        outputs = [Output("view", "data"), *(Output(f"part-{name}", "data") for name in PARTS)]
        add(outputs, events, buttons, State("view", "data"), prevent_initial_call=True)(self.change)
        add(
            Output("grid", "getRowsResponse"),
            Output("count", "children"),
            Input("grid", "getRowsRequest"),
            State("part-rows", "data"),
        )(self.rows)
        add(Output("grid", "columnDefs"), Input("part-columns", "data"), prevent_initial_call=True)(self.columns)
        add(Output("values", "options"), Input("part-facet", "data"), prevent_initial_call=True)(self.values)
        add(
            Output("plot", "figure"), Output("plot-note", "children"), Input("part-plot", "data"), State("view", "data")
        )(self.plot)
        add(Output("gallery", "children"), Output("gallery-part", "hidden"), Input("part-gallery", "data"))(
            self.gallery
        )
        add(Output("details", "children"), Input("part-details", "data"))(self.details)
        add(Output("comparison", "children"), Output("compare-part", "hidden"), Input("part-compare", "data"))(
            self.compare
        )
        add_here: Any = app.clientside_callback
        for name, output, *inputs in _IN_THE_BROWSER:
            add_here(ClientsideFunction("explorer", name), output, *inputs, prevent_initial_call=True)

    def whole(self, search: str | None) -> Any:
        """Return the page of a URL."""
        names = list(self._context.tables.entries)
        try:
            table, view, notes = seen(self._context, search or "")
        except KeyError:
            return unknown(names, from_search(search or "")[0].analysis)
        view = with_axes(view, table.columns)
        missing = [name for name in (view.show, *view.compare) if name and row_named(table, name) is None]
        notes += [f"There is no result {name[:30]} in this table any more." for name in dict.fromkeys(missing)]
        return page(table, names, view, notes, self._context.dagster_url)

    def change(self, *values: Any) -> list[Any]:
        """Update the state after events of controls."""
        before = values[-1]
        table, old, _ = seen(self._context, before)
        view = old
        for what, value in _events():
            view = changed(table, view, what, value)
        view, _ = fitted(view, table.columns)
        search = to_search(view)
        if search == to_search(old):
            return [no_update] * (1 + len(PARTS))
        parts = [(part_of(old, name), part_of(view, name)) for name in PARTS]
        return [search, *(new if new != was else no_update for was, new in parts)]

    def rows(self, request: dict[str, Any] | None, search: str) -> tuple[Any, Any]:
        """Return the rows that the grid requests."""
        if request is None:
            return no_update, no_update
        table, view, _ = seen(self._context, search)
        view, _ = fitted(changed(table, view, "grid", request), table.columns)
        found = listed(table, view)
        start, end = (_whole(request.get(name)) for name in ("startRow", "endRow"))
        total = f"{found.height:,} of {table.frame.height:,} results"
        return {"rowData": page_of(found, start, end), "rowCount": found.height}, total

    def columns(self, search: str) -> Any:
        """Return the definitions of the shown columns."""
        table, view, _ = seen(self._context, search)
        return column_definitions(table, view)

    def values(self, search: str) -> Any:
        """Return the options of the value list."""
        table, view, _ = seen(self._context, search)
        return values_of(table, view.facet) if view.facet else []

    def plot(self, search: str, whole: str) -> tuple[Any, str]:
        """Return the plot with its selection."""
        table, view, _ = seen(self._context, search)
        selected, _ = from_search(whole)
        same_axes = (selected.x, selected.y) == (view.x, view.y)
        drawing = draw(
            table, matching(table, view), fitted(_with_selection(view, selected, same_axes), table.columns)[0]
        )
        return drawing.figure, drawing.note

    def gallery(self, search: str) -> tuple[Any, bool]:
        """Return the figures of the selected results."""
        table, view, _ = seen(self._context, search)
        if not view.selection:
            return [], True
        found = listed(table, view)
        axes = [table.columns.get(name) for name in (view.x, view.y)]
        rows = found.head(MOST_CHOSEN).to_dicts()
        return gallery([(Facts(row, {}), axes[0], axes[1]) for row in rows], found.height, MOST_CHOSEN), False

    def details(self, search: str) -> Any:
        """Return the details of a row."""
        table, view, _ = seen(self._context, search)
        facts = facts_named(self._context, table, view.show)
        return [] if facts is None else details(self._context, facts, table.columns)

    def compare(self, search: str) -> tuple[Any, bool]:
        """Return the comparison of two rows."""
        table, view, _ = seen(self._context, search)
        if not view.compare:
            return [], True
        found = [facts_named(self._context, table, name) for name in view.compare]
        pair = [facts for facts in found if facts is not None]
        return comparison(pair, table.columns, len(found) - len(pair)), False


_IN_THE_BROWSER: list[tuple[Any, ...]] = [
    ("address", Output("csv", "href"), Input("view", "data")),
    ("parquet", Output("parquet", "href"), Input("view", "data")),
    ("refresh", Output("grid", "id"), Input("part-rows", "data")),
    ("picked", Output("picked", "data"), Input("plot", "selectedData")),
    ("clicked", Output("clicked", "data"), Input("plot", "clickData"), State("plot", "figure")),
    ("hasSelection", Output("clear", "hidden"), Input("view", "data")),
]
"""Callbacks without a server; the functions are in assets/explorer.js."""


def _events() -> Iterator[tuple[str, Any]]:
    """Yield the changed controls with their values.

    Dash may report several in one call: a click beside buttons that have just been added, or beside a request of the grid.
    """
    for one in ctx.triggered:
        name, value = one["prop_id"], one["value"]
        button = ctx.triggered_prop_ids.get(name)
        if name in EVENTS:
            yield EVENTS[name], value
        elif isinstance(button, dict) and value:  # a new button has no clicks
            yield str(button["type"]), str(button["row"])


def _whole(found: Any) -> int:
    """Return an integer; None for anything else."""
    return found if isinstance(found, int) else 0


def _with_selection(view: View, selected: View, same_axes: bool) -> View:  # noqa: FBT001  two views and a condition
    """Return a view with the selection of another one."""
    return replace(view, selection=selected.selection) if same_axes else view


def _assets() -> Path:
    return Path(__file__).parent / "assets"
