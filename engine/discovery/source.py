"""The code version of an analysis (identity), and its repository (provenance)."""

import sys
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from domain.analysis import Analysis
from domain.analysis.source_links import source_page
from domain.command import Command
from domain.errors import AnalysisFileError
from domain.json_values import canonical_json, sha256_hex
from domain.result.provenance import CodeFacts
from engine.discovery.code_identity import code_version, earlier_digest, form_additions, source_digest
from engine.discovery.data_files import check_named_files, check_source, declared_files, digests_of, package_files
from engine.discovery.modules import ModuleSearch, folder_of, has_source
from engine.worker.command import read_files
from resources.process import answer_of

DATA_FORMAT = "analysis-data/1"
_LOCK_FILE = "requirements/base.txt"


def version_of(analysis: Analysis, path: Path, *, command: str = "") -> str:
    """Return an analysis's code version: ``<declared>+<source digest>``, or only the declared version.

    Parameters
    ----------
    analysis : Analysis
        Its version, packages, data files and `code_identity` are used.
    path : Path
        Analysis file; modules of the repository that it imports are included.
    command : str
        From `command_identity`; part of the digest.

    Raises
    ------
    AnalysisFileError
        If a source cannot be parsed, a declared package or data file cannot be found, or the code version cannot
        cover a module or a file that the analysis uses.
    """
    if analysis.code_identity == "version":
        return analysis.version
    search = ModuleSearch(path, analysis.packages)
    modules = search.imported()
    files = data_files_of(analysis, path, search=search, modules=modules)
    digest = source_digest(_texts_of(analysis, path, modules))
    if files:
        digest = sha256_hex(canonical_json([digest, DATA_FORMAT, digests_of(files)]))
    return code_version(analysis.version, _with_command(digest, command))


def earlier_version_of(analysis: Analysis, path: Path, *, command: str = "") -> str:
    """Return the code version that release 0.1 gave to the present code; parameters as in `version_of`."""
    if analysis.code_identity == "version":
        return analysis.version
    modules = ModuleSearch(path, analysis.packages, earlier=True).imported()
    digest = earlier_digest(_texts_of(analysis, path, modules))
    return code_version(analysis.version, _with_command(digest, command))


def newly_covered(analysis: Analysis, path: Path) -> tuple[str, ...]:
    """Return the parts of an analysis's code that release 0.1 did not cover, as short texts.

    Empty if the analysis has none of them, or if only uses of docstrings and descriptions as data are new.
    """
    if analysis.code_identity == "version":
        return ()
    search = ModuleSearch(path, analysis.packages)
    modules = search.imported()
    earlier = ModuleSearch(path, analysis.packages, earlier=True).imported()
    files = data_files_of(analysis, path, search=search, modules=modules)
    form = form_additions(path.stem, _texts_of(analysis, path, modules))
    return (
        *(f"`{part}`" for part in form),
        *(f"module `{name}`" for name in sorted(modules.keys() - earlier.keys())),
        *(f"file `{name}`" for name in sorted(files)),
    )


def covered_files(analysis: Analysis, path: Path) -> list[Path]:
    """Return all files in the digest of an analysis; parameters and errors as in `version_of`."""
    search = ModuleSearch(path, analysis.packages)
    modules = search.imported()
    files = data_files_of(analysis, path, search=search, modules=modules)
    command = [path.parent / name for name in analysis.run.files] if isinstance(analysis.run, Command) else []
    return [path, *modules.values(), *(file for _, file in search.declared()), *files.values(), *command]


def data_files_of(
    analysis: Analysis, path: Path, *, search: ModuleSearch, modules: Mapping[str, Path]
) -> dict[str, Path]:
    """Return all data files in the digest of an analysis: declared ones, and those of declared packages.

    Parameters
    ----------
    analysis : Analysis
        Its packages and data files are used.
    path : Path
        Analysis file.
    search : ModuleSearch
        The search for its modules.
    modules : mapping of str to Path
        Imported modules.

    Raises
    ------
    AnalysisFileError
        If a file is missing, a module is compiled, or a source names a file that is not part of the code version.
    """
    stated = declared_files(path.parent, analysis.data_files)
    files = package_files(analysis.packages, declared=stated.values()) | stated
    sources = [(path.stem, path), *modules.items(), *search.declared()]
    for name, file in modules.items():
        check_source(name, file, stated.values())
    commands = [path.parent / name for name in analysis.run.files] if isinstance(analysis.run, Command) else []
    known = [*files.values(), *(file for _, file in sources), *commands]
    outputs = {*([analysis.figure] if analysis.figure else []), *analysis.tables}
    for name, file in sources:
        if has_source(file):
            check_named_files(name, file, root=search.root_of(name), known=known, outputs=outputs)
    return files


