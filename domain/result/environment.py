"""The software and hardware environment of an execution: recorded with every result, not part of its identity.

Results of one machine are bit-identical when they are repeated. On another processor, numpy and BLAS select other kernels,
and the last digits differ; these facts explain such a difference.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import Field

from domain.formats import StoredModel
from domain.json_values import canonical_json, sha256_hex

ENVIRONMENT_FORMAT = "analysis-environment/1"

RECORDED_PREFIXES = ("OMP_", "OPENBLAS_", "MKL_", "NPY_")
RECORDED_NAMES = ("CUDA_VISIBLE_DEVICES", "LANG", "LC_ALL", "MPLBACKEND", "PYTHONHASHSEED", "TZ")
"""Environment variables that can change numbers or figures; no other variable is recorded, because it may hold a secret."""

_LONGEST_VALUE = 200


class Variable(StoredModel):
    """An environment variable; a pair, because names of fields in MongoDB are restricted."""

    name: str = Field(description="Name of the variable.")
    value: str = Field(description="Its value, shortened to 200 characters.")


class Library(StoredModel):
    """A native library that computes with several threads, as threadpoolctl reports it."""

    api: str = Field(description="Its interface: `blas` or `openmp`.")
    name: str = Field(description="Its implementation, such as `openblas` or `mkl`.")
    version: str | None = Field(default=None, description="Its version.")
    core_type: str | None = Field(default=None, description="Processor type whose kernels it has selected.")
    threads: int | None = Field(default=None, description="Maximum number of its threads.")


class NumericFacts(StoredModel):
    """What determines the last digits of a computation, as found in the process that executed it."""

    cpu_features: tuple[str, ...] = Field(
        default=(), description="Processor features that numpy uses; empty if numpy was not loaded."
    )
    libraries: tuple[Library, ...] = Field(default=(), description="Loaded BLAS and OpenMP libraries.")
    variables: tuple[Variable, ...] = Field(
        default=(), description="Environment variables that can change results, if they are set."
    )


class EnvironmentFacts(StoredModel):
    """The environment of an execution. The documents that it names are below ``environments/`` in the bucket."""

    host: str = Field(description="Name of the host or container.")
    engine_version: str = Field(description="Version of the platform.")
    image: str | None = Field(default=None, description="Container image (`ANALYSIS_IMAGE`).")
    packages_sha256: str = Field(description="Digest of the list of installed Python packages: `<digest>.json`.")
    matches_lock: bool | None = Field(
        default=None, description="Whether each locked package is installed in its locked version; None: no lock file."
    )
    lock_differences: tuple[str, ...] = Field(default=(), description="The first packages that differ from the lock.")
    patch_sha256: str | None = Field(
        default=None, description="Digest of the uncommitted changes: `<digest>.patch`; None: none, or switched off."
    )
    patch_is_complete: bool | None = Field(
        default=None, description="False if the patch was shortened, or secrets or files were left out."
    )
    numeric: NumericFacts = Field(default=NumericFacts(), description="What determines the last digits.")


def package_list(python_version: str, packages: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the document that lists the installed packages.

    Parameters
    ----------
    python_version : str
        Version of the interpreter.
    packages : iterable of (str, str)
        Normalized name and version of each package, in any order.
    """
    listed = [list(package) for package in sorted(packages)]
    return {"format": ENVIRONMENT_FORMAT, "python": python_version, "packages": listed}


def package_list_digest(document: Mapping[str, Any]) -> str:
    """Return the digest of a list of packages: sha256 of its canonical JSON, 64 hexadecimal digits."""
    return sha256_hex(canonical_json(document))


def recorded_variables(variables: Mapping[str, str], declared: Iterable[str] = ()) -> tuple[Variable, ...]:
    """Return the variables that can change results, by name.

    Parameters
    ----------
    variables : mapping
        Environment of the process that computes.
    declared : iterable of str
        Names of further variables that the analysis declares.

    Examples
    --------
    >>> recorded_variables({"OMP_NUM_THREADS": "1", "AWS_SECRET_ACCESS_KEY": "…"})
    (Variable(name='OMP_NUM_THREADS', value='1'),)
    """
    allowed = {*RECORDED_NAMES, *declared}
    return tuple(
        Variable(name=name, value=variables[name][:_LONGEST_VALUE])
        for name in sorted(variables)
        if name in allowed or name.startswith(RECORDED_PREFIXES)
    )


def environment_differences(old: EnvironmentFacts, new: EnvironmentFacts) -> tuple[str, ...]:
    """Return how two environments differ, in words: what may explain that two executions gave different digits.

    Parameters
    ----------
    old, new : EnvironmentFacts
        Environments of two executions.

    Examples
    --------
    >>> here = EnvironmentFacts(host="a", engine_version="1", packages_sha256="0" * 64)
    >>> environment_differences(here, here.model_copy(update={"host": "b"}))
    ('host: a -> b',)
    """
    return tuple(f"{name}: {was} -> {now}" for name, was, now in _pairs(old, new) if was != now)


def _pairs(old: EnvironmentFacts, new: EnvironmentFacts) -> Iterator[tuple[str, str, str]]:
    """Yield each fact as text, of both environments."""
    for name in ("host", "engine_version", "image", "packages_sha256", "patch_sha256"):
        yield name, str(getattr(old, name)), str(getattr(new, name))
    features = [set(one.numeric.cpu_features) for one in (old, new)]
    only_old, only_new = sorted(features[0] - features[1]), sorted(features[1] - features[0])
    yield "cpu_features", f"with {', '.join(only_old) or 'no other'}", f"with {', '.join(only_new) or 'no other'}"
    libraries = [_by_name(facts.numeric.libraries) for facts in (old, new)]
    for name in sorted({*libraries[0], *libraries[1]}):
        yield name, libraries[0].get(name, "not loaded"), libraries[1].get(name, "not loaded")
    variables = [{one.name: one.value for one in facts.numeric.variables} for facts in (old, new)]
    for name in sorted({*variables[0], *variables[1]}):
        yield name, variables[0].get(name, "not set"), variables[1].get(name, "not set")


def _by_name(libraries: Iterable[Library]) -> dict[str, str]:
    """Return libraries as texts by interface and name; numpy and scipy each load an OpenBLAS of their own."""
    found: dict[str, str] = {}
    for one in libraries:
        name, text = f"{one.api} {one.name}", f"{one.version}, {one.core_type} kernels, {one.threads} threads"
        found[name] = f"{found[name]}; {text}" if name in found else text
    return found
