"""Renders single results: details, figures side by side, and the comparison."""

from typing import Any
from urllib.parse import quote

from dash import html

from domain.errors import PlatformError
from domain.result.search_entries import OUTPUTS, PARAMETERS
from explorer.context import ExplorerContext
from explorer.data.columns import Column
from explorer.data.facts import PARTS, Facts, label, text_of
from explorer.files import is_image, listed, result_named
from explorer.views.comparing import Line, compared

_HEADINGS = {
    PARAMETERS: "Parameters",
    OUTPUTS: "Outputs",
    "code": "Code",
    "inputs": "Inputs",
    "times": "Times and memory",
    "where": "Where it is",
}
_MOST_FILES = 200
_KILO = 1024


def aria(**texts: str) -> Any:
    """Return attributes for screen readers."""
    return {f"aria-{name}": text for name, text in texts.items()}


def figure_of(facts: Facts) -> Any:
    """Return the figure of a result, or a message why there is none."""
    path = facts.row.get("figure")
    if facts.row.get("failure"):
        return html.P(f"Failed ({facts.row.get('failure_kind')}): {facts.row['failure']}", className="failure")
    if facts.result_id is None or not path:
        return html.P("This analysis names no figure.", className="quiet")
    if not is_image(str(path)):
        return html.A(f"Download the figure {path}", href=file_url(facts.result_id, str(path)))
    address = f"/figure/{facts.result_id}"
    picture = html.Img(src=address, alt=f"Figure of {facts.title}")
    return html.A(picture, href=address, target="_blank", title="Open the figure alone", className="figure")


def file_url(result_id: str, path: str) -> str:
    """Return the URL of a file in the explorer."""
    return f"/file/{result_id}/{quote(path)}"


def details(context: ExplorerContext, facts: Facts, columns: dict[str, Column]) -> Any:
    """Return the details of one row."""
    return html.Section(
        [
            html.Div(
                [html.H2(facts.title), html.Button("Close", id={"type": "hide", "row": facts.name}, className="plain")],
                className="bar",
            ),
            html.P(
                [
                    html.Span(facts.row.get("state"), className=f"state {facts.row.get('state')}"),
                    *_links(context, facts),
                ]
            ),
            *([html.P(facts.note, className="note")] if facts.note else []),
            _compare_button(facts),
            figure_of(facts),
            *(_part(part, facts, columns) for part in PARTS),
            *_files(context, facts),
        ],
        **aria(label="Details of one result"),
    )


def gallery(found: list[tuple[Facts, Column | None, Column | None]], total: int, most: int) -> Any:
    """Return the figures of results side by side.

    Parameters
    ----------
    found : list of tuple
        Facts of each result, and the columns of the axes.
    total, most : int
        Number of selected results, and maximum number of shown ones.
    """
    if not total:
        return html.P("Nothing is there. Drag a box over other points.", className="quiet")
    more = f" The first {most} are shown; the table lists all." if total > most else ""
    return [
        html.P(f"{total:,} selected.{more}", role="status"),
        html.Div([_card(*one) for one in found], className="cards"),
    ]


def comparison(pair: list[Facts], columns: dict[str, Column], missing: int) -> Any:
    """Return two results field by field, different fields first in each part."""
    chips = html.Div(
        [
            html.Span(
                [one.title, " ", html.Button("Remove", id={"type": "uncompare", "row": one.name}, className="plain")]
            )
            for one in pair
        ],
        className="bar chips",
    )
    gone = [html.P("A result of this address is not in the table any more.", className="note")] if missing else []
    if len(pair) < 2:  # noqa: PLR2004  a comparison has two rows
        hint = "Choose one more: open its details, or use the button below its figure." if pair else ""
        return [chips, *gone, html.P(hint, className="quiet")]
    lines = compared(*pair)
    different = sum(line.differs for line in lines)
    return [
        chips,
        *gone,
        html.P(
            f"{different} of {len(lines)} fields differ; they are marked and come first in each part.", role="status"
        ),
        html.Div([html.Div([html.H3(one.title), figure_of(one)]) for one in pair], className="cards two"),
        _comparison_table(lines, pair, columns),
    ]