def command_identity(analysis: Analysis, path: Path) -> str:
    """Return the digest of an analysis's command and its files; empty for a Python function.

    Raises
    ------
    AnalysisFileError
        If a declared file does not exist.
    """
    command = analysis.run
    if not isinstance(command, Command):
        return ""
    try:
        return command.identity(read_files(command, path.parent))
    except OSError as error:
        msg = f"the command declares the file `{error.filename}`, which cannot be read: {error.strerror}."
        raise AnalysisFileError(msg, analysis=analysis.name) from error


def sources_of(analysis: Analysis, path: Path) -> dict[str, str]:
    """Return all sources in the digest of an analysis, by module name."""
    return _texts_of(analysis, path, ModuleSearch(path, analysis.packages).imported())


def _texts_of(analysis: Analysis, path: Path, modules: Mapping[str, Path]) -> dict[str, str]:
    """Return the sources of an analysis, its declared packages and its imported modules."""
    imported = {name: file for name, file in modules.items() if has_source(file)}
    files = {path.stem: path} | _packages(analysis) | imported
    return {name: file.read_text(encoding="utf-8") for name, file in files.items()}


def _with_command(digest: str, command: str) -> str:
    return sha256_hex(canonical_json([digest, command])) if command else digest


def code_facts(analysis: Analysis, path: Path, lock: bytes | None) -> CodeFacts:
    """Return the provenance of an analysis's code: repository, commit, changes, locked dependencies, language.

    Parameters
    ----------
    analysis : Analysis
        For its language.
    path : Path
        Analysis file.
    lock : bytes or None
        From `lock_content`. The run stores this content under its digest.
    """
    _git.cache_clear()  # a commit may have been made since the definitions were loaded
    root = repository_root(path)
    status = None if root is None else _git(root, "status", "--porcelain")
    return CodeFacts(
        **_place(path),
        dirty=None if status is None else bool(status),
        **_language(analysis),
        lock_sha256=None if lock is None else sha256(lock).hexdigest(),
    )


def repository_root(path: Path) -> Path | None:
    """Return the top folder of the repository of an analysis file; None if there is no repository."""
    root = _git(path.parent, "rev-parse", "--show-toplevel")
    return Path(root) if root else None


def lock_content(path: Path) -> bytes | None:
    """Return the content of the file that locks the dependencies of an analysis; None if there is none."""
    lock = (repository_root(path) or path.parent) / _LOCK_FILE
    return lock.read_bytes() if lock.is_file() else None


def page_of(path: Path) -> str | None:
    """Return the URL of an analysis file at the commit of the working tree; None without a web repository."""
    return source_page(CodeFacts(**_place(path), language_version=""))


def _place(path: Path) -> dict[str, Any]:
    """Return repository, commit and path of an analysis file."""
    root = repository_root(path)
    folder = root or path.parent
    return {
        "url": _without_credentials(_git(folder, "config", "--get", "remote.origin.url") or folder.as_uri()),
        "commit": (_git(folder, "rev-parse", "--verify", "-q", "HEAD") or None) if root else None,
        "run_script": path.resolve().relative_to(folder.resolve()).as_posix(),
    }


def _language(analysis: Analysis) -> dict[str, str]:
    """Return language and version of an analysis; a command is run to get its version."""
    command = analysis.run
    if not isinstance(command, Command):
        return {"language": "Python", "language_version": ".".join(str(part) for part in sys.version_info[:3])}
    version = _first_line(command.version_words) if command.version_words else None
    return {"language": command.language, "language_version": version or "unknown"}


def _packages(analysis: Analysis) -> dict[str, Path]:
    """Return all source files of the helper packages that an analysis declares."""
    sources = {}
    for package in analysis.packages:
        folder = folder_of(package)
        files = sorted(folder.rglob("*.py")) if folder.is_dir() else [folder]
        for file in files:
            tail = file.relative_to(folder if folder.is_dir() else folder.parent).with_suffix("").as_posix()
            sources[f"{package}:{tail.replace('/', '.')}"] = file
    return sources


@lru_cache(maxsize=64)
def _git(folder: Path, *words: str) -> str | None:
    """Return the output of git; None if there is no repository or no git."""
    return answer_of(("git", "-C", str(folder), *words))


def _first_line(words: tuple[str, ...]) -> str | None:
    """Return the first line of a command's output, on either stream; None if it fails."""
    return next(iter((answer_of(words, with_errors=True) or "").splitlines()), None)


def _without_credentials(url: str) -> str:
    """Remove user, password and token from a repository's address."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
