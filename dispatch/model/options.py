"""The options of a dispatch, which are the same in the launchpad, on the command line and in a saved dispatch.

They are plain data. The content of files is read before, so that the recorded options of a dispatch are complete and
keep their meaning.
"""

import json
from collections.abc import Mapping
from difflib import get_close_matches
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dispatch.model.csv_files import read_asset_csv
from dispatch.model.parameters import GivenParameters, given_parameters
from dispatch.model.sweep import SweepMode
from domain.data_asset.query import is_field, parse_query
from domain.errors import DispatchError
from domain.json_values import value_faults
from domain.messages import joined, shown

RENAMED = {
    "docdb_query": "`query`",
    "use_data_asset_csv": "`asset_csv`, which takes the CSV itself",
    "max_number_of_tasks_dispatched": "`max_jobs`",
    "tasks_per_job": "`files_per_folder`",
    "filter_obsolete": "`filter_latest`",
    "distributed_parameters": "`parameters`, which takes the whole of analysis_parameters.json",
    "fixed_parameters": "`parameters`, which takes the whole of analysis_parameters.json",
    "input_directory": "nothing: data and inbox are settings",
    "output_directory": "nothing: data and inbox are settings",
}
"""Options of the earlier dispatcher, and their replacements."""

_JSON_TEXTS = ("query", "parameters", "sweep")
_MAX_FIELDS = 20


class InputCheck(StrEnum):
    """Which inputs are checked before a job is written. Dagster shows the names of the members."""

    file = "file"
    exists = "exists"
    none = "none"


