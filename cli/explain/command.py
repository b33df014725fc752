"""`analysis explain` on the command line."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from cli.terminal import AnalysisName, AsJson, out, plain, print_json

if TYPE_CHECKING:
    from cli.explain.history import History


def explain(
    analysis: AnalysisName,
    target: Annotated[str, typer.Argument(metavar="FILE|KEY", help="A job file, an NWB file or a job key.")],
    fixed: Annotated[
        Path | None, typer.Option(help="Fixed parameters to use instead of the inbox's analysis_parameters.json.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a job is, its state, why, and what to do next."""
    from cli.explain.run import explain as run_explain
    from operations.platform import open_platform
    from operations.queue import is_queued_in

    with open_platform() as platform:
        found = run_explain(platform, analysis, target, fixed_file=fixed, is_queued=is_queued_in(platform.settings))
    if as_json:
        print_json(found.as_dict())
        return
    out.print(f"[bold]{found.state}[/bold]: {plain(found.reason)}", highlight=False)
    for name in ("analysis", "job_key", "code_version", "result_id"):
        out.print(f"{name:13} {getattr(found, name)}", highlight=False, soft_wrap=True)
    for url in (*found.inputs["locations"], *found.inputs["files"]):
        out.print(f"input         {plain(url)}", highlight=False, soft_wrap=True)
    table = Table("parameter", "value", "origin")
    for name, value in found.parameters.items():
        table.add_row(name, plain(json.dumps(value)), found.origins.get(name, ""))
    out.print(table)
    _show_history(found.history)
    for label, where in found.stripped.items():
        out.print(f"ignored label `{plain(label)}` in {where}", highlight=False)


def _show_history(history: "History") -> None:
    out.print(f"why           {plain(history.why)}", highlight=False, soft_wrap=True)
    for name in history.asked_by:
        out.print(f"requested by  {plain(name)}", highlight=False, soft_wrap=True)
    if history.attempts:
        table = Table("started", "outcome", "error", "code", "run")
        for attempt in history.attempts:
            error = (attempt["error"] or {}).get("message", "")
            cells = (attempt["started"][:19], attempt["outcome"] or "running, or never ended", error)
            table.add_row(*map(plain, (*cells, attempt["code_version"] or "", attempt["run_id"])))
        out.print(table)
    for note in history.notes:
        out.print(f"note: {plain(note)}", highlight=False, soft_wrap=True)
