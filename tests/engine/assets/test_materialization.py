import base64
import io
import re

import dagster as dg
import numpy as np
import pytest
from dagster._core.definitions.data_version import extract_data_version_from_entry
from PIL import Image

from domain.failures import JobError
from domain.result.provenance import TableRows
from engine.assets.markdown import escaped
from engine.assets.materialization import (
    asset_key_of,
    failure_observation,
    materialization,
    metadata,
    provenance_of,
)
from engine.assets.thumbnail import thumbnail
from engine.discovery.analyses import load_named
from resources.result_store.store import ResultsStore
from resources.s3.connection import S3Connection
from tests.provenances import rich, sparse

LIMIT = 100_000


@pytest.fixture
def results():
    """Give a store that is only used for links."""
    return ResultsStore(s3=S3Connection(endpoint_url="http://127.0.0.1:9"), root="bucket")


@pytest.fixture
def instance():
    """Give a Dagster with an event log of its own."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def image(width, height, *, kind="PNG", mode="RGB", noise=True):
    """Draw an image: noise compresses badly, white compresses well."""
    channels = len(mode)
    shape = (height, width, channels) if channels > 1 else (height, width)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, shape, dtype=np.uint8) if noise else np.full(shape, 255, dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels, mode=mode).save(buffer, kind)
    return buffer.getvalue()


def shown(markdown):
    """Read the image back out of Markdown."""
    kind, content = re.fullmatch(r"!\[figure\]\(data:image/(png|jpeg);base64,([A-Za-z0-9+/=]+)\)", markdown).groups()
    decoded = Image.open(io.BytesIO(base64.b64decode(content)))
    assert decoded.format == kind.upper()
    return decoded


def stored(instance, event):
    """Report an event and read it back as Dagster stored it."""
    instance.report_runless_asset_event(event)
    return instance.get_latest_materialization_event(event.asset_key).asset_materialization


@pytest.mark.parametrize("provenance", [rich(), sparse()], ids=["rich", "sparse"])
@pytest.mark.parametrize("figure", [None, image(30, 20), image(1600, 1200)], ids=["no", "small", "large"])
def test_a_provenance_survives_dagsters_event_log(provenance, figure, results, instance):
    event = stored(instance, materialization(provenance, results=results, figure=figure, reused=False))
    assert provenance_of(event.metadata) == provenance
    assert ("figure" in event.metadata) == (figure is not None)


def test_an_event_is_that_of_its_partition_with_data_and_code_version(results, instance):
    event = stored(instance, materialization(rich(), results=results, figure=None, reused=False))
    assert event.asset_key == asset_key_of("demo") == dg.AssetKey(["analysis", "demo"])
    assert event.partition == rich().job_key
    assert event.tags["dagster/data_version"] == rich().manifest_sha256
    assert event.tags["dagster/code_version"] == rich().code_version
    assert event.description == "700001_2024-05-01: computed in 12.5 s"


def test_dagster_takes_the_manifests_digest_as_data_version(results, instance):
    stored(instance, materialization(rich(), results=results, figure=None, reused=False))
    record = instance.get_latest_data_version_record(asset_key_of("demo"))
    assert dg.DataVersion(rich().manifest_sha256) == extract_data_version_from_entry(record.event_log_entry)


@pytest.mark.parametrize(
    ("changes", "who"),
    [
        ({"session_names": ("s1", "s2")}, "s1, s2"),
        ({"subject_ids": ("7",)}, "7"),
        ({}, "s3://bucket/asset"),
        ({"locations": (), "files": ("s3://bucket/file.nwb",)}, "s3://bucket/file.nwb"),
    ],
)
def test_an_event_is_described_by_the_best_name_that_is_known(changes, who, results):
    event = materialization(sparse(**changes), results=results, figure=None, reused=True)
    assert event.description == f"{who}: reused in 12.5 s"


def test_a_person_reads_subject_session_figure_and_outputs_first(results):
    found = metadata(rich(), results=results, figure=image(3, 2), reused=False)
    assert list(found)[:5] == ["subject", "session", "figure", "rate_hz", "count"]
    assert found["subject"].value == "700001, Füchsin"
    assert found["session"].value == "700001_2024-05-01"


def test_what_the_inputs_do_not_name_is_said_to_be_missing(results):
    found = metadata(sparse(), results=results, figure=None, reused=True)
    assert found["subject"].value == found["session"].value == "not named in the inputs"
    assert found["computed or reused"].value == "reused"


def test_values_keep_their_natural_form(results):
    found = metadata(rich(), results=results, figure=None, reused=False)
    assert found["rate_hz"] == dg.MetadataValue.float(1.25e-7)
    assert found["count"] == dg.MetadataValue.int(3)
    assert found["ok"] == dg.MetadataValue.bool(True)
    assert found["word"] == dg.MetadataValue.text("naïve 🧠")
    assert found["bad"] == dg.MetadataValue.text("none")
    assert found["list"] == dg.MetadataValue.json([1.0, None])
    assert found["parameter window"] == dg.MetadataValue.json({"stop_s": 1.0, "labels": ["gut", "日本"]})
    assert found["parameter n"] == dg.MetadataValue.int(2**40)


def test_the_result_the_inputs_and_the_code_are_named(results):
    found = metadata(rich(), results=results, figure=None, reused=False)
    assert found["result"].value.startswith("http://127.0.0.1:9/bucket/")
    assert found["result location"].value == rich().location
    assert all(f"[{escaped(url)}](<http" in found["input"].value for url in (*rich().locations, *rich().files))
    assert found["record"].value == f"{found['result'].value}metadata.nd.json"
    assert found["run"] == dg.MetadataValue.dagster_run(rich().run_id)
    assert found["machine"].value == "Linux x86_64, Some CPU, 2 cores, 8.1 GB"
    assert (found["processor time (s)"].value, found["peak memory (MB)"].value) == (3.25, 8589.9)
    assert found["code"].value == "1+0123456789ab (0123456789ab, with uncommitted changes)"
    assert metadata(sparse(), results=results, figure=None, reused=False)["code"].value == "1+0123456789ab (no commit)"
    assert found["ended"].value == rich().ended.timestamp()
    assert found["duration (s)"].value == 12.5


def test_one_input_is_an_address_to_copy_and_a_link_to_open(results):
    found = metadata(sparse(), results=results, figure=None, reused=False)
    assert found["input"] == dg.MetadataValue.path("s3://bucket/asset")
    assert found["open input"] == dg.MetadataValue.url("http://127.0.0.1:9/bucket/asset")


def test_an_input_on_disk_has_no_link_because_no_browser_opens_it(results):
    found = metadata(sparse(locations=("file:///data/a.nwb",)), results=results, figure=None, reused=False)
    assert found["input"] == dg.MetadataValue.path("file:///data/a.nwb")
    assert "open input" not in found


def test_the_source_is_a_link_to_the_commit_or_the_place_on_disk(results):
    commit = "0123456789abcdef" * 2 + "01234567"
    code = sparse().code.model_copy(update={"url": "git@github.com:lab/analyses.git", "commit": commit})
    found = metadata(sparse(code=code), results=results, figure=None, reused=False)
    page = f"https://github.com/lab/analyses/blob/{commit}/analysis_assets/demo.py"
    assert found["source"] == dg.MetadataValue.url(page)
    without = metadata(sparse(), results=results, figure=None, reused=False)
    assert without["source"] == dg.MetadataValue.path("https://host/repo/analysis_assets/demo.py")


def test_numbers_are_reported_with_their_unit_and_stay_numbers(results):
    analysis = load_named("unit_quality").analysis
    made = sparse(outputs={"n_units": 7, "median_firing_rate_hz": 2.5}, parameters={"presence_bin_s": 60.0})
    found = metadata(made, analysis=analysis, results=results, figure=None, reused=False)
    assert found["n_units (count)"] == dg.MetadataValue.int(7)
    assert found["median_firing_rate_hz (Hz)"] == dg.MetadataValue.float(2.5)
    assert found["parameter presence_bin_s (s)"] == dg.MetadataValue.float(60.0)


def test_rows_of_the_first_table_are_what_dagster_plots_as_rows(results, instance):
    made = sparse(tables=(TableRows(file="a.parquet", rows=7), TableRows(file="b.csv", rows=0)))
    event = stored(instance, materialization(made, results=results, figure=None, reused=True))
    assert event.metadata["dagster/row_count"] == dg.MetadataValue.int(7)
    assert event.metadata["rows of b.csv"] == dg.MetadataValue.int(0)
    assert provenance_of(event.metadata) == made


def test_a_partition_names_its_inbox_as_an_input_so_that_it_is_never_unsynced(results):
    tags = materialization(sparse(), results=results, figure=None, reused=False).tags
    assert tags["dagster/input_data_version/demo/inbox"] == "INITIAL"
    assert tags["dagster/input_event_pointer/demo/inbox"] == "NULL"


def test_a_result_links_to_itself_in_the_explorer_where_that_is_known(results):
    assert "explorer" not in metadata(sparse(), results=results, figure=None, reused=False)
    linked = results.model_copy(update={"explorer_url": "https://explore.example.org/"})
    link = metadata(sparse(), results=linked, figure=None, reused=False)["explorer"].value
    assert link == f"https://explore.example.org/?analysis=demo&show={sparse().result_id[:20]}"


@pytest.mark.parametrize(
    "url", ["s3://b/<img src=x onerror=alert(1)>", "s3://b/](http://evil)", "https://h/a`b`_c_*d*"]
)
def test_an_address_that_others_wrote_stays_a_text(url, results):
    made = sparse(locations=(url, "s3://bucket/second"))
    shown = metadata(made, results=results, figure=None, reused=False)["input"].value
    text, _, link = shown.splitlines()[0].rstrip().rpartition("](<")
    assert not re.search(r"(?<!\\)[<`*]|(?<!\\)\]", text)
    assert re.fullmatch(r"https?://[\w.:/%\-]+>\)", link)


def test_a_traceback_cannot_end_its_own_block():
    error = JobError(kind="exception", message="m", permanent=True, traceback="```\n<script>\n````")
    reported = failure_observation("demo", "a" * 64, error).metadata["traceback"].value
    assert reported.startswith("`````\n")
    assert reported.endswith("\n`````")


@pytest.mark.parametrize("name", ["subject", "figure", "result", "input", "code", "ended", "provenance", "result_id"])
def test_an_output_called_like_one_of_our_entries_hides_nothing(name, results, instance):
    provenance = sparse(outputs={name: 7})
    event = stored(instance, materialization(provenance, results=results, figure=image(3, 2), reused=False))
    assert event.metadata[f"output {name}"].value == 7
    assert event.metadata[name].value != 7
    assert provenance_of(event.metadata) == provenance


def test_a_small_png_is_shown_as_it_is():
    figure = image(40, 30)
    assert base64.b64encode(figure).decode() in thumbnail(figure)


@pytest.mark.parametrize(
    "figure",
    [
        image(900, 600),
        image(3000, 500),
        image(400, 300, mode="RGBA"),
        image(600, 400, mode="L"),
        image(40, 30, kind="JPEG"),
        image(800, 800, kind="TIFF"),
    ],
    ids=["noise", "wide", "transparent", "grey", "small jpeg", "tiff"],
)
def test_any_other_image_becomes_a_small_jpeg_of_the_same_shape(figure):
    found = thumbnail(figure)
    assert len(found) < LIMIT
    before, after = Image.open(io.BytesIO(figure)).size, shown(found).size
    assert after[0] <= before[0]
    assert after[0] / after[1] == pytest.approx(before[0] / before[1], rel=0.05)


def test_transparent_ground_becomes_white():
    buffer = io.BytesIO()
    Image.new("RGBA", (50, 50), (0, 0, 0, 0)).save(buffer, "WEBP")
    assert shown(thumbnail(buffer.getvalue())).getpixel((25, 25)) == (255, 255, 255)


@pytest.mark.parametrize(
    "figure",
    [b"", b"not an image", b"<svg xmlns='http://www.w3.org/2000/svg'/>", image(600, 400)[:90_000]],
    ids=["empty", "text", "svg", "cut off"],
)
def test_a_figure_that_cannot_be_shown_is_named_and_fails_nothing(figure):
    assert thumbnail(figure).startswith("The figure cannot be shown here (")


def test_an_enormous_figure_is_not_decoded(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert "DecompressionBombError" in thumbnail(image(400, 300))
