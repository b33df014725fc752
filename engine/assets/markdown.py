"""Escapes texts from outside for the Markdown that Dagster shows."""

import re

_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~&$:])")


def escaped(text: str) -> str:
    """Return a text as one line that Markdown shows unchanged."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def code_block(text: str) -> str:
    """Return a text as a code block; its fence is longer than any sequence of backticks in the text."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def markdown_link(text: str, address: str | None) -> str:
    """Return a link; without a URL, only its text.

    Parameters
    ----------
    text : str
        Text of the link; it is escaped.
    address : str or None
        An http(s) URL; it is percent-encoded.
    """
    return f"[{escaped(text)}](<{address}>)" if address else escaped(text)
