"""Finds the analyses: every ``*.py`` file in ``analysis_assets/`` whose name has no leading underscore."""

import importlib
import importlib.util
import inspect
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from pydantic import ValidationError

from domain.analysis import Analysis
from domain.command import Command
from domain.errors import AnalysisFileError, UnknownJobError, error_context
from engine.discovery.source import command_identity, version_of

ANALYSES_FOLDER = Path(__file__).parents[2] / "analysis_assets"
_RUN_ARGUMENTS = 3


@dataclass(frozen=True)
class AnalysisEntry:
    """One analysis, as found in its file.

    Attributes
    ----------
    analysis : Analysis
        What the file declares.
    path : Path
        Absolute path of the analysis file.
    code_version : str
        Code version at the time when the file was loaded.
    description : str
        Docstring of the file.
    command_identity : str
        Digest of the command and its files at that time; empty for a Python function.
    """

    analysis: Analysis
    path: Path
    code_version: str
    description: str
    command_identity: str = ""


def analysis_files(folder: Path = ANALYSES_FOLDER) -> dict[str, Path]:
    """Return the files that should define an analysis, sorted by name, without importing them."""
    return {path.stem: path for path in sorted(folder.glob("*.py")) if not path.name.startswith("_")}


def find_analyses(folder: Path = ANALYSES_FOLDER) -> dict[str, AnalysisEntry]:
    """Load all analyses of a folder, sorted by name.

    Raises
    ------
    AnalysisFileError
        If a file does not define an analysis; the message names all invalid files.
    """
    entries: dict[str, AnalysisEntry] = {}
    faults = []
    for name, path in analysis_files(folder).items():
        try:
            entries[name] = load_analysis(path)
        except AnalysisFileError as error:
            faults.append(str(error))
    if faults:
        raise AnalysisFileError("\n".join(faults), location=str(folder))
    return entries


def load_named(name: str, folder: Path = ANALYSES_FOLDER) -> AnalysisEntry:
    """Load one analysis by its name; errors in other files have no effect.

    Raises
    ------
    UnknownJobError
        If there is no analysis of this name; the message lists the existing ones.
    AnalysisFileError
        If its file does not define an analysis.
    """
    files = analysis_files(folder)
    if name not in files:
        msg = f"There is no analysis `{name}`. The analyses are: {', '.join(files)}."
        raise UnknownJobError(msg, analysis=name)
    return load_analysis(files[name])


def load_analysis(path: Path) -> AnalysisEntry:
    """Load one analysis file.

    Raises
    ------
    AnalysisFileError
        If it cannot be imported, has no ``ANALYSIS``, or its name is not that of the file.
    """
    with error_context(analysis=path.stem, location=str(path)):
        return _load(path)


def _load(path: Path) -> AnalysisEntry:
    """Import an analysis file, check what it defines, and compute its code version."""
    if path.with_suffix("").is_dir():
        msg = f"{path}: a folder beside it has the same name, and Python would import only one: rename the file."
        raise AnalysisFileError(msg)
    module = _import(path)
    analysis = getattr(module, "ANALYSIS", None)
    if not isinstance(analysis, Analysis):
        found = "nothing" if analysis is None else f"a {type(analysis).__name__}"
        msg = (
            f"{path}{_form_line(path)}: expected `ANALYSIS = Analysis(...)` at module level, found {found}. Write it at "
            "the end of the file, or give the file a name with a leading underscore if it is not an analysis."
        )
        raise AnalysisFileError(msg)
    if analysis.name != path.stem:
        msg = (
            f"{path}{_form_line(path)}: ANALYSIS is named `{analysis.name}`; it must be named like its file: write "
            f'name="{path.stem}", or rename the file to {analysis.name}.py.'
        )
        raise AnalysisFileError(msg)
    _check_run(analysis, path)
    try:
        command = command_identity(analysis, path)
        version = version_of(analysis, path, command=command)
    except AnalysisFileError as error:
        msg = f"{path}{_form_line(path)}: {error}"
        raise AnalysisFileError(msg) from error
    return AnalysisEntry(analysis, path, version, module.__doc__ or "", command)


def _form_line(path: Path) -> str:
    """Return ``:<line>`` of the file's ``ANALYSIS``, if it has one."""
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
    return next((f":{number}" for number, line in lines if line.startswith("ANALYSIS")), "")


def _check_run(analysis: Analysis, path: Path) -> None:
    """Raise if ``run`` is not covered by the code version, or has the wrong arguments."""
    run = analysis.run
    if isinstance(run, Command):
        return
    if not inspect.isfunction(run) or run.__name__ == "<lambda>":
        msg = f"{path}{_line_of(run)}: `run` must be a plain function written with `def`: other code is not part of the code version."
        raise AnalysisFileError(msg)
    arguments = inspect.signature(run).parameters
    positional = [a for a in arguments.values() if a.kind in {a.POSITIONAL_ONLY, a.POSITIONAL_OR_KEYWORD}]
    if not len(arguments) == len(positional) == _RUN_ARGUMENTS:
        msg = (
            f"{path}{_line_of(run)}: `run` must take (job, parameters, results_dir); it takes ({', '.join(arguments)})."
        )
        raise AnalysisFileError(msg)
    if inspect.get_annotations(run).get("return", "") in {None, "None"}:
        msg = f"{path}{_line_of(run)}: `run` is annotated to return None; it must return {analysis.outputs.__name__}."
        raise AnalysisFileError(msg)


def _line_of(run: object) -> str:
    """Return ``:<line>`` of a function; empty for anything else."""
    return f":{run.__code__.co_firstlineno}" if inspect.isfunction(run) else ""


def _import(path: Path) -> ModuleType:
    """Import an analysis file as a module of its package; the error names the file and line of a failure."""
    name = f"{path.parent.name}.{path.stem}"
    try:
        if path.parent == ANALYSES_FOLDER:
            return importlib.import_module(name)
        return _import_from(path, name)
    except AnalysisFileError as error:
        msg = f"{path}{_line_in(path, error)}: {error}"
        raise AnalysisFileError(msg) from error
    except ValidationError as error:
        faults = "; ".join(f"`{'.'.join(map(str, e['loc']))}`: {e['msg']}" for e in error.errors())
        msg = f"{path}{_line_in(path, error)}: ANALYSIS = Analysis(...) is wrong: {faults}."
        raise AnalysisFileError(msg) from error
    except ModuleNotFoundError as error:
        msg = (
            f"{path}{_line_in(path, error)}: cannot be imported: there is no module `{error.name}`. Correct the name, or "
            "add the package to pyproject.toml and run `make lock setup`."
        )
        raise AnalysisFileError(msg) from error
    except (Exception, SystemExit) as error:  # an analysis may raise anything while it is imported
        line = _line_in(path, error)
        msg = f"{path}{line}: cannot be imported: {type(error).__name__}: {error}"
        raise AnalysisFileError(msg) from error


def _import_from(path: Path, name: str) -> ModuleType:
    """Import a file that is not in a package on the path: analyses of tests and benchmarks."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        msg = "is not a Python file"
        raise AnalysisFileError(msg)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _line_in(path: Path, error: BaseException) -> str:
    """Return ``:<line>`` of a file in a traceback; empty if it is not part of it."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f":{error.lineno}"
    lines = []
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return f":{lines[-1]}" if lines else ""
