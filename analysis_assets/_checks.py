"""Declared checks as Dagster's asset checks: one verdict per check and partition.

A run evaluates them for each result that it reports. They are also an operation of their own, which a person launches
from the UI after the checks have changed: it judges stored results and computes nothing. Checks of single partitions
are marked as preview by Dagster, so everything that touches them is here; see
https://docs.dagster.io/guides/test/asset-checks.
"""

import warnings
from collections.abc import Iterator
from typing import Any

import dagster as dg

from analysis_assets._analyses import AnalysisEntry
from analysis_assets._materialization import asset_key_of
from domain.checks import description_of, verdicts
from domain.identity import result_id
from domain.provenance import Provenance
from domain.records import from_record
from resources.record_store import RecordStore

_SHOWN_FIELDS = 30


def evaluations(entry: AnalysisEntry, provenance: Provenance) -> list[dg.AssetCheckEvaluation]:
    """Ask every declared check about one result.

    Parameters
    ----------
    entry : AnalysisEntry
        The analysis.
    provenance : Provenance
        The result.

    Returns
    -------
    list of dagster.AssetCheckEvaluation
        One for each check; a check that does not pass is a warning, because the result is published all the same.
    """
    analysis = entry.analysis
    outputs = dg.MetadataValue.json(dict(list(provenance.outputs.items())[:_SHOWN_FIELDS]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [
            dg.AssetCheckEvaluation(
                asset_key=asset_key_of(analysis.name),
                check_name=verdict.name,
                passed=verdict.passed,
                severity=dg.AssetCheckSeverity.WARN,
                description=verdict.reason or None,
                partition=provenance.job_key,
                metadata={
                    "session": ", ".join(provenance.session_names) or "not named in the inputs",
                    "outputs": outputs,
                },
            )
            for verdict in verdicts(analysis.checks, analysis.outputs, provenance.outputs)
        ]


def judge_adopted(instance: dg.DagsterInstance, entry: AnalysisEntry, provenance: Provenance) -> None:
    """Tell Dagster, outside any run, what the checks say of a result; safe to repeat.

    Dagster keeps one verdict without a run for each check and partition, and refuses a second one, so those that it
    has already are left out.

    Parameters
    ----------
    instance : dagster.DagsterInstance
        Whom to tell.
    entry : AnalysisEntry
        The analysis.
    provenance : Provenance
        The result.
    """
    if not entry.analysis.checks:
        return
    found = evaluations(entry, provenance)
    keys = [evaluation.asset_check_key for evaluation in found]
    known = instance.event_log_storage.get_asset_check_partition_info(keys, partition_keys=[provenance.job_key])
    told = {info.check_key for info in known}
    for evaluation in found:
        if evaluation.asset_check_key not in told:
            instance.report_runless_asset_event(evaluation)


def build_checks(entry: AnalysisEntry, partitions: dg.PartitionsDefinition[Any]) -> list[dg.AssetChecksDefinition]:
    """Make the asset checks of one analysis; none when it declares none.

    Parameters
    ----------
    entry : AnalysisEntry
        The analysis.
    partitions : dagster.PartitionsDefinition
        Its partition set.
    """
    if not entry.analysis.checks:
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [_operation(entry, _specs(entry, partitions))]


def _specs(entry: AnalysisEntry, partitions: dg.PartitionsDefinition[Any]) -> list[dg.AssetCheckSpec]:
    """Describe each check to Dagster."""
    return [
        dg.AssetCheckSpec(
            name=check.__name__,
            asset=asset_key_of(entry.analysis.name),
            description=description_of(check),
            partitions_def=partitions,
        )
        for check in entry.analysis.checks
    ]


def _operation(entry: AnalysisEntry, specs: list[dg.AssetCheckSpec]) -> dg.AssetChecksDefinition:
    """Make the operation that judges stored results again."""
    name = entry.analysis.name

    @dg.multi_asset_check(name=f"{name}_checks", specs=specs, can_subset=True)
    def judge(context: dg.AssetCheckExecutionContext, record_store: RecordStore) -> Iterator[dg.AssetCheckResult]:
        chosen = {key.name for key in context.selected_asset_check_keys}
        op_context = context.op_execution_context
        keys = op_context.partition_keys
        results = {result_id(name, entry.code_version, key): key for key in keys}
        records = record_store.get_many(results)
        for record in records.values():
            for evaluation in evaluations(entry, from_record(record)):
                if evaluation.check_name in chosen:
                    op_context.log_event(evaluation)  # type: ignore[arg-type]  # as the assets' context takes it
        without = len(keys) - len(records)
        op_context.log.info("%d results judged; %d partitions have none of the current code.", len(records), without)
        yield from ()

    return judge
