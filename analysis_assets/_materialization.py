"""What Dagster is told about a result: first what a person reads, then the whole provenance for machines."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import dagster as dg
from PIL import Image

from analysis_assets._outcome import Outcome
from domain.job_state import Attempt
from domain.provenance import Provenance
from resources.results_store import ResultsStore

CODE_VERSION_TAG = "dagster/code_version"
DATA_VERSION_TAG = "dagster/data_version"
_THUMBNAIL_PIXELS = ((900, 600), (450, 300), (300, 200))
_THUMBNAIL_BYTES = 75_000  # about 100 KB as a data URI


def asset_key_of(name: str) -> dg.AssetKey:
    """Return the asset key of an analysis."""
    return dg.AssetKey(["analysis", name])


def materialization(
    provenance: Provenance,
    *,
    results: ResultsStore,
    figure: bytes | None,
    reused: bool,
    attempts: Sequence[Attempt] = (),
) -> dg.AssetMaterialization:
    """Describe a published result as the materialization of its partition.

    Parameters
    ----------
    provenance : Provenance
        What is known about the result.
    results : ResultsStore
        Where it is; gives links that a person can open.
    figure : bytes or None
        Its figure.
    reused : bool
        Whether it was there before this run.
    attempts : sequence of Attempt
        The job's executions so far, where they are known.

    Returns
    -------
    dagster.AssetMaterialization
        With data version (the manifest's digest) and code version as tags.
    """
    told = metadata(provenance, results=results, figure=figure, reused=reused)
    return dg.AssetMaterialization(
        asset_key=asset_key_of(provenance.analysis),
        partition=provenance.job_key,
        description=_sentence(provenance, reused=reused),
        metadata=told | ({"attempts": attempts_table(attempts)} if attempts else {}),
        tags={DATA_VERSION_TAG: provenance.manifest_sha256, CODE_VERSION_TAG: provenance.code_version},
    )


def metadata(
    provenance: Provenance, *, results: ResultsStore, figure: bytes | None, reused: bool
) -> dict[str, dg.MetadataValue[Any]]:
    """Return a result's metadata, what a person looks for first."""
    first: dict[str, dg.MetadataValue[Any]] = {
        "subject": dg.MetadataValue.text(", ".join(provenance.subject_ids) or "not named in the inputs"),
        "session": dg.MetadataValue.text(", ".join(provenance.session_names) or "not named in the inputs"),
    }
    if figure is not None:
        first["figure"] = dg.MetadataValue.md(thumbnail(figure))
    facts: dict[str, dg.MetadataValue[Any]] = {
        "result": dg.MetadataValue.url(results.browse_url(provenance.location)),
        "result location": dg.MetadataValue.path(provenance.location),
        "input": dg.MetadataValue.md("  \n".join(f"`{url}`" for url in (*provenance.locations, *provenance.files))),
        "computed or reused": dg.MetadataValue.text("reused" if reused else "computed"),
        "why": dg.MetadataValue.text(_why(provenance, reused=reused)),
        "duration (s)": dg.MetadataValue.float(round(provenance.duration_s, 3)),
        "ended": dg.MetadataValue.timestamp(provenance.ended),
        "code": dg.MetadataValue.text(_code(provenance)),
    }
    parameters = {f"parameter {name}": _value(value) for name, value in provenance.parameters.items()}
    last: dict[str, dg.MetadataValue[Any]] = {
        "result_id": dg.MetadataValue.text(provenance.result_id),
        "provenance": dg.MetadataValue.json(provenance.model_dump(mode="json")),
    }
    taken = {"figure", *first, *facts, *last}
    outputs = {f"output {k}" if k in taken else k: _value(value) for k, value in provenance.outputs.items()}
    return first | outputs | facts | parameters | last


def failure_observation(analysis: str, outcome: Outcome) -> dg.AssetObservation:
    """Describe a failure on its partition, where a person looks for the result that is not there.

    Parameters
    ----------
    analysis : str
        Name of the analysis.
    outcome : Outcome
        How its job failed.

    Returns
    -------
    dagster.AssetObservation
        With the analysis's own traceback; a failure has no materialization that could carry it.
    """
    error = outcome.error
    if error is None:
        msg = f"Job {outcome.job_key} did not fail."
        raise ValueError(msg)
    told = f"```\n{error.traceback or error.log or error.message}\n```"
    return dg.AssetObservation(
        asset_key=asset_key_of(analysis),
        partition=outcome.job_key,
        description=f"Failed ({error.kind}): {error.message}",
        metadata={
            "failed": dg.MetadataValue.text(error.kind),
            "message": dg.MetadataValue.text(error.message),
            "permanent": dg.MetadataValue.bool(error.permanent),
            "traceback": dg.MetadataValue.md(told),
        },
    )


def attempts_table(attempts: Sequence[Attempt]) -> dg.TableMetadataValue:
    """Show a job's executions, the oldest first; the last one may still be at work."""
    rows = [
        dg.TableRecord(
            {
                "started": f"{a.started:%Y-%m-%d %H:%M:%S}",
                "outcome": a.outcome or "at work, or never ended",
                "error": a.error.message if a.error else "",
                "code": a.code_version or "",
                "run": a.run_id,
                "attempt": a.attempt,
            }
        )
        for a in attempts
    ]
    columns = [dg.TableColumn(name, "string") for name in ("started", "outcome", "error", "code", "run", "attempt")]
    return dg.MetadataValue.table(rows, schema=dg.TableSchema(columns=columns))


def provenance_of(found: dict[str, dg.MetadataValue[Any]]) -> Provenance:
    """Read the provenance back from a materialization's metadata."""
    return Provenance.model_validate(found["provenance"].value)


def thumbnail(figure: bytes) -> str:
    """Return a figure as Markdown that needs no further request; small, because Dagster keeps it with the event.

    A figure that is no image is named instead: the result is published, and showing it must not fail the run.
    """
    try:
        with Image.open(io.BytesIO(figure)) as image:
            fits = len(figure) <= _THUMBNAIL_BYTES and image.format == "PNG"
            kind, content = ("png", figure) if fits else ("jpeg", _small_jpeg(image))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return f"The figure cannot be shown here ({type(error).__name__}); it is among the result's files."
    return f"![figure](data:image/{kind};base64,{base64.b64encode(content).decode()})"


def _small_jpeg(image: Image.Image) -> bytes:
    """Shrink an image, on white ground, until it is small enough."""
    content = b""
    for size in _THUMBNAIL_PIXELS:
        small = image.convert("RGBA")
        small.thumbnail(size)
        flat = Image.new("RGB", small.size, "white")
        flat.paste(small, mask=small.getchannel("A"))
        buffer = io.BytesIO()
        flat.save(buffer, "JPEG", quality=70, optimize=True)
        content = buffer.getvalue()
        if len(content) <= _THUMBNAIL_BYTES:
            break
    return content


def _sentence(provenance: Provenance, *, reused: bool) -> str:
    """Sum a result up for the event list."""
    who = ", ".join(
        provenance.session_names or provenance.subject_ids or provenance.locations[:1] or provenance.files[:1]
    )
    return f"{who}: {'reused' if reused else 'computed'} in {provenance.duration_s:.1f} s"


def _why(provenance: Provenance, *, reused: bool) -> str:
    """Say why there is a result, and why it was not computed again."""
    forced = f"Computed again: {provenance.reason}. " if provenance.reason else ""
    made = f"{forced}{provenance.why or ''}".strip() or "not recorded"
    if not reused:
        return made
    run = f" by run {provenance.run_id}" if provenance.run_id else ""
    when = f"{provenance.ended:%Y-%m-%d %H:%M:%S}"
    return f"Not computed again: the same inputs, parameters and code gave this result at {when}{run}. Then: {made}"


def _code(provenance: Provenance) -> str:
    """Name the code: version, commit, and whether it was changed since."""
    commit = provenance.code.commit or "no commit"
    return f"{provenance.code_version} ({commit[:12]}{', with uncommitted changes' if provenance.code.dirty else ''})"


def _value(value: Any) -> dg.MetadataValue[Any]:
    """Show a JSON value in its natural form."""
    if isinstance(value, bool):
        return dg.MetadataValue.bool(value)
    if isinstance(value, int):
        return dg.MetadataValue.int(value)
    if isinstance(value, float):
        return dg.MetadataValue.float(value)
    if isinstance(value, dict | list):
        return dg.MetadataValue.json(value)
    return dg.MetadataValue.text("none" if value is None else str(value))
