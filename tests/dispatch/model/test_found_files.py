"""Which files of an asset are meant, and how they become inputs of jobs."""

import pytest

from dispatch.model.found_files import check_extension, matches, with_files
from dispatch.model.groups import Candidate
from dispatch.model.skips import Reason
from domain.data_asset.record import AssetRecord
from domain.errors import DispatchError

A, B = (AssetRecord(name, name, f"s3://b/{name}") for name in ("a", "b"))


@pytest.mark.parametrize(
    ("path", "extension", "meant"),
    [
        ("a.nwb", ".nwb", True),
        ("deep/er/a.nwb", ".nwb", True),
        ("a.nwb.zarr", ".nwb", False),
        ("a.NWB", ".nwb", False),
        ("deep/a_spikes.nwb", "*_spikes.nwb", True),
        ("a_spikes.nwb/x", "*_spikes.nwb", False),
        ("nwb/a.nwb", "nwb/*.nwb", True),
        ("raw/a.nwb", "nwb/*.nwb", False),
        ("a1.tif", "a[0-9].tif", True),
        ("a.tif", "a?.tif", False),
    ],
)
def test_an_extension_is_the_end_of_a_name_or_a_pattern(path, extension, meant):
    assert matches(path, extension) is meant


@pytest.mark.parametrize("extension", ["nwb/", "a\nb"])
def test_an_extension_that_no_name_can_have_is_refused(extension):
    with pytest.raises(DispatchError, match="`file_extension`"):
        check_extension(extension)


def files(candidates, found, *, split=True):
    skips = []
    complete = with_files(candidates, found, split=split, skips=skips)
    return [(c.locations, c.files) for c in complete], [(skip.reason, skip.what) for skip in skips]


def test_a_job_for_each_file_or_one_for_each_asset():
    found = {A.location: ["s3://b/a/2", "s3://b/a/1"]}
    assert files([Candidate((A,))], found)[0] == [(("s3://b/a",), ("s3://b/a/1",)), (("s3://b/a",), ("s3://b/a/2",))]
    assert files([Candidate((A,))], found, split=False)[0] == [(("s3://b/a",), ("s3://b/a/1", "s3://b/a/2"))]


def test_a_group_stays_one_job_and_goes_on_without_the_assets_that_have_no_file():
    group = Candidate((A, B), {"s": 1})
    both = {A.location: ["s3://b/a/1"], B.location: ["s3://b/b/1", "s3://b/b/2"]}
    assert files([group], both)[0] == [(("s3://b/a", "s3://b/b"), ("s3://b/a/1", "s3://b/b/1", "s3://b/b/2"))]
    assert files([group], {A.location: [], B.location: ["s3://b/b/1"]}) == (
        [(("s3://b/b",), ("s3://b/b/1",))],
        [(Reason.NO_FILE, "s3://b/a")],
    )


def test_an_asset_without_the_file_is_reported_and_not_fatal():
    found = {A.location: [], B.location: "there is no such bucket"}
    assert files([Candidate((A,)), Candidate((B,))], found) == (
        [],
        [(Reason.NO_FILE, "s3://b/a"), (Reason.NO_INPUT, "s3://b/b")],
    )
