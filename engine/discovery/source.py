"""The code version of an analysis (identity), and its repository (provenance)."""

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
    """Return an analysis's code version: ``<declared>+<source digest>``, or only the declared version.

    Parameters
    ----------
    analysis : Analysis
        Its version, packages and `code_identity` are used.
    path : Path
        Analysis file; modules beside it that it imports are included.
    command : str
        From `command_identity`; part of the digest.

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
    return {path.stem: path.read_text(encoding="utf-8")} | _packages(analysis) | _imported(path)


def code_facts(analysis: Analysis, path: Path) -> CodeFacts:
    """Return the provenance of an analysis's code: repository, commit, changes, locked dependencies, language."""
    _git.cache_clear()  # a commit may have been made since the definitions were loaded
    root = _git(path.parent, "rev-parse", "--show-toplevel")
    folder, lock = Path(root) if root else path.parent, lock_file(path)
    status = _git(folder, "status", "--porcelain") if root else None
    return CodeFacts(
        **_place(path),
        dirty=None if status is None else bool(status),
        **_language(analysis),
        lock_sha256=sha256(lock.read_bytes()).hexdigest() if lock.is_file() else None,
    )


def repository_root(path: Path) -> Path | None:
    """Return the top folder of the repository of an analysis file; None if there is no repository."""
    root = _git(path.parent, "rev-parse", "--show-toplevel")
    return Path(root) if root else None


def lock_file(path: Path) -> Path:
    """Return the path of the file that locks the dependencies of an analysis; the file need not exist."""
    return (repository_root(path) or path.parent) / _LOCK_FILE


def page_of(path: Path) -> str | None:
    """Return the URL of an analysis file at the commit of the working tree; None without a web repository."""
    return source_page(CodeFacts(**_place(path), language_version=""))


def _place(path: Path) -> dict[str, Any]:
    """Return repository, commit and path of an analysis file."""
    root = _git(path.parent, "rev-parse", "--show-toplevel")
    folder = Path(root) if root else path.parent
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


def _imported(path: Path) -> dict[str, str]:
    """Return the modules beside an analysis file that it imports, directly or indirectly.

    Modules with a leading underscore and platform code are excluded: results do not depend on them, and a new release
    must not compute every result again.
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
    """Return the files of an imported dotted name, if they are in the folder of analyses."""
    parts = name.split(".")
    if parts[0] != package or any(part.startswith("_") for part in parts):
        return []
    bases = {".".join(parts[:end]): folder.joinpath(*parts[1:end]) for end in range(2, len(parts) + 1)}
    candidates = [(n, file) for n, base in bases.items() for file in (base.with_suffix(".py"), base / "__init__.py")]
    return [(n, file) for n, file in candidates if file.is_file()]


def _packages(analysis: Analysis) -> dict[str, str]:
    """Return all sources of the helper packages that an analysis declares."""
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
    """Return the output of git; None if there is no repository or no git."""
    return answer_of(("git", "-C", str(folder), *words))


def _first_line(words: tuple[str, ...]) -> str | None:
    """Return the first line of a command's output, on either stream; None if it fails."""
    return next(iter((answer_of(words, with_errors=True) or "").splitlines()), None)


def answer_of(words: tuple[str, ...], *, with_errors: bool = False, timeout_s: float = 20) -> str | None:
    """Run a short command and return its output; None if it cannot be started, fails, or takes too long."""
    try:
        answer = subprocess.run(  # noqa: S603  no shell, and no argument comes from a job
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
