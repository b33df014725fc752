"""Parses job files of all generations into one form.

The format is described in ``docs/job-files.md``. Parameters are validated in `domain.analysis.parameters`, inputs are
normalized in `domain.job.identity`.
"""

import re
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from domain.errors import JobFileError
from domain.json_values import canonical_json, json_type, parse_json, value_faults
from domain.messages import joined, shown

_LOCATION_LISTS = ("s3_location", "file_location")
_DESCRIBING_LISTS = ("asset_id", "asset_name", "docdb_record_id")
_OLDER_PARAMETERS = "analysis_parameters"
_HAS_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://")
_USER_INFO = re.compile(r"(?<=://)[^/?#]*@")
_URL_FORMS = "s3://bucket/key, file:///path or https://host/path"


class AnalysisCode(BaseModel):
    """The requested code in a job file: url and version are recorded, parameters are used."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str | None = Field(default=None, description="Where the code is, without user info.")
    version: str | None = Field(default=None, description="Its version or commit.")
    parameters: dict[str, Any] = Field(default={}, description="Parameters, the second layer of the merge.")


class Job(BaseModel):
    """The content of one job file, in one form for all generations of the format.

    Entry i of ``asset_id``, ``asset_name`` and ``docdb_record_id`` describes entry i of ``s3_location``, or of
    ``file_location`` if there is no ``s3_location``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    s3_location: tuple[str, ...] = Field(default=(), description="URLs of the data assets.")
    file_location: tuple[str, ...] = Field(default=(), description="URLs of single files.")
    asset_id: tuple[str, ...] = Field(default=(), description="Ids of the assets.")
    asset_name: tuple[str, ...] = Field(default=(), description="Names of the assets.")
    docdb_record_id: tuple[str, ...] = Field(default=(), description="Ids of the assets' metadata records.")
    distributed_parameters: dict[str, Any] = Field(default={}, description="The job's own parameters; they win.")
    group_metadata: dict[str, Any] | None = Field(default=None, description="Fields shared by grouped assets.")
    query: str | None = Field(default=None, description="The query that found the assets, as JSON text.")
    analysis_code: AnalysisCode | None = Field(default=None, description="The code that the file requests.")
    dispatch_id: str | None = Field(default=None, description="The dispatch that wrote the file.")
    unknown_keys: tuple[str, ...] = Field(default=(), description="Keys that were not understood, sorted.")


_KNOWN_KEYS = frozenset(Job.model_fields) - {"unknown_keys"} | {_OLDER_PARAMETERS}


def read_job(data: bytes, *, name: str) -> Job:
    """Parse a job file.

    Parameters
    ----------
    data : bytes
        Content of the file, UTF-8.
    name : str
        The file's name or address, for messages.

    Returns
    -------
    Job
        Its fields, with older names and forms converted.

    Raises
    ------
    JobFileError
        If it is not one JSON object (with line and column), or has wrong types, lists that do not run in parallel, an
        input that is not a URL, no input, or several parameter sets; the message names all errors.
    """
    what = f"Job file {name}"
    document = parse_json(data, what=what)
    if not isinstance(document, dict):
        msg = f"{what} holds {json_type(document)}; a job is one JSON object."
        raise JobFileError(msg)
    reader = _Reader(document)
    fields = reader.fields()
    if reader.faults:
        msg = f"{what} cannot be used: {joined(reader.faults)}."
        raise JobFileError(msg)
    return Job(**fields)


