"""`analysis explore` on the command line."""

from typing import Annotated

import typer

from cli.terminal import out


def explore(
    port: Annotated[int, typer.Option(help="Port; if it is in use, another one is chosen and shown.")] = 3001,
    host: Annotated[str, typer.Option(help="Address to listen on; any but loopback requires a login.")] = "127.0.0.1",
) -> None:
    """Browse results in a web browser: tables, plots, figures side by side. Read-only."""
    from resources.extras import require

    require("explorer")
    from cli.explore.run import explore as run_explore

    run_explore(port=port, host=host, say=lambda line: out.print(line, highlight=False, soft_wrap=True))
