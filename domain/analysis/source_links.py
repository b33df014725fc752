"""The page on which a repository shows the source that ran, where its address lets one tell."""

import re
from urllib.parse import quote

from domain.result.provenance import CodeFacts

_ADDRESS = re.compile(
    r"(?:(?P<web>https?)://|ssh://|(?=[\w.\-]+@[\w.\-]+:))(?:[^@/\s]*@)?(?P<host>[\w\-]+(?:\.[\w\-]+)+)(?::\d+/|[:/])(?P<path>[^?#\s]+)"
)


def source_page(code: CodeFacts) -> str | None:
    """Return the address of the analysis file at the commit that ran.

    Parameters
    ----------
    code : CodeFacts
        The repository, the commit and the file.

    Returns
    -------
    str or None
        An https (or http) address without user or password, as GitHub, GitLab and their like build it; None without a
        commit, or when the repository is on no web server.
    """
    found = _ADDRESS.fullmatch(code.url)
    if found is None or not code.commit:
        return None
    repository = quote(found["path"].strip("/").removesuffix(".git"))
    between = "-/blob" if "gitlab" in found["host"] else "blob"
    place = f"{repository}/{between}/{quote(code.commit)}/{quote(code.run_script)}"
    return f"{found['web'] or 'https'}://{found['host']}/{place}"
