"""`analysis submit`, `validate`, `rerun` and `rekey` on the command line."""

from typing import Annotated

import typer

from cli.terminal import AnalysisName, GivenValues, JobKeys, out, plain

Targets = Annotated[list[str], typer.Argument(metavar="FILE…", help="Job files, or NWB files as paths or URLs.")]


def submit(
    analysis: AnalysisName,
    files: Targets,
    values: GivenValues = None,
) -> None:
    """Request jobs by hand; they run while `analysis dev` or the daemon runs."""
    from domain.analysis.given_values import parse_settings
    from operations.platform import open_platform
    from operations.requests import submit as run_submit

    by_hand = parse_settings(values or [])
    with open_platform() as platform:
        for job in run_submit(platform, analysis, files, by_hand=by_hand):
            out.print(f"{job.state}  {job.job_key}  {plain(job.target)}", highlight=False, soft_wrap=True)


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
        text = "valid" + key if verdict.problem is None else f"rejected: {plain(verdict.problem)}"
        out.print(f"{plain(verdict.file)}: {text}", highlight=False, soft_wrap=True)
        for warning in verdict.warnings:
            out.print(f"  warning: {plain(warning)}", highlight=False, soft_wrap=True)
    if any(verdict.problem for verdict in verdicts):
        raise typer.Exit(2)


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
    key: JobKeys = None,
    force: Annotated[
        bool, typer.Option("--force", help="Compute again even if a result exists; requires --reason.")
    ] = False,
    reason: Annotated[str | None, typer.Option(help="Reason; kept with the replaced result.")] = None,
) -> None:
    """Request jobs again: failed, outdated or named ones."""
    from operations.outdated import outdated_summary
    from operations.platform import open_platform
    from operations.requests import ANY_FAULT
    from operations.requests import rerun as run_rerun

    if sum([failed, kind is not None, outdated, bool(key)]) != 1:
        raise typer.BadParameter("give exactly one of --failed, --kind, --outdated and --key")  # noqa: TRY003, EM101
    if force != bool(reason and reason.strip()):
        raise typer.BadParameter("--force and --reason go together")  # noqa: TRY003, EM101
    with open_platform() as platform:
        for line in outdated_summary(platform, analysis) if outdated else ():
            out.print(plain(line), highlight=False, soft_wrap=True)
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


def rekey(analysis: AnalysisName) -> None:
    """Add jobs under new keys after the Parameters model of an analysis changed."""
    from operations.platform import open_platform
    from operations.rekey import rekey as run_rekey

    with open_platform() as platform:
        found = run_rekey(platform, analysis)
    for job in found:
        text = job.new_key if job.problem is None else f"cannot be taken over: {plain(job.problem)}"
        out.print(f"{job.old_key} -> {text}", highlight=False, soft_wrap=True)
    out.print(f"Jobs whose key changed: {len(found)}.", highlight=False)
