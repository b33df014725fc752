"""The modules whose source is part of an analysis's code version: what it imports, and what that imports."""

from collections.abc import Iterator
from pathlib import Path

from domain.errors import AnalysisFileError
from engine.discovery.imports import computed_imports, imported_names
from engine.discovery.labels import without_docstring
from engine.discovery.places import WITHOUT_SOURCE, module_file, roots_of, spec_of
from engine.discovery.syntax import parse

Module = tuple[str, Path]


class ModuleSearch:
    """Finds the modules that an analysis imports, without importing them.

    Parameters
    ----------
    path : Path
        Analysis file; its folder is a package, also if Python does not find it.
    packages : tuple of str
        Packages that the analysis declares. They count completely.
    earlier : bool
        Search as release 0.1 did: only modules beside the analysis, and none whose name has a leading
        underscore.
    """

    def __init__(self, path: Path, packages: tuple[str, ...], *, earlier: bool = False) -> None:
        self._path, self._package, self._earlier = path, path.parent.name, earlier
        self._packages = packages
        self._roots: dict[str, list[Path]] = {self._package: [path.parent]}

    def imported(self) -> dict[str, Path]:
        """Return the files of imported modules by their dotted names, without the analysis and declared packages.

        Raises
        ------
        AnalysisFileError
            If a module computes the name of a module that it imports.
        """
        found: dict[str, Path] = {}
        declared = [] if self._earlier else self.declared()
        todo: list[Module] = [(f"{self._package}.{self._path.stem}", self._path), *declared]
        while todo:
            module, file = todo.pop()
            if file.suffix != ".py":
                continue
            if not self._earlier and not self._is_declared(module):
                _check_imports(module, file)
            for name, imported in self._imports(module, file):
                if name not in found and imported != self._path:
                    found[name] = imported
                    todo.append((name, imported))
        return found

    def declared(self) -> list[Module]:
        """Return the source files of the declared packages, each with its dotted name.

        Raises
        ------
        AnalysisFileError
            If a declared package is not installed.
        """
        return [module for package in self._packages for module in _files_of_package(package)]

    def root_of(self, name: str) -> Path:
        """Return the folder of a module's top package, or of the module; for the analysis, its own folder."""
        top = name.partition(".")[0]
        found = [folder_of(top)] if self._is_declared(name) else self._roots.get(top, [])
        folder = next(iter(found), self._path.parent)
        return folder if folder.is_dir() else folder.parent

    def _imports(self, module: str, file: Path) -> Iterator[Module]:
        """Yield the modules that a source imports and that count."""
        text, is_package = file.read_text(encoding="utf-8"), file.name == "__init__.py"
        names = imported_names(text, module=module, is_package=is_package)
        for name in sorted(names):
            if (imported := self._file_of(name)) is not None:
                yield name, imported

    def _file_of(self, name: str) -> Path | None:
        """Return the file of an imported module, if it counts."""
        top, *parts = name.split(".")
        if self._earlier and (top != self._package or any(part.startswith("_") for part in parts)):
            return None
        if self._is_declared(name):
            return None
        if top not in self._roots:
            self._roots[top] = roots_of(top)
        files = [file for root in self._roots[top] if (file := module_file(root, parts)) is not None]
        if not files or (top == self._package and not parts and (self._earlier or _is_empty(files[0]))):
            return None
        return files[0]

    def _is_declared(self, name: str) -> bool:
        return any(f"{name}.".startswith(f"{package}.") for package in self._packages)


def folder_of(package: str) -> Path:
    """Return the folder of a package, or the file of a module.

    Raises
    ------
    AnalysisFileError
        If it is not installed.
    """
    spec = spec_of(package)
    if spec is None or spec.origin is None:
        msg = f"It declares the helper package `{package}`, which is not installed. Correct the name, or install it."
        raise AnalysisFileError(msg)
    origin = Path(spec.origin)
    return origin.parent if spec.submodule_search_locations else origin


def has_source(file: Path) -> bool:
    """Return whether the code of a module can be read."""
    return not file.name.endswith(WITHOUT_SOURCE)


def _files_of_package(package: str) -> Iterator[Module]:
    """Yield the sources of a package with their dotted names."""
    folder = folder_of(package)
    if not folder.is_dir():
        yield package, folder
        return
    for file in sorted(folder.rglob("*.py")):
        parts = file.relative_to(folder).with_suffix("").parts
        yield ".".join([package, *(parts[:-1] if parts[-1] == "__init__" else parts)]), file


def _check_imports(module: str, file: Path) -> None:
    """Raise if a module of the repository imports modules that cannot be found in its text."""
    lines = computed_imports(file.read_text(encoding="utf-8"), module=module)
    if lines:
        msg = (
            f"`{module}` ({file}, line {lines[0]}) imports a module whose name is computed, so the code version cannot "
            f'cover it. Write `import` statements, declare the package of `{module}` in packages=(…), or use code_identity="version".'
        )
        raise AnalysisFileError(msg)


def _is_empty(file: Path) -> bool:
    """Return whether a package's ``__init__.py`` has at most a docstring."""
    return has_source(file) and not without_docstring(parse(file.read_text(encoding="utf-8"), file.parent.name).body)
