"""The materialization metadata of a result: first the entries for users, then the whole provenance as JSON."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from domain.analysis import Analysis
from domain.analysis.fields import units_of, with_unit
from domain.analysis.source_links import source_page
from domain.failures import JobError
from domain.job.state import Attempt
from domain.result.provenance import Provenance, ResourceFacts
from engine.assets.markdown import code_block, markdown_link
from engine.assets.thumbnail import thumbnail
from engine.execution.publish import METADATA
from resources.explorer_links import result_in_explorer
from resources.result_store.store import ResultsStore

CODE_VERSION_TAG = "dagster/code_version"
DATA_VERSION_TAG = "dagster/data_version"
ROW_COUNT = "dagster/row_count"
_INPUT_DATA_VERSION, _INPUT_EVENT = "dagster/input_data_version", "dagster/input_event_pointer"
_UNVERSIONED, _NO_EVENT = "INITIAL", "NULL"  # Dagster's data version of an asset without versions
_MEGABYTE, _GIGABYTE = 1e6, 1e9


def asset_key_of(name: str) -> dg.AssetKey:
    """Return the asset key of an analysis."""
    return dg.AssetKey(["analysis", name])


def inbox_key_of(name: str) -> dg.AssetKey:
    """Return the asset key of the inbox folder of an analysis, an external asset."""
    return dg.AssetKey([name, "inbox"])


def materialization(
    provenance: Provenance,
    *,
    analysis: Analysis | None = None,
    results: ResultsStore,
    figure: bytes | None,
    reused: bool,
    attempts: Sequence[Attempt] = (),
) -> dg.AssetMaterialization:
    """Return the materialization of a published result.

    Parameters
    ----------
    provenance : Provenance
        Parsed record of the result.
    analysis : Analysis, optional
        Its models give the units of parameters and outputs.
    results : ResultsStore
        Store of the result, for links.
    figure : bytes or None
        Content of the figure, which is shown as a thumbnail; None if there is none.
    reused : bool
        Whether the result existed before this run.
    attempts : sequence of Attempt
        Executions of the job so far; empty if unknown.

    Returns
    -------
    dagster.AssetMaterialization
        Event with data version (digest of the manifest) and code version as tags.
    """
    entries = metadata(provenance, analysis=analysis, results=results, figure=figure, reused=reused)
    return dg.AssetMaterialization(
        asset_key=asset_key_of(provenance.analysis),
        partition=provenance.job_key,
        description=_sentence(provenance, reused=reused),
        metadata=entries | ({"attempts": attempts_table(attempts, done=provenance.attempt)} if attempts else {}),
        tags=_version_tags(provenance),
    )


def _version_tags(provenance: Provenance) -> dict[str, str]:
    """Return the tags by which Dagster determines whether a partition is up to date.

    Dagster adds the tags of the inputs only to materializations that it creates. Without them it shows every partition
    as unsynced, with "a new dependency". An inbox has no versions: the partition key determines the job.
    """
    inbox = inbox_key_of(provenance.analysis).to_user_string()
    return {
        DATA_VERSION_TAG: provenance.manifest_sha256,
        CODE_VERSION_TAG: provenance.code_version,
        f"{_INPUT_DATA_VERSION}/{inbox}": _UNVERSIONED,
        f"{_INPUT_EVENT}/{inbox}": _NO_EVENT,
    }


def metadata(
    provenance: Provenance,
    *,
    analysis: Analysis | None = None,
    results: ResultsStore,
    figure: bytes | None,
    reused: bool,
) -> dict[str, dg.MetadataValue[Any]]:
    """Return a result's metadata, the most important first; see `materialization`."""
    first: dict[str, dg.MetadataValue[Any]] = {
        "subject": dg.MetadataValue.text(", ".join(provenance.subject_ids) or "not named in the inputs"),
        "session": dg.MetadataValue.text(", ".join(provenance.session_names) or "not named in the inputs"),
    }
    if figure is not None:
        first["figure"] = dg.MetadataValue.md(thumbnail(figure))
    facts = _links(provenance, results) | _facts(provenance, reused=reused) | _use(provenance)
    units = units_of(analysis.parameters) if analysis else {}
    parameters = {
        f"parameter {with_unit(name, units.get(name, ''))}": _value(value)
        for name, value in provenance.parameters.items()
    }
    last: dict[str, dg.MetadataValue[Any]] = {
        "result_id": dg.MetadataValue.text(provenance.result_id),
        "provenance": dg.MetadataValue.json(provenance.model_dump(mode="json")),
    }
    used = {"figure", *first, *facts, *last}
    return first | _outputs(provenance, analysis, used) | facts | parameters | last


