"""`analysis describe`: the parameters, outputs, tables and checks of an analysis."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from domain.analysis.checks import description_of
from domain.analysis.fields import FieldFacts, describe_fields
from domain.command import Command
from engine.discovery.analyses import ANALYSES_FOLDER, load_named


@dataclass(frozen=True)
class Description:
    """The description of an analysis.

    Attributes
    ----------
    name, code_version, language, file : str
        Identity of the code.
    owners : tuple of str
        E-mail addresses or teams, as declared.
    text : str
        Docstring of the analysis file.
    parameters, outputs : tuple of FieldFacts
        Fields of its two models, with units and bounds.
    tables : dict of str to tuple of FieldFacts
        Columns of the declared tables, by file.
    checks : dict of str to str
        Descriptions of the declared checks, by name.
    figure : str or None
        Path of the figure among the result files.
    time_limit_s : float
        Time after which a job is killed (s).
    """

    name: str
    code_version: str
    language: str
    file: str
    owners: tuple[str, ...]
    text: str
    parameters: tuple[FieldFacts, ...]
    outputs: tuple[FieldFacts, ...]
    tables: dict[str, tuple[FieldFacts, ...]]
    checks: dict[str, str]
    figure: str | None
    time_limit_s: float

    def as_dict(self) -> dict[str, Any]:
        """Return the description as JSON values."""
        return asdict(self)


def describe(name: str, folder: Path = ANALYSES_FOLDER) -> Description:
    """Describe an analysis.

    Raises
    ------
    UnknownJobError
        If there is no analysis of this name.
    AnalysisFileError
        If its file cannot be loaded.
    """
    entry = load_named(name, folder)
    analysis = entry.analysis
    return Description(
        name=name,
        code_version=entry.code_version,
        language=analysis.run.language if isinstance(analysis.run, Command) else "Python",
        file=str(entry.path),
        owners=analysis.owners,
        text=entry.description.strip(),
        parameters=tuple(describe_fields(analysis.parameters)),
        outputs=tuple(describe_fields(analysis.outputs)),
        tables={file: tuple(describe_fields(model)) for file, model in analysis.tables.items()},
        checks={check.__name__: description_of(check) for check in analysis.checks},
        figure=analysis.figure,
        time_limit_s=analysis.time_limit_s,
    )
