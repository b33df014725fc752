"""Publishes the result in a job's private folder: files, manifest, record as a file, and last the record.

The record is the commit point. No attempt writes into another one's folder, so a crash between two steps leaves either no
result or a complete one, and every step can be repeated.
"""

import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import file_digest
from itertools import repeat
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from domain.errors import NewerFormatError, OutputError
from domain.formats import check_format
from domain.job.state import Commit, LedgerEntry
from domain.json_values import canonical_json, sha256_hex
from domain.result.provenance import Provenance
from domain.result.records import check_record_format, from_record, readable
from engine.worker.task import LOG_NAME
from resources.records.reader import attempt_of
from resources.records.store import RecordStore
from resources.result_store.attempts import complete_attempts
from resources.result_store.names import check_paths
from resources.result_store.store import ResultsStore
from resources.result_store.stored_file import StoredFile

MANIFEST = "manifest.json"
METADATA = "metadata.nd.json"
MANIFEST_FORMAT = "analysis-manifest/1"
_RESERVED = {MANIFEST, METADATA}
_UPLOADS_AT_ONCE = 8


def result_files(folder: Path) -> list[str]:
    """Return the relative paths of the files that an analysis wrote, sorted.

    Raises
    ------
    OutputError
        If a file has a reserved name, an entry is neither a file nor a folder, or the folder was replaced.
    """
    if folder.is_symlink() or not folder.is_dir():
        msg = "The analysis replaced its results folder by something else; write files into the folder that is given."
        raise OutputError(msg, location=str(folder))
    paths = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            msg = f"The analysis wrote `{name}`, which is not an ordinary file; write or copy the file itself."
            raise OutputError(msg, location=str(path))
        if name in {*_RESERVED, LOG_NAME}:
            msg = f"The analysis wrote `{name}`, a name that the platform keeps for itself; choose another."
            raise OutputError(msg, location=str(path))
        if path.is_file():
            paths.append(name)
    return paths


def build_manifest(folder: Path, names: Iterable[str], *, log: Path) -> dict[str, Any]:
    """Return the manifest of the files of a result.

    Parameters
    ----------
    folder : Path
        Results folder of the job.
    names : iterable of str
        Relative paths of its files.
    log : Path
        The job's log, listed separately: its text varies, so it is not part of the digest.

    Returns
    -------
    dict
        ``format``, ``files``, ``logs`` (path, bytes and sha256 of each) and ``sha256``, the digest over ``files``.
    """
    return _manifest([_described(folder / name, name) for name in names], [_described(log, log.name)])


def manifest_of(stored: Iterable[StoredFile], *, log: Path) -> dict[str, Any]:
    """Return the manifest of uploaded files: as `build_manifest`, without reading the files again.

    Parameters
    ----------
    stored : iterable of StoredFile
        Files as returned by `upload`.
    log : Path
        The job's log, which is listed separately.

    Returns
    -------
    dict
        Same format as from `build_manifest`.
    """
    entries = [{"path": file.path, "bytes": file.bytes, "sha256": file.sha256} for file in stored]
    logs = [file for file in entries if file["path"] == log.name]
    return _manifest([file for file in entries if file["path"] != log.name], logs)


def upload(store: ResultsStore, location: str, folder: Path, names: Sequence[str], *, log: Path) -> list[StoredFile]:
    """Upload a result's files and its log, each read once; return the stored files with their digests."""
    check_paths([*names, log.name])
    paths, files = [*names, log.name], [*(folder / name for name in names), log]
    with ThreadPoolExecutor(max_workers=min(_UPLOADS_AT_ONCE, len(files))) as threads:
        return list(threads.map(store.put_file, repeat(location), paths, files))


def listing_digest(files: Iterable[StoredFile]) -> str:
    """Return the digest of a listing: it is unchanged as long as a result's files are as uploaded."""
    listed = sorted([f.path, f.bytes, f.etag] for f in files if f.path not in _RESERVED)
    return sha256_hex(canonical_json(listed))


def write_documents(results: ResultsStore, record: dict[str, Any], manifest: dict[str, Any]) -> None:
    """Write the manifest, and last the record, as files of the attempt, which is complete then."""
    results.put_bytes(record["location"], MANIFEST, _pretty(manifest), "application/json")
    results.put_bytes(record["location"], METADATA, _pretty(record), "application/json")


def commit(
    record: dict[str, Any], how: Commit, *, results: ResultsStore, records: RecordStore
) -> dict[str, Any] | None:
    """Commit a complete attempt, which the ledger has announced. Its files are deleted if another attempt won.

    Parameters
    ----------
    record : dict
        The complete record, with ``_id``.
    how : Commit
        The record that it replaces, and the reason.
    results, records
        Stores of its files and of the record.

    Returns
    -------
    dict or None
        The current record; None if this attempt was invalidated meanwhile.
    """
    replaces = () if how.replaces is None else (how.replaces,)
    winner = records.commit(record, replaces=replaces, who=how.who, reason=how.reason)
    if winner is not None and attempt_of(winner) != attempt_of(record) and not records.was_superseded(record):
        results.discard(record["location"])
    return winner


