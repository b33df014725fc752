"""Links to the web page of an analysis's source in its repository."""

import re
from urllib.parse import quote

from domain.result.provenance import CodeFacts

_ADDRESS = re.compile(
    r"(?:(?P<web>https?)://|ssh://|(?=[\w.\-]+@[\w.\-]+:))(?:[^@/\s]*@)?(?P<host>[\w\-]+(?:\.[\w\-]+)+)(?::\d+/|[:/])(?P<path>[^?#\s]+)"
)

_REMOTE = re.compile(r"(?:https?|ssh|git)://[^/\s]+/\S+|[\w.\-]+@[\w.\-]+:\S+")


def is_web_address(url: str) -> bool:
    """Return whether a repository's address is one that other people can open: on a web server or by ssh."""
    return _REMOTE.fullmatch(url) is not None


def source_page(code: CodeFacts) -> str | None:
    """Return the URL of the analysis file at the recorded commit.

    Parameters
    ----------
    code : CodeFacts
        Repository, commit and path of the analysis file.

    Returns
    -------
    str or None
        An https (or http) URL without user and password, in the form of GitHub and GitLab; None without a
        commit, or if the repository is not on a web server.
    """
    found = _ADDRESS.fullmatch(code.url)
    if found is None or not code.commit:
        return None
    repository = quote(found["path"].strip("/").removesuffix(".git"))
    between = "-/blob" if "gitlab" in found["host"] else "blob"
    place = f"{repository}/{between}/{quote(code.commit)}/{quote(code.run_script)}"
    return f"{found['web'] or 'https'}://{found['host']}/{place}"
