"""The metadata of an analysis's asset: parameters, outputs, columns of tables, and source."""

import warnings
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import dagster as dg
from dagster import TableColumnConstraints
from pydantic import BaseModel

from domain.analysis.fields import FieldFacts, describe_fields
from engine.discovery.analyses import AnalysisEntry
from engine.discovery.source import page_of
from resources.explorer_links import analysis_in_explorer

COLUMN_SCHEMA = "dagster/column_schema"
_CODE_REFERENCES = "dagster/code_references"
_TYPES = {"text": "string", "whole number": "int", "number": "float", "yes or no": "bool"}
_OR_NONE = " or none"


def asset_metadata(entry: AnalysisEntry, *, explorer_url: str | None = None) -> dict[str, Any]:
    """Return the metadata of an analysis's asset.

    Parameters
    ----------
    entry : AnalysisEntry
        Its models, tables and file are described.
    explorer_url : str, optional
        URL of the explorer, for a link to the analysis's table.

    Returns
    -------
    dict
        Metadata by label. Dagster shows the columns of the first table and the source separately.
    """
    analysis = entry.analysis
    files = list(analysis.tables)
    schemas = {file: column_schema(model) for file, model in analysis.tables.items()}
    return {
        "parameters": _fields_table(analysis.parameters, ("name", "type", "unit", "default", "bounds", "meaning")),
        "outputs": _fields_table(analysis.outputs, ("name", "type", "unit", "meaning")),
        **({"table": files[0], COLUMN_SCHEMA: schemas[files[0]]} if files else {}),
        **{f"columns of {file}": dg.MetadataValue.table_schema(schemas[file]) for file in files[1:]},
        **(
            {"explorer": dg.MetadataValue.url(analysis_in_explorer(explorer_url, analysis.name))}
            if explorer_url
            else {}
        ),
        _CODE_REFERENCES: _source(entry),
    }


def _fields_table(model: type[BaseModel], columns: Sequence[str]) -> dg.TableMetadataValue:
    """Return the fields of a model as a table, which Dagster shows at once; long Markdown is hidden behind a link."""
    rows = [
        {**asdict(fact), "type": fact.kind.replace("`", ""), "meaning": fact.meaning.replace("`", "")}
        for fact in describe_fields(model)
    ]
    return dg.MetadataValue.table(
        [dg.TableRecord({name: row[name] for name in columns}) for row in rows],
        schema=dg.TableSchema(columns=[dg.TableColumn(name, "string") for name in columns]),
    )


def column_schema(model: type[BaseModel]) -> dg.TableSchema:
    """Return the columns of a table: names, types, and descriptions with units.

    Parameters
    ----------
    model : type of BaseModel
        Model of a row.
    """
    facts = describe_fields(model)
    return dg.TableSchema(
        columns=[
            _column(fact, field.description) for fact, field in zip(facts, model.model_fields.values(), strict=True)
        ]
    )


def _column(fact: FieldFacts, description: str | None) -> dg.TableColumn:
    kind = fact.kind.removesuffix(_OR_NONE)
    return dg.TableColumn(
        name=fact.name,
        type=_TYPES.get(kind, kind),
        description=description,
        constraints=TableColumnConstraints(nullable=kind != fact.kind),
    )


def _source(entry: AnalysisEntry) -> dg.CodeReferencesMetadataValue:
    """Return a link to the analysis file: on the web at the checked-out commit, otherwise on this disk."""
    page = page_of(entry.path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        found = (
            dg.UrlCodeReference(url=page, label=entry.path.name)
            if page
            else dg.LocalFileCodeReference(file_path=str(entry.path.resolve()), line_number=1, label=entry.path.name)
        )
        return dg.CodeReferencesMetadataValue(code_references=[found])
