import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.analysis.parameter_files import ParameterFile, read_fixed_parameters
from domain.errors import JobFileError, PlatformError
from tests.real_data import REAL_DATA, needs_real_data

DATA = REAL_DATA / "analysis_parameters"

REAL = {
    "wrapper_2025-06.json": ParameterFile(
        fixed={
            "analysis_name": "Unit Filtering",
            "analysis_tag": "Arjun's Filtering",
            "isi_violations_cutoff": 0.05,
        }
    ),
    "template_2026-03.json": ParameterFile(
        fixed={
            "analysis_name": "Unit Quality Filtering",
            "analysis_tag": "baseline_v1.0",
            "isi_violations_cutoff": 0.05,
        },
        distributed=({"method": "isolation_distance"}, {"method": "amplitude_cutoff"}),
    ),
    "template_2025-06_91dd77c.json": ParameterFile(
        fixed={
            "analysis_name": "Unit Yield",
            "analysis_version": "v0.0.5",
            "analysis_libraries": ["aind-ephys-utils"],
            "analysis_parameters": {"isi_violations": 0.5},
            "s3_output_bucket": "aind-scratch-data/arjun.sridhar",
        }
    ),
}


def read(document):
    return read_fixed_parameters(json.dumps(document).encode(), name="p.json")


@needs_real_data
@pytest.mark.parametrize("name", REAL)
def test_a_real_parameter_file_of_each_generation_is_read(name):
    assert read_fixed_parameters((DATA / name).read_bytes(), name=name) == REAL[name]


@needs_real_data
def test_every_real_parameter_file_has_a_test():
    assert {path.name for path in DATA.iterdir()} == set(REAL)


@pytest.mark.parametrize(
    ("document", "fixed", "distributed"),
    [
        (None, {}, ()),
        ({}, {}, ()),
        ([], {}, ()),
        ({"a": 1}, {"a": 1}, ()),
        ([{"a": 1}], {"a": 1}, ()),
        ([{"a": 1}, {"a": 2}], {}, ({"a": 1}, {"a": 2})),
        ({"analysis_parameter": {"a": 1}}, {"a": 1}, ()),
        ({"analysis_parameters": [{"a": 1}, {"a": 2}]}, {}, ({"a": 1}, {"a": 2})),
        ({"analysis_parameter": None}, {}, ()),
        ({"analysis_parameters": {"a": 1}, "b": 2}, {"analysis_parameters": {"a": 1}, "b": 2}, ()),
        ({"fixed_parameters": {"a": 1}}, {"a": 1}, ()),
        ({"fixed_parameters": None, "distributed_parameters": None}, {}, ()),
        ({"distributed_parameters": {"a": 1}}, {}, ({"a": 1},)),
        ({"distributed_parameters": [{"a": 1}]}, {}, ({"a": 1},)),
    ],
)
def test_every_older_form_is_read(document, fixed, distributed):
    assert read(document) == ParameterFile(fixed=fixed, distributed=distributed)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (3, "`the file` is a number, expected an object or a list of objects"),
        ([{"a": 1}, None], r"`the file\[1\]` is null, expected an object"),
        ({"fixed_parameters": []}, "`fixed_parameters` is a list, expected an object or null"),
        ({"fixed_parameters": [{"a": 1}]}, "`fixed_parameters` is a list, expected an object or null"),
        ({"fixed_parameters": {}, "isi": 1}, "`isi` is given beside `distributed_parameters` and `fixed_parameters`"),
        ({"distributed_parameters": ["x"]}, r"`distributed_parameters\[0\]` is a string, expected an object"),
        ({"analysis_parameter": "x"}, "`analysis_parameter` is a string"),
        ({"\ud800": 1}, "lone surrogate"),
        ({"a": 2**53}, "use a string"),
    ],
)
def test_another_form_is_refused_with_the_reason(document, told):
    with pytest.raises(JobFileError, match=told):
        read(document)


def test_a_file_that_is_not_json_is_refused_with_its_place():
    with pytest.raises(JobFileError, match=r"Parameter file p\.json is not JSON: .* line 1, column 2"):
        read_fixed_parameters(b"{", name="p.json")


@settings(max_examples=100, deadline=None, database=None)
@given(
    st.recursive(
        st.none() | st.integers() | st.text() | st.floats(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["fixed_parameters", "distributed_parameters", "analysis_parameter"]) | st.text(), inner
            )
        ),
        max_leaves=10,
    )
)
def test_any_json_is_read_or_refused_and_never_crashes(value):
    with suppress(PlatformError):
        read(value)
