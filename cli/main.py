"""The `analysis` command: every command by its name, over the functions that do the work.

Exit codes: 0 fine; 2 what the user gave is wrong (a reason, no traceback); 1 the platform failed.
"""

import logging
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from cli.audit.command import audit, clean
from cli.dispatch.command import dispatch
from cli.explain.command import explain
from cli.explore.command import explore
from cli.lifecycle import alerts, cancel, invalidate, resume
from cli.results.command import archive, results
from cli.terminal import AnalysisName, AsJson, out, plain, print_json, told
from domain.counted import counted

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Run an analysis on many recording sessions and trace every result to its inputs, parameters and code. To start: demo, "
    "then dev. To inspect: results, explain. To retry: rerun. Terms such as job key are explained in docs/glossary.md. Exit "
    "codes: 0 success, 1 the platform failed, 2 invalid input.",
)
Targets = Annotated[list[str], typer.Argument(metavar="FILE…", help="Job files, or NWB files as paths or URLs.")]


@app.command()
@told
def demo(
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder with your own NWB files, instead of synthetic sessions.", exists=True, file_okay=False
        ),
    ] = None,
) -> None:
    """Run a demonstration on this machine: synthetic sessions, two analyses, results; requested twice, computed once."""
    from cli.demo.run import demo as run_demo

    if not run_demo(data=data, console=out):
        raise typer.Exit(1)


@app.command()
@told
def dev(port: Annotated[int, typer.Option(help="Port of the Dagster UI on 127.0.0.1.")] = 3000) -> None:
    """Run the platform until Ctrl-C: Dagster with its UI, and embedded MongoDB and S3 where none is configured."""
    from cli.dev import dev as run_dev

    raise typer.Exit(run_dev(port=port, say=out.print))


app.command()(told(dispatch))


@app.command()
@told
def new(
    context: typer.Context, name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new analysis.")]
) -> None:
    """Create a new analysis: its file, its test and its section in the documentation."""
    from cli.new import Places, new_analysis

    for path in new_analysis(name, places=context.find_object(Places)):
        out.print(f"wrote {plain(path)}", highlight=False, soft_wrap=True)
    out.print(f"Next: edit the first file, then  analysis try {name} FILE", highlight=False, soft_wrap=True)


@app.command(name="try")
@told
def try_(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the analysis.")],
    target: Annotated[str, typer.Argument(metavar="FILE", help="A job file, or an NWB file as path or URL.")],
    values: Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A parameter.")] = None,
    fixed: Annotated[
        Path | None,
        typer.Option(help="File of parameters that all jobs share, in the form of analysis_parameters.json."),
    ] = None,
    pdb: Annotated[bool, typer.Option("--pdb", help="Open the debugger where the analysis raises.")] = False,
) -> None:
    """Run one job in the foreground to test an analysis: no server is needed, nothing is stored."""
    from cli.new import Places
    from cli.show_trial import show_trial
    from cli.try_job import prepare
    from domain.analysis.given_values import parse_settings
    from resources.settings import load_settings

    folder, by_hand = (context.find_object(Places) or Places()).analyses, parse_settings(values or [])
    trial = prepare(name, target, settings=load_settings(), by_hand=by_hand, fixed_file=fixed, folder=folder)
    if not show_trial(trial, debug=pdb):
        raise typer.Exit(2)


@app.command()
@told
def describe(analysis: AnalysisName, as_json: AsJson = False) -> None:
    """Describe an analysis: parameters, outputs, tables, units, checks."""
    from cli.describe import describe as run_describe

    found = run_describe(analysis)
    if as_json:
        print_json(found.as_dict())
        return
    out.print(f"[bold]{found.name}[/bold]  {found.code_version}  {plain(', '.join(found.owners))}", highlight=False)
    out.print(f"{plain(found.file)}\n\n{plain(found.text)}\n", highlight=False, soft_wrap=True)
    for title, facts in (("parameter", found.parameters), ("output", found.outputs)):
        table = Table(title, "type", "unit", "default", "bounds", "meaning")
        for fact in facts:
            table.add_row(*map(plain, (fact.name, fact.kind, fact.unit, fact.default, fact.bounds, fact.meaning)))
        out.print(table)
    for file, columns in found.tables.items():
        table = Table(f"column of {file}", "type", "unit", "meaning")
        for fact in columns:
            table.add_row(*map(plain, (fact.name, fact.kind, fact.unit, fact.meaning)))
        out.print(table)
    for check, text in found.checks.items():
        out.print(f"check {check}: {plain(text)}", highlight=False)


