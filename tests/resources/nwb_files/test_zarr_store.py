"""Zarr stores: links, versions of the format, and consolidated metadata that are outdated."""

import json
import shutil

import numcodecs
import numpy as np
import pytest
import zarr

from domain.errors import InputError
from resources.nwb import describe_session, open_nwb, read_units
from resources.nwb_files.zarr_store import check_zarr_links
from resources.nwb_trials import read_trials


def read(path):
    """Read all that the bundled analyses read."""
    with open_nwb(path) as nwb:
        return len(list(read_units(nwb))), read_trials(nwb, required=("animal_response",))


def linked(group, name, **link):
    """Return a change that puts a link in the place of a group or array."""

    def change(root, path):
        parent = root if group == "/" else root[group]
        shutil.rmtree(path / group.strip("/") / name)
        parent.attrs["zarr_link"] = [{"name": name, **link}]

    return change


@pytest.mark.parametrize(
    ("change", "link", "target"),
    [
        (linked("/", "units", source="../other.nwb.zarr", path="/units"), "/units", "`/units` in `../other.nwb.zarr`"),
        (
            linked("intervals", "trials", source="/data/b.zarr", path="/t"),
            "/intervals/trials",
            "`/t` in `/data/b.zarr`",
        ),
        (linked("units", "spike_times", source="s3://b/c.zarr", path="/x"), "/units/spike_times", "`s3://b/c.zarr`"),
        (linked("/", "units", source=None, path="/units"), "/units", "`None`"),
    ],
    ids=["units", "trials", "column", "without a source"],
)
@pytest.mark.parametrize("consolidate", [True, False])
def test_a_link_to_another_store_is_an_error_that_names_both(changed_zarr, change, link, target, consolidate):
    path = changed_zarr(change, consolidate=consolidate)
    with pytest.raises(InputError, match="reads from other files") as error:
        read(path)
    assert str(error.value).startswith(f"`{path}` reads from other files: `{link}` links to ")
    assert target in str(error.value)


def test_a_link_without_a_target_is_an_error(changed_zarr):
    path = changed_zarr(linked("/", "units", source=".", path="/nowhere"))
    with pytest.raises(InputError, match="has broken links: `/units` links to `/nowhere`, which is not in the store"):
        read(path)


def test_a_link_inside_the_store_is_followed(changed_zarr):
    def change(root, path):
        (path / "units").rename(path / "real")
        for name in ("spike_times", "spike_amplitudes", "obs_intervals"):  # indices refer to their columns by path
            attributes = path / "real" / f"{name}_index" / ".zattrs"
            attributes.write_text(attributes.read_text().replace('"/units/', '"/real/'))
        root.attrs["zarr_link"] = [{"name": "units", "source": ".", "path": "/real"}]

    check_zarr_links(changed_zarr(change), name="x")


def test_a_reference_to_another_store_is_an_error(changed_zarr):
    def in_attributes(_root, path):
        attributes = path / "units" / "spike_times_index" / ".zattrs"
        attributes.write_text(attributes.read_text().replace('"source": "."', '"source": "../b.zarr"'))

    with pytest.raises(InputError, match=r"`/units/spike_times_index@target` links to .* in `\.\./b\.zarr`"):
        read(changed_zarr(in_attributes))


def test_a_reference_among_the_values_of_an_array_is_checked_too(changed_zarr):
    def among_values(root, _path):
        values = np.empty(2, dtype=object)
        values[:] = [{"source": ".", "path": "/units"}, {"source": "../b.zarr", "path": "/units"}]
        made = root["units"].create_dataset("groups", data=values, object_codec=numcodecs.JSON())
        made.attrs["zarr_dtype"] = "object"

    with pytest.raises(
        InputError, match=r"reads from other files: `/units/groups` links to `/units` in `\.\./b\.zarr`"
    ):
        read(changed_zarr(among_values))


@pytest.mark.parametrize("name", ["units", "units/spike_times/0"])
def test_a_symbolic_link_that_leaves_the_store_is_an_error(changed_zarr, originals, name):
    def change(_root, path):
        target = path / name
        shutil.rmtree(target) if target.is_dir() else target.unlink()
        target.symlink_to(originals["zarr"] / name)

    with pytest.raises(InputError, match=f"reads from other files: `/{name}` is a symbolic link to `/"):
        read(changed_zarr(change))


def deleted(_root, path):
    """Delete an array."""
    shutil.rmtree(path / "units" / "spike_times")


def added(root, _path):
    """Add a group that hdmf-zarr would not see."""
    root.create_group("intervals/more")


def resized(root, _path):
    """Append to an array."""
    root["intervals/trials/start_time"].append([99.0])


def renamed(root, _path):
    """Change the columns of a table."""
    root["units"].attrs["colnames"] = ["spike_times"]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (deleted, "names what the store does not hold `/units/spike_times`"),
        (added, "leaves out `/intervals/more`"),
        (resized, "differs from the store in `/intervals/trials/start_time`"),
        (renamed, "differs from the store in `/units`"),
    ],
)
def test_consolidated_metadata_that_are_outdated_are_an_error(changed_zarr, change, found):
    with pytest.raises(InputError, match=f"has outdated consolidated metadata: `.zmetadata` {found}"):
        read(changed_zarr(change, consolidate=False))


@pytest.mark.parametrize("content", ["{", "[]", '{"metadata": []}'])
def test_consolidated_metadata_that_are_not_readable_are_an_error(changed_zarr, content):
    path = changed_zarr(lambda _root, path: (path / ".zmetadata").write_text(content), consolidate=False)
    with pytest.raises(InputError, match=r"has consolidated metadata \(`\.zmetadata`\) that are not readable"):
        read(path)


def test_a_store_without_consolidated_metadata_is_read(changed_zarr):
    path = changed_zarr(lambda _root, path: (path / ".zmetadata").unlink(), consolidate=False)
    assert read(path)[0] == 3


def test_attributes_that_are_not_json_are_an_error_of_the_reader(changed_zarr):
    def change(_root, path):
        (path / ".zmetadata").unlink()
        (path / "units" / ".zattrs").write_text("{")

    with pytest.raises(InputError, match="cannot be read as NWB"):
        read(changed_zarr(change, consolidate=False))


@pytest.mark.parametrize("array", ["units/spike_times", "intervals/trials/start_time"])
def test_times_whose_chunks_are_missing_are_an_error(changed_zarr, array):
    path = changed_zarr(lambda _root, path: (path / array / "0").unlink(), consolidate=False)
    with pytest.raises(InputError, match=r"lacks 1 of the \d+ chunks? of column `(spike_times|start_time)`"):
        read(path)


@pytest.mark.parametrize("act", [describe_session, read])
def test_a_store_of_format_3_is_rejected_with_what_to_do(tmp_path, act):
    (tmp_path / "zarr.json").write_text(json.dumps({"zarr_format": 3, "node_type": "group"}))
    with pytest.raises(InputError, match=r"is a Zarr store of format 3, and only format 2 is supported. Export"):
        act(tmp_path)


def test_a_store_of_both_formats_is_read_as_format_2(changed_zarr):
    path = changed_zarr(lambda _root, path: (path / "zarr.json").write_text("{}"), consolidate=False)
    assert read(path)[0] == 3
    assert zarr.open_group(str(path), mode="r").attrs["neurodata_type"] == "NWBFile"
