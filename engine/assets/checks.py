"""Declared and built-in checks as Dagster's asset checks: one verdict per check and partition.

A run tells the verdicts with each result that it reports. They are also an operation of their own, which a person launches
from the UI after the checks have changed: it judges stored results and computes nothing. Checks of single partitions
are marked as preview by Dagster, so everything that touches them is here; see
https://docs.dagster.io/guides/test/asset-checks.
"""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from domain.analysis.builtin_checks import BUILT_IN
from domain.analysis.checks import Verdict, description_of, verdicts
from domain.job.identity import result_id
from domain.result.provenance import Provenance
from domain.result.records import readable
from engine.assets.builtin_checks import by_looking
from engine.assets.materialization import asset_key_of
from engine.discovery.analyses import AnalysisEntry
from resources.dagster_storage.batch_events import report
from resources.dagster_storage.check_targets import Target, latest_targets
from resources.records.store import RecordStore
from resources.result_store.store import ResultsStore

_SHOWN_FIELDS = 30


def evaluations(
    entry: AnalysisEntry, provenance: Provenance, built_in: Sequence[Verdict] = (), *, target: Target | None = None
) -> list[dg.AssetCheckEvaluation]:
    """Ask every declared check about one result, and add what the built-in ones said.

    Parameters
    ----------
    entry : AnalysisEntry
        The analysis.
    provenance : Provenance
        The result.
    built_in : sequence of Verdict
        Verdicts of the built-in checks, from whoever has looked.
    target : Target, optional
        The materialization that they are about.

    Returns
    -------
    list of dagster.AssetCheckEvaluation
        One for each check. A declared check that does not pass is a warning, because the result is published all the
        same; a built-in one is an error, because the result is not what was published.
    """
    analysis, key = entry.analysis, provenance.job_key
    outputs = dg.MetadataValue.json(dict(list(provenance.outputs.items())[:_SHOWN_FIELDS]))
    session = dg.MetadataValue.text(", ".join(provenance.session_names) or "not named in the inputs")
    declared = verdicts(analysis.checks, analysis.outputs, provenance.outputs)
    warn, error = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR
    return [
        *(_evaluation(analysis.name, key, v, {"session": session, "outputs": outputs}, warn, target) for v in declared),
        *(_evaluation(analysis.name, key, v, {"session": session}, error, target) for v in built_in),
    ]


def _evaluation(
    analysis: str,
    job_key: str,
    verdict: Verdict,
    shown: dict[str, Any],
    severity: dg.AssetCheckSeverity,
    target: Target | None,
) -> dg.AssetCheckEvaluation:
    """Say a verdict on one partition in Dagster's words."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return dg.AssetCheckEvaluation(
            asset_key=asset_key_of(analysis),
            check_name=verdict.name,
            passed=verdict.passed,
            severity=severity,
            description=verdict.reason or None,
            partition=job_key,
            metadata=shown,
            target_materialization_data=target,
        )


def judge_reused(
    instance: dg.DagsterInstance, entry: AnalysisEntry, provenance: Provenance, built_in: Sequence[Verdict]
) -> None:
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
    built_in : sequence of Verdict
        Verdicts of the built-in checks.
    """
    target = latest_targets(instance, asset_key_of(provenance.analysis), [provenance.job_key]).get(provenance.job_key)
    found = evaluations(entry, provenance, built_in, target=target)
    keys = [evaluation.asset_check_key for evaluation in found]
    known = instance.event_log_storage.get_asset_check_partition_info(keys, partition_keys=[provenance.job_key])
    told = {info.check_key for info in known}
    for evaluation in found:
        if evaluation.asset_check_key not in told:
            instance.report_runless_asset_event(evaluation)


def build_checks(entry: AnalysisEntry, partitions: dg.PartitionsDefinition[Any]) -> dg.AssetChecksDefinition:
    """Make the asset checks of one analysis: the built-in ones, and those that it declares.

    Parameters
    ----------
    entry : AnalysisEntry
        The analysis.
    partitions : dagster.PartitionsDefinition
        Its partition set.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return _operation(entry, _specs(entry, partitions))


def _specs(entry: AnalysisEntry, partitions: dg.PartitionsDefinition[Any]) -> list[dg.AssetCheckSpec]:
    """Describe each check to Dagster."""
    declared = {check.__name__: description_of(check) for check in entry.analysis.checks}
    asset = asset_key_of(entry.analysis.name)
    return [
        dg.AssetCheckSpec(name=name, asset=asset, description=description, partitions_def=partitions)
        for name, description in (declared | BUILT_IN).items()
    ]


def _operation(entry: AnalysisEntry, specs: list[dg.AssetCheckSpec]) -> dg.AssetChecksDefinition:
    """Make the operation that judges stored results again."""
    name = entry.analysis.name

    @dg.multi_asset_check(name=f"{name}_checks", specs=specs, can_subset=True)
    def judge(
        context: dg.AssetCheckExecutionContext, record_store: RecordStore, results_store: ResultsStore
    ) -> Iterator[dg.AssetCheckResult]:
        chosen = {key.name for key in context.selected_asset_check_keys}
        op_context = context.op_execution_context
        keys = op_context.partition_keys
        results = {result_id(name, entry.code_version, key): key for key in keys}
        records = record_store.get_many(results)
        look = results_store if chosen & set(BUILT_IN) else None
        targets = latest_targets(op_context.instance, asset_key_of(name), keys)
        judged = []
        for result, record in records.items():
            judged += _judged(entry, results[result], record, look, targets.get(results[result]))
        report(context, [one for one in judged if one.check_name in chosen])
        without = len(keys) - len(records)
        op_context.log.info("%d results judged; %d partitions have none of the current code.", len(records), without)
        yield from ()

    return judge


def _judged(
    entry: AnalysisEntry, job_key: str, record: dict[str, Any], results: ResultsStore | None, target: Target | None
) -> list[dg.AssetCheckEvaluation]:
    """Judge one stored result; its files and its record too, if the store is given."""
    found = readable(record)
    built_in = by_looking(results, record, found) if results is not None else ()
    if found is not None:
        return evaluations(entry, found, built_in, target=target)
    error = dg.AssetCheckSeverity.ERROR
    return [_evaluation(entry.analysis.name, job_key, verdict, {}, error, target) for verdict in built_in]