class _Reader:
    """Reads the fields of one document, and collects all errors."""

    def __init__(self, document: dict[str, Any]) -> None:
        """Store the document."""
        self.document = document
        self.faults: list[str] = []

    def fields(self) -> dict[str, Any]:
        """Return the values of a `Job`, which are only valid if no error was found."""
        lists = {key: self._strings(key, one_allowed=True) for key in _LOCATION_LISTS}
        self._check_inputs(lists)
        lists |= {key: self._strings(key, one_allowed=False) for key in _DESCRIBING_LISTS}
        self._check_parallel(lists)
        return {
            **lists,
            "distributed_parameters": self._parameters(),
            "group_metadata": self._object("group_metadata"),
            "query": self._query(),
            "analysis_code": self._code(),
            "dispatch_id": self._text("dispatch_id"),
            "unknown_keys": self._unknown_keys(),
        }

    def _fault(self, text: str) -> None:
        self.faults.append(text)

    def _strings(self, key: str, *, one_allowed: bool) -> tuple[str, ...]:
        """Read a list of strings; null and a missing key mean no entries."""
        value = self.document.get(key)
        if value is None:
            return ()
        if one_allowed and isinstance(value, str):
            value = [value]
        if not isinstance(value, list):
            self._fault(f"`{key}` is {json_type(value)}, expected a list of strings")
            return ()
        entries = tuple(entry if isinstance(entry, str) else "" for entry in value)
        for index, entry in enumerate(value):
            if not isinstance(entry, str):
                self._fault(f"`{key}[{index}]` is {json_type(entry)}, expected a string")
            elif not entry:
                self._fault(f"`{key}[{index}]` is an empty string")
        self._check_storable(entries, key)
        return entries

    def _check_inputs(self, lists: dict[str, tuple[str, ...]]) -> None:
        """Report a job without inputs, and inputs that are not URLs."""
        if not any(self.document.get(key) for key in _LOCATION_LISTS):
            self._fault("no input is named: give `s3_location` or `file_location`")
        for key in _LOCATION_LISTS:
            for index, entry in enumerate(lists[key]):
                if entry and not _HAS_SCHEME.match(entry):
                    self._fault(f"`{key}[{index}]` is not a URL: '{shown(entry)}' (expected {_URL_FORMS})")

    def _check_parallel(self, lists: dict[str, tuple[str, ...]]) -> None:
        """Report lists that do not run in parallel.

        Only ``file_location`` may be longer than ``s3_location``: a dispatch that does not split files writes all
        files of an asset into one job.
        """
        lead = next((key for key in _LOCATION_LISTS if lists[key]), None)
        if lead is None:
            return
        for key, entries in lists.items():
            short = len(entries) < len(lists[lead])
            if entries and (short or (key != "file_location" and len(entries) > len(lists[lead]))):
                self._fault(
                    f"`{key}` has {len(entries)} entries and `{lead}` has {len(lists[lead])}: they run in parallel"
                )

    def _parameters(self) -> dict[str, Any]:
        """Read the job's own parameters, under their current or their older name."""
        known = len(self.faults)
        found = {
            key: self._parameter_set(key)
            for key in ("distributed_parameters", _OLDER_PARAMETERS)
            if self.document.get(key) is not None
        }
        if len(self.faults) == known and len({canonical_json(value) for value in found.values()}) > 1:
            self._fault(
                f"`distributed_parameters` and its older name `{_OLDER_PARAMETERS}` differ: keep one of the two"
            )
        return next(iter(found.values()), {})

    def _parameter_set(self, key: str) -> dict[str, Any]:
        """Read one set of parameters: an object, or a list of one object."""
        value = self.document[key]
        if isinstance(value, list):
            if len(value) > 1:
                self._fault(f"`{key}` lists {len(value)} sets of parameters: a job has one set")
                return {}
            value = value[0] if value else {}
        if not isinstance(value, dict):
            self._fault(f"`{key}` is {json_type(value)}, expected an object")
            return {}
        self._check_storable(value, key)
        return value

    def _object(self, key: str) -> dict[str, Any] | None:
        value = self.document.get(key)
        if value is None or isinstance(value, dict):
            self._check_storable(value, key)
            return value
        self._fault(f"`{key}` is {json_type(value)}, expected an object or null")
        return None

    def _text(self, key: str) -> str | None:
        value = self.document.get(key)
        if value is None or isinstance(value, str):
            self._check_storable(value, key)
            return value
        self._fault(f"`{key}` is {json_type(value)}, expected a string or null")
        return None

    def _check_storable(self, value: Any, path: str) -> None:
        """Report values that cannot be stored."""
        self.faults += value_faults(value, path=path, plain_keys=False)

    def _query(self) -> str | None:
        """Read the query: a string, or an object, which is stored as its canonical JSON text."""
        if not isinstance(self.document.get("query"), dict):
            return self._text("query")
        query = self._object("query")
        return None if self.faults else canonical_json(query).decode()

    def _code(self) -> AnalysisCode | None:
        """Read the requested code: url, version and parameters only."""
        value = self.document.get("analysis_code")
        if not isinstance(value, dict):
            if value is not None:
                self._fault(f"`analysis_code` is {json_type(value)}, expected an object or null")
            return None
        inner = _Reader(value)
        found = {
            "url": _without_user_info(inner._text("url")),
            "version": inner._text("version"),
            "parameters": inner._object("parameters") or {},
        }
        self.faults += [f"in `analysis_code`: {fault}" for fault in inner.faults]
        return None if inner.faults else AnalysisCode(**found)

    def _unknown_keys(self) -> tuple[str, ...]:
        """Return the keys that are in no generation of the format."""
        unknown = sorted(set(self.document) - _KNOWN_KEYS)
        self._check_storable(dict.fromkeys(unknown), "")
        return tuple(unknown)


def _without_user_info(url: str | None) -> str | None:
    """Remove user name, password and token from a URL."""
    return None if url is None else _USER_INFO.sub("", url)
