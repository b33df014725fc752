"""Asks the built-in checks about a result, with what a run knows already or by looking again."""

from typing import Any

from domain.analysis.builtin_checks import files_verdict, record_verdict
from domain.analysis.checks import Verdict
from domain.result.provenance import Provenance
from domain.result.record_rules import faults_of_record
from engine.execution.publish import differences
from resources.result_store.store import ResultsStore


def after_upload(record: dict[str, Any], provenance: Provenance) -> tuple[Verdict, ...]:
    """Judge a result that was just published: the server has answered for each file with its size and ETag."""
    looked = f"{provenance.file_count} files, {provenance.file_bytes} bytes, by the server's answer to each upload."
    return files_verdict((), looked=looked), _of_record(record)


def after_listing(record: dict[str, Any], provenance: Provenance) -> tuple[Verdict, ...]:
    """Judge a result whose files were just listed and found as they were published."""
    looked = f"{provenance.file_count} files, {provenance.file_bytes} bytes, by a listing."
    return files_verdict((), looked=looked), _of_record(record)


def without_looking(record: dict[str, Any]) -> tuple[Verdict, ...]:
    """Judge a result that somebody else has published in the same moment: its record alone was seen."""
    return (_of_record(record),)


def by_looking(results: ResultsStore, record: dict[str, Any], provenance: Provenance | None) -> tuple[Verdict, ...]:
    """List the files of a result and judge its whole record.

    Parameters
    ----------
    results : ResultsStore
        Where its files are.
    record : dict
        Its record, just fetched.
    provenance : Provenance or None
        What the record says; None when it cannot be read, and nobody knows where the files are.

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
    """Judge a record at hand."""
    return record_verdict(faults_of_record(record), looked="The record as this run wrote or read it.")
