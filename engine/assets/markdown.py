"""Texts that others wrote, inside the Markdown that Dagster shows: they stay texts, whatever they contain."""

import re

_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~&$:])")


def escaped(text: str) -> str:
    """Return a text in one line that Markdown shows as it is."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def code_block(text: str) -> str:
    """Return a text as a block of code; its fence is longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def markdown_link(text: str, address: str | None) -> str:
    """Return a text that opens an address; without one, the text alone.

    Parameters
    ----------
    text : str
        What is read.
    address : str or None
        An http address, percent-encoded.
    """
    return f"[{escaped(text)}](<{address}>)" if address else escaped(text)
