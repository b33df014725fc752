"""From a job's private folder to a published result: files, manifest, record as a file, and last the record.

The record is the commit point. Nothing ever writes into another attempt's folder, so a crash between any two steps
leaves either nothing that counts or a complete result, and every step may be repeated.
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
from resources.result_store.names import check_paths
from resources.result_store.store import ResultsStore, StoredFile

MANIFEST = "manifest.json"
METADATA = "metadata.nd.json"
MANIFEST_FORMAT = "analysis-manifest/1"
_RESERVED = {MANIFEST, METADATA}
_UPLOADS_AT_ONCE = 8


def result_files(folder: Path) -> list[str]:
    """Return the files that an analysis wrote, as sorted relative paths.

    Raises
    ------
    OutputError
        If a file has a reserved name, an entry is neither a file nor a folder, or the folder itself was replaced.
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
    """Describe the files of a result.

    Parameters
    ----------
    folder : Path
        The results folder.
    names : iterable of str
        Its files.
    log : Path
        The job's log, listed apart: its text differs each time, so it is no part of the digest.

    Returns
    -------
    dict
        ``format``, ``files``, ``logs`` (path, bytes and sha256 of each) and ``sha256``, the digest over ``files``.
    """
    return _manifest([_described(folder / name, name) for name in names], [_described(log, log.name)])


def manifest_of(stored: Iterable[StoredFile], *, log: Path) -> dict[str, Any]:
    """Describe the files of a result as they were uploaded; the same as `build_manifest`, but nothing is read again.

    Parameters
    ----------
    stored : iterable of StoredFile
        What `upload` returned.
    log : Path
        The job's log.

    Returns
    -------
    dict
        As `build_manifest` returns it.
    """
    told = [{"path": file.path, "bytes": file.bytes, "sha256": file.sha256} for file in stored]
    logs = [file for file in told if file["path"] == log.name]
    return _manifest([file for file in told if file["path"] != log.name], logs)


def upload(store: ResultsStore, location: str, folder: Path, names: Sequence[str], *, log: Path) -> list[StoredFile]:
    """Upload a result's files and its log, each read once; returns what the server holds now, with digests."""
    check_paths([*names, log.name])
    paths, files = [*names, log.name], [*(folder / name for name in names), log]
    with ThreadPoolExecutor(max_workers=min(_UPLOADS_AT_ONCE, len(files))) as threads:
        return list(threads.map(store.put_file, repeat(location), paths, files))


def listing_digest(files: Iterable[StoredFile]) -> str:
    """Return the digest by which one listing tells whether a result's files are as they were after upload."""
    listed = sorted([f.path, f.bytes, f.etag] for f in files if f.path not in _RESERVED)
    return sha256_hex(canonical_json(listed))


def write_documents(results: ResultsStore, record: dict[str, Any], manifest: dict[str, Any]) -> None:
    """Write the manifest, and last the whole record, beside the uploaded files: the attempt is complete then."""
    results.put_bytes(record["location"], MANIFEST, _pretty(manifest), "application/json")
    results.put_bytes(record["location"], METADATA, _pretty(record), "application/json")


def commit(
    record: dict[str, Any], how: Commit, *, results: ResultsStore, records: RecordStore
) -> dict[str, Any] | None:
    """Commit a complete attempt, which the ledger has announced. Its files are deleted if another attempt won.

    Parameters
    ----------
    record : dict
        The whole record.
    how : Commit
        What it replaces, and why.
    results, records
        Where its files are, and where it goes.

    Returns
    -------
    dict or None
        The record that is current now; None if this attempt was invalidated meanwhile.
    """
    replaces = () if how.replaces is None else (how.replaces,)
    winner = records.commit(record, replaces=replaces, who=how.who, reason=how.reason)
    if winner is not None and attempt_of(winner) != attempt_of(record) and not records.was_superseded(record):
        results.discard(record["location"])
    return winner


def differences(results: ResultsStore, provenance: Provenance) -> list[str]:
    """Compare a result's files with what was recorded after their upload; empty: nothing differs.

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
    """Read the record of a job, or say that somebody has damaged it.

    Raises
    ------
    NewerFormatError
        If a newer version wrote it: the job has a result then, and is not computed again.
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
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):  # damaged, or of another version's making
        return None
    is_ours = (provenance.result_id, provenance.attempt) == (result_id, attempt)
    return record if is_ours and not differences(results, provenance) else None


def earlier_attempt(
    job: LedgerEntry, result_id: str, *, but: str, results: ResultsStore, records: RecordStore
) -> dict[str, Any] | None:
    """Return the record of the first earlier attempt at a job that has everything but its place among the records.

    Parameters
    ----------
    job : LedgerEntry
        The job, as it was claimed.
    result_id : str
        The result.
    but : str
        The attempt that looks.
    results, records
        Where files and records are.

    Returns
    -------
    dict or None
        None if no attempt is complete, or none may answer the job: attempts of before a force or an invalidation, and
        those that were superseded, may not.
    """
    left_out = records.superseded_attempts(result_id) | {but}
    for earlier in results.complete_attempts(result_id):
        if earlier not in left_out and job.may_use(earlier):
            record = _own_attempt(results, result_id, earlier)
            if record is not None:
                return record
    return None


def _own_attempt(results: ResultsStore, result_id: str, attempt: str) -> dict[str, Any] | None:
    """Return a complete attempt's record; one of a newer version stays for that version to commit."""
    try:
        return complete_attempt(results, result_id, attempt)
    except NewerFormatError:
        return None


def _named_differences(results: ResultsStore, provenance: Provenance, listed: list[StoredFile]) -> list[str]:
    """Say which files are missing, changed or new, by the manifest."""
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
    """Put the descriptions of files together."""
    return {"format": MANIFEST_FORMAT, "files": files, "logs": logs, "sha256": sha256_hex(canonical_json(files))}


def _described(file: Path, name: str) -> dict[str, Any]:
    """Describe one file for the manifest."""
    with file.open("rb") as content:
        return {"path": name, "bytes": file.stat().st_size, "sha256": file_digest(content, "sha256").hexdigest()}


def _pretty(document: dict[str, Any]) -> bytes:
    """Return a document as JSON that a person can read."""
    return to_json(document, indent=1)
