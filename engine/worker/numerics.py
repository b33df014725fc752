"""What determines the last digits of a computation in this process: processor features, BLAS, threads, variables."""

import sys
from collections.abc import Mapping

from threadpoolctl import threadpool_info

from domain.command import Command
from domain.redaction import redacted
from domain.result.environment import Library, NumericFacts, Variable, recorded_variables
from resources.environment import environment, known_secrets


def numeric_facts(command: Command | None = None) -> NumericFacts:
    """Return the facts about this process, to be called after the computation, when its libraries are loaded.

    Parameters
    ----------
    command : Command, optional
        The command that computed instead of this process: only its variables are known.
    """
    variables = _variables(environment(), command)
    if command is not None:
        return NumericFacts(variables=variables)
    return NumericFacts(cpu_features=cpu_features(), libraries=libraries(), variables=variables)


def cpu_features() -> tuple[str, ...]:
    """Return the processor features that numpy uses in this process, sorted; empty if it is not loaded.

    They depend on the processor and on ``NPY_DISABLE_CPU_FEATURES``. numpy has no public function that returns them;
    ``numpy.show_runtime`` prints them from the same dictionary.
    """
    core = sys.modules.get("numpy._core._multiarray_umath") or sys.modules.get("numpy.core._multiarray_umath")
    found: Mapping[str, bool] = getattr(core, "__cpu_features__", {})
    return tuple(sorted(name for name, is_used in found.items() if is_used))


def libraries() -> tuple[Library, ...]:
    """Return the BLAS and OpenMP libraries that this process has loaded."""
    found = (
        Library(
            api=str(one["user_api"]),
            name=str(one["internal_api"]),
            version=one.get("version"),
            core_type=one.get("architecture"),
            threads=one.get("num_threads"),
        )
        for one in threadpool_info()
    )
    return tuple(sorted(set(found), key=lambda one: (one.api, one.name, one.version or "")))


def _variables(own: Mapping[str, str], command: Command | None) -> tuple[Variable, ...]:
    """Return the recorded variables, without secrets; of a command also those that it declares."""
    passed = own if command is None else {**own, **command.environment}
    declared = () if command is None else (*command.environment, *command.pass_variables)
    secrets = known_secrets()
    found = recorded_variables(passed, declared)
    return tuple(one.model_copy(update={"value": redacted(one.value, secrets=secrets)}) for one in found)
