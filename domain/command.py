"""An analysis that is a command: another language, another environment, a container.

The command reads its job as JSON and writes its outputs as JSON; everything else (claim, time limit, log, publishing,
provenance) is as for a Python function. The contract is in ``docs/other-languages.md``; it is that of Dagster Pipes
(https://docs.dagster.io/guides/build/external-pipelines), with plain files for languages that have no Pipes library.
"""

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from domain.json_values import canonical_json, sha256_hex

COMMAND_FORMAT = "analysis-command/1"
TRY_AGAIN = 75
"""Exit code for a transient failure of a command (``EX_TEMPFAIL`` of sysexits.h)."""

_PLACES = ("{code}", "{folder}", "{results}")
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]


class Command(BaseModel):
    """A program with its arguments, its source files, and the environment variables that it receives.

    The declared files are copied into the job's private folder and executed there, so that the hashed files run.

    Examples
    --------
    >>> command = Command(words=("Rscript", "fit.R", "{results}"), files=("fit.R",), language="R")
    >>> command.argv(code="/job/code", folder="/job", results="/job/results")
    ['Rscript', '/job/code/fit.R', '/job/results']
    >>> command.identity({"fit.R": b"x <- 1"}) == command.identity({"fit.R": b"x <- 2"})
    False
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    words: tuple[str, ...] = Field(
        min_length=1,
        description="Program and arguments; no shell. An argument that names a declared file becomes the path of its copy; "
        "`{code}`, `{folder}` and `{results}` become the folders of the copies, of the job and of its results.",
    )
    files: tuple[str, ...] = Field(
        min_length=1, description="Files that make up the code, relative to the analysis file: its code version."
    )
    language: str = Field(min_length=1, max_length=50, description="Programming language, for the record.")
    version_words: tuple[str, ...] = Field(
        default=(), description="Command that prints the language's version, for the record: its first line is kept."
    )
    environment: dict[VariableName, str] = Field(default={}, description="Variables that are set; never secrets.")
    pass_variables: tuple[VariableName, ...] = Field(
        default=(), description="Variables of the platform's process that are passed on; by default only a few are."
    )

    @model_validator(mode="after")
    def _files_are_beside_the_analysis(self) -> Self:
        """Raise for files elsewhere: they would not be part of the project."""
        strange = [f for f in self.files if PurePosixPath(f).is_absolute() or {"..", "."} & set(f.split("/"))]
        if strange or len(set(self.files)) < len(self.files):
            what = f"`{strange[0]}`" if strange else "a file twice"
            msg = f"files names {what}; each is a path below the analysis file's folder, such as `scripts/fit.R`, once"
            raise ValueError(msg)
        return self

    def identity(self, contents: Mapping[str, bytes]) -> str:
        """Return the digest of the command, which is part of the code version.

        Parameters
        ----------
        contents : mapping of str to bytes
            Contents of the declared files, by path.

        Returns
        -------
        str
            64 lower-case hexadecimal characters; they change with the words, the set variables and every byte of the
            files.
        """
        described = {
            "format": COMMAND_FORMAT,
            "words": list(self.words),
            "environment": dict(self.environment),
            "files": {name: sha256_hex(contents[name]) for name in self.files},
        }
        return sha256_hex(canonical_json(described))

    def argv(self, *, code: str, folder: str, results: str) -> list[str]:
        """Return the arguments of the process.

        Parameters
        ----------
        code, folder, results : str
            Folders of the copied files, of the job and of its results.
        """
        places = dict(zip(_PLACES, (code, folder, results), strict=True))
        return [f"{code}/{word}" if word in self.files else _filled(word, places.items()) for word in self.words]


def _filled(word: str, places: Iterable[tuple[str, str]]) -> str:
    """Replace the placeholders of folders in a word."""
    for place, path in places:
        word = word.replace(place, path)
    return word