def _comparison_table(lines: list[Line], pair: list[Facts], columns: dict[str, Column]) -> Any:
    head = html.Tr(
        [
            html.Th("field", scope="col"),
            *(html.Th(one.title, scope="col") for one in pair),
            html.Th("difference", scope="col"),
        ]
    )
    body: list[Any] = []
    for number, line in enumerate(lines):
        if not number or lines[number - 1].part != line.part:
            body.append(html.Tr(html.Th(_HEADINGS[line.part], colSpan=4, scope="colgroup"), className="part"))
        cells: list[Any] = [
            html.Th(
                [html.Span("≠ ", title="differs") if line.differs else "", label(line.part, line.name, columns)],
                scope="row",
            )
        ]
        cells += [html.Td(text_of(value)) for value in (line.first, line.second)]
        cells.append(html.Td("" if line.difference is None else f"{line.difference:+.6g}"))
        body.append(html.Tr(cells, className="differs" if line.differs else ""))
    return html.Div(html.Table([html.Thead(head), html.Tbody(body)], className="facts compared"), className="wide")


def _card(facts: Facts, x: Column | None, y: Column | None) -> Any:
    lines = [f"{one.title}: {text_of(facts.row.get(one.name))}" for one in (x, y) if one is not None]
    return html.Div(
        [
            html.H3(facts.title),
            figure_of(facts),
            html.P([part for text in lines for part in (text, html.Br())], className="quiet"),
            html.Div(
                [
                    html.Button("Details", id={"type": "show", "row": facts.name}, className="plain"),
                    _compare_button(facts),
                ],
                className="bar",
            ),
        ],
        className="card",
    )


def _compare_button(facts: Facts) -> Any:
    return html.Button("Compare this one", id={"type": "compare", "row": facts.name}, className="plain")


def _links(context: ExplorerContext, facts: Facts) -> list[Any]:
    """Return links to other pages about a row."""
    links = [("Partition in Dagster", context.partition_url(facts)), ("Run", context.run_url(facts))]
    if facts.provenance is not None:
        links += [
            ("Files", context.results.browse_url(facts.provenance.location)),
            ("Record", f"/record/{facts.result_id}"),
        ]
    return [
        html.A(text, href=address, target="_blank", rel="noreferrer", className="out")
        for text, address in links
        if address
    ]


def _part(part: str, facts: Facts, columns: dict[str, Column]) -> Any:
    values = {
        name: value for name, value in facts.parts[part].items() if part in {PARAMETERS, OUTPUTS} or value is not None
    }
    if not values:
        return html.Div()
    rows = [
        html.Tr([html.Th(label(part, name, columns), scope="row"), html.Td(text_of(v))]) for name, v in values.items()
    ]
    return html.Div([html.H3(_HEADINGS[part]), html.Table(html.Tbody(rows), className="facts")])


def _files(context: ExplorerContext, facts: Facts) -> list[Any]:
    if facts.provenance is None or facts.result_id is None:
        return []
    try:
        files = listed(context, result_named(context, facts.result_id))
    except PlatformError as error:
        return [html.H3("Files"), html.P(str(error), className="note")]
    shown = [
        html.Li([html.A(path, href=file_url(facts.result_id, path)), f" {_size(count)}"])
        for path, count in list(files.items())[:_MOST_FILES]
    ]
    more = [html.Li(f"and {len(files) - _MOST_FILES:,} more")] if len(files) > _MOST_FILES else []
    return [html.H3("Files"), html.Ul([*shown, *more])]


def _size(count: int) -> str:
    if count < _KILO:
        return f"{count} bytes"
    return f"{count / _KILO:,.0f} kB" if count < _KILO**2 else f"{count / _KILO**2:,.1f} MB"
