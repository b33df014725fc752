"""`analysis results` and `analysis archive` on the command line."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

from cli.terminal import AnalysisName, AsJson, JobKeys, err, out, plain, print_json
from domain.job.state import JobState
from domain.messages import counted

if TYPE_CHECKING:
    from cli.results.run import Page

_OF_FAILED = "A failed job has no result: the page of its run and the explorer show it. To try all again: `analysis rerun ANALYSIS --failed`."
_WHERE = "NAME=VALUE, or with !=, <, <=, >, >=: a parameter or output; may be repeated."


def results(  # noqa: PLR0913, PLR0917  one for each option
    analysis: AnalysisName,
    where: Annotated[list[str] | None, typer.Option(help=_WHERE, metavar="CONDITION")] = None,
    subject: Annotated[str, typer.Option(help="Only results of this subject.")] = "",
    session: Annotated[str, typer.Option(help="Only results of this session.")] = "",
    code: Annotated[str, typer.Option(help="Only results of this code version or declared version.")] = "",
    limit: Annotated[int, typer.Option(help="Maximum number of results (0 = all).", min=0)] = 0,
    after: Annotated[str | None, typer.Option(help="Last result id of the previous page.")] = None,
    superseded: Annotated[bool, typer.Option("--superseded", help="Replaced and invalidated results.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the results of an analysis, optionally filtered."""
    from cli.results.run import ListQuery, list_results
    from operations.platform import open_platform

    wanted = ListQuery(where or (), subject, session, code, limit, after)
    if superseded:
        if not wanted.is_all():
            raise typer.BadParameter("--superseded lists everything: give it without conditions")  # noqa: TRY003, EM101
        _superseded_results(analysis, as_json=as_json)
        return
    with open_platform() as platform:
        page = list_results(platform, analysis, wanted)
    if as_json:
        print_json([result.as_dict() for result in page.results])
        for note in page.notes if not wanted.is_all() else ():
            err.print(plain(note), highlight=False, soft_wrap=True)
        return
    _show(page)


def _show(page: "Page") -> None:
    """Print results as a table, with counts and notes."""
    whole_key = Column("job key", overflow="fold")  # wrapped in a narrow terminal, but never cut
    table = Table("state", "session", "outputs", "ended", whole_key)
    for result in page.results:
        outputs = ", ".join(f"{k}={v}" for k, v in result.outputs.items())
        session = ", ".join(result.session_names) or ", ".join(result.inputs)
        table.add_row(result.state, plain(session), plain(outputs), f"{result.ended:%Y-%m-%d %H:%M:%S}", result.job_key)
    out.print(table)
    for note in page.notes:
        out.print(plain(note), highlight=False, soft_wrap=True)
    if page.next_after:
        out.print(f"Next page: the same command with  --after {page.next_after}", highlight=False, soft_wrap=True)
    if page.counts.get(JobState.FAILED):
        out.print(_OF_FAILED, highlight=False, soft_wrap=True)
    shown = {state: number for state, number in page.counts.items() if number or state != "archived"}
    out.print("Jobs: " + ", ".join(f"{number} {state}" for state, number in shown.items()), highlight=False)


def _superseded_results(analysis: str, *, as_json: bool) -> None:
    """Print the superseded results."""
    from operations.lifecycle import superseded as run_superseded
    from operations.platform import open_platform

    with open_platform() as platform:
        found = run_superseded(platform, analysis)
    if as_json:
        print_json([result.as_dict() for result in found])
        return
    table = Table("when", "how", "who", "reason", "computed", Column("job key", overflow="fold"))
    for result in found:
        when, ended = (f"{time:%Y-%m-%d %H:%M:%S}" for time in (result.when, result.ended))
        table.add_row(when, result.how, plain(result.who), plain(result.reason), ended, result.job_key)
    out.print(table)


def archive(
    analysis: AnalysisName,
    before: Annotated[
        str | None, typer.Option(help="Jobs last finished or reused before this date, such as 2026-01-31.")
    ] = None,
    outdated: Annotated[
        bool, typer.Option("--outdated", help="Jobs whose result is from an older code version.")
    ] = False,
    key: JobKeys = None,
    restore: Annotated[bool, typer.Option("--restore", help="Restore archived jobs instead.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Skip the confirmation.")] = False,
) -> None:
    """Remove the partitions of finished jobs; their results remain and can be queried."""
    from functools import partial

    from rich.progress import track

    from operations.archive import Choice, parse_day
    from operations.archive import archive as run_archive
    from operations.archive import plan as plan_archive
    from operations.archive import restore as run_restore
    from operations.platform import open_platform

    choice = Choice(before=parse_day(before) if before else None, outdated=outdated, keys=tuple(key or ()))
    if choice.is_empty():
        raise typer.BadParameter("select jobs with --before, --outdated or --key")  # noqa: TRY003, EM101
    with open_platform() as platform:
        found = plan_archive(platform, analysis, choice, restore=restore)
        what = "to restore" if restore else "to archive"
        out.print(f"{len(found.keys)} of {counted(found.of, 'job')} {what}.", highlight=False)
        for reason, number in found.left.items():
            out.print(f"{number} not included: {reason}.", highlight=False, soft_wrap=True)
        if found.unfinished:
            out.print(f"{counted(found.unfinished, 'partition')} of archived jobs left to remove.", highlight=False)
        if not (found.keys or found.unfinished) or not (yes or typer.confirm("Continue?")):
            return
        if restore:
            done = run_restore(platform, analysis, found.keys)
        else:
            done = run_archive(
                platform, analysis, found.keys, each=partial(track, description="Partitions", console=err)
            )
    change = "restored" if restore else "archived"
    out.print(
        f"{counted(done.jobs, 'job')} {change}, {counted(done.partitions, 'partition')} {'added' if restore else 'removed'}.",
        highlight=False,
    )