def differences(results: ResultsStore, provenance: Provenance) -> list[str]:
    """Return the differences of a result's files from those that were uploaded; empty if there are none.

    Raises
    ------
    NewerFormatError
        If they differ, and a newer version wrote their manifest.
    """
    listed = results.list_files(provenance.location)
    if listing_digest(listed) == provenance.listing_sha256 and {f.path for f in listed} >= _RESERVED:
        return []
    return _named_differences(results, provenance, listed)


def read_record(record: dict[str, Any], job: LedgerEntry) -> Provenance:
    """Return the provenance in the record of a job.

    Raises
    ------
    NewerFormatError
        If a newer version wrote it: the job has a result, and is not computed again.
    OutputError
        If it is damaged.
    """
    check_record_format(record)
    found = readable(record)
    if found is None or found.job_key != job.job_key:
        msg = f"The record {record['_id']} of this job cannot be read: it was damaged. Delete it, then rerun the job."
        raise OutputError(msg, analysis=job.analysis, job_key=job.job_key)
    return found


def stored_figure(results: ResultsStore, provenance: Provenance) -> bytes | None:
    """Return the figure of a stored result, if it has one."""
    return None if provenance.figure is None else results.get_bytes(provenance.location, provenance.figure)


def complete_attempt(results: ResultsStore, result_id: str, attempt: str) -> dict[str, Any] | None:
    """Return the record of an attempt that stopped just before its commit, if all its files are there.

    Raises
    ------
    NewerFormatError
        If a newer version made it.
    """
    content = results.get_bytes(results.location(result_id, attempt), METADATA)
    if content is None:
        return None
    try:
        record: dict[str, Any] = json.loads(content)
        provenance = from_record(record)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):  # damaged, or written by another version
        return None
    is_ours = (provenance.result_id, provenance.attempt) == (result_id, attempt)
    return record if is_ours and not differences(results, provenance) else None


def earlier_attempt(
    job: LedgerEntry, result_id: str, *, but: str, results: ResultsStore, records: RecordStore
) -> dict[str, Any] | None:
    """Return the record of the first earlier attempt at a job that is complete but not committed.

    Parameters
    ----------
    job : LedgerEntry
        The ledger's entry of the job when it was claimed.
    result_id : str
        Id of the result that the job is to have.
    but : str
        The calling attempt, which is skipped.
    results, records
        Stores of the files and the records.

    Returns
    -------
    dict or None
        None if no attempt is complete, or none may answer the job: attempts that are earlier than a force or an
        invalidation, and superseded ones, may not.
    """
    left_out = records.superseded_attempts(result_id) | {but}
    for earlier in complete_attempts(results, result_id):
        if earlier not in left_out and job.may_use(earlier):
            record = _own_attempt(results, result_id, earlier)
            if record is not None:
                return record
    return None


def _own_attempt(results: ResultsStore, result_id: str, attempt: str) -> dict[str, Any] | None:
    """Return the record of a complete attempt; None for one of a newer version, which only that version commits."""
    try:
        return complete_attempt(results, result_id, attempt)
    except NewerFormatError:
        return None


def _named_differences(results: ResultsStore, provenance: Provenance, listed: list[StoredFile]) -> list[str]:
    """Return which files are missing, changed or new, according to the manifest."""
    sizes = {f.path: f.bytes for f in listed}
    content = results.get_bytes(provenance.location, MANIFEST)
    if content is None:
        return [f"{MANIFEST} is missing"]
    try:
        manifest = json.loads(content)
        check_format(manifest, MANIFEST_FORMAT, what=f"manifest of {provenance.location}")
        expected = {f["path"]: f["bytes"] for f in (*manifest["files"], *manifest["logs"])}
    except (ValueError, KeyError, TypeError):
        return [f"{MANIFEST} cannot be read"]
    named = [f"{name} is missing" for name in sorted({*expected, *_RESERVED} - set(sizes))]
    named += [f"{name} is new" for name in sorted(set(sizes) - set(expected) - _RESERVED)]
    named += [
        f"{name} has {sizes[name]} bytes instead of {expected[name]}"
        for name in sorted(expected)
        if name in sizes and sizes[name] != expected[name]
    ]
    return named or ["the content of a file has changed (same sizes, other ETags)"]


def _manifest(files: list[dict[str, Any]], logs: list[dict[str, Any]]) -> dict[str, Any]:
    return {"format": MANIFEST_FORMAT, "files": files, "logs": logs, "sha256": sha256_hex(canonical_json(files))}


def _described(file: Path, name: str) -> dict[str, Any]:
    with file.open("rb") as content:
        return {"path": name, "bytes": file.stat().st_size, "sha256": file_digest(content, "sha256").hexdigest()}


def _pretty(document: dict[str, Any]) -> bytes:
    """Return a document as indented JSON."""
    return to_json(document, indent=1)
