"""`analysis demo` on the command line."""

from pathlib import Path
from typing import Annotated

import typer

from cli.terminal import out


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
