"""Parameter values on the command line: ``name=value``."""

import json
from collections.abc import Sequence
from typing import Any

from domain.errors import ParametersError


def parse_settings(words: Sequence[str]) -> dict[str, Any]:
    """Parse ``name=value`` texts; a value is JSON if it is valid JSON, otherwise text.

    Raises
    ------
    ParametersError
        If a text has no ``=``, or a name is given twice.
    """
    values: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name or name in values:
            msg = f"`--set {word}`: expected name=value, each name once."
            raise ParametersError(msg)
        try:
            values[name] = json.loads(text)
        except (ValueError, RecursionError):
            values[name] = text
    return values
