"""The local folder of a run, and the removal of folders of crashed runs.

A run holds an exclusive lock (flock) on a file beside its folder. The kernel releases the lock when the process ends,
even by a crash. Process ids are not usable: each container and each host has its own.
"""

import fcntl
import hashlib
import logging
import os
import re
import shutil
import time
import uuid
from contextlib import suppress
from functools import cache
from pathlib import Path

from resources.folders import writable_folder
from resources.process import host_name

UNJUDGED_S = 7 * 24 * 3600.0
"""A folder without a lock file is removed if no entry was added or removed for this time (s)."""

_LOCK = ".lock"
_OLD_FORM = re.compile(r"\d+-[0-9a-f]{32}")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,99}")

_log = logging.getLogger(__name__)


class RunFolder:
    """The private folder of one run: ``<scratch>/<host>/<id>``, beside its lock file ``<id>.lock``.

    Hosts that share the scratch folder never remove each other's folders.

    Parameters
    ----------
    scratch : Path
        Folder that contains the folders of all hosts.
    host : str, optional
        Name of this host; by default from the system.

    Attributes
    ----------
    path : Path
        The folder, after `create`.
    """

    def __init__(self, scratch: Path, *, host: str | None = None) -> None:
        self._scratch = scratch
        self._lock: int | None = None
        self.path = scratch / safe_name(host_name() if host is None else host) / uuid.uuid4().hex

    def create(self) -> None:
        """Remove the folders of dead runs of this host, then create this run's under its lock."""
        writable_folder(self.path.parent, setting="ANALYSIS_SCRATCH")
        remove_leftovers(self._scratch, self.path.parent)
        self._lock = self._locked()
        self.path.mkdir()

    def remove(self) -> None:
        """Remove the folder, then its lock file; entries that cannot be removed are left to a later run."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            if not self.path.exists():
                lock_file(self.path).unlink(missing_ok=True)
            os.close(self._lock)

    def _locked(self) -> int | None:
        """Lock before the folder exists, so that no other run removes a folder that is being created.

        Returns None if files cannot be locked, without leaving a lock file: a later run that can lock it would consider
        this one dead.
        """
        while True:
            file = lock_file(self.path)
            lock = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                got = _try_to_lock(lock)
            except OSError as error:
                os.close(lock)
                file.unlink(missing_ok=True)
                _warn_without_locks(self._scratch, str(error))
                return None
            if got and _is_still_there(file, lock):
                return lock
            os.close(lock)  # another run locked the file between the two calls, and removes it


def remove_leftovers(scratch: Path, own: Path) -> None:
    """Remove the folders of runs that ended without removing theirs.

    Parameters
    ----------
    scratch : Path
        Folder that contains the folders of all hosts, and those of an earlier version (``<process id>-<id>``), which have
        no lock.
    own : Path
        Folder of this host in it; those of other hosts are skipped.
    """
    for file in sorted(own.glob(f"*{_LOCK}")):
        _remove_if_dead(file, scratch)
    unlocked = [f for f in own.iterdir() if f.is_dir() and not lock_file(f).exists()]
    old_form = [f for f in scratch.iterdir() if _OLD_FORM.fullmatch(f.name) and f != own]
    for folder in (*unlocked, *old_form):
        if _last_change(folder) < time.time() - UNJUDGED_S:
            shutil.rmtree(folder, ignore_errors=True)


def lock_file(folder: Path) -> Path:
    """Return the lock file of a run's folder.

    It is beside the folder and not in it, because it exists before the folder, and is removed after it.
    """
    return folder.with_name(f"{folder.name}{_LOCK}")


def safe_name(host: str) -> str:
    """Return the name of a host as a part of a path; different names give different parts."""
    if _PLAIN_NAME.fullmatch(host):
        return host
    return f"{re.sub(r'[^A-Za-z0-9]', '_', host)[:50]}-{hashlib.sha256(host.encode()).hexdigest()[:8]}"


def _remove_if_dead(file: Path, scratch: Path) -> None:
    """Remove a run's folder and its lock file if no process holds the lock."""
    try:
        lock = os.open(file, os.O_RDWR)
    except OSError:  # just removed, or owned by another user
        return
    try:
        if not _try_to_lock(lock) or not _is_still_there(file, lock):
            return
        folder = file.with_suffix("")
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            file.unlink(missing_ok=True)
    except OSError as error:
        _warn_without_locks(scratch, str(error))
    finally:
        os.close(lock)


def _try_to_lock(lock: int) -> bool:
    """Lock without waiting; return False if another process holds the lock."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still_there(file: Path, lock: int) -> bool:
    """Return whether an open lock file is still the one at its path."""
    try:
        return os.path.samestat(file.stat(), os.fstat(lock))
    except FileNotFoundError:
        return False


def _last_change(folder: Path) -> float:
    """Return when an entry was last added to or removed from a folder or one of its folders; now if that cannot be read."""
    latest = 0.0
    with suppress(OSError):
        for path in (folder, *folder.iterdir()):
            latest = max(latest, path.lstat().st_mtime)
        return latest
    return time.time()


@cache
def _warn_without_locks(scratch: Path, why: str) -> None:
    """Warn once per process that folders of crashed runs cannot be recognized on this disk."""
    _log.warning(
        "Files in %s cannot be locked (%s), so folders that killed runs leave there are not removed for %d days. Set "
        "ANALYSIS_SCRATCH to a folder on a local disk.",
        scratch,
        why,
        UNJUDGED_S / 86400,
    )
