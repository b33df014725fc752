"""Job files that are refused, as Dagster shows them: a check that is red while there are any, and events when they change."""

from collections.abc import Iterable, Sequence

import dagster as dg

from domain.job.identity import keys_digest
from engine.assets.materialization import inbox_key_of
from engine.discovery.analyses import AnalysisEntry
from resources.inbox.notes import FileNote, InboxNotes
from sensors.limits import LIMITS, TickLimits

CHECK_NAME = "job_files_readable"


def build_inbox_check(entry: AnalysisEntry, *, limits: TickLimits = LIMITS) -> dg.AssetChecksDefinition:
    """Make the check that fails while any job file of an analysis is refused.

    Parameters
    ----------
    entry : AnalysisEntry
        The analysis.
    limits : TickLimits
        How many files it lists.
    """

    @dg.asset_check(
        asset=inbox_key_of(entry.analysis.name),
        name=CHECK_NAME,
        description="Fails while any job file is rejected; lists each with the reason, until it is fixed or removed.",
    )
    def job_files_readable(inbox_notes: InboxNotes) -> dg.AssetCheckResult:
        bad = inbox_notes.bad(entry.analysis.name)
        return dg.AssetCheckResult(passed=not bad, metadata={"rejected files": _bad_files(bad, limits.shown_files)})

    return job_files_readable


def bad_file_events(
    name: str, bad: Sequence[FileNote], cursor: str | None, *, limits: TickLimits = LIMITS
) -> tuple[list[dg.AssetObservation | dg.AssetMaterialization | dg.AssetCheckEvaluation], str]:
    """Report the rejected files when their list has changed."""
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
    """Show the first rejected files with their reasons."""
    rows = [dg.TableRecord({"file": note.name, "reason": note.problem or ""}) for note in bad]
    columns = [dg.TableColumn("file", "string"), dg.TableColumn("reason", "string")]
    return dg.MetadataValue.table(rows[:shown], schema=dg.TableSchema(columns=columns))