@app.command()
@told
def submit(
    analysis: AnalysisName,
    files: Targets,
    values: Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A parameter.")] = None,
) -> None:
    """Request jobs by hand; they run while `analysis dev` or the daemon runs."""
    from domain.analysis.given_values import parse_settings
    from operations.platform import open_platform
    from operations.requests import submit as run_submit

    by_hand = parse_settings(values or [])
    with open_platform() as platform:
        for job in run_submit(platform, analysis, files, by_hand=by_hand):
            out.print(f"{job.state}  {job.job_key}  {plain(job.target)}", highlight=False, soft_wrap=True)


@app.command()
@told
def validate(
    files: Annotated[list[str], typer.Argument(metavar="FILE…", help="Job files.")],
    analysis: Annotated[str | None, typer.Option(help="Also validate the parameters against this analysis.")] = None,
) -> None:
    """Check whether job files would be ingested, and if not, why."""
    from operations.platform import open_platform
    from operations.requests import validate as run_validate

    with open_platform() as platform:
        verdicts = run_validate(platform, files, analysis=analysis)
    for verdict in verdicts:
        key = f"  job {verdict.job_key}" if verdict.job_key else ""
        told = "valid" + key if verdict.problem is None else f"rejected: {plain(verdict.problem)}"
        out.print(f"{plain(verdict.file)}: {told}", highlight=False, soft_wrap=True)
        for warning in verdict.warnings:
            out.print(f"  warning: {plain(warning)}", highlight=False, soft_wrap=True)
    if any(verdict.problem for verdict in verdicts):
        raise typer.Exit(2)


app.command()(told(explain))


app.command()(told(results))
app.command()(told(explore))
app.command()(told(archive))


@app.command()
@told
def rerun(  # noqa: PLR0913, PLR0917  one for each option
    analysis: AnalysisName,
    failed: Annotated[
        bool, typer.Option("--failed", help="All failed jobs, except cancelled and invalidated ones.")
    ] = False,
    kind: Annotated[
        str | None,
        typer.Option(help="All jobs with this kind of failure, such as `server`; docs/errors.md lists the kinds."),
    ] = None,
    outdated: Annotated[bool, typer.Option("--outdated", help="Results from an older code version.")] = False,
    key: Annotated[
        list[str] | None,
        typer.Option(help="Job key, from `results`, `explain` or the page of a run; may be repeated."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Compute again even if a result exists; requires --reason.")
    ] = False,
    reason: Annotated[str | None, typer.Option(help="Reason; kept with the replaced result.")] = None,
) -> None:
    """Request jobs again: failed, outdated or named ones."""
    from operations.platform import open_platform
    from operations.requests import ANY_FAULT
    from operations.requests import rerun as run_rerun

    if sum([failed, kind is not None, outdated, bool(key)]) != 1:
        raise typer.BadParameter("give exactly one of --failed, --kind, --outdated and --key")  # noqa: TRY003, EM101
    if force != bool(reason and reason.strip()):
        raise typer.BadParameter("--force and --reason go together")  # noqa: TRY003, EM101
    with open_platform() as platform:
        chosen = run_rerun(
            platform,
            analysis,
            failed=ANY_FAULT if failed else kind,
            outdated=outdated,
            keys=key or [],
            force_reason=reason,
        )
    running = len(set(key or []) - set(chosen))
    left = f" {running} are running and left to their run." if running else ""
    out.print(f"Requested again: {len(chosen)}.{left}", highlight=False)


app.command()(told(cancel))
app.command()(told(invalidate))
app.command()(told(resume))
app.command()(told(alerts))
app.command()(told(audit))
app.command()(told(clean))


@app.command()
@told
def rekey(analysis: AnalysisName) -> None:
    """Add jobs under new keys after the Parameters model of an analysis changed."""
    from operations.platform import open_platform
    from operations.rekey import rekey as run_rekey

    with open_platform() as platform:
        found = run_rekey(platform, analysis)
    for job in found:
        told = job.new_key if job.problem is None else f"cannot be taken over: {plain(job.problem)}"
        out.print(f"{job.old_key} -> {told}", highlight=False, soft_wrap=True)
    out.print(f"{counted(len(found), 'job')} no longer had their key.", highlight=False)


def main() -> None:
    """Run the `analysis` command."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    app()
