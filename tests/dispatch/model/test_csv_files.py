"""The CSV of asset ids, as it comes out of spreadsheets."""

import pytest

from dispatch.model.csv_files import read_asset_csv
from domain.errors import DispatchError
from tests.real_data import REAL_DATA, needs_real_data

CSV = REAL_DATA / "queries" / "data_asset_input.csv"


@pytest.mark.parametrize(
    "text",
    [
        "asset_id\na\nb\n",
        "\ufeffasset_id\r\na\r\n\r\nb\r\na\r\n",
        "name,asset_id,note\nx,a,\ny,\n,b,more\nz\n",
        "name;asset_id\nx,1;a\ny;b",
        'asset_id\t name\n"a"\tx\n b \ty\n',
        '\n\n"asset_id"\n"a"\n"b"\n',
    ],
)
def test_ids_are_read_once_each_whatever_the_spreadsheet_did(text):
    assert read_asset_csv(text) == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no column `asset_id`; its first line names nothing"),
        ("id,name\na,b\n", "no column `asset_id`; its first line names `id`, `name`"),
        ("asset_id\n\n", "no id in its column"),
        ("asset_id,x\n,1\n", "no id in its column"),
        ('asset_id\n"a\n', "cannot be read"),
    ],
)
def test_a_csv_without_ids_is_refused_with_the_reason(text, reason):
    with pytest.raises(DispatchError, match=reason):
        read_asset_csv(text)


@needs_real_data
def test_the_real_csv_is_read():
    assert len(read_asset_csv(CSV.read_text(encoding="utf-8"))) == 3
