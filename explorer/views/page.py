"""Renders the page: its parts and their labels."""

from typing import Any
from urllib.parse import urlencode

import dash_ag_grid as dag
import polars as pl
from dash import dcc, html

from explorer.data.analysis_data import Table
from explorer.data.columns import ANALYSIS, Column
from explorer.state import View, columns_shown, part, to_search
from explorer.views.panels import aria
from explorer.views.table import column_definitions

ALL = "All analyses"
PARTS: dict[str, tuple[str, ...]] = {
    "rows": ("analysis", "q", "facet", "values", "x", "y", "log_x", "log_y", "selection"),
    "plot": ("analysis", "filters", "q", "facet", "values", "x", "y", "colour", "log_x", "log_y"),
    "gallery": ("analysis", "filters", "q", "facet", "values", "x", "y", "log_x", "log_y", "selection", "sort"),
    "details": ("analysis", "show"),
    "compare": ("analysis", "compare"),
    "columns": ("analysis", "columns"),
    "facet": ("analysis", "facet"),
}
"""Fields of the state that each part of the page uses: it is rendered again when one of them changes."""

_BLOCK = 200
_TOOLS = ["select2d", "lasso2d", "zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]
_MOST_VALUES = 500


def part_of(view: View, name: str) -> str:
    """Return the part of the state that a part of the page uses, as the query of a URL."""
    return to_search(part(view, *PARTS[name]))


def shell() -> Any:
    """Return the page before its URL is known."""
    waiting = html.P("Reading the results …", role="status", className="quiet")
    return html.Div([dcc.Location(id="url", refresh=False), html.Main(waiting, id="page")])


def unknown(names: list[str], wanted: str) -> Any:
    """Return the page for an unknown analysis, with a list of the existing ones."""
    return [
        navigation(names, None),
        html.P(f"There is no analysis “{wanted[:100]}”. Choose one above.", className="note"),
    ]


def navigation(names: list[str], current: str | None) -> Any:
    """Return links to all analyses."""
    links = [("", ALL), *((name, name) for name in names)]
    return html.Nav(
        [
            html.Span("Results", className="brand"),
            *(
                html.A(
                    text,
                    href=f"/?{urlencode({ANALYSIS: name})}" if name else "/",
                    className="current" if name == current else "",
                    **aria(**({"current": "page"} if name == current else {})),
                )
                for name, text in links
            ),
        ],
        **aria(label="Analyses"),
    )


def page(table: Table, names: list[str], view: View, notes: list[str], dagster_url: str) -> Any:
    """Return the page of a table."""
    shown_notes = [note for note in (*notes, table.note) if note]
    stores = [dcc.Store(id=f"part-{name}", data=part_of(view, name)) for name in PARTS]
    return [
        navigation(names, view.analysis),
        dcc.Store(id="view", data=to_search(view)),
        dcc.Store(id="picked"),
        dcc.Store(id="clicked"),
        *stores,
        html.Div(
            [html.P(note) for note in shown_notes], className="note", role="status", hidden=not shown_notes, id="notes"
        ),
        html.Div(
            [_table_part(table, view, dagster_url), html.Aside(id="details", **aria(live="polite"))],
            className="columns",
        ),
        html.Section(
            [html.H2("Plot"), _axes(table, view), _plot(), html.P(id="plot-note", className="quiet", role="status")],
            **aria(label="Plot"),
        ),
        html.Section([html.H2("Selected in the plot"), html.Div(id="gallery")], id="gallery-part", hidden=True),
        html.Section([html.H2("Comparison"), html.Div(id="comparison")], id="compare-part", hidden=True),
    ]


def options(columns: dict[str, Column], *, only: tuple[str, ...] = ("text", "number", "time")) -> list[dict[str, str]]:
    """Return columns as options of a list."""
    return [{"label": one.long_title, "value": one.name} for one in columns.values() if one.kind in only]


def values_of(table: Table, name: str) -> list[str]:
    """Return the most frequent values of a column as options."""
    texts = table.frame[name].cast(pl.String).drop_nulls()
    common = texts.value_counts(sort=True).head(_MOST_VALUES)
    return sorted(common[name].to_list())


def _table_part(table: Table, view: View, dagster_url: str) -> Any:
    """Return the table with its filters."""
    title = view.analysis or ALL
    link = f"{dagster_url}/assets/analysis/{view.analysis}" if view.analysis else f"{dagster_url}/assets"
    return html.Section(
        [
            html.Div(
                [
                    html.H2(title),
                    html.A("Open in Dagster", href=link, target="_blank", rel="noreferrer", className="out"),
                ],
                className="bar",
            ),
            html.Div(
                [
                    _labelled(
                        "Search subject, session or tag", dcc.Input(id="q", type="search", value=view.q, debounce=0.4)
                    ),
                    _labelled(
                        "Only some values of",
                        dcc.Dropdown(
                            id="facet", options=options(table.columns), value=view.facet or None, placeholder="a column"
                        ),
                    ),
                    _labelled(
                        "these values",
                        dcc.Dropdown(
                            id="values",
                            options=values_of(table, view.facet) if view.facet else [],
                            value=list(view.values),
                            multi=True,
                            placeholder="any",
                        ),
                    ),
                    _labelled(
                        "Columns",
                        dcc.Dropdown(
                            id="columns",
                            options=options(table.columns),
                            value=list(columns_shown(view, table.columns)),
                            multi=True,
                        ),
                        wide=True,
                    ),
                ],
                className="controls",
            ),
            html.Div(
                [
                    html.Span(id="count", role="status"),
                    html.Button("Clear the selection", id="clear", className="plain", hidden=not view.selection),
                    html.A("Download CSV", id="csv", href=f"/download.csv{to_search(view)}"),
                    html.A("Download Parquet", id="parquet", href=f"/download.parquet{to_search(view)}"),
                ],
                className="bar",
            ),
            _grid(table, view),
        ],
        className="main",
        **aria(label="Table of results"),
    )


def _grid(table: Table, view: View) -> Any:
    """Return the grid; the browser requests the visible rows."""
    return dag.AgGrid(
        id="grid",
        rowModelType="infinite",
        columnDefs=column_definitions(table, view),
        filterModel=view.filters,
        getRowId="params.data._row",
        defaultColDef={
            "sortable": True,
            "resizable": True,
            "floatingFilter": True,
            "minWidth": 110,
            "cellDataType": False,
        },
        dashGridOptions={
            "suppressFieldDotNotation": True,
            "rowHeight": 34,
            "headerHeight": 38,
            "floatingFiltersHeight": 38,
            "cacheBlockSize": _BLOCK,
            "maxBlocksInCache": 20,
            "infiniteInitialRowCount": 1,
            "rowBuffer": 0,
            "alwaysMultiSort": False,
            "multiSortKey": "ctrl",
            "rowSelection": {"mode": "singleRow", "checkboxes": False, "enableClickSelection": True},
            "localeText": {"noRowsToShow": "No result matches."},
            "enableCellTextSelection": True,
        },
        style={"height": "460px"},
    )


def _axes(table: Table, view: View) -> Any:
    """Return the controls of axes and color."""
    names = options(table.columns)
    return html.Div(
        [
            _labelled(
                "Horizontal axis", dcc.Dropdown(id="x", options=names, value=view.x or None, placeholder="choose")
            ),
            _labelled(
                "Vertical axis",
                dcc.Dropdown(id="y", options=names, value=view.y or None, placeholder="none: a histogram"),
            ),
            _labelled("Color", dcc.Dropdown(id="colour", options=names, value=view.colour or None, placeholder="none")),
            html.Fieldset(
                [
                    html.Legend("Logarithmic"),
                    dcc.Checklist(
                        id="log",
                        options=[{"label": "horizontal", "value": "x"}, {"label": "vertical", "value": "y"}],
                        value=[letter for letter in "xy" if getattr(view, f"log_{letter}")],
                        inline=True,
                    ),
                ]
            ),
        ],
        className="controls",
    )


def _plot() -> Any:
    tools: Any = {"displaylogo": False, "scrollZoom": True, "responsive": True, "modeBarButtons": [_TOOLS]}
    return html.Div(
        [
            html.P(
                "Drag a box, click points, or draw a lasso (toolbar): their figures are shown below, and the table lists them alone. Double-click undoes a box or lasso.",
                className="quiet",
            ),
            dcc.Graph(id="plot", config=tools, style={"height": "480px"}),
        ]
    )


def _labelled(text: str, control: Any, *, wide: bool = False) -> Any:
    """Return a control with its label, also for screen readers, which only read the selected option of a list."""
    return html.Div(
        [html.Label(text, htmlFor=control.id), control],
        className="control wide" if wide else "control",
        role="group",
        **aria(label=text),
    )