def _outputs(provenance: Provenance, analysis: Analysis | None, used: set[str]) -> dict[str, dg.MetadataValue[Any]]:
    """Return the outputs by name with unit: Dagster plots numbers over time with that label."""
    units = units_of(analysis.outputs) if analysis else {}
    shown = {name: with_unit(name, units.get(name, "")) for name in provenance.outputs}
    return {
        f"output {shown[name]}" if name in used or shown[name] in used else shown[name]: _value(value)
        for name, value in provenance.outputs.items()
    }


def _links(provenance: Provenance, results: ResultsStore) -> dict[str, dg.MetadataValue[Any]]:
    """Return the locations of result, record, inputs and source, as links if a browser can open them."""
    page, explorer = source_page(provenance.code), results.explorer_url
    beside = result_in_explorer(explorer, provenance.analysis, provenance.result_id) if explorer else None
    place = f"{provenance.code.url}/{provenance.code.run_script}"
    return {
        "result": dg.MetadataValue.url(results.browse_url(provenance.location)),
        "record": dg.MetadataValue.url(results.browse_url(provenance.location, METADATA)),
        **({"explorer": dg.MetadataValue.url(beside)} if beside else {}),
        "result location": dg.MetadataValue.path(provenance.location),
        **_input_links([*provenance.locations, *provenance.files], results),
        "source": dg.MetadataValue.url(page) if page else dg.MetadataValue.path(place),
    }


def _input_links(urls: Sequence[str], results: ResultsStore) -> dict[str, dg.MetadataValue[Any]]:
    """Return one input as URL and link, several as a list of links."""
    links = {url: results.input_url(url) for url in urls}
    if len(links) == 1:
        ((url, link),) = links.items()
        entries: dict[str, dg.MetadataValue[Any]] = {"input": dg.MetadataValue.path(url)}
        return entries | ({"open input": dg.MetadataValue.url(link)} if link else {})
    return {"input": dg.MetadataValue.md("  \n".join(markdown_link(url, link) for url, link in links.items()))}


def _facts(provenance: Provenance, *, reused: bool) -> dict[str, dg.MetadataValue[Any]]:
    """Return how the result was computed."""
    ran: dict[str, dg.MetadataValue[Any]] = (
        {"run": dg.MetadataValue.dagster_run(provenance.run_id)} if provenance.run_id else {}
    )
    return {
        "computed or reused": dg.MetadataValue.text("reused" if reused else "computed"),
        "why": dg.MetadataValue.text(_why(provenance, reused=reused)),
        **ran,
        "machine": dg.MetadataValue.text(_machine(provenance.resources)),
        "ended": dg.MetadataValue.timestamp(provenance.ended),
        "code": dg.MetadataValue.text(_code(provenance)),
    }


