"""Says why the code version of an analysis is not the one of a stored result."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from domain.errors import AnalysisFileError
from domain.messages import joined
from domain.result.provenance import CodeFacts
from engine.discovery.analyses import AnalysisEntry
from engine.discovery.source import covered_files, earlier_version_of, newly_covered
from resources.process import answer_of

_MOST = 5
_USES = "docstrings that code reads, and `description=` outside `Field(…)`"


def why_changed(entry: AnalysisEntry, earlier: str, facts: CodeFacts | None = None) -> str:
    """Return why a result's code version is not the current one.

    Parameters
    ----------
    entry : AnalysisEntry
        Analysis, with its current code version.
    earlier : str
        Code version of the result.
    facts : CodeFacts, optional
        Code of the result, as recorded. With its commit, changed files are named.

    Returns
    -------
    str
        Sentences; empty if the versions are equal.
    """
    return " ".join(_reasons(entry, earlier, facts)) if earlier != entry.code_version else ""


def _reasons(entry: AnalysisEntry, earlier: str, facts: CodeFacts | None) -> Iterator[str]:
    (old, plus, old_digest), (new, now, digest) = earlier.partition("+"), entry.code_version.partition("+")
    if old != new:
        yield f"The declared version has changed from {old} to {new}."
    if plus != now:
        yield f'code_identity has changed to "{"source" if now else "version"}".'
    elif old_digest != digest:
        yield _about_sources(entry, old_digest, facts)


def _about_sources(entry: AnalysisEntry, old_digest: str, facts: CodeFacts | None) -> str:
    """Return the reason for another source digest."""
    analysis, path = entry.analysis, entry.path
    try:
        same_code = earlier_version_of(analysis, path, command=entry.command_identity).partition("+")[2] == old_digest
        if same_code:
            parts = newly_covered(analysis, path) or (_USES,)
            return f"Its code is the same; since release 0.2 the code version also covers {joined(parts, most=_MOST, separator=', ')}."
        files = _changed_files(covered_files(analysis, path), path.parent, facts)
    except AnalysisFileError:  # the file is being edited: the entry is of an earlier moment
        files = None
    if files and facts is not None and facts.commit:
        return f"Changed since commit {facts.commit[:12]}: {joined(files, most=_MOST, separator=', ')}."
    return "The digest of its sources has changed."


def _changed_files(files: list[Path], folder: Path, facts: CodeFacts | None) -> tuple[str, ...] | None:
    """Return the files that differ from a commit; None if it is not known, or is not what ran."""
    if facts is None or not facts.commit or facts.dirty:
        return None
    words = ("git", "-C", str(folder), "diff", "--name-only", facts.commit, "--", *map(str, files))
    said = answer_of(words)
    return tuple(f"`{line}`" for line in said.splitlines()) if said else None


def _listed(parts: Sequence[str]) -> str:
    return joined(parts, most=_MOST, separator=", ")
