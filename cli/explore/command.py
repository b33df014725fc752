"""The words of `analysis explore`."""

from typing import Annotated

import typer

from cli.terminal import out


def explore(
    port: Annotated[int, typer.Option(help="Port; if it is taken, another one is used and shown.")] = 3001,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than this machine's need a log-in.")
    ] = "127.0.0.1",
) -> None:
    """Browse results in a browser: tables, plots, figures side by side; reads and writes nothing else."""
    from cli.explore.run import explore as run_explore

    run_explore(port=port, host=host, say=lambda line: out.print(line, highlight=False, soft_wrap=True))