def _use(provenance: Provenance) -> dict[str, dg.MetadataValue[Any]]:
    """Return the resource usage of a job, and the size of its files."""
    used, numbers = provenance.resources, {"duration (s)": round(provenance.duration_s, 3)}
    if used.cpu_s is not None:
        numbers["processor time (s)"] = round(used.cpu_s, 3)
    if used.peak_memory_bytes is not None:
        numbers["peak memory (MB)"] = round(used.peak_memory_bytes / _MEGABYTE, 1)
    numbers["size of files (MB)"] = round(provenance.file_bytes / _MEGABYTE, 3)
    rows: dict[str, dg.MetadataValue[Any]] = {
        f"rows of {table.file}" if number else ROW_COUNT: dg.MetadataValue.int(table.rows)
        for number, table in enumerate(provenance.tables)
    }
    entries: dict[str, dg.MetadataValue[Any]] = {n: dg.MetadataValue.float(float(v)) for n, v in numbers.items()}
    return entries | rows


def failure_observation(analysis: str, job_key: str, error: JobError) -> dg.AssetObservation:
    """Return the observation of a failure, which the partition shows instead of a result.

    Parameters
    ----------
    analysis, job_key : str
        Name of the analysis, and key of the partition.
    error : JobError
        Stored error of the job.

    Returns
    -------
    dagster.AssetObservation
        Event with the analysis's traceback.
    """
    entries = code_block(error.traceback or error.log or error.message)
    return dg.AssetObservation(
        asset_key=asset_key_of(analysis),
        partition=job_key,
        description=f"Failed ({error.kind}): {error.message}",
        metadata={
            "failed": dg.MetadataValue.text(error.kind),
            "message": dg.MetadataValue.text(error.message),
            "permanent": dg.MetadataValue.bool(error.permanent),
            "traceback": dg.MetadataValue.md(entries),
        },
    )


def attempts_table(attempts: Sequence[Attempt], *, done: str = "") -> dg.TableMetadataValue:
    """Return a table of a job's attempts, the oldest first; `done` is the current one, which the ledger lacks."""
    rows = [
        dg.TableRecord(
            {
                "started": f"{a.started:%Y-%m-%d %H:%M:%S}",
                "outcome": a.outcome or ("done" if a.attempt == done else "running, or never ended"),
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


def _sentence(provenance: Provenance, *, reused: bool) -> str:
    """Return a one-line summary for the event list."""
    who = ", ".join(
        provenance.session_names or provenance.subject_ids or provenance.locations[:1] or provenance.files[:1]
    )
    return f"{who}: {'reused' if reused else 'computed'} in {provenance.duration_s:.1f} s"


def _why(provenance: Provenance, *, reused: bool) -> str:
    """Return why there is a result, and why it was not computed again."""
    forced = f"Computed again: {provenance.reason}. " if provenance.reason else ""
    made = f"{forced}{provenance.why or ''}".strip() or "not recorded"
    if not reused:
        return made
    run = f" by run {provenance.run_id}" if provenance.run_id else ""
    when = f"{provenance.ended:%Y-%m-%d %H:%M:%S}"
    return f"Not computed again: the same inputs, parameters and code gave this result at {when}{run}. Then: {made}"


def _machine(used: ResourceFacts) -> str:
    """Return a description of the machine of a job, as far as it is known."""
    parts = (
        f"{used.os} {used.architecture}",
        used.cpu,
        f"{used.cpu_cores} cores" if used.cpu_cores else None,
        f"{used.memory_bytes / _GIGABYTE:.1f} GB" if used.memory_bytes else None,
    )
    return ", ".join(part for part in parts if part)


def _code(provenance: Provenance) -> str:
    """Return code version and commit, and whether there were uncommitted changes."""
    commit = provenance.code.commit or "no commit"
    return f"{provenance.code_version} ({commit[:12]}{', with uncommitted changes' if provenance.code.dirty else ''})"


def _value(value: Any) -> dg.MetadataValue[Any]:
    """Return the metadata value of a JSON value."""
    if isinstance(value, bool):
        return dg.MetadataValue.bool(value)
    if isinstance(value, int):
        return dg.MetadataValue.int(value)
    if isinstance(value, float):
        return dg.MetadataValue.float(value)
    if isinstance(value, dict | list):
        return dg.MetadataValue.json(value)
    return dg.MetadataValue.text("none" if value is None else str(value))
