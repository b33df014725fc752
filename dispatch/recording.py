"""Reports a dispatch to Dagster: a materialization of ``["dispatch", <analysis>]``, or an observation for a plan.

See https://docs.dagster.io/guides/build/assets/external-assets: the asset is defined in ``definitions.py``, and the
command or run that dispatches reports the outcome.
"""

from typing import Any
from urllib.parse import unquote

import dagster as dg

from dispatch.model.report import DispatchPlan
from dispatch.writing import Written
from engine.assets.materialization import asset_key_of

_ROWS = 200


def dispatch_key_of(name: str) -> dg.AssetKey:
    """Return the asset key of an analysis's dispatches."""
    return dg.AssetKey([name, "dispatches"])


def materialization(plan: DispatchPlan, written: Written, *, who: str) -> dg.AssetMaterialization:
    """Return the materialization of a dispatch: author, time, options, written files, skips and folder.

    Parameters
    ----------
    plan : DispatchPlan
        Its options, counts and skips are shown.
    written : Written
        Its id, folder and number of files are shown.
    who : str
        Name of a user or of a schedule.
    """
    return dg.AssetMaterialization(
        asset_key=dispatch_key_of(plan.analysis),
        description=plan.summary,
        metadata={
            "who": who,
            "when": dg.MetadataValue.timestamp(written.when),
            "dispatch id": written.dispatch_id,
            "job files": written.files,
            "folder": dg.MetadataValue.path(_place(written.folder)),
            "results": dg.MetadataValue.asset(asset_key_of(plan.analysis)),
            **_plan_metadata(plan),
        },
    )


def observation(plan: DispatchPlan) -> dg.AssetObservation:
    """Return the observation of a plan that was not written."""
    entries = {"plan only": dg.MetadataValue.bool(True), "jobs to write": len(plan.jobs), **_plan_metadata(plan)}
    return dg.AssetObservation(
        asset_key=dispatch_key_of(plan.analysis), description=f"Plan only: {plan.summary}", metadata=entries
    )


def text_table(plan: DispatchPlan) -> str:
    """Return a plan as a text table, for the log of a run."""
    lines = [plan.summary, *(f"warning: {text}" for text in plan.warnings)]
    lines += [f"{number:7d}  {what}" for what, number in {"write": len(plan.jobs), **plan.counts}.items()]
    rows = plan.rows()
    width = max((len(what) for what, _, _ in rows), default=0)
    return "\n".join(lines + [f"{what:{width}}  {of}  {more}".rstrip() for what, of, more in rows])


def _place(url: str) -> str:
    """Return a folder's path if it is local, otherwise its URL."""
    return unquote(url.removeprefix("file://")) if url.startswith("file://") else url


def _plan_metadata(plan: DispatchPlan) -> dict[str, Any]:
    """Return the metadata of a plan, whether it was written or not."""
    options = plan.options.model_dump(mode="json", exclude_defaults=True)
    columns = [dg.TableColumn(name, "string") for name in ("what", "of", "more")]
    records = [dg.TableRecord({"what": what, "of": of, "more": more}) for what, of, more in plan.rows()[:_ROWS]]
    return {
        "records": plan.records,
        "query": dg.MetadataValue.text(plan.query or "(assets were named)"),
        "options": dg.MetadataValue.json(options),
        "counts": dg.MetadataValue.json({"write": len(plan.jobs), **plan.counts}),
        "plan": dg.MetadataValue.table(records, schema=dg.TableSchema(columns=columns)),
        **({"warnings": dg.MetadataValue.md("\n".join(f"- {w}" for w in plan.warnings))} if plan.warnings else {}),
    }
