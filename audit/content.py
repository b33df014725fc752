"""The option `--deep`: compares each file of a result with the manifest, and the manifest with the record."""

import json
from typing import Any

from audit.findings import Finding
from audit.sources import OnFinding
from domain.errors import NewerFormatError
from domain.formats import check_format
from domain.json_values import canonical_json, sha256_hex
from domain.result.provenance import Provenance
from domain.result.records import without_search
from engine.execution.publish import MANIFEST, MANIFEST_FORMAT, METADATA
from resources.result_store.store import ResultsStore


def audit_content(results: ResultsStore, record: dict[str, Any], one: Provenance, on_finding: OnFinding) -> None:
    """Compare the content of a result's files with its manifest and record; files are read in chunks.

    Parameters
    ----------
    results : ResultsStore
        Store to read the files from.
    record : dict
        Record as stored in MongoDB; it must equal ``metadata.nd.json``.
    one : Provenance
        The same record, parsed.
    on_finding : callable
        Called with each finding.
    """

    def report(kind: str, what: str) -> None:
        """Report a finding about this result."""
        on_finding(Finding(kind, f"{one.location}: {what}", one.analysis, one.job_key, one.result_id, one.attempt))

    manifest = _json(results, one.location, MANIFEST)
    if manifest is None:
        report("manifest_differs", f"{MANIFEST} is missing or cannot be read")
        return
    try:
        check_format(manifest, MANIFEST_FORMAT, what=MANIFEST)
    except NewerFormatError as error:
        report("newer_format", str(error))
        return
    if sha256_hex(canonical_json(manifest.get("files"))) != one.manifest_sha256:
        report("manifest_differs", f"the digest of {MANIFEST} is not the record's")
    for file in (*manifest.get("files", []), *manifest.get("logs", [])):
        found = results.sha256_of(one.location, file["path"])
        if found != file["sha256"]:
            report("content_differs", f"{file['path']} is {'missing' if found is None else f'of sha256 {found}'}")
    metadata = _json(results, one.location, METADATA)
    if metadata is None or without_search(metadata) != without_search(record):
        report("metadata_differs", f"{METADATA} is missing, or is not the record")


def _json(results: ResultsStore, location: str, path: str) -> dict[str, Any] | None:
    content = results.get_bytes(location, path)
    try:
        found: dict[str, Any] = json.loads(content or b"")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
