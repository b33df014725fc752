"""The words of `analysis cancel`, `invalidate` and `resume`, and of `analysis alerts`."""

from typing import Annotated

import typer

from cli.terminal import AnalysisName, out, plain

Keys = Annotated[
    list[str] | None,
    typer.Option("--key", help="A job key, from `results`, `explain` or the page of a run; may be given again."),
]


def cancel(
    analysis: AnalysisName,
    key: Keys = None,
    dispatch: Annotated[str | None, typer.Option(help="Every job that the dispatch with this id asked for.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every job of the analysis.")] = False,  # noqa: FBT002
    reason: Annotated[str, typer.Option(help="Why; kept with the jobs.")] = "no reason given",
) -> None:
    """End jobs that wait or run; they stay ended until somebody asks again."""
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
    key: Annotated[
        list[str], typer.Option(help="A job key, from `results`, `explain` or the page of a run; may be given again.")
    ],
    reason: Annotated[str, typer.Option(help="Why the result is wrong; kept with it.")],
) -> None:
    """Declare results wrong: they leave every query and stay in the history."""
    from operations.lifecycle import invalidate as run_invalidate
    from operations.platform import open_platform

    if not reason.strip():
        raise typer.BadParameter("--reason must say why the result is wrong")  # noqa: TRY003, EM101
    with open_platform() as platform:
        found = run_invalidate(platform, analysis, key, reason=reason)
    for result in found:
        out.print(f"invalidated  {plain(result)}", highlight=False, soft_wrap=True)
    out.print("To compute anew:  analysis rerun " + plain(analysis) + " --key KEY", highlight=False, soft_wrap=True)


def resume(analysis: AnalysisName) -> None:
    """Go on with an analysis that was stopped because most of its jobs failed (its circuit breaker is open)."""
    from operations.breakers import resume as run_resume
    from operations.platform import open_platform

    with open_platform() as platform:
        was_open = run_resume(platform, analysis)
    what = "closed; the sensor asks for its jobs again" if was_open else "not open"
    out.print(f"The circuit breaker of {plain(analysis)} is {what}.", highlight=False)


def alerts() -> None:
    """Send a test alert to the webhook and the mail addresses of the settings; exit code 1 if one did not take it."""
    from operations.breakers import send_test_alert
    from operations.platform import open_platform

    with open_platform() as platform:
        answers = send_test_alert(platform)
    for hook, problem in answers.items():
        out.print(f"{hook}: {'took it' if problem is None else plain(problem)}", highlight=False, soft_wrap=True)
    if any(answers.values()):
        raise typer.Exit(1)
