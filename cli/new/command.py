"""`analysis new` on the command line."""

from typing import Annotated

import typer

from cli.terminal import out, plain


def new(
    context: typer.Context, name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new analysis.")]
) -> None:
    """Create a new analysis: its file, its test and its section in the documentation."""
    from cli.new.run import Folders, new_analysis

    for path in new_analysis(name, folders=context.find_object(Folders)):
        out.print(f"wrote {plain(path)}", highlight=False, soft_wrap=True)
    out.print(f"Next: edit the first file, then  analysis try {name} FILE", highlight=False, soft_wrap=True)
