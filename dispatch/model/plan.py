"""Plans the jobs of a dispatch from candidates and parameter sets, each with its job key.

Keys are computed by the functions of the sensor, so that known jobs are found before anything is written.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dispatch.model.groups import Candidate
from dispatch.model.skips import Reason, Skip
from domain.analysis import Analysis
from domain.analysis.parameters import resolve
from domain.data_asset.record import is_null
from domain.errors import DispatchError, InputError, ParametersError
from domain.job.identity import JobInputs, job_key
from domain.job.job_file import AnalysisCode, Job
from domain.json_values import MAX_BYTES, canonical_json
from domain.messages import shown

_SMALL = 500


@dataclass(frozen=True)
class PlanLimits:
    """How much is planned at once.

    Attributes
    ----------
    jobs : int
        Maximum number of jobs; larger plans raise, and the query has to be split.
    remembered : int
        Number of parameter sets whose validated values are cached.
    """

    jobs: int = 300_000
    remembered: int = 10_000


@dataclass(frozen=True)
class ParameterLayers:
    """Parameters of all jobs of a dispatch.

    Attributes
    ----------
    inbox : dict
        Fixed parameters of the inbox, which the sensor adds.
    given : dict
        Fixed parameters of the dispatch, and values given by hand. They are written into every job file, and take
        precedence over those of the inbox.
    sets : tuple of dict
        Each candidate gets one job for each set.
    of_group : dict of str to str
        The parameter of each group field.
    """

    inbox: Mapping[str, Any] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)
    sets: Sequence[Mapping[str, Any]] = ({},)
    of_group: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """A job that can be written.

    Attributes
    ----------
    job_key : str
        The key that the sensor will compute.
    candidate : Candidate
        Its inputs and group.
    distributed : dict
        Its own parameters, without those that all jobs share.
    """

    job_key: str
    candidate: Candidate
    distributed: Mapping[str, Any]

    @property
    def description(self) -> str:
        """Name in messages: the first file or asset, and its own parameters."""
        first, *more = self.candidate.files or self.candidate.locations
        others = f" and {len(more)} more" if more else ""
        own = f" {canonical_json(dict(self.distributed)).decode()}" if self.distributed else ""
        return f"{first}{others}{own}"


class Planner:
    """Plans the jobs of candidates.

    Parameters
    ----------
    analysis : Analysis
        Analysis that validates the parameters.
    layers : ParameterLayers
        Parameters of all jobs.
    limits : PlanLimits
        Maximum number of jobs, and size of the cache.

    Raises
    ------
    DispatchError
        If a group field becomes a parameter that the sets also contain.
    """

    def __init__(self, analysis: Analysis, layers: ParameterLayers, *, limits: PlanLimits = PlanLimits()) -> None:
        self._analysis, self._layers, self._limits = analysis, layers, limits
        self._code = AnalysisCode(parameters=dict(layers.given)) if layers.given else None
        self._resolved: dict[bytes, dict[str, Any] | str] = {}
        given = {*layers.given, *(key for entry in layers.sets for key in entry)}
        if both := sorted(set(layers.of_group.values()) & given):
            names = ", ".join(f"`{shown(name)}`" for name in both)
            msg = f"{names} is given as a parameter and named in `group_parameters`: give it in one of them."
            raise DispatchError(msg)
        self._taken = given | set(layers.inbox)

    def jobs(self, candidates: Iterable[Candidate], skips: list[Skip]) -> list[PlannedJob]:
        """Return the jobs of candidates, each key once, in their order.

        Parameters
        ----------
        candidates : iterable of Candidate
            Inputs of jobs; each gets one job for each parameter set.
        skips : list of Skip
            Candidates and sets that are left out are appended.

        Raises
        ------
        DispatchError
            If there are more jobs than `PlanLimits.jobs`, or the analysis rejects the parameters of all.
        """
        found: dict[str, PlannedJob] = {}
        refused = None
        for candidate in candidates:
            for job in self._jobs_of(candidate, skips):
                if isinstance(job, str):
                    refused = job
                elif job.job_key in found:
                    skips.append(Skip(Reason.DUPLICATE, job.description, job.job_key))
                else:
                    found[job.job_key] = job
            if len(found) > self._limits.jobs:
                msg = f"More than {self._limits.jobs} jobs would have to be planned at once: request fewer records or parameter sets."
                raise DispatchError(msg)
        if refused is not None and not found:
            raise DispatchError(refused)
        return list(found.values())

    def _jobs_of(self, candidate: Candidate, skips: list[Skip]) -> Iterator[PlannedJob | str]:
        """Yield a job for each parameter set, or a skip if the analysis rejects it."""
        try:
            inputs = JobInputs.of(Job(s3_location=candidate.locations, file_location=candidate.files))
        except InputError as error:  # locations were validated before; the name of a file may still not be a valid URL
            skips.append(Skip(Reason.LOCATION_REFUSED, PlannedJob("", candidate, {}).description, str(error)))
            return
        for entry in self._layers.sets:
            own = {**entry, **self._from_group(candidate.group or {})}
            values = self._values(own)
            if isinstance(values, str):
                skips.append(Skip(Reason.PARAMETERS, PlannedJob("", candidate, own).description, values))
                yield values
            else:
                yield PlannedJob(job_key(inputs, values), candidate, own if own != entry else entry)

    def _from_group(self, group: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters from a group: those in `of_group`, and those with the names of its fields."""
        own = {}
        for name, value in group.items():
            last = name.rpartition(".")[2]
            field = last if last in self._analysis.parameters.model_fields and last not in self._taken else None
            parameter = self._layers.of_group.get(name, field)
            if parameter is not None and not is_null(value):
                own[parameter] = value
        return own

    def _values(self, own: Mapping[str, Any]) -> dict[str, Any] | str:
        """Return the validated parameters of a job, or why they are rejected; equal ones are validated once."""
        remembered = canonical_json(dict(own))
        if remembered not in self._resolved:
            if len(self._resolved) > self._limits.remembered:
                self._resolved.clear()
            job = Job(distributed_parameters=dict(own), analysis_code=self._code)
            try:
                self._resolved[remembered] = resolve(self._analysis, job, fixed=self._layers.inbox, by_hand={}).values
            except ParametersError as error:
                self._resolved[remembered] = str(error)
        return self._resolved[remembered]


