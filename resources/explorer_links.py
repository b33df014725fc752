"""Links into the explorer, from wherever a result or an analysis is shown."""

from urllib.parse import quote

SHORT_ID = 20
"""So many digits of a result's id name it in an address of the explorer."""


def analysis_in_explorer(url: str, analysis: str) -> str:
    """Return a link to the table of an analysis.

    Parameters
    ----------
    url : str
        Where the explorer is (`Settings.explorer_address`).
    analysis : str
        Name of the analysis.
    """
    return f"{url.rstrip('/')}/?analysis={quote(analysis, safe='')}"


def result_in_explorer(url: str, analysis: str, result_id: str) -> str:
    """Return a link to one result, with its details open; what it takes: as `analysis_in_explorer`."""
    return f"{analysis_in_explorer(url, analysis)}&show={quote(result_id[:SHORT_ID], safe='')}"
