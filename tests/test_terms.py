"""Help, messages and pages use the terms of the glossary: one term for each idea, the one that Dagster and MongoDB use."""

import ast
import io
import json
import re
import tokenize
from pathlib import Path

import click
import pytest
import typer

from cli.main import app
from engine.discovery.places import PLATFORM

ROOT = Path(__file__).parents[1]
TERMS = {
    r"told|tells": "reports, says, message",
    r"asked for|(ask|asks|asked) again": "requested, requeue",
    # "there is no" and "is no longer" are fine
    r"(?<!there )(is|are) no(?! (longer|more)\b)": "is not a, are not",
    r"mend|mends|mended|mending": "fix, repair",
    r"wish|wishes|wished": "request",
    r"(take|takes|taken|taking) in": "ingest",
    r"put off": "deferred",
    r"by itself": "automatically",
    r"anew": "again, regenerate",
    r"of before": "earlier",
    r"at work": "running",
    r"whole listing": "full listing",
    r"so many": "N, maximum number of",
    r"somebody|nobody|whoever": "the role: operator, author, user, run",
    r"made-up": "synthetic",
    r"fruitless|hopeless": "unfinished, crash-looping",
    # the parameter `colour` of the explorer's addresses keeps its name
    r"colours?(?! :)|coloured": "color",
    r"bad (job )?files?": "rejected job file, with a reason",
}
# A space in a term also matches a line break.
PATTERNS = {
    re.compile(rf"\b(?:{term})\b".replace(" ", r"\s"), re.IGNORECASE): instead for term, instead in TERMS.items()
}
# Bundled analyses are left out: their text is part of parameters and outputs that results refer to.
PACKAGES = tuple(sorted(PLATFORM - {"definitions"}))
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]
DESCRIBED = (*PACKAGES, "examples", "definitions.py")
NOTEBOOKS = sorted(ROOT.glob("docs/**/*.ipynb"))


def found_in(text, where, line=1):
    """Return each term that a text should not have, with its place and what to write."""
    return [
        f"{where}:{line + text.count(chr(10), 0, match.start())}: {' '.join(match[0].split())!r}: write {instead}"
        for pattern, instead in PATTERNS.items()
        for match in pattern.finditer(text)
    ]


def commands(command, path="analysis"):
    """Return a command and everything below it, each with its full name."""
    below = getattr(command, "commands", {})
    return [(path, command), *(pair for name, one in below.items() for pair in commands(one, f"{path} {name}"))]


def help_texts():
    """Return the help of each command, argument and option."""
    for path, command in commands(typer.main.get_command(app)):
        context = click.Context(command)
        yield path, command.get_help(context)
        for parameter in command.params:
            yield f"{path} {' '.join(parameter.opts)}", getattr(parameter, "help", None) or ""


def literals(source):
    """Return the string literals with a space, docstrings left out; each with its line."""
    tree = ast.parse(source)
    inner = [part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values]
    docstrings = [node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)]
    skipped = {id(node) for node in (*inner, *docstrings)}
    for node in ast.walk(tree):
        text = literal(node)
        if text and " " in text and id(node) not in skipped:
            yield node.lineno, text


def literal(node):
    """Return the text of a string literal, with `…` in the place of values; None for any other node."""
    if isinstance(node, ast.JoinedStr):
        return "".join(literal(part) or "…" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def descriptions(source):
    """Return docstrings and comments, each with its line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and literal(node.value) is not None:
            yield node.lineno, literal(node.value)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def test_help_uses_the_terms():
    found = [fault for where, text in help_texts() for fault in found_in(text, where)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("package", PACKAGES)
def test_messages_use_the_terms(package):
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    texts = [
        (file.relative_to(ROOT), line, text)
        for file in files
        for line, text in literals(file.read_text(encoding="utf-8"))
    ]
    found = [fault for file, line, text in texts for fault in found_in(text, file, line)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("package", DESCRIBED)
def test_docstrings_and_comments_use_the_terms(package):
    files = [ROOT / package] if package.endswith(".py") else sorted((ROOT / package).rglob("*.py"))
    assert files
    found = [
        fault
        for file in files
        for line, text in descriptions(file.read_text(encoding="utf-8"))
        for fault in found_in(text, file.relative_to(ROOT), line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_use_the_terms(page):
    found = found_in(page.read_text(encoding="utf-8"), page.relative_to(ROOT))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.name)
def test_notebooks_use_the_terms(notebook):
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    assert cells
    found = [fault for cell in cells for fault in found_in("".join(cell["source"]), f"{notebook.name}, {cell['id']}")]
    assert not found, "\n".join(found)


def test_make_help_uses_the_terms():
    lines = enumerate((ROOT / "Makefile").read_text(encoding="utf-8").splitlines(), start=1)
    found = [fault for number, line in lines if "##" in line for fault in found_in(line, "Makefile", number)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("text", ["It is told.", "They are\nno files.", "A bad job file", "Taken in anew"])
def test_a_term_is_found_also_across_lines(text):
    assert found_in(text, "text")


@pytest.mark.parametrize("text", ["There is no file.", "there are\nno files", "It is no longer there.", "untold"])
def test_what_only_resembles_a_term_is_not_found(text):
    assert not found_in(text, "text")
