"""Links to result files that a person can open in a browser."""

from urllib.parse import quote

from resources.s3 import S3Connection

_CONSOLE = "https://s3.console.aws.amazon.com/s3"


def link_to(s3: S3Connection, bucket: str, key: str, *, root: str, browser_url: str | None) -> str:
    """Return a link to a file, or to a folder (its key ends with ``/``).

    Parameters
    ----------
    s3 : S3Connection
        The server that holds it.
    bucket, key : str
        Where it is.
    root : str
        Bucket and prefix that ``browser_url`` shows.
    browser_url : str or None
        Where a person can browse the root over http.

    Returns
    -------
    str
        An address on the embedded web server, else below ``browser_url``, else on the S3 server that is configured,
        else on the console of AWS.
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
