"""Parses names of data assets: ``<modality>_<subject>_<date>_<time>``, as the Allen Institute uses them."""

import re
from pathlib import PurePosixPath
from typing import NamedTuple

_ASSET_NAME = re.compile(r"[A-Za-z0-9\-]+_(?P<subject>[A-Za-z0-9\-]+)_\d{4}-\d{2}-\d{2}_\d{2}-\d{2}-\d{2}")
_ENDINGS = (".zarr", ".nwb")


class NamedSession(NamedTuple):
    """Subject and session in a name."""

    subject: str
    session: str


def session_named_by(url: str) -> NamedSession | None:
    """Return subject and session from the last part of an input's URL; None if it has another form."""
    name = PurePosixPath(url.rstrip("/")).name
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    parts = _ASSET_NAME.match(name)
    return NamedSession(parts["subject"], name) if parts else None
