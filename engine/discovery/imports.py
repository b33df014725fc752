"""The names of the modules that a source imports. It imports only what `engine.discovery.code_identity` may import."""

import ast

from domain.errors import AnalysisFileError
from engine.discovery.syntax import file_of, parse

_IMPORTERS = frozenset({"import_module", "__import__"})


def imported_names(source: str, *, module: str, is_package: bool = False) -> set[str]:
    """Return the absolute dotted names of the modules that a source imports, anywhere in it.

    Parameters
    ----------
    source : str
        Source code of the module.
    module : str
        Dotted name of the module; relative imports are resolved against it.
    is_package : bool
        Whether the source is the ``__init__.py`` of the package ``module``.

    Returns
    -------
    set of str
        All modules that an import executes or may execute: for ``import a.b`` both ``a`` and ``a.b``, for
        ``from a import b`` both ``a`` and ``a.b``, because the text does not say whether ``b`` is a module. A text
        in ``import_module("a.b")`` counts too; see `computed_imports` for other arguments.

    Raises
    ------
    AnalysisFileError
        If the source is not valid Python, or a relative import leaves the top package.
    """
    package = module.split(".") if is_package else module.split(".")[:-1]
    found: set[str] = set()
    for node in ast.walk(parse(source, module)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _import_base(node, package, module)
            found.update(f"{base}.{alias.name}" for alias in node.names if alias.name != "*")
            found.add(base)
        elif (target := _target(node)) is not None and target.strip("."):
            found.add(_absolute(target, package))
    parts = [name.split(".") for name in found]
    return {".".join(name[:end]) for name in parts for end in range(1, len(name) + 1)}


def computed_imports(source: str, *, module: str) -> list[int]:
    """Return the lines where a source imports a module whose name is computed at run time.

    Parameters
    ----------
    source : str
        Source code of the module.
    module : str
        Dotted name of the module, for errors.

    Raises
    ------
    AnalysisFileError
        If the source is not valid Python.
    """
    return [
        node.lineno for node in ast.walk(parse(source, module)) if isinstance(node, ast.Call) and _target(node) == ""
    ]


def _target(node: ast.AST) -> str | None:
    """Return the name in a call of `importlib.import_module`; empty if it is computed; None for anything else."""
    match node:
        case ast.Call(func=ast.Name(id=called) | ast.Attribute(attr=called)) if called in _IMPORTERS:
            pass
        case _:
            return None
    match node.args:
        case [ast.Constant(value=str(name)), *_]:
            return name
    return ""


def _absolute(target: str, package: list[str]) -> str:
    """Return an absolute name; a relative one is taken from the package of the module that imports it."""
    name = target.lstrip(".")
    level = len(target) - len(name)
    return ".".join([*package[: len(package) - level + 1], name]) if level else name


def _import_base(node: ast.ImportFrom, package: list[str], module: str) -> str:
    """Return the absolute name of the module that a ``from`` import starts at."""
    if not node.level:
        return node.module or ""
    kept = len(package) - node.level + 1
    if kept < 1:
        msg = f"{file_of(module)}, line {node.lineno}: the relative import leaves the top package of `{module}`."
        raise AnalysisFileError(msg)
    return ".".join([*package[:kept], *([node.module] if node.module else [])])
