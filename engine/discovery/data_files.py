"""Data files that are part of a code version: declared ones, and those of declared packages.

A file that the code names and that exists beside it has to be declared, because a change in it changes results. Names
that are computed at run time are not found.
"""

import ast
from collections.abc import Iterable, Iterator
from hashlib import file_digest
from pathlib import Path

from domain.errors import AnalysisFileError
from engine.discovery.labels import is_form, without_docstring
from engine.discovery.modules import folder_of, has_source
from engine.discovery.syntax import parse

_CACHES = "__pycache__"
_DOCUMENTS = ("README", "LICENSE", "LICENCE", "CHANGELOG", "NOTICE", "py.typed")
_LONGEST_NAME = 200


def declared_files(folder: Path, names: Iterable[str]) -> dict[str, Path]:
    """Return the declared data files of an analysis; those of a folder one by one.

    Parameters
    ----------
    folder : Path
        Folder of the analysis file.
    names : iterable of str
        Paths from this folder, or ``package:path``.

    Returns
    -------
    dict of str to Path
        Files by their names, as declared.

    Raises
    ------
    AnalysisFileError
        If a file or package does not exist, or a folder is empty.
    """
    found: dict[str, Path] = {}
    for name in names:
        package, _, tail = name.rpartition(":")
        base = folder_of(package) if package else folder
        path = (base if base.is_dir() else base.parent) / tail
        files = {f"{name}/{file.relative_to(path).as_posix()}": file for file in _files_below(path)}
        if path.is_file():
            files = {name: path}
        if not files:
            what = "is an empty folder" if path.is_dir() else "does not exist"
            msg = f"data_files names `{name}`: {path} {what}. Correct the path, or remove it from data_files."
            raise AnalysisFileError(msg)
        found |= files
    return found


def package_files(packages: Iterable[str], *, declared: Iterable[Path]) -> dict[str, Path]:
    """Return the data files in declared packages, without documents, caches and stubs.

    Raises
    ------
    AnalysisFileError
        If a package has a compiled extension that is not a declared data file.
    """
    found: dict[str, Path] = {}
    for package in packages:
        folder = folder_of(package)
        for file in _files_below(folder):
            if file.suffix in {".py", ".pyi"} or file.name.startswith(_DOCUMENTS):
                continue
            tail = file.relative_to(folder).as_posix()
            check_source(f"{package}:{tail}", file, declared)
            found[f"{package}:{tail}"] = file
    return found


def check_source(name: str, file: Path, declared: Iterable[Path]) -> None:
    """Raise if a module is compiled and its file is not declared.

    Parameters
    ----------
    name : str
        Dotted name of the module, or ``package:path``.
    file : Path
        Its file.
    declared : iterable of Path
        Declared data files.

    Raises
    ------
    AnalysisFileError
        The message names the module and what can be done.
    """
    if not has_source(file) and file not in declared:
        msg = (
            f"`{name}` ({file}) is compiled, so its source cannot be read. Name the file in data_files=(…), so that its "
            "bytes are part of the code version; or install its package with a locked version and remove it from "
            'packages; or use code_identity="version".'
        )
        raise AnalysisFileError(msg)


def check_named_files(
    module: str, file: Path, *, root: Path, known: Iterable[Path], outputs: Iterable[str] = ()
) -> None:
    """Raise if a source names a file beside it that is not part of the code version.

    Parameters
    ----------
    module : str
        Name of the module, for the message.
    file : Path
        Its source.
    root : Path
        Folder of its top package; files are searched from the source's folder up to the one that holds this folder.
    known : iterable of Path
        Files that are part of the code version.
    outputs : iterable of str
        Declared result files: one that a trial has left beside the code is not an input.

    Raises
    ------
    AnalysisFileError
        The message names the file and the line.
    """
    covered = {path.resolve() for path in known}
    folders = [folder for folder in file.parents if folder.is_relative_to(root.parent)]
    for line, text in _texts(parse(file.read_text(encoding="utf-8"), module)):
        for named in _existing(folders, text) if text not in outputs else ():
            if named.resolve() not in covered:
                msg = (
                    f"`{module}` ({file}, line {line}) names the file {named}, which is not part of the code version: a change "
                    "in it would not be noticed. Name it in data_files=(…), with a path from the analysis file's folder or "
                    "`package:path`. If the code does not read it, rename it."
                )
                raise AnalysisFileError(msg)


def digests_of(files: dict[str, Path]) -> dict[str, str]:
    """Return the sha256 of files by their names."""
    digests = {}
    for name, file in files.items():
        with file.open("rb") as content:
            digests[name] = file_digest(content, "sha256").hexdigest()
    return digests


def _files_below(folder: Path) -> list[Path]:
    """Return the files below a folder in a fixed order, without caches and hidden files."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    parts = {path: path.relative_to(folder).parts for path in files}
    return [path for path in files if not any(part == _CACHES or part.startswith(".") for part in parts[path])]


def _texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the short texts in a source that may name a file, with their lines; not docstrings, and not the form."""
    todo: list[ast.AST] = [statement for statement in tree.body if not is_form(statement)]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Expr) and not without_docstring([node]):
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and 0 < len(node.value) <= _LONGEST_NAME:
            yield node.lineno, node.value
        todo += ast.iter_child_nodes(node)


def _existing(folders: list[Path], text: str) -> Iterator[Path]:
    """Yield the files that a text names from one of the folders."""
    parts = text.split("/")
    if "." not in text or {"", ".", ".."} & set(parts) or not text.isprintable() or "**" in text:
        return
    for folder in folders:
        try:
            found = sorted(folder.glob(text)) if "*" in text else [folder / text]
            yield from (path for path in found if path.is_file())
        except (OSError, ValueError):  # a text that cannot be the name of a file
            continue
