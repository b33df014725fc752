"""One small session in each format, and copies of it that tests may change."""

import shutil

import h5py
import pytest
import zarr

from examples.behavior import make_behavior
from examples.sessions import write_session


@pytest.fixture(scope="session")
def originals(tmp_path_factory):
    """Give the path of a session with units and trials, by format."""
    folder = tmp_path_factory.mktemp("originals")
    paths = {"hdf5": folder / "session.nwb", "zarr": folder / "session.nwb.zarr"}
    for backend, path in paths.items():
        behavior = make_behavior(1, n_trials=20)
        write_session(path, seed=1, n_units=3, duration_s=20.0, backend=backend, behavior=behavior)
    return paths


@pytest.fixture
def changed(originals, tmp_path):
    """Give a function that copies the HDF5 session and changes it with h5py."""

    def change(function):
        path = shutil.copy(originals["hdf5"], tmp_path / "session.nwb")
        with h5py.File(path, "a") as file:
            function(file)
        return path

    return change


@pytest.fixture
def changed_zarr(originals, tmp_path):
    """Give a function that copies the Zarr session, changes it, and consolidates its metadata again."""

    def change(function, *, consolidate=True):
        path = shutil.copytree(originals["zarr"], tmp_path / "session.nwb.zarr")
        function(zarr.open_group(str(path), mode="a"), path)
        if consolidate:
            zarr.consolidate_metadata(str(path))
        return path

    return change
