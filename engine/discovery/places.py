"""Where the source of a module is: in the repository, in the platform, or installed.

Only code that is not installed counts: installed packages are recorded by the digest of the lock file. No module is
imported to find it.
"""

import importlib.util
import sysconfig
from collections.abc import Iterator
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from pathlib import Path

PLATFORM_ROOT = Path(__file__).parents[2]
PLATFORM = frozenset(
    {
        "audit",
        "cli",
        "definitions",
        "dispatch",
        "domain",
        "engine",
        "explorer",
        "operations",
        "resources",
        "results",
        "results_table",
        "sensors",
    }
)
"""Packages of the platform, which a code version leaves out: an upgrade must not outdate every result."""

WITHOUT_SOURCE = (*EXTENSION_SUFFIXES, ".pyc")
"""Suffixes of modules whose code cannot be read."""
_INSTALLED = {"site-packages", "dist-packages"}
_LIBRARIES = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib"))


def spec_of(name: str) -> ModuleSpec | None:
    """Return how Python finds a module; None if it does not. Only the parents of a dotted name are imported."""
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):  # a parent that is missing, or a module without a spec
        return None


def roots_of(top: str) -> list[Path]:
    """Return the folders of a top-level package, or the file of a top-level module, if its code counts.

    Parameters
    ----------
    top : str
        Name without dots.

    Returns
    -------
    list of Path
        Empty for installed code, the standard library, the platform, and what does not exist.
    """
    spec = spec_of(top)
    if spec is None:
        return []
    found = spec.submodule_search_locations or ([spec.origin] if spec.has_location and spec.origin else [])
    return [path for path in map(Path, found) if not (_is_installed(path) or _is_platform(path, top))]


def module_file(root: Path, parts: list[str]) -> Path | None:
    """Return the file that Python imports for a module.

    Parameters
    ----------
    root : Path
        From `roots_of`.
    parts : list of str
        The dotted name below the top; empty for the package itself.

    Returns
    -------
    Path or None
        A source, or a file without source; None for a namespace package and for what is not a module.
    """
    if not root.is_dir():
        return None if parts else root
    return next((file for file in _candidates(root.joinpath(*parts)) if file.is_file()), None)


def _candidates(base: Path) -> Iterator[Path]:
    """Yield the files of a module in the order in which Python looks for them."""
    endings = [*EXTENSION_SUFFIXES, ".py", ".pyc"]
    yield from (base / f"__init__{ending}" for ending in endings)
    yield from (base.parent / f"{base.name}{ending}" for ending in endings)


def _is_platform(path: Path, top: str) -> bool:
    return top in PLATFORM and path.parent.resolve() == PLATFORM_ROOT


def _is_installed(path: Path) -> bool:
    """Return whether a package or module is in the standard library or beside installed distributions."""
    folder = path.parent.resolve()  # of the folder: some installers link single files to their cache
    if _INSTALLED & set(folder.parts) or any(folder.is_relative_to(library) for library in _LIBRARIES):
        return True
    return any(folder.glob("*.dist-info"))
