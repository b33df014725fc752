"""`analysis new`: writes analysis file and test, and a section of the documentation."""

import keyword
import re
from dataclasses import dataclass
from pathlib import Path
from string import Template

from cli.tools.reference import PAGE, refreshed
from domain.errors import AnalysisFileError
from engine.discovery.analyses import ANALYSES_FOLDER, load_analysis
from resources.process import answer_of
from resources.settings import PROJECT_ROOT

_TEMPLATES = Path(__file__).parent / "templates"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_ADDRESS = re.compile(r"[^@\s\"\\]+@[^@\s\"\\]+\.[^@\s\"\\]+")


@dataclass(frozen=True)
class Folders:
    """Folders and page that `analysis new` writes to.

    Attributes
    ----------
    analyses, tests : Path
        Folders of analysis files and of their tests.
    page : Path
        The page that describes every analysis.
    """

    analyses: Path = ANALYSES_FOLDER
    tests: Path = PROJECT_ROOT / "tests" / "analysis_assets"
    page: Path = PAGE


def new_analysis(name: str, *, folders: Folders | None = None) -> list[Path]:
    """Write a new analysis from the template; it passes all checks without changes.

    Parameters
    ----------
    name : str
        Name of the analysis and of its file.
    folders : Folders, optional
        Folders to write to; by default those of this project.

    Returns
    -------
    list of Path
        Written files: the analysis file, its test, the page.

    Raises
    ------
    AnalysisFileError
        If the name is invalid or exists; nothing is written then.
    """
    folders = folders or Folders()
    files = {
        folders.analyses / f"{name}.py": "analysis.py.txt",
        folders.tests / f"test_{name}.py": "test.py.txt",
    }
    _refuse_name(name, [*files, folders.analyses / name])
    for path, template in files.items():
        text = Template((_TEMPLATES / template).read_text(encoding="utf-8"))
        path.write_text(text.substitute(name=name, owner=_owner()), encoding="utf-8")
    page = folders.page
    entry = load_analysis(folders.analyses / f"{name}.py")
    page.write_text(refreshed(page.read_text(encoding="utf-8"), [entry]), encoding="utf-8")
    return [*files, page]


def _refuse_name(name: str, taken: list[Path]) -> None:
    """Raise if a name is invalid for Python or the platform, or exists."""
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        msg = (
            f"`{name}` cannot be the name of an analysis: it is a file, an asset and a folder. Use lower-case letters, "
            "digits and `_`, beginning with a letter, at most 63 characters, and not a reserved word of Python."
        )
        raise AnalysisFileError(msg)
    for path in taken:
        if path.exists():
            msg = f"{path} is there already: choose another name, or edit that file."
            raise AnalysisFileError(msg)


def _owner() -> str:
    """Return the author's address from git; a placeholder if git has none."""
    address = answer_of(("git", "config", "user.email")) or ""
    return address if _ADDRESS.fullmatch(address) else "team:yours"
