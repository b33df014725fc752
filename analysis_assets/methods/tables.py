"""Tables among an analysis's results: Parquet files whose columns say what they hold."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel


def write_table(rows: Sequence[BaseModel], model: type[BaseModel], path: Path) -> None:
    """Write one row for each instance of a model.

    Parameters
    ----------
    rows : sequence of BaseModel
        What to write; the same rows give the same bytes.
    model : type of BaseModel
        What a row is. Its fields are the columns, which are there without rows too, and carry their descriptions.
    path : Path
        File to write.
    """
    import pyarrow as pa  # noqa: PLC0415 - imported where it is used: listing the analyses stays quick
    import pyarrow.parquet as pq  # noqa: PLC0415

    types: dict[Any, pa.DataType] = {bool: pa.bool_()}
    types |= {text: pa.string() for text in (str, str | None)}
    types |= {number: pa.int64() for number in (int, int | None)}
    fields = [
        pa.field(name, types.get(field.annotation, pa.float64()), metadata={"description": field.description})
        for name, field in model.model_fields.items()
    ]
    pq.write_table(
        pa.Table.from_pylist([row.model_dump() for row in rows], schema=pa.schema(fields)), path, compression="zstd"
    )
