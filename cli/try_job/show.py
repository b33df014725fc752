"""The output of `analysis try`: outputs and files of a successful job, or the analysis's traceback."""

import pdb
import sys
import time
import traceback

from rich.table import Table

from cli.terminal import err, out, plain
from cli.try_job.run import Trial
from domain.errors import PlatformError
from engine.worker.command import CommandFailedError
from engine.worker.process import user_frames
from engine.worker.task import Work


def show_trial(trial: Trial, *, debug: bool) -> bool:
    """Run a job in the foreground and print its outcome.

    Parameters
    ----------
    trial : Trial
        Job with an empty folder, from `prepare`.
    debug : bool
        Open the debugger where the analysis raises.

    Returns
    -------
    bool
        Whether the job succeeded.

    Raises
    ------
    PlatformError
        If an input or the outputs are rejected.
    """
    begun = time.monotonic()
    try:
        work = trial.run()
    except PlatformError:
        raise
    except CommandFailedError as error:
        err.print(f"{plain(error.traceback)}[red]{plain(error)}[/red]", highlight=False, soft_wrap=True)
        return False
    except Exception as error:  # noqa: BLE001  an analysis may raise anything
        _show_traceback(error, debug=debug)
        return False
    _show_work(trial, work, seconds=time.monotonic() - begun)
    return True


def _show_traceback(error: Exception, *, debug: bool) -> None:
    """Print the traceback from the analysis's first frame on, and open the debugger there if requested."""
    frames = user_frames(error)
    sys.stderr.write("".join(traceback.format_exception(type(error), error, frames)))
    if debug:
        pdb.post_mortem(frames or error.__traceback__)


def _show_work(trial: Trial, work: Work, *, seconds: float) -> None:
    table = Table("output", "value")
    for name, value in work.outputs.items():
        not_finite = " (not finite)" if name in work.not_finite else ""
        table.add_row(plain(name), plain(value) + not_finite)
    out.print(table)
    for verdict in trial.verdicts(work):
        text = "passes" if verdict.passed else f"does not pass: {verdict.reason}"
        out.print(f"check {plain(verdict.name)} {plain(text)}", highlight=False, soft_wrap=True)
    out.print(f"job key  {trial.job.job_key}", highlight=False, soft_wrap=True)
    out.print(f"code     {trial.entry.code_version}", highlight=False, soft_wrap=True)
    out.print(f"files    {plain(trial.task.results)}", highlight=False, soft_wrap=True)
    if trial.figure is not None:
        out.print(f"figure   {plain(trial.figure)}", highlight=False, soft_wrap=True)
    out.print(f"{seconds:.2f} s; nothing was stored or posted.", highlight=False)
