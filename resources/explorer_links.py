"""Links to results and analyses in the explorer."""

from urllib.parse import quote

SHORT_ID = 20
"""Number of digits of a result id in URLs of the explorer."""


def analysis_in_explorer(url: str, analysis: str) -> str:
    """Return a link to the table of an analysis.

    Parameters
    ----------
    url : str
        URL of the explorer (`Settings.explorer_address`).
    analysis : str
        Name of the analysis.
    """
    return f"{url.rstrip('/')}/?analysis={quote(analysis, safe='')}"


def result_in_explorer(url: str, analysis: str, result_id: str) -> str:
    """Return a link to one result, with its details open; arguments as in `analysis_in_explorer`."""
    return f"{analysis_in_explorer(url, analysis)}&show={quote(result_id[:SHORT_ID], safe='')}"
