"""Probe and electrode group of a unit: from columns, electrode groups or electrodes."""

from datetime import UTC, datetime

import h5py
import numpy as np
import pytest

from examples.nwb_file import empty_file, write_file
from resources.nwb import open_nwb, read_units
from tests.real_data import REAL_DATA, needs_real_data


@pytest.fixture
def labels(tmp_path):
    """Give a function that writes units on two probes, and returns their labels as read from the file."""

    def write(*, columns=(), groups=False, electrodes=(), rows=None, backend="hdf5"):
        nwb = empty_file("ecephys_1_2024-05-01_10-00-00", subject_id="1", start=datetime(2024, 5, 1, tzinfo=UTC))
        made = []
        for probe in "AB":
            device = nwb.create_device(name=f"Probe {probe}")
            made.append(
                nwb.create_electrode_group(name=f"shank {probe}", description="-", location="V1", device=device)
            )
        for group in [made[0], made[0], made[1]]:
            nwb.add_electrode(group=group, location="V1")
        for name in columns:
            nwb.add_unit_column(name, "Name of the probe.")
        for row in range(2):
            more = {name: f"{name} {row}" for name in columns}
            more |= {"electrode_group": made[row]} if groups else {}
            more |= {"electrodes": electrodes[row]} if electrodes else {}
            nwb.add_unit(id=7, spike_times=[1.5], **more)
        path = tmp_path / "a.nwb"
        write_file(nwb, path, backend=backend)
        if rows is not None:
            with h5py.File(path, "a") as file:
                file["units/electrodes"][...] = np.array(rows)
        with open_nwb(path) as read:
            return [(unit.row, unit.probe, unit.electrode_group) for unit in read_units(read)]

    return write


def test_units_without_any_of_them_have_no_labels(labels):
    assert labels() == [(0, None, None), (1, None, None)]


def test_the_device_of_the_electrode_group_is_the_probe(labels):
    assert labels(groups=True) == [(0, "Probe A", "shank A"), (1, "Probe B", "shank B")]


def test_a_column_of_names_is_the_probe(labels):
    assert labels(columns=["device_name"], groups=True) == [
        (0, "device_name 0", "shank A"),
        (1, "device_name 1", "shank B"),
    ]
    assert [probe for _, probe, _ in labels(columns=["probe"])] == ["probe 0", "probe 1"]


def test_electrodes_lead_to_their_groups(labels):
    found = labels(electrodes=[[0, 1], [1, 2]])
    assert found == [(0, "Probe A", "shank A"), (1, "Probe A, Probe B", "shank A, shank B")]


def test_electrodes_that_are_not_in_the_table_give_no_labels(labels):
    assert labels(electrodes=[[0], [2]], rows=[0, 99]) == [(0, "Probe A", "shank A"), (1, None, None)]


def test_groups_that_a_store_holds_as_pickles_are_not_read(labels):
    """`hdmf-zarr` writes references as pickles, which numcodecs does not read."""
    found = labels(columns=["device_name"], groups=True, backend="zarr")
    assert found == [(0, "device_name 0", None), (1, "device_name 1", None)]


def test_electrodes_of_a_store_lead_to_their_groups_by_name(labels):
    found = labels(electrodes=[[0, 1], [1, 2]], backend="zarr")
    assert found == [(0, "Probe A", "shank A"), (1, "Probe A, Probe B", "shank A, shank B")]


@needs_real_data
def test_two_probes_with_the_same_ids_are_distinguished():
    with open_nwb(REAL_DATA / "faults" / "e_two_probes_dup_ids.nwb") as nwb:
        found = [(unit.unit_id, unit.row, unit.probe, unit.electrode_group) for unit in read_units(nwb)]
    assert found == [(i % 3, i, "AB"[i // 3], ("ProbeA", "ProbeB")[i // 3]) for i in range(6)]


@needs_real_data
def test_groups_of_real_recordings_are_found():
    with open_nwb(REAL_DATA / "nwb" / "dandi000207_sub-4_ses-4_ecephys+image.nwb") as nwb:
        assert {(u.probe is None, u.electrode_group is None) for u in read_units(nwb)} == {(False, False)}
    with open_nwb(REAL_DATA / "nwb" / "pynapple_phy_A8604-211122.nwb") as nwb:
        assert {(u.probe, u.electrode_group) for u in read_units(nwb)} == {("-0", "group0_psb")}
