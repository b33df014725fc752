"""Optional parts of the installation, which runs on a cluster do not need.

``pyproject.toml`` names the extras, and ``requirements/<extra>.txt`` locks each with the core.
"""

from importlib.util import find_spec

from domain.errors import SettingsError

EXTRAS = {
    "explorer": ("dash", "dash_ag_grid", "flask", "flask_httpauth", "plotly", "waitress"),
    "postgres": ("dagster_postgres",),
    "ui": ("dagster_webserver",),
}
"""Import names of the packages that each extra installs."""


def require(extra: str) -> None:
    """Raise if an optional part is not installed.

    Parameters
    ----------
    extra : str
        Its name in ``pyproject.toml``.

    Raises
    ------
    SettingsError
        If a package of the extra is missing; the message names the file to install.
    """
    missing = [name for name in EXTRAS[extra] if find_spec(name) is None]
    if missing:
        msg = (
            f"The optional part `{extra}` is not installed ({', '.join(missing)} missing). Install it with "
            f"`pip install --require-hashes -r requirements/{extra}.txt`, or everything with `make setup`."
        )
        raise SettingsError(msg)
