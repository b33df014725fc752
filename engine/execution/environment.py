"""The environment of a run: packages, lock file, uncommitted changes, host and image. All its jobs share it."""

import importlib.metadata
import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from domain.json_values import canonical_json
from domain.result.environment import EnvironmentFacts, package_list
from domain.result.provenance import CodeFacts
from engine.discovery.analyses import AnalysisEntry
from engine.discovery.source import code_facts, lock_content, repository_root
from engine.discovery.working_tree import Patch, uncommitted_patch
from resources.environment import known_secrets
from resources.process import host_name
from resources.result_store.environments import Suffix, store_environment
from resources.result_store.store import ResultsStore

DISTRIBUTION = "analysis-assets"
_SHOWN_DIFFERENCES = 10


@dataclass(frozen=True)
class Machine:
    """The machine of a run, according to the settings.

    Attributes
    ----------
    work_folder : Path
        Folder on a local disk for the private folders of jobs.
    image : str or None
        Container image that runs are executed in (``ANALYSIS_IMAGE``).
    record_patch : bool
        Record the uncommitted changes of the working tree (``RECORD_PATCH``).
    """

    work_folder: Path
    image: str | None = None
    record_patch: bool = True


@dataclass(frozen=True)
class RunEnvironment:
    """The facts of an environment, and the documents that they name by digest.

    Attributes
    ----------
    facts : EnvironmentFacts
        Facts of every job of the run; `numeric` is measured in each worker process.
    documents : tuple of (bytes, str)
        Contents with their suffixes: list of packages, lock file, patch.
    """

    facts: EnvironmentFacts
    documents: tuple[tuple[bytes, Suffix], ...]

    def store(self, results: ResultsStore) -> None:
        """Store the documents that are not yet in the bucket; a repetition changes nothing."""
        for content, suffix in self.documents:
            store_environment(results, content, suffix)


@dataclass(frozen=True)
class RunCode:
    """State of an analysis's repository at one moment.

    Attributes
    ----------
    facts : CodeFacts
        Commit, and digest of the lock file.
    lock : bytes or None
        Content of the lock file.
    patch : Patch or None
        Uncommitted changes, if there are any and they are recorded.
    """

    facts: CodeFacts
    lock: bytes | None
    patch: Patch | None


def run_code(entry: AnalysisEntry, machine: Machine) -> RunCode:
    """Return the current state of an analysis's repository."""
    lock = lock_content(entry.path)
    facts, root = code_facts(entry.analysis, entry.path, lock), repository_root(entry.path)
    is_recorded = machine.record_patch and facts.dirty
    return RunCode(facts, lock, uncommitted_patch(root, secrets=known_secrets()) if root and is_recorded else None)


def run_environment(machine: Machine, code: RunCode) -> RunEnvironment:
    """Return the environment of this process.

    Parameters
    ----------
    machine : Machine
        Container image of the run.
    code : RunCode
        Lock file and uncommitted changes at the start of the run.
    """
    installed = installed_packages()
    packages = canonical_json(package_list(platform.python_version(), installed.items()))
    different, patch = None if code.lock is None else _differences(code.lock), code.patch
    changes = None if patch is None else patch.text.encode()
    facts = EnvironmentFacts(
        host=host_name(),
        engine_version=installed.get(DISTRIBUTION, "unknown"),
        image=machine.image,
        packages_sha256=sha256(packages).hexdigest(),
        matches_lock=None if different is None else not different,
        lock_differences=(different or ())[:_SHOWN_DIFFERENCES],
        patch_sha256=None if changes is None else sha256(changes).hexdigest(),
        patch_is_complete=None if patch is None else patch.is_complete,
    )
    documents: list[tuple[bytes | None, Suffix]] = [(packages, "json"), (code.lock, "txt"), (changes, "patch")]
    return RunEnvironment(facts, tuple((content, suffix) for content, suffix in documents if content is not None))


@lru_cache(maxsize=1)
def installed_packages() -> Mapping[str, str]:
    """Return normalized name and version of each package that Python finds; the first of the same name is imported."""
    found: dict[str, str] = {}
    for one in importlib.metadata.distributions():
        if one.name:  # a damaged installation has no name
            found.setdefault(canonicalize_name(one.name), one.version)
    return MappingProxyType(found)


@lru_cache(maxsize=4)
def _differences(lock: bytes) -> tuple[str, ...]:
    """Return how the installed packages differ from a lock file, which is parsed once per process."""
    return tuple(lock_differences(lock.decode(errors="replace"), installed_packages()))


def lock_differences(lock: str, installed: Mapping[str, str]) -> Iterator[str]:
    """Yield the packages that are not installed in their locked version.

    Parameters
    ----------
    lock : str
        A requirement file with ``name==version`` and markers; hashes and comments are ignored.
    installed : mapping
        From `installed_packages`.
    """
    for line in lock.splitlines():
        words = re.split(r"\s+--hash|\s+\\|\s+#", line)[0].strip()
        try:
            locked = Requirement(words)
        except InvalidRequirement:  # a hash, a comment, an option
            continue
        if locked.marker is not None and not locked.marker.evaluate():
            continue
        found = installed.get(canonicalize_name(locked.name))
        if found is None or not locked.specifier.contains(found, prereleases=True):
            yield f"{locked.name} {found or 'is not installed'} (lock: {locked.specifier})"
