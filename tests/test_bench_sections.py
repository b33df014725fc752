"""The benchmark of results and of identity, small: it measures, tells and judges."""

import pytest

from benchmarks import catalog, identity, queries
from benchmarks.section import Options

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "section", [identity.SECTION, queries.SECTION, catalog.SECTION], ids=lambda section: section.name
)
def test_a_section_measures_and_reports(section):
    figures = section.measure(Options(rounds=1, scale=0.001))
    assert section.as_markdown(figures).count("|") > 20
    assert all(target.found for target in section.targets(figures))


def test_what_is_too_slow_misses_its_target():
    slow = {name: {"p95_ms": 300.0} for name in queries.questions(10)}
    assert not any(target.met for target in queries.targets({"records": 10, "asked": slow}))
    assert not identity.targets({"small": {"keys_per_s": 10.0}})[0].met
