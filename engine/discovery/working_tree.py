"""The uncommitted changes of a working tree, as a patch: what a commit alone does not say about the code that ran.

Considered: GitPython and dulwich; both wrap or repeat what four calls of git do, and neither limits the size of a diff.
"""

import re
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from domain.redaction import redacted, secrets_of
from resources.process import output_of

MAX_PATCH_BYTES = 1024 * 1024
"""Maximum size of a patch; the rest is left out."""

MAX_NEW_FILES = 200
_CODE = ("*.py", "*.pyi", "*.toml", "*.R", "*.r", "*.m", "*.jl", "*.sh", "*.ipynb")
_ASSIGNED = re.compile(r"""([A-Za-z_][A-Za-z0-9_.\-]{0,60})["']?\s*[=:]\s*["']?([^\s"',;]{8,})""")


@dataclass(frozen=True)
class Patch:
    """The uncommitted changes of a working tree.

    Attributes
    ----------
    text : str
        Output of ``git diff`` against the commit, with new source files, without secrets.
    is_complete : bool
        False if it was shortened, or secrets or new files were left out: it cannot be applied then.
    """

    text: str
    is_complete: bool


def uncommitted_patch(root: Path, *, secrets: Iterable[str] = (), max_bytes: int = MAX_PATCH_BYTES) -> Patch | None:
    """Return the uncommitted changes of a repository.

    New files are included if their names are those of source code; of others only the name is. Ignored files are never read.
    The repository and its index are not changed.

    Parameters
    ----------
    root : Path
        Top folder of the repository.
    secrets : iterable of str
        Known values to redact, from `domain.redaction.spellings`. Values that are assigned to names of secrets are
        redacted too.
    max_bytes : int
        Maximum size of the patch (bytes); the rest is left out.

    Returns
    -------
    Patch or None
        None if there are no changes, no commit, or git fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "index"
        git = _Git(root, index)
        own = git.answer("rev-parse", "--absolute-git-dir")
        if own is None:
            return None
        source = Path(own.rstrip("\n")) / "index"
        if source.is_file():
            shutil.copyfile(source, index)
        new = [
            name for name in (git.answer("ls-files", "-z", "--others", "--exclude-standard") or "").split("\0") if name
        ]
        code = [name for name in new if any(Path(name).match(pattern) for pattern in _CODE)][:MAX_NEW_FILES]
        if code:
            git.answer("add", "--intent-to-add", "--", *code)
        diff = git.answer("diff", "HEAD", "--no-color", "--no-ext-diff", "--no-textconv", "--full-index")
    if diff is None or not (diff or new):
        return None
    others = sorted(set(new) - set(code))
    kept, is_whole = _shortened(diff, max_bytes)
    text = "".join(f"# new file, not included: {name}\n" for name in others[:MAX_NEW_FILES]) + kept
    clean = redacted(text, secrets=(*secrets, *secrets_of(_ASSIGNED.findall(text))))
    return Patch(clean, is_complete=is_whole and not others and clean == text)


@dataclass(frozen=True)
class _Git:
    """Runs git in a repository, with an index that is not the repository's."""

    root: Path
    index: Path

    def answer(self, *words: str) -> str | None:
        """Return the output of a command, up to the maximum size; None if it fails or takes too long."""
        variables = {"GIT_INDEX_FILE": str(self.index), "GIT_OPTIONAL_LOCKS": "0"}
        return output_of(("git", "-C", str(self.root), *words), variables=variables)


def _shortened(diff: str, max_bytes: int) -> tuple[str, bool]:
    """Return a diff up to the maximum size, cut after a line, and whether that is all of it."""
    data = diff.encode()
    if len(data) <= max_bytes:
        return diff, True
    lines = data[:max_bytes].decode(errors="ignore").rpartition("\n")[0]
    return f"{lines}\n# shortened: the whole patch has {len(data)} bytes\n", False