class DispatchOptions(BaseModel):
    """The options of a dispatch; see ``docs/dispatch.md``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    query: str = Field(
        default="", description="Which assets: a find filter of the metadata database, as JSON. `{}` means all."
    )
    asset_csv: str = Field(default="", description="Which assets: a CSV with a column `asset_id`.")
    asset_ids: list[str] = Field(default=[], description="Which assets: their ids.")
    records: list[str] = Field(
        default=[], description="Which assets: ids or names of their records, or addresses such as s3://bucket/asset."
    )
    file_extension: str = Field(
        default="",
        description="Files to look for in each asset: the end of their names (`.nwb`) or a pattern (`*_spikes.nwb`).",
    )
    split_files: bool = Field(default=True, description="A job for each file that is found; else one for each asset.")
    group_by: list[str] = Field(default=[], description="One job for all assets that share these record fields.")
    group_parameters: list[str] = Field(
        default=[],
        description="FIELD=PARAMETER: the group's value of a field becomes this parameter. A parameter that is named "
        "like the last part of a group field is filled without it.",
    )
    filter_latest: str = Field(
        default="", description="Take only the record with the largest value of this field; needs `filter_by`."
    )
    filter_by: list[str] = Field(default=[], description="The newest record is taken of those that share these fields.")
    unwind_list_fields: list[str] = Field(
        default=[], description="A record with a list here counts once for each of its entries."
    )
    drop_null_groups: bool = Field(
        default=True, description="Leave out records that have no value in a field of `group_by` or `filter_by`."
    )
    parameters: str = Field(
        default="",
        description="Parameters as JSON, in any form of analysis_parameters.json: fixed ones and distributed sets.",
    )
    set_values: list[str] = Field(
        default=[], description="NAME=VALUE: a parameter of every job; JSON where it can be read as such, else text."
    )
    sweep: str = Field(
        default="",
        description='Sets of parameters, as JSON: `{"a": [1, 2], "b": {"start": 0, "stop": 1, "step": 0.5}}`.',
    )
    sweep_mode: SweepMode = Field(
        default=SweepMode.product, description="How the values of the sweep are combined: each with each, or in pairs."
    )
    max_jobs: int = Field(default=1000, ge=1, le=100_000, description="Maximum number of jobs to write.")
    files_per_folder: int = Field(
        default=1000, ge=1, description="Maximum number of job files in one folder of the inbox."
    )
    check_inputs: InputCheck = Field(
        default=InputCheck.file,
        description="Before a job is written: `file`, the file that it means is there; `exists`, its address is; `none`.",
    )
    max_records: int = Field(
        default=20_000, ge=1, le=200_000, description="Maximum number of records a query may find."
    )
    time_limit_s: float = Field(default=30.0, gt=0, le=55, description="Time limit of the query (seconds).")

    def all_asset_ids(self) -> list[str]:
        """Return the ids of the list and of the CSV, each once.

        Raises
        ------
        DispatchError
            If the CSV is invalid.
        """
        listed = [i.strip() for i in self.asset_ids if i.strip()]
        return list(dict.fromkeys(listed + (read_asset_csv(self.asset_csv) if self.asset_csv.strip() else [])))

    def given_parameters(self) -> GivenParameters:
        """Return the parameters that the options give.

        Raises
        ------
        DispatchError
            If one of them is invalid.
        """
        return given_parameters(self.parameters, set_values=self.set_values, sweep=self.sweep, mode=self.sweep_mode)

    def record_fields(self) -> list[str]:
        """Return the fields of records that grouping and filtering read, each once."""
        latest = [self.filter_latest] if self.filter_latest else []
        return list(dict.fromkeys([*self.group_by, *self.filter_by, *latest, *self.unwind_list_fields]))

    def parameter_of_group_field(self) -> dict[str, str]:
        """Return the parameter of each group field that is named in `group_parameters`.

        Raises
        ------
        DispatchError
            If an entry is not ``FIELD=PARAMETER``, or its field is not in `group_by`.
        """
        named: dict[str, str] = {}
        for word in self.group_parameters:
            field, equals, name = (part.strip() for part in word.rpartition("="))
            if not equals or not name or field not in self.group_by or field in named:
                fields = ", ".join(f"`{shown(f)}`" for f in self.group_by) or "nothing"
                msg = f"`group_parameters`: found '{shown(word)}', expected FIELD=PARAMETER, FIELD one of {fields}, each once."
                raise DispatchError(msg)
            named[field] = name
        return named


def read_options(values: Mapping[str, Any]) -> DispatchOptions:
    """Validate options from a user; JSON texts may also be given as JSON values.

    Parameters
    ----------
    values : mapping
        Values by the names of the fields of `DispatchOptions`.

    Returns
    -------
    DispatchOptions
        Options that pass `check_options`.

    Raises
    ------
    DispatchError
        If options are invalid: the message names all errors, and replacements for options of the earlier dispatcher.
    """
    plain = {k: json.dumps(v) if k in _JSON_TEXTS and isinstance(v, dict | list) else v for k, v in values.items()}
    faults = [_unknown(key) for key in plain if key not in DispatchOptions.model_fields]
    try:
        options = DispatchOptions(**{k: v for k, v in plain.items() if k in DispatchOptions.model_fields})
    except ValidationError as error:
        faults += [f"`{'.'.join(map(str, e['loc']))}`: {e['msg']}" for e in error.errors(include_url=False)]
    if faults:
        msg = f"The options of the dispatch cannot be used: {joined(faults)}."
        raise DispatchError(msg)
    check_options(options)
    return options


def check_options(options: DispatchOptions) -> None:
    """Raise if options are invalid or contradict each other; the message names all errors.

    Raises
    ------
    DispatchError
        If not exactly one way of selecting assets is used, only one of `filter_latest` and `filter_by` is given, a name
        cannot be a field, a value is not text, or query, CSV, parameters or sweep are invalid.
    """
    faults = value_faults(options.model_dump(), path="", plain_keys=False)
    faults += [f for f in (_source_fault(options), _filter_fault(options)) if f]
    faults += [f"'{shown(f)}' cannot be a field of records" for f in options.record_fields() if not is_field(f)]
    if len(options.record_fields()) > _MAX_FIELDS:
        faults.append(f"more than {_MAX_FIELDS} fields are grouped by, filtered by or unwound")
    if options.sweep_mode is not SweepMode.product and not options.sweep.strip():
        faults.append("`sweep_mode` is given without a `sweep`")
    if faults:
        msg = f"The options of the dispatch cannot be used: {joined(faults)}."
        raise DispatchError(msg)
    options.parameter_of_group_field()
    options.all_asset_ids()
    options.given_parameters()
    if options.query.strip():
        parse_query(options.query)


def _source_fault(options: DispatchOptions) -> str | None:
    """Return an error unless exactly one way of selecting assets is used."""
    ways = {
        "`query`": bool(options.query.strip()),
        "asset ids": bool(options.asset_csv.strip() or options.asset_ids),
        "`records`": bool(options.records),
    }
    used = [name for name, is_used in ways.items() if is_used]
    if len(used) == 1:
        return None
    found = " and ".join(used) or "none"
    return f"choose assets in one way, by `query`, by `asset_csv` or `asset_ids`, or by `records` (found: {found})"


def _filter_fault(options: DispatchOptions) -> str | None:
    """Return an error if only one of `filter_latest` and `filter_by` is given."""
    if bool(options.filter_latest) == bool(options.filter_by):
        return None
    return "`filter_latest` (a field to compare) and `filter_by` (fields that are shared) go together"


def _unknown(key: str) -> str:
    """Return the error for an unknown option, with its replacement or a similar name."""
    if key in RENAMED:
        return f"`{key}` is an option of the earlier dispatcher: here it is {RENAMED[key]}"
    near = get_close_matches(key, DispatchOptions.model_fields, n=1)
    return f"there is no option `{shown(key)}`" + (f", did you mean `{near[0]}`?" if near else "")
