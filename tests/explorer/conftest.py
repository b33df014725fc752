"""A harness with forty results: all in the catalog, twenty of them with record and files."""

import pytest

from tests.explorer.harness import catalog_of, make_harness, provenance, publish, record_store, write


@pytest.fixture
def root(results_store):
    """Where the results of one test are."""
    return results_store.root


@pytest.fixture
def harness(s3, results_store, root, docdb_uri, database):
    """Fill a harness."""
    found = [provenance(number, root=root) for number in range(40)]
    records = record_store(docdb_uri, database)
    for one in found[:4]:
        publish(results_store, records, one)
    write(s3, root, catalog_of(found))
    return make_harness(s3=s3, root=root, uri=docdb_uri, database=database, store=results_store)
