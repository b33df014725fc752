"""`analysis cancel`, `invalidate`, `resume` and `alerts` on the command line."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.terminal import AnalysisName, JobKeys, RequiredJobKeys, err, out, plain

if TYPE_CHECKING:
    from operations.lifecycle import Invalidation


def cancel(
    analysis: AnalysisName,
    key: JobKeys = None,
    dispatch: Annotated[str | None, typer.Option(help="All jobs of the dispatch with this id.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every job of the analysis.")] = False,
    reason: Annotated[str, typer.Option(help="Reason; kept with the jobs.")] = "no reason given",
) -> None:
    """Cancel waiting and running jobs; they stay cancelled until they are requested again."""
    from operations.lifecycle import cancel as run_cancel
    from operations.platform import open_platform

    if sum([bool(key), dispatch is not None, everything]) != 1:
        raise typer.BadParameter("give exactly one of --key, --dispatch and --all")  # noqa: TRY003, EM101
    with open_platform() as platform:
        number = run_cancel(
            platform, analysis, keys=key or [], dispatch_id=dispatch, everything=everything, reason=reason
        )
    out.print(f"Cancelled: {number}. Processes of running jobs end within half a minute.", highlight=False)


def invalidate(
    analysis: AnalysisName,
    key: RequiredJobKeys,
    reason: Annotated[str, typer.Option(help="Why the result is wrong; kept with the result.")],
) -> None:
    """Declare results wrong: queries no longer return them; the history keeps them. Exit code 1 if a job changed meanwhile."""
    from operations.lifecycle import invalidate as run_invalidate
    from operations.platform import open_platform

    if not reason.strip():
        raise typer.BadParameter("--reason must say why the result is wrong")  # noqa: TRY003, EM101
    with open_platform() as platform:
        found = run_invalidate(platform, analysis, key, reason=reason)
    show_invalidation(analysis, found)


def show_invalidation(analysis: str, found: "Invalidation") -> None:
    """Print which results are invalid now, and which jobs changed meanwhile; exit with code 1 if there are such jobs."""
    for result in found.results:
        out.print(f"invalidated  {plain(result)}", highlight=False, soft_wrap=True)
    if found.results:
        out.print(
            "To compute again:  analysis rerun " + plain(analysis) + " --key KEY", highlight=False, soft_wrap=True
        )
    for job_key in found.changed:
        msg = (
            f"Could not invalidate the result of job {job_key} of `{analysis}`: the job changed meanwhile, and may have another "
            f"result now. It was left as it is. Look at it with `analysis explain {analysis} KEY`, and repeat the command for "
            "it if its result is wrong."
        )
        err.print(f"[red]Error:[/red] {plain(msg)}", highlight=False, soft_wrap=True)
    if found.changed:
        raise typer.Exit(1)


def resume(analysis: AnalysisName) -> None:
    """Resume an analysis whose circuit breaker opened because most of its jobs failed."""
    from operations.breakers import resume as run_resume
    from operations.platform import open_platform

    with open_platform() as platform:
        was_open = run_resume(platform, analysis)
    what = "closed; the sensor requests runs for its jobs again" if was_open else "not open"
    out.print(f"The circuit breaker of {plain(analysis)} is {what}.", highlight=False)


def alerts() -> None:
    """Send a test alert to the configured webhook and mail addresses; exit code 1 if any of them failed."""
    from operations.breakers import send_test_alert
    from operations.platform import open_platform

    with open_platform() as platform:
        answers = send_test_alert(platform)
    for hook, problem in answers.items():
        out.print(f"{hook}: {'delivered' if problem is None else plain(problem)}", highlight=False, soft_wrap=True)
    if any(answers.values()):
        raise typer.Exit(1)