def job_document(
    job: PlannedJob, *, given: Mapping[str, Any], query: str | None, dispatch_id: str | None
) -> dict[str, Any]:
    """Return the content of a job file, in the newest generation of the format.

    Parameters
    ----------
    job : PlannedJob
        Inputs, group and distributed parameters.
    given : mapping
        Parameters of all jobs of the dispatch.
    query : str or None
        The query that found the assets; None if they were named, then a query for their records is written.
    dispatch_id : str or None
        Id of the dispatch; None for a plan.

    Returns
    -------
    dict
        Values of JSON only.
    """
    records = job.candidate.records
    ids = [record.record_id for record in records if record.record_id]
    complete = len(ids) == len(records)
    named = canonical_json({"_id": {"$in": sorted(ids)}}).decode() if ids else None
    return {
        "asset_name": [record.name or record.location for record in records],
        "s3_location": [record.location for record in records],
        "docdb_record_id": ids if complete else None,
        "file_location": list(job.candidate.files) or None,
        "distributed_parameters": dict(job.distributed),
        "group_metadata": job.candidate.group,
        "query": query if query is not None else named,
        "analysis_code": {"parameters": dict(given)} if given else None,
        "dispatch_id": dispatch_id,
    }


def is_too_large(job: PlannedJob, *, given: Mapping[str, Any], query: str | None) -> bool:
    """Return whether a job's file would exceed the maximum size of job files."""
    if len(job.candidate.records) + len(job.candidate.files) < _SMALL and len(query or "") < MAX_BYTES // 4:
        return False
    return len(canonical_json(job_document(job, given=given, query=query, dispatch_id="-" * 40))) > MAX_BYTES
