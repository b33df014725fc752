"""Rejected job files in Dagster: a check that fails while there are any, and events when their list changes."""

from collections.abc import Iterable, Sequence

import dagster as dg

from domain.job.identity import keys_digest
from engine.assets.materialization import inbox_key_of
from engine.discovery.analyses import AnalysisEntry
from resources.inbox.notes import FileNote, InboxNotes
from sensors.limits import LIMITS, TickLimits

CHECK_NAME = "job_files_readable"


def build_inbox_check(entry: AnalysisEntry, *, limits: TickLimits = LIMITS) -> dg.AssetChecksDefinition:
    """Build the check that fails while any job file of an analysis is rejected.

    Parameters
    ----------
    entry : AnalysisEntry
        The analysis, with its current code version.
    limits : TickLimits
        Bounds the number of files that the check lists.
    """

    @dg.asset_check(
        asset=inbox_key_of(entry.analysis.name),
        name=CHECK_NAME,
        description="Fails while any job file is rejected; lists each with the reason, until it is fixed or removed.",
    )
    def job_files_readable(inbox_notes: InboxNotes) -> dg.AssetCheckResult:
        bad = inbox_notes.rejected(entry.analysis.name)
        return dg.AssetCheckResult(passed=not bad, metadata={"rejected files": _bad_files(bad, limits.shown_files)})

    return job_files_readable


def rejected_file_events(
    name: str, bad: Sequence[FileNote], cursor: str | None, *, limits: TickLimits = LIMITS
) -> tuple[list[dg.AssetObservation | dg.AssetMaterialization | dg.AssetCheckEvaluation], str]:
    """Return events and digest of the rejected files; no events if their list is unchanged."""
    digest = keys_digest(f"{note.name}: {note.problem}" for note in bad)
    if digest == cursor or (not bad and cursor is None):
        return [], digest
    table = _bad_files(bad, limits.shown_files)
    return [
        dg.AssetObservation(asset_key=inbox_key_of(name), metadata={"rejected files": table, "count": len(bad)}),
        dg.AssetCheckEvaluation(
            asset_key=inbox_key_of(name), check_name=CHECK_NAME, passed=not bad, metadata={"rejected files": table}
        ),
    ], digest


def _bad_files(bad: Iterable[FileNote], shown: int) -> dg.TableMetadataValue:
    """Return a table of the first rejected files, with their reasons."""
    rows = [dg.TableRecord({"file": note.name, "reason": note.problem or ""}) for note in bad]
    columns = [dg.TableColumn("file", "string"), dg.TableColumn("reason", "string")]
    return dg.MetadataValue.table(rows[:shown], schema=dg.TableSchema(columns=columns))
