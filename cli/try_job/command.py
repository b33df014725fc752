"""`analysis try` on the command line."""

from pathlib import Path
from typing import Annotated

import typer

from cli.terminal import GivenValues


def try_(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the analysis.")],
    target: Annotated[str, typer.Argument(metavar="FILE", help="A job file, or an NWB file as path or URL.")],
    values: GivenValues = None,
    fixed: Annotated[
        Path | None,
        typer.Option(help="File of parameters that all jobs share, in the form of analysis_parameters.json."),
    ] = None,
    pdb: Annotated[bool, typer.Option("--pdb", help="Open the debugger where the analysis raises.")] = False,
) -> None:
    """Run one job in the foreground to test an analysis: no server is needed, nothing is stored."""
    from cli.new.run import Folders
    from cli.try_job.run import prepare
    from cli.try_job.show import show_trial
    from domain.analysis.given_values import parse_settings
    from resources.settings import load_settings

    folder, by_hand = (context.find_object(Folders) or Folders()).analyses, parse_settings(values or [])
    trial = prepare(name, target, settings=load_settings(), by_hand=by_hand, fixed_file=fixed, folder=folder)
    if not show_trial(trial, debug=pdb):
        raise typer.Exit(2)
