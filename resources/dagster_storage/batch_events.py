"""Logs many events of a run at once.

``context.log_event`` stores each event separately, in several transactions; see
https://github.com/dagster-io/dagster/blob/master/python_modules/dagster/dagster/_core/instance/utils.py for how Dagster
batches its own events (``DAGSTER_EVENT_BATCH_SIZE``). Dagster has no public function that logs a batch.
"""

import uuid
from collections.abc import Callable, Sequence

import dagster as dg
from dagster._core.events import DagsterEvent, DagsterEventBatchMetadata, DagsterEventType
from dagster._core.execution.context.system import StepExecutionContext

Event = dg.AssetMaterialization | dg.AssetObservation | dg.AssetCheckEvaluation
Reporter = Callable[[dg.AssetExecutionContext, Sequence[Event]], None]


def report(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext, reports: Sequence[Event]) -> None:
    """Log events as ``context.log_event`` does, stored together if ``DAGSTER_EVENT_BATCH_SIZE`` is set.

    Parameters
    ----------
    context : dagster.AssetExecutionContext or dagster.AssetCheckExecutionContext
        Context of the run that reports the events.
    reports : sequence of AssetMaterialization, AssetObservation or AssetCheckEvaluation
        Events in the order of storage.
    """
    step = context.op_execution_context.get_step_execution_context()
    batch, last = str(uuid.uuid4()), len(reports) - 1
    for number, found in enumerate(reports):
        together = DagsterEventBatchMetadata(batch, number == last)
        if isinstance(found, dg.AssetMaterialization):
            event = DagsterEvent.asset_materialization(step, found, together)
        elif isinstance(found, dg.AssetObservation):
            event = DagsterEvent.asset_observation(step, found, together)
        else:
            event = _verdict(step, found, together)
        context.op_execution_context._events.append(event)  # noqa: SLF001  as `log_event` does


def _verdict(
    step: StepExecutionContext, said: dg.AssetCheckEvaluation, together: DagsterEventBatchMetadata
) -> DagsterEvent:
    """Return the event of a check evaluation; Dagster's constructor does not support batches."""
    return DagsterEvent.from_step(
        event_type=DagsterEventType.ASSET_CHECK_EVALUATION,
        step_context=step,
        event_specific_data=said,
        message=f"Asset check '{said.check_name}' {'passed' if said.passed else 'did not pass'}. {said.description or ''}",
        batch_metadata=together,
    )
