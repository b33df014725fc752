"""A real PostgreSQL for tests; without its programs they are skipped, unless they are required."""

import os

import pytest

from benchmarks.postgres import new_database, private_postgres, programs

REQUIRED = "REQUIRE_POSTGRES"


@pytest.fixture(scope="module")
def postgres_server():
    """Run a server; gives the address of its first database."""
    if programs() is None and os.environ.get(REQUIRED):
        pytest.fail(f"{REQUIRED} is set and there is no PostgreSQL: install it (Debian: apt-get install postgresql)")
    if programs() is None:
        pytest.skip("there is no PostgreSQL: install it to run these tests (Debian: postgresql)")
    with private_postgres() as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server):
    """Give the address of an empty database."""
    return new_database(postgres_server)
