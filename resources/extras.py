"""Optional parts of the installation: what a run on a cluster does without.

``pyproject.toml`` names the extras, and ``requirements/<extra>.txt`` locks each with the core.
"""

from importlib.util import find_spec

from domain.errors import SettingsError

EXTRAS = {
    "explorer": ("dash", "dash_ag_grid", "flask", "flask_httpauth", "plotly", "waitress"),
    "postgres": ("dagster_postgres",),
    "ui": ("dagster_webserver",),
}
"""Packages that each extra installs, by the names under which they are imported."""


def require(extra: str) -> None:
    """Check that an optional part is installed, before anything imports it.

    Parameters
    ----------
    extra : str
        Its name in ``pyproject.toml``.

    Raises
    ------
    SettingsError
        If a package of it is missing.
    """
    missing = [name for name in EXTRAS[extra] if find_spec(name) is None]
    if missing:
        msg = (
            f"The optional part `{extra}` is not installed ({', '.join(missing)} missing). Install it with "
            f"`pip install --require-hashes -r requirements/{extra}.txt`, or everything with `make setup`."
        )
        raise SettingsError(msg)
