"""Parts of messages: texts from outside, lists and counts, without the query and the user info of URLs."""

import re
from collections.abc import Sequence

from domain.redaction import redacted

_LONGEST = 80
_MOST_PARTS = 50
_PLAIN_AUTHORITY = re.compile(r"([A-Za-z0-9._\-]*|\[[0-9A-Fa-f:.]*\])(:[0-9]*)?")


def shown(text: str) -> str:
    """Return a text from outside for a message: short, printable, without the query or user info of a URL.

    Parameters
    ----------
    text : str
        Any text, also one that is not a URL.

    Returns
    -------
    str
        At most about 80 characters, without quotes; ``…`` replaces omitted parts.
    """
    kept, *query = re.split(r"[?#]", text, maxsplit=1)
    scheme, mark, rest = kept.partition("://")
    if mark and not _PLAIN_AUTHORITY.fullmatch(rest.partition("/")[0]):
        kept = f"{scheme}://…"
    elif not mark and "@" in kept:
        kept = "…" + kept.rpartition("@")[2]
    printable = repr(redacted(kept))[1:-1]
    return printable[:_LONGEST] + ("…" if query or len(printable) > _LONGEST else "")


def joined(parts: Sequence[str], *, most: int = _MOST_PARTS, separator: str = "; ") -> str:
    """Join the parts of a message; after the first ones only the number of the others is given.

    Examples
    --------
    >>> joined(["a", "b", "c"], most=2, separator=", ")
    'a, b, and 1 more'
    """
    rest = len(parts) - most
    return separator.join([*parts[:most], *([f"and {rest} more"] if rest > 0 else [])])


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless there is exactly one.

    Examples
    --------
    >>> counted(1, "job"), counted(1200, "job")
    ('1 job', '1200 jobs')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
