"""Which code an analysis is: its version (identity), and the repository that it comes from (provenance)."""

import importlib.util
import subprocess
import sys
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
from engine.discovery.code_identity import code_version, imported_names, source_digest
from engine.worker.command import read_files

_LOCK_FILE = "requirements/base.txt"


def version_of(analysis: Analysis, path: Path, *, command: str = "") -> str:
    """Return an analysis's code version: ``<declared>+<source digest>``, or the declared version alone.

    Parameters
    ----------
    analysis : Analysis
        What the file declares.
    path : Path
        The analysis file.
    command : str
        As `command_identity` returns it.

    Raises
    ------
    AnalysisFileError
        If a source cannot be parsed, or a declared helper package cannot be found.
    """
    if analysis.code_identity == "version":
        return analysis.version
    digest = source_digest(sources_of(analysis, path))
    if command:
        digest = sha256_hex(canonical_json([digest, command]))
    return code_version(analysis.version, digest)


def command_identity(analysis: Analysis, path: Path) -> str:
    """Return the digest of an analysis's command and its files; empty when its code is a Python function.

    Raises
    ------
    AnalysisFileError
        If a declared file is not there.
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
    """Return every source that an analysis's digest covers, by module name."""
    return {path.stem: path.read_text(encoding="utf-8")} | _packages(analysis) | _imported(path)


def code_facts(analysis: Analysis, path: Path) -> CodeFacts:
    """Return where an analysis comes from: repository, commit, uncommitted changes, locked dependencies, language."""
    root = _git(path.parent, "rev-parse", "--show-toplevel")
    folder = Path(root) if root else path.parent
    lock = folder / _LOCK_FILE
    status = _git(folder, "status", "--porcelain") if root else None
    return CodeFacts(
        **_place(path),
        dirty=None if status is None else bool(status),
        **_language(analysis),
        lock_sha256=sha256(lock.read_bytes()).hexdigest() if lock.is_file() else None,
    )


def page_of(path: Path) -> str | None:
    """Return the address of an analysis file at the commit of the working tree; None without a web repository."""
    return source_page(CodeFacts(**_place(path), language_version=""))


def _place(path: Path) -> dict[str, Any]:
    """Return where an analysis file is kept: repository, commit, and path in it."""
    root = _git(path.parent, "rev-parse", "--show-toplevel")
    folder = Path(root) if root else path.parent
    return {
        "url": _without_credentials(_git(folder, "config", "--get", "remote.origin.url") or folder.as_uri()),
        "commit": (_git(folder, "rev-parse", "--verify", "-q", "HEAD") or None) if root else None,
        "run_script": path.resolve().relative_to(folder.resolve()).as_posix(),
    }


def _language(analysis: Analysis) -> dict[str, str]:
    """Return the language that an analysis is written in, and its version; a command is asked for it."""
    command = analysis.run
    if not isinstance(command, Command):
        return {"language": "Python", "language_version": ".".join(str(part) for part in sys.version_info[:3])}
    told = _first_line(command.version_words) if command.version_words else None
    return {"language": command.language, "language_version": told or "unknown"}


def _imported(path: Path) -> dict[str, str]:
    """Return the sources that an analysis file imports from beside it, and those that they import in turn.

    Machinery (a leading underscore) and other platform code are left out: results do not depend on how the platform
    runs, and a new release of it must not compute every result again.
    """
    package, folder = path.parent.name, path.parent
    found: dict[str, str] = {}
    todo = [(f"{package}.{path.stem}", path)]
    while todo:
        module, current = todo.pop()
        text, is_package = current.read_text(encoding="utf-8"), current.name == "__init__.py"
        for name in imported_names(text, module=module, is_package=is_package):
            for candidate, file in _files_of(name, package, folder):
                if candidate not in found and file != path:
                    found[candidate] = file.read_text(encoding="utf-8")
                    todo.append((candidate, file))
    return found


def _files_of(name: str, package: str, folder: Path) -> list[tuple[str, Path]]:
    """Return the files behind an imported dotted name, if they belong to the folder of analyses."""
    parts = name.split(".")
    if parts[0] != package or any(part.startswith("_") for part in parts):
        return []
    bases = {".".join(parts[:end]): folder.joinpath(*parts[1:end]) for end in range(2, len(parts) + 1)}
    candidates = [(n, file) for n, base in bases.items() for file in (base.with_suffix(".py"), base / "__init__.py")]
    return [(n, file) for n, file in candidates if file.is_file()]


def _packages(analysis: Analysis) -> dict[str, str]:
    """Return every source of the helper packages that an analysis declares."""
    sources = {}
    for package in analysis.packages:
        try:
            spec = importlib.util.find_spec(package)
        except ModuleNotFoundError:  # the parent of a dotted name
            spec = None
        if spec is None or spec.origin is None:
            msg = f"Analysis `{analysis.name}` declares the helper package `{package}`, which is not installed."
            raise AnalysisFileError(msg, analysis=analysis.name)
        origin = Path(spec.origin)
        files = sorted(origin.parent.rglob("*.py")) if origin.name == "__init__.py" else [origin]
        for file in files:
            tail = file.relative_to(origin.parent).with_suffix("").as_posix().replace("/", ".")
            sources[f"{package}:{tail}"] = file.read_text(encoding="utf-8")
    return sources


@lru_cache(maxsize=64)
def _git(folder: Path, *words: str) -> str | None:
    """Ask git one thing; None where there is no repository or no git."""
    return answer_of(("git", "-C", str(folder), *words))


def _first_line(words: tuple[str, ...]) -> str | None:
    """Return the first line that a command prints, on either stream; None when it fails."""
    return next(iter((answer_of(words, with_errors=True) or "").splitlines()), None)


def answer_of(words: tuple[str, ...], *, with_errors: bool = False, timeout_s: float = 20) -> str | None:
    """Run a short command and return what it prints; None when it cannot be run, fails, or takes too long."""
    try:
        answer = subprocess.run(  # noqa: S603  no shell, and no word comes from a job
            words,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if with_errors else subprocess.DEVNULL,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def _without_credentials(url: str) -> str:
    """Remove user, password and token from a repository's address."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
