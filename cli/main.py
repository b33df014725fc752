"""The `analysis` command: registers every subcommand.

Exit codes: 0 success; 1 the platform failed; 2 invalid input (a reason, no traceback).
"""

import logging

import typer

from cli.audit.command import audit, clean
from cli.demo.command import demo
from cli.describe.command import describe
from cli.dev.command import daemon, dev
from cli.dispatch.command import dispatch
from cli.explain.command import explain
from cli.explore.command import explore
from cli.jobs import rekey, rerun, submit, validate
from cli.lifecycle import alerts, cancel, invalidate, resume
from cli.new.command import new
from cli.results.command import archive, results
from cli.terminal import handle_errors
from cli.try_job.command import try_

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Run an analysis on many recording sessions and trace every result to its inputs, parameters and code. To start: demo, "
    "then dev. To inspect: results, explain. To retry: rerun. Terms such as job key are explained in docs/glossary.md. Exit "
    "codes: 0 success, 1 the platform failed, 2 invalid input.",
)
COMMANDS = (
    *(demo, dev, daemon, dispatch, new, try_, describe, submit, validate, explain, results, explore, archive),
    *(rerun, cancel, invalidate, resume, alerts, audit, clean, rekey),
)
for command in COMMANDS:
    app.command(name=command.__name__.rstrip("_"))(handle_errors(command))


def main() -> None:
    """Run the `analysis` command."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    app()
