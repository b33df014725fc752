"""Links to result files for browsers."""

from functools import lru_cache
from urllib.parse import quote

from domain.errors import PlatformError
from resources.s3.connection import S3Connection
from resources.s3.server import S3Server, split_s3_url

_CONSOLE = "https://s3.console.aws.amazon.com/s3"


def link_to(s3: S3Connection, bucket: str, key: str, *, root: str, browser_url: str | None) -> str:
    """Return a link to a file, or to a folder (its key ends with ``/``).

    Parameters
    ----------
    s3 : S3Connection
        The server that holds it.
    bucket, key : str
        Bucket and key of the file or folder.
    root : str
        Bucket and prefix that correspond to ``browser_url``.
    browser_url : str or None
        HTTP address at which the root can be browsed.

    Returns
    -------
    str
        URL on the embedded web server, else below ``browser_url``, else on the configured S3 server, else on the AWS
        console.
    """
    if (embedded := s3.embedded) is not None:
        return f"{embedded.browse_url}/{bucket}/{quote(key)}"
    below_root = f"{bucket}/{key}".removeprefix(f"{root}/")
    if browser_url and below_root != f"{bucket}/{key}":
        return f"{browser_url.rstrip('/')}/{quote(below_root)}"
    if s3.endpoint_url:
        return f"{s3.endpoint_url.rstrip('/')}/{bucket}/{quote(key)}"
    kind = "buckets" if key.endswith("/") else "object"
    return f"{_CONSOLE}/{kind}/{bucket}?prefix={quote(key)}"


def link_to_input(s3: S3Connection, url: str, *, endpoint_url: str | None) -> str | None:
    """Return a link to an input.

    Parameters
    ----------
    s3 : S3Connection
        The platform's own server.
    url : str
        URL of the input.
    endpoint_url : str or None
        S3 server of inputs in other buckets (``INPUT_S3_ENDPOINT_URL``).

    Returns
    -------
    str or None
        The URL of an input on the web; for one in S3 the link from `link_to`. None for a file on disk, which browsers do not
        open from a page, and if no link can be determined.
    """
    scheme, _, place = url.partition("://")
    if scheme.lower() in {"http", "https"}:
        return quote(url, safe=":/?&=%#+,;~") if "@" not in place.partition("/")[0] else None
    if scheme.lower() != "s3":
        return None
    try:
        bucket, key = split_s3_url(url)
        if s3.embedded is not None and _has_bucket(s3.server, bucket):
            return f"{s3.embedded.browse_url}/{quote(bucket)}/{quote(key)}"
    except PlatformError:  # links are optional
        return None
    if server := endpoint_url or (None if s3.embedded_home else s3.endpoint_url):
        return f"{server.rstrip('/')}/{quote(bucket)}/{quote(key)}"
    return f"{_CONSOLE}/buckets/{quote(bucket)}?prefix={quote(key)}"


def _has_bucket(server: S3Server, bucket: str) -> bool:
    """Return whether the server has a bucket; it is queried until it does."""
    try:
        return _known_bucket(server, bucket)
    except LookupError:
        return False


@lru_cache(maxsize=1024)
def _known_bucket(server: S3Server, bucket: str) -> bool:
    """Return True, which is kept, or raise, which is not: a bucket may be created later."""
    if not server.has_bucket(bucket):
        raise LookupError(bucket)
    return True
