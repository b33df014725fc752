"""Updates `docs/analyses.md`: the tables of parameters and outputs are generated from the models.

A section is generated once, from the file's docstring, and then edited by hand; only the text between the marks is
regenerated. `make docs` runs this module.
"""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel

from domain.analysis.checks import description_of
from domain.analysis.fields import describe_fields, markdown_table
from engine.discovery.analyses import AnalysisEntry, find_analyses
from resources.settings import PROJECT_ROOT

PAGE = PROJECT_ROOT / "docs" / "analyses.md"
_BEGIN = "<!-- {kind} of {name}: made from the model by `make docs` -->"
_END = "<!-- end -->"


def refreshed(page: str, entries: Iterable[AnalysisEntry]) -> str:
    """Return the page with regenerated tables, and with a section for each new analysis.

    Parameters
    ----------
    page : str
        Current text of the page.
    entries : iterable of AnalysisEntry
        Analyses to describe; sections of others are kept.
    """
    for entry in entries:
        if not re.search(rf"^## `{entry.analysis.name}`", page, re.MULTILINE):
            page = f"{page.rstrip()}\n\n{_section(entry)}"
        for kind, table in _tables(entry).items():
            page = _with_block(page, entry.analysis.name, kind, table)
    return page


def _tables(entry: AnalysisEntry) -> dict[str, str]:
    """Return the generated tables of an analysis, by kind."""
    analysis = entry.analysis
    checks = ["| check | description |", "|---|---|"]
    checks += [f"| `{check.__name__}` | {description_of(check)} |" for check in analysis.checks]
    return {
        "parameters": markdown_table(describe_fields(analysis.parameters), with_defaults=True),
        "outputs": markdown_table(describe_fields(analysis.outputs), with_defaults=False),
        "tables": "\n\n".join(_columns(file, model) for file, model in analysis.tables.items()) or "None are declared.",
        "checks": "\n".join(checks) if analysis.checks else "None are declared.",
    }


def _columns(file: str, model: type[BaseModel]) -> str:
    """Return the table of the columns of result tables."""
    return f"Columns of `{file}`:\n\n{markdown_table(describe_fields(model), with_defaults=False)}"


def _section(entry: AnalysisEntry) -> str:
    """Return the first version of an analysis's section."""
    first, _, rest = entry.description.strip().partition("\n\n")
    title = " ".join(first.split()).rstrip(".")
    blocks = [f"### {kind.capitalize()}\n\n{_block(entry.analysis.name, kind, '')}" for kind in _tables(entry)]
    return "\n\n".join([f"## `{entry.analysis.name}`: {title}", *([rest] if rest else []), *blocks]) + "\n"


def _block(name: str, kind: str, table: str) -> str:
    """Return a table between its marks."""
    return f"{_BEGIN.format(kind=kind, name=name)}\n\n{table}\n\n{_END}"


def _with_block(page: str, name: str, kind: str, table: str) -> str:
    """Replace the text between the marks of a table, if the page has them."""
    marks = re.compile(re.escape(_BEGIN.format(kind=kind, name=name)) + r"\n.*?" + re.escape(_END), re.DOTALL)
    return marks.sub(lambda _: _block(name, kind, table), page)


def main(page: Path = PAGE) -> None:
    """Regenerate the page."""
    before = page.read_text(encoding="utf-8")
    after = refreshed(before, find_analyses().values())
    page.write_text(after, encoding="utf-8")
    sys.stdout.write(f"{page.name}: {'unchanged' if after == before else 'updated'}\n")


if __name__ == "__main__":
    main()
