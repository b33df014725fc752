"""Output of the commands: errors as a sentence with an exit code, escaped text, JSON."""

import json
import sys
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, ParamSpec

import typer
from rich.console import Console
from rich.markup import escape

from domain.errors import PermanentError, TransientError
from domain.redaction import redacted
from resources.environment import known_secrets

AnalysisName = Annotated[str, typer.Argument(metavar="ANALYSIS", help="Name of the analysis.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
GivenValues = Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A parameter.")]
_KEY = typer.Option("--key", help="Job key, from `results`, `explain` or the page of a run; may be repeated.")
JobKeys = Annotated[list[str] | None, _KEY]
RequiredJobKeys = Annotated[list[str], _KEY]
P = ParamSpec("P")
out = Console()
err = Console(stderr=True)


def handle_errors(function: Callable[P, None]) -> Callable[P, None]:
    """Decorate a command to print the platform's errors as a sentence, and exit with their code."""

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except PermanentError as error:
            err.print(f"[red]Error:[/red] {plain(_safe(error))}", highlight=False, soft_wrap=True)
            raise typer.Exit(2) from None
        except TransientError as error:
            err.print(f"[red]The platform failed:[/red] {plain(_safe(error))}", highlight=False, soft_wrap=True)
            raise typer.Exit(1) from None

    return wrapper


def _safe(error: Exception) -> str:
    """Return a message without secrets: terminals may be logged, and messages repeat what was typed."""
    return redacted(str(error), secrets=known_secrets())


def plain(text: object) -> str:
    """Escape a text from outside, so that markup and control characters have no effect."""
    shown = "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in str(text))
    return escape(shown)


def print_json(value: Any) -> None:
    """Print a value as JSON on standard output."""
    sys.stdout.write(json.dumps(value, indent=1, ensure_ascii=False, default=str) + "\n")
