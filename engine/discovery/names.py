"""What the names in a source stand for, and which names code reads at run time.

It imports only what `engine.discovery.code_identity` may import.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_DOCSTRING_READERS = frozenset({"__doc__", "getdoc"})
_TEXT_READERS = frozenset({"getsource", "getsourcelines", "getcomments", "findsource"})


@dataclass(frozen=True)
class Reads:
    """What the sources of an analysis read at run time, although it is usually no part of their behavior.

    Attributes
    ----------
    docstrings : bool
        A docstring (``__doc__``, `inspect.getdoc`).
    texts : bool
        The text of a source, comments included (`inspect.getsource`).
    form : bool
        The name ``ANALYSIS``.
    inputs : bool
        The local files of a function that was written for the earlier wrapper (``file_location``).
    """

    docstrings: bool = False
    texts: bool = False
    form: bool = False
    inputs: bool = False


def reads_of(trees: Iterable[ast.Module]) -> Reads:
    """Return what sources read, judged by the names in them."""
    read = {name for tree in trees for name in _read_names(tree)}
    texts = bool(read & _TEXT_READERS)
    return Reads(
        docstrings=texts or bool(read & _DOCSTRING_READERS),
        texts=texts,
        form=texts or "ANALYSIS" in read,
        inputs="file_location" in read,
    )


def origins_of(tree: ast.Module) -> dict[str, set[str]]:
    """Return what each name of a module stands for, in any of its scopes.

    Parameters
    ----------
    tree : ast.Module
        Syntax tree of the module.

    Returns
    -------
    dict of str to set of str
        The dotted name of what an import binds; an empty text for a definition, an assignment or an argument. Names
        that nothing in the module binds, such as those of a star import, are missing.
    """
    found: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        for name, origin in _bindings(node):
            found.setdefault(name, set()).add(origin)
    return found


def dotted(node: ast.expr, origins: dict[str, set[str]]) -> str:
    """Return the dotted name of what an expression names; empty if it is defined in the module or not only a name."""
    match node:
        case ast.Name(id=name):
            found = origins.get(name, {name})
            return next(iter(found)) if len(found) == 1 else ""
        case ast.Attribute(value=value, attr=attr):
            base = dotted(value, origins)
            return f"{base}.{attr}" if base else ""
    return ""


def _bindings(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield the names that a node binds, with their origins."""
    match node:
        case ast.Import(names=aliases):
            for alias in aliases:
                top = alias.name.partition(".")[0]
                yield (alias.asname, alias.name) if alias.asname else (top, top)
        case ast.ImportFrom(module=module, names=aliases, level=level):
            for alias in aliases:
                yield alias.asname or alias.name, f"{'.' * level}{module or ''}.{alias.name}"
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
            yield name, ""
        case ast.Name(id=name, ctx=ast.Store()):
            yield name, ""
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name, ""


def _read_names(tree: ast.Module) -> Iterator[str]:
    """Yield the names and attributes that a module reads or imports, and its texts."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()) | ast.Attribute(attr=name) | ast.Constant(value=str(name)):
                yield name
            case ast.ImportFrom(names=aliases):
                yield from (alias.name for alias in aliases)
