"""Links of HDF5 files: those inside the file are followed, all others are errors that name link and target."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from domain.errors import InputError
from resources.nwb import describe_session, open_nwb, read_units
from resources.nwb_files.links import check_hdf5_links
from resources.nwb_trials import read_trials
from tests.real_data import REAL_DATA, needs_real_data


def read(path):
    """Read all that the bundled analyses read."""
    with open_nwb(path) as nwb:
        return len(list(read_units(nwb))), read_trials(nwb, required=("animal_response",))


def replace(path, link):
    """Return a change that puts a link in the place of a group or dataset."""

    def change(file):
        del file[path]
        file[path] = link

    return change


def external_storage(file):
    """Keep the spike times in a file beside."""
    times = file["units/spike_times"]
    values, attributes = times[:], dict(times.attrs)
    raw = Path(file.filename).with_name("raw.bin")
    values.tofile(raw)
    del file["units/spike_times"]
    storage = [(str(raw), 0, values.nbytes)]
    made = file["units"].create_dataset("spike_times", values.shape, "f8", external=storage)
    for name, value in attributes.items():
        made.attrs[name] = value


def virtual(source):
    """Return a change that makes a column a virtual dataset."""

    def change(file):
        values = file["units/isolation_distance"][:]
        layout = h5py.VirtualLayout(values.shape, "f8")
        file["copy"] = values
        layout[:] = h5py.VirtualSource(source, "copy", values.shape)
        attributes = dict(file["units/isolation_distance"].attrs)
        del file["units/isolation_distance"]
        made = file["units"].create_virtual_dataset("isolation_distance", layout)
        for name, value in attributes.items():
            made.attrs[name] = value

    return change


@pytest.mark.parametrize(
    ("change", "link", "target"),
    [
        (replace("units", h5py.ExternalLink("other.nwb", "/units")), "/units", "`/units` in `other.nwb`"),
        (
            replace("intervals/trials", h5py.ExternalLink("/data/b.nwb", "/t")),
            "/intervals/trials",
            "`/t` in `/data/b.nwb`",
        ),
        (replace("intervals", h5py.ExternalLink("b.nwb", "/intervals")), "/intervals", "`/intervals` in `b.nwb`"),
        (replace("units/spike_times", h5py.ExternalLink("b.nwb", "/x")), "/units/spike_times", "`/x` in `b.nwb`"),
        (external_storage, "/units/spike_times", "raw.bin"),
        (virtual("other.h5"), "/units/isolation_distance", "`other.h5`"),
    ],
    ids=["units", "trials", "intervals", "column", "external storage", "virtual dataset"],
)
def test_a_link_that_leaves_the_file_is_an_error_that_names_link_and_target(changed, change, link, target):
    path = changed(change)
    with pytest.raises(InputError, match="reads from other files") as error:
        read(path)
    assert str(error.value).startswith(f"`{path}` reads from other files: `{link}` ")
    assert target in str(error.value)
    assert error.value.location == str(path)


def test_it_is_an_error_also_if_the_other_file_is_there(changed, originals):
    target = h5py.ExternalLink(str(originals["hdf5"]), "/units")
    with pytest.raises(InputError, match="external link to `/units` in"):
        read(changed(replace("units", target)))


def test_an_external_target_is_not_opened(changed, tmp_path):
    os.mkfifo(tmp_path / "pipe")  # opening it would wait forever
    with pytest.raises(InputError, match="external link to `/units` in `pipe`"):
        read(changed(replace("units", h5py.ExternalLink("pipe", "/units"))))


@pytest.mark.parametrize("path", ["units", "intervals/trials", "units/spike_times"])
@pytest.mark.parametrize("target", ["/nowhere", "/units/nowhere", "/loop"])
def test_a_soft_link_without_a_target_is_an_error(changed, path, target):
    def change(file):
        file["loop"] = h5py.SoftLink("/loop")
        replace(path, h5py.SoftLink(target))(file)

    with pytest.raises(InputError, match=f"has broken links: .*`/{path}` links to `{target}`"):
        read(changed(change))


def test_a_soft_link_through_an_external_one_is_an_error(changed, originals):
    def change(file):
        file["elsewhere"] = h5py.ExternalLink(str(originals["hdf5"]), "/")
        replace("units", h5py.SoftLink("/elsewhere/units"))(file)

    with pytest.raises(InputError, match="`/elsewhere` is an external link"):
        read(changed(change))


def test_links_inside_the_file_are_followed(changed, originals):
    def change(file):
        file.move("units", "scratch_units")
        file["units"] = h5py.SoftLink("/scratch_units")
        file["again"] = file["scratch_units"]  # a hard link to the same group
        file["scratch_units/cycle"] = file["/"]
        virtual(".")(file)

    path = changed(change)
    with h5py.File(path) as file:
        check_hdf5_links(file, name="x")
        assert np.array_equal(file["units/isolation_distance"], file["copy"])
    assert describe_session(path).subject_id == "700001"


def test_many_links_are_counted(changed):
    def change(file):
        for number in range(9):
            file[f"link{number}"] = h5py.ExternalLink(f"{number}.nwb", "/")

    with pytest.raises(InputError, match=r"`4\.nwb`; and 4 more\. "):
        read(changed(change))


@pytest.mark.parametrize("path", ["general", "general/subject", "general/subject/subject_id", "identifier"])
def test_a_subject_in_another_file_is_not_described(changed, originals, path):
    file = changed(replace(path, h5py.ExternalLink(str(originals["hdf5"]), f"/{path}")))
    with pytest.raises(InputError, match=f"reads from other files: .*`/{path}` is an external link"):
        describe_session(file)


def test_a_soft_link_of_the_header_is_followed_only_inside(changed, originals):
    def change(file):
        file["elsewhere"] = h5py.ExternalLink(str(originals["hdf5"]), "/general")
        replace("general", h5py.SoftLink("/elsewhere"))(file)

    with pytest.raises(InputError, match="`/elsewhere` is an external link"):
        describe_session(changed(change))


@needs_real_data
def test_a_real_file_with_a_broken_link_is_rejected():
    with pytest.raises(InputError, match=r"`/units` is an external link to `/units` in `k_target\.nwb`"):
        read(REAL_DATA / "faults" / "k_units_linked.nwb")
