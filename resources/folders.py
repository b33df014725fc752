"""Folders that settings name."""

import os
from pathlib import Path

from domain.errors import SettingsError


def writable_folder(path: Path, *, setting: str) -> Path:
    """Create a folder, and check that this process can write to it.

    Parameters
    ----------
    path : Path
        The folder.
    setting : str
        Name of the setting that determines it, for the message.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    SettingsError
        If it cannot be created or written, as in a container image.
    """
    reason = None
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror
    if reason is None and not os.access(path, os.W_OK | os.X_OK):
        reason = "permission denied, or a read-only disk"
    if reason is not None:
        msg = f"The folder {path} cannot be written ({reason}). Set {setting} to a folder that this user can write to."
        raise SettingsError(msg)
    return path
