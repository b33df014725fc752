"""`analysis dev` on the command line."""

from typing import Annotated

import typer

from cli.terminal import out


def dev(port: Annotated[int, typer.Option(help="Port of the Dagster UI on 127.0.0.1.")] = 3000) -> None:
    """Run the platform until Ctrl-C: Dagster with its UI, and embedded MongoDB and S3 where none is configured."""
    from cli.dev.run import dev as run_dev

    raise typer.Exit(run_dev(port=port, say=out.print))


def daemon() -> None:
    """Run Dagster's daemon until Ctrl-C, without its UI: the service of a server. One daemon per Dagster storage."""
    from cli.dev.run import daemon as run_daemon

    raise typer.Exit(run_daemon(say=out.print))
