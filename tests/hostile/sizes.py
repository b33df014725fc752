"""How much is tried: little in each run of the tests, a hundred times as much with ``--hypothesis-profile=long``."""

from hypothesis import HealthCheck, settings

_USUAL = 100  # examples of Hypothesis's own profile, which sizes here are relative to


def fuzz(examples):
    """Set the number of examples, more with a larger profile; not a time, because machines differ."""
    return settings(
        max_examples=max(1, examples * settings.default.max_examples // _USUAL),
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
