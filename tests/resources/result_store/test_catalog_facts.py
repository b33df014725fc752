import json

import pyarrow as pa
import pytest

from resources.result_store.catalog_tables import catalog_facts


@pytest.mark.parametrize(
    ("footer", "facts"),
    [
        (None, {}),
        ({}, {}),
        ({b"analysis_assets": json.dumps({"code_version": "1+a"}).encode()}, {"code_version": "1+a"}),
        ({b"analysis_assets": b"{"}, {}),
        ({b"analysis_assets": b"[1]"}, {}),
    ],
)
def test_a_catalog_says_of_itself_what_its_footer_holds(footer, facts):
    assert catalog_facts(pa.table({"a": [1]}).replace_schema_metadata(footer)) == facts
