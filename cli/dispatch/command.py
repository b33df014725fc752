"""`analysis dispatch` on the command line: an option for each option of a dispatch, with its description and default."""

import inspect
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from cli.terminal import AnalysisName, err, out, plain, print_json
from dispatch.model.options import DispatchOptions, read_options
from dispatch.model.report import DispatchPlan
from domain.errors import DispatchError
from domain.json_values import MAX_BYTES

WORDS = {
    "query": ("--query", "JSON|FILE"),
    "asset_csv": ("--asset-csv", "FILE"),
    "asset_ids": ("--asset-id", "ID"),
    "records": ("--record", "ID|NAME|URL"),
    "file_extension": ("--file-extension", "TEXT"),
    "split_files": ("--split-files/--no-split-files", None),
    "group_by": ("--group-by", "FIELD"),
    "group_parameters": ("--group-parameter", "FIELD=NAME"),
    "filter_latest": ("--filter-latest", "FIELD"),
    "filter_by": ("--filter-by", "FIELD"),
    "unwind_list_fields": ("--unwind-list-fields", "FIELD"),
    "drop_null_groups": ("--drop-null-groups/--keep-null-groups", None),
    "parameters": ("--parameters", "JSON|FILE"),
    "set_values": ("--set", "NAME=VALUE"),
    "sweep": ("--sweep", "JSON|FILE"),
    "sweep_mode": ("--sweep-mode", None),
    "max_jobs": ("--max-jobs", "NUMBER"),
    "files_per_folder": ("--files-per-folder", "NUMBER"),
    "check_inputs": ("--check-inputs", None),
    "max_records": ("--max-records", "NUMBER"),
    "time_limit_s": ("--time-limit-s", "SECONDS"),
}
"""Name and metavar of each option."""

_TEXT_OR_FILE = ("query", "parameters", "sweep")


def dispatch(analysis: str, *, plan: bool, save: str | None, cron: str | None, as_json: bool, **words: Any) -> None:
    """Find data assets and write a job file for each that is neither done nor requested.

    Start with --plan: it shows what would be written, what would not, and why, and writes nothing.
    """
    from cli.dispatch.run import run_dispatch, save_dispatch
    from operations.platform import open_platform

    options = _options(words)
    with open_platform() as platform:
        if save is not None or cron is not None:
            path = save_dispatch(platform, analysis, options, name=save, cron=cron)
            out.print(
                f"Saved as {plain(path)}. Reload the code location to put it on.", highlight=False, soft_wrap=True
            )
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=err, transient=True) as shown:
            done = run_dispatch(platform, analysis, options, plan_only=plan, progress=_progress(shown))
    if as_json:
        print_json(done.as_dict())
        return
    _show(done.plan)
    out.print(plain(done.message), highlight=False, soft_wrap=True)


def _options(words: dict[str, Any]) -> DispatchOptions:
    """Parse the options; contents of files are read now."""
    given = {name: value for name, value in words.items() if value is not None}
    for name in _TEXT_OR_FILE:
        if given[name] and not given[name].lstrip().startswith(("{", "[")):
            given[name] = _text_of(Path(given[name]))
    if given["asset_csv"]:
        given["asset_csv"] = _text_of(Path(given["asset_csv"]))
    return read_options(given)


def _text_of(path: Path) -> str:
    """Return the content of a file that is given instead of a text."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror}."
        raise DispatchError(msg) from None
    except UnicodeDecodeError:
        msg = f"{path}: is not UTF-8. Save it as UTF-8."
        raise DispatchError(msg) from None
    if len(data) > MAX_BYTES:
        msg = f"{path}: is larger than 1 MiB. Give a part of it at a time."
        raise DispatchError(msg)
    return text


def _show(plan: DispatchPlan) -> None:
    whole = [Column(name, overflow="fold") for name in ("what", "of", "more")]  # never cut in a narrow terminal
    table = Table(*whole)
    for row in plan.rows():
        table.add_row(*(plain(cell) for cell in row))
    if table.row_count:
        out.print(table)
    out.print(plain(plan.summary), highlight=False, soft_wrap=True)
    for reason, number in plan.counts.items():
        out.print(f"{number:7d}  {reason}", highlight=False)
    for warning in plan.warnings:
        err.print(f"[yellow]Warning:[/yellow] {plain(warning)}", highlight=False, soft_wrap=True)


def _progress(shown: Progress) -> Any:
    """Return a progress callback that shows a bar for each step."""
    bars: dict[str, Any] = {}

    def progress(what: str, done: int, total: int) -> None:
        """Update the bar of a step; a repeated step restarts its bar."""
        if what not in bars:
            bars[what] = shown.add_task(plain(what), total=total)
        shown.update(bars[what], completed=done, total=total)

    return progress


def _signature() -> list[inspect.Parameter]:
    """Return the signature of the command: its own parameters, and one for each option of a dispatch."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    own = {
        "plan": (bool, False, typer.Option("--plan", help="Show what would be written and write nothing.")),
        "save": (
            str | None,
            None,
            typer.Option("--save", metavar="NAME", help="Save the options as a dispatch of this name; needs `--cron`."),
        ),
        "cron": (
            str | None,
            None,
            typer.Option("--cron", metavar="TIMES", help="When the saved dispatch runs (UTC), as five fields of cron."),
        ),
        "as_json": (bool, False, typer.Option("--json", help="Print JSON for scripts.")),
    }
    parameters = [inspect.Parameter("analysis", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=AnalysisName)]
    for option, field in DispatchOptions.model_fields.items():
        word, what = WORDS[option]
        is_list = isinstance(field.default, list)
        kind: Any = list[str] | None if is_list else field.annotation
        annotation = Annotated[kind, typer.Option(word, metavar=what, help=field.description)]
        default = None if is_list else field.default
        parameters.append(inspect.Parameter(option, keyword, default=default, annotation=annotation))
    for option, (kind, default, words) in own.items():
        parameters.append(inspect.Parameter(option, keyword, default=default, annotation=Annotated[kind, words]))
    return parameters


dispatch.__signature__ = inspect.Signature(_signature())  # type: ignore[attr-defined]
dispatch.__annotations__ = {found.name: found.annotation for found in _signature()}
