"""Declared and built-in checks as Dagster asset checks: one evaluation per check and partition.

A run reports the verdicts with each result. They are also a separate op, which a user launches from the UI after the
checks have changed: it evaluates stored results and computes nothing. Dagster marks partitioned checks as preview, so
all code that uses them is here; see
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
    """Evaluate every declared check for one result, and add the verdicts of the built-in ones.

    Parameters
    ----------
    entry : AnalysisEntry
        Its checks are evaluated.
    provenance : Provenance
        Parsed record; the checks receive its outputs.
    built_in : sequence of Verdict
        Verdicts of the built-in checks, from `engine.assets.builtin_checks`.
    target : Target, optional
        The materialization that the evaluations refer to.

    Returns
    -------
    list of dagster.AssetCheckEvaluation
        One for each check. A failed declared check is a warning, because the result is published; a failed built-in
        check is an error, because the result has changed since its publication.
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
    """Convert a verdict on a partition to a check evaluation."""
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
    """Report the checks of a result to Dagster outside of any run; can be repeated.

    Dagster stores one evaluation without a run for each check and partition, and raises for a second one, so existing
    ones are left out.

    Parameters
    ----------
    instance : dagster.DagsterInstance
        Instance that stores the evaluations.
    entry : AnalysisEntry
        Its checks are evaluated.
    provenance : Provenance
        Parsed record; the checks receive its outputs.
    built_in : sequence of Verdict
        Verdicts of the built-in checks.
    """
    target = latest_targets(instance, asset_key_of(provenance.analysis), [provenance.job_key]).get(provenance.job_key)
    found = evaluations(entry, provenance, built_in, target=target)
    keys = [evaluation.asset_check_key for evaluation in found]
    known = instance.event_log_storage.get_asset_check_partition_info(keys, partition_keys=[provenance.job_key])
    reported = {info.check_key for info in known}
    for evaluation in found:
        if evaluation.asset_check_key not in reported:
            instance.report_runless_asset_event(evaluation)


def build_checks(entry: AnalysisEntry, partitions: dg.PartitionsDefinition[Any]) -> dg.AssetChecksDefinition:
    """Return the asset checks of an analysis: the built-in ones, and those that it declares.

    Parameters
    ----------
    entry : AnalysisEntry
        Names and descriptions of its checks are shown in the UI.
    partitions : dagster.PartitionsDefinition
        Partition set of its asset.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return _operation(entry, _specs(entry, partitions))


def _specs(entry: AnalysisEntry, partitions: dg.PartitionsDefinition[Any]) -> list[dg.AssetCheckSpec]:
    declared = {check.__name__: description_of(check) for check in entry.analysis.checks}
    asset = asset_key_of(entry.analysis.name)
    return [
        dg.AssetCheckSpec(name=name, asset=asset, description=description, partitions_def=partitions)
        for name, description in (declared | BUILT_IN).items()
    ]


def _operation(entry: AnalysisEntry, specs: list[dg.AssetCheckSpec]) -> dg.AssetChecksDefinition:
    """Return the op that evaluates the checks of stored results."""
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
    """Evaluate the checks of a stored result; the built-in ones only if the store is given."""
    found = readable(record)
    built_in = by_looking(results, record, found) if results is not None else ()
    if found is not None:
        return evaluations(entry, found, built_in, target=target)
    error = dg.AssetCheckSeverity.ERROR
    return [_evaluation(entry.analysis.name, job_key, verdict, {}, error, target) for verdict in built_in]
