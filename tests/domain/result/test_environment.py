"""The environment in words, and the variables that are recorded."""

from domain.result.environment import (
    EnvironmentFacts,
    Library,
    NumericFacts,
    environment_differences,
    package_list,
    package_list_digest,
    recorded_variables,
)

HERE = EnvironmentFacts(
    host="a",
    engine_version="1",
    packages_sha256="0" * 64,
    numeric=NumericFacts(
        cpu_features=("AVX2", "X86_V4"),
        libraries=(Library(api="blas", name="openblas", version="0.3", core_type="SkylakeX", threads=2),),
        variables=recorded_variables({"OMP_NUM_THREADS": "1"}),
    ),
)


def test_only_variables_that_change_results_are_recorded():
    found = recorded_variables(
        {"TZ": "UTC", "HOME": "/root", "AWS_SECRET_ACCESS_KEY": "x", "OPENBLAS_CORETYPE": "y" * 300, "SEED": "1"},
        declared=("SEED", "MISSING"),
    )
    assert [(one.name, len(one.value)) for one in found] == [("OPENBLAS_CORETYPE", 200), ("SEED", 1), ("TZ", 3)]


def test_the_same_packages_in_any_order_have_one_digest():
    one, other = package_list("3.11.7", [("b", "2"), ("a", "1")]), package_list("3.11.7", [("a", "1"), ("b", "2")])
    assert package_list_digest(one) == package_list_digest(other)
    assert package_list_digest(one) != package_list_digest(package_list("3.12.0", [("a", "1"), ("b", "2")]))


def test_equal_environments_differ_in_nothing():
    assert environment_differences(HERE, HERE) == ()


def test_each_difference_is_named():
    there = HERE.model_copy(
        update={
            "packages_sha256": "1" * 64,
            "numeric": NumericFacts(cpu_features=("AVX2", "AVX"), variables=recorded_variables({"TZ": "UTC"})),
        }
    )
    assert environment_differences(HERE, there) == (
        f"packages_sha256: {'0' * 64} -> {'1' * 64}",
        "cpu_features: with X86_V4 -> with AVX",
        "blas openblas: 0.3, SkylakeX kernels, 2 threads -> not loaded",
        "OMP_NUM_THREADS: 1 -> not set",
        "TZ: not set -> UTC",
    )


def test_two_libraries_of_one_name_are_both_compared():
    numpys, scipys = (
        Library(api="blas", name="openblas", version=version, core_type="SkylakeX", threads=2)
        for version in ("0.3.30", "0.3.31")
    )
    other = numpys.model_copy(update={"core_type": "Haswell"})
    one, two = (
        HERE.model_copy(update={"numeric": NumericFacts(libraries=(first, scipys))}) for first in (numpys, other)
    )
    assert environment_differences(one, two) == (
        (
            "blas openblas: 0.3.30, SkylakeX kernels, 2 threads; 0.3.31, SkylakeX kernels, 2 threads -> "
            "0.3.30, Haswell kernels, 2 threads; 0.3.31, SkylakeX kernels, 2 threads"
        ),
    )
