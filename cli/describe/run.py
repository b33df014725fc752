"""`analysis describe`: what an analysis takes and gives, in the words of its own file."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from domain.analysis.checks import description_of
from domain.analysis.fields import FieldFacts, describe_fields
from domain.command import Command
from engine.discovery.analyses import ANALYSES_FOLDER, load_named


@dataclass(frozen=True)
class Description:
    """What a person wants to know before using an analysis.

    Attributes
    ----------
    name, code_version, language, file : str
        Which code it is.
    owners : tuple of str
        Whom to ask.
    text : str
        The file's docstring.
    parameters, outputs : tuple of FieldFacts
        The fields of its two models.
    tables : dict of str to tuple of FieldFacts
        Declared tables by file, and their columns.
    checks : dict of str to str
        Declared checks and what they look at.
    figure : str or None
        The figure among its files.
    time_limit_s : float
        When a job is ended (s).
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
        If there is none of this name.
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
