"""Tables among the result files of an analysis, and their columns.

``Analysis(tables={"units.parquet": Unit})`` declares a table by its path and the model of a row. The platform checks
the file after each job, shows its columns with the asset, and counts its rows.
"""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from pydantic import BaseModel

from domain.errors import OutputError

PARQUET, CSV = ".parquet", ".csv"


def faults_of_tables(tables: Mapping[str, type[BaseModel]]) -> list[str]:
    """Return the errors of declared tables.

    Parameters
    ----------
    tables : mapping
        The model of a row, by the file's path below the results.

    Returns
    -------
    list of str
        Errors such as an invalid path, an unsupported file format, or a column without description.
    """
    faults = []
    for file, model in tables.items():
        path = PurePosixPath(file)
        if path.is_absolute() or ".." in path.parts or str(path) != file:
            faults.append(f"`{file}` is not a plain path below the results")
        elif path.suffix not in {PARQUET, CSV}:
            faults.append(f"`{file}` must end with {PARQUET} or {CSV}")
        faults += [
            f"column `{name}` of `{file}` has no description"
            for name, field in model.model_fields.items()
            if not field.description
        ]
    return faults


def check_columns(file: str, found: Sequence[str], model: type[BaseModel]) -> None:
    """Raise if the columns of a table are not the fields of its model; their order does not matter.

    Parameters
    ----------
    file : str
        Path of the table.
    found : sequence of str
        Columns of the file.
    model : type of BaseModel
        Model of a row.

    Raises
    ------
    OutputError
        If columns are missing, not declared or duplicate; the message names them.
    """
    declared = list(model.model_fields)
    if sorted(found) == sorted(declared):
        return
    lists = {
        "missing": [name for name in declared if name not in found],
        "not declared": [name for name in found if name not in declared],
        "there twice": sorted({name for name in found if found.count(name) > 1}),
    }
    named = "; ".join(f"{what}: {', '.join(f'`{n}`' for n in names)}" for what, names in lists.items() if names)
    msg = (
        f"The columns of `{file}` are not the fields of `{model.__name__}`: {named}. Write the declared columns, or "
        "correct the model."
    )
    raise OutputError(msg)
