"""Tables among an analysis's results: which files they are, and which columns each has.

``Analysis(tables={"units.parquet": Unit})`` declares a table by its file and the model of a row. The platform looks at
the file after each job, shows its columns with the asset, and counts its rows.
"""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from pydantic import BaseModel

from domain.errors import OutputError

PARQUET, CSV = ".parquet", ".csv"


def faults_of_tables(tables: Mapping[str, type[BaseModel]]) -> list[str]:
    """Say what is wrong with declared tables.

    Parameters
    ----------
    tables : mapping
        The model of a row, by the file's path below the results.

    Returns
    -------
    list of str
        One for each fault: a path that is none, a kind of file that cannot be read, a column without description.
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
    """Refuse a table whose columns are not the fields of its model; their order does not matter.

    Parameters
    ----------
    file : str
        Path of the table.
    found : sequence of str
        The columns that it has.
    model : type of BaseModel
        What a row is.

    Raises
    ------
    OutputError
        If a column is missing, not declared, or there twice; names them.
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
