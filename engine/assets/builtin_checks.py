"""Evaluates the built-in checks, from what a run already knows or by listing the files again."""

from typing import Any

from domain.analysis.builtin_checks import files_verdict, record_verdict
from domain.analysis.checks import Verdict
from domain.result.provenance import Provenance
from domain.result.record_rules import faults_of_record
from engine.execution.publish import differences
from resources.result_store.store import ResultsStore


def after_upload(record: dict[str, Any], provenance: Provenance) -> tuple[Verdict, ...]:
    """Return the verdicts on a new result: the server has confirmed size and ETag of each file."""
    looked = f"{provenance.file_count} files, {provenance.file_bytes} bytes, by the server's answer to each upload."
    return files_verdict((), looked=looked), _of_record(record)


def after_listing(record: dict[str, Any], provenance: Provenance) -> tuple[Verdict, ...]:
    """Return the verdicts on a result whose files were just listed and are unchanged."""
    looked = f"{provenance.file_count} files, {provenance.file_bytes} bytes, by a listing."
    return files_verdict((), looked=looked), _of_record(record)


def without_looking(record: dict[str, Any]) -> tuple[Verdict, ...]:
    """Return the verdicts on a result that another run has just published: only its record was read."""
    return (_of_record(record),)


def by_looking(results: ResultsStore, record: dict[str, Any], provenance: Provenance | None) -> tuple[Verdict, ...]:
    """List the files of a result, validate its whole record, and return the verdicts.

    Parameters
    ----------
    results : ResultsStore
        Store that has the files.
    record : dict
        Its record, read just before.
    provenance : Provenance or None
        The parsed record; None if it cannot be parsed, and then the location of the files is unknown.

    Raises
    ------
    ServerUnavailableError
        If S3 does not answer.
    """
    whole = record_verdict(faults_of_record(record, whole=True), looked="The whole record, fetched again.")
    if provenance is None:
        return (whole,)
    found = differences(results, provenance)
    return files_verdict(found, looked=f"{provenance.location}, listed again."), whole


def _of_record(record: dict[str, Any]) -> Verdict:
    """Return the verdict on a record."""
    return record_verdict(faults_of_record(record), looked="The record as this run wrote or read it.")
