"""Plans a dispatch: from options to jobs and skips, without writing anything.

The steps are ordered by cost: records, files of assets, keys, known jobs (one query each), and last the inputs of the
remaining jobs, not more than will be written.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dispatch.data_asset_files import LookingReader, Progress, check_exists, find_files, look_at
from dispatch.finding import find_records
from dispatch.layers import read_layers
from dispatch.model.found_files import check_extension, with_files
from dispatch.model.groups import Candidate, candidates_of
from dispatch.model.options import DispatchOptions, InputCheck, check_options
from dispatch.model.plan import PlannedJob, Planner, is_too_large
from dispatch.model.report import DispatchPlan
from dispatch.model.skips import Reason, Skip
from dispatch.services import DispatchServices
from domain.batching import in_batches
from domain.errors import PermanentError
from domain.job.identity import result_id
from domain.job.state import JobState
from engine.discovery.analyses import AnalysisEntry
from resources.inputs.reader import InputReader, ambiguous
from sensors.job_files.intake import Intake
from sensors.job_files.listing import plan as plan_intake

_KEYS_AT_ONCE = 100_000
_CHECKED_AT_ONCE = 1000
_CHECKING_THREADS = 8
_ALL_FILES = 10**9


@dataclass(frozen=True)
class Planning:
    """The planning of one dispatch.

    Attributes
    ----------
    entry : AnalysisEntry
        Analysis, with its current code version.
    options : DispatchOptions
        Options that pass `check_options`.
    services : DispatchServices
        The outside systems; only read.
    progress : callable
        Called with step, done and total.
    """

    entry: AnalysisEntry
    options: DispatchOptions
    services: DispatchServices
    progress: Progress

    def plan(self) -> DispatchPlan:
        """Return the plan, without writing anything.

        Returns
        -------
        DispatchPlan
            Jobs to write, and the reasons of skips.

        Raises
        ------
        PermanentError
            If options, query or parameters are invalid.
        ServerUnavailableError
            If an outside system does not answer.
        """
        check_options(self.options)
        check_extension(self.options.file_extension)
        layers = read_layers(self.entry.analysis.name, self.options, self.services.inbox)
        planner = Planner(self.entry.analysis, layers)
        found = find_records(self.options, self.services.assets)
        candidates, skips = candidates_of(found.records, self.options)
        skips = [*found.skips, *skips]
        jobs = planner.jobs(self._with_files(candidates, skips), skips)
        jobs, outdated = self._not_known(jobs, skips)
        jobs = self._chosen(self._small(jobs, layers.given, found.query, skips), skips)
        return DispatchPlan(
            analysis=self.entry.analysis.name,
            options=self.options,
            jobs=tuple(jobs),
            skips=tuple(skips),
            warnings=tuple(dict.fromkeys(found.warnings)),
            records=len(found.records),
            query=found.query,
            given=layers.given,
            outdated=frozenset(job.job_key for job in jobs) & outdated,
        )

    def _with_files(self, candidates: Sequence[Candidate], skips: list[Skip]) -> Sequence[Candidate]:
        """Find files in the assets if `file_extension` is given."""
        extension = self.options.file_extension
        if not extension:
            return candidates
        reader = LookingReader.of(self.services.inputs.reader)
        locations = list(dict.fromkeys(location for c in candidates for location in c.locations))
        found = look_at(
            locations,
            lambda url: find_files(reader, url, extension),
            what=f"Looking for {extension} files",
            progress=self.progress,
        )
        files_or_reason = {
            url: str(files) if isinstance(files, PermanentError) else files for url, files in found.items()
        }
        return with_files(candidates, files_or_reason, split=self.options.split_files, skips=skips)

    def _small(
        self, jobs: list[PlannedJob], given: Mapping[str, Any], query: str | None, skips: list[Skip]
    ) -> list[PlannedJob]:
        """Leave out jobs whose file would be too large to ingest."""
        large = {job.job_key for job in jobs if is_too_large(job, given=given, query=query)}
        skips += [Skip(Reason.TOO_LARGE, job.description) for job in jobs if job.job_key in large]
        return [job for job in jobs if job.job_key not in large]

    def _not_known(self, jobs: list[PlannedJob], skips: list[Skip]) -> tuple[list[PlannedJob], set[str]]:
        """Leave out done and requested jobs; also return the keys of outdated results."""
        name, version = self.entry.analysis.name, self.entry.code_version
        states: dict[str, tuple[JobState, str | None, int]] = {}
        results: set[str] = set()
        for keys in in_batches((job.job_key for job in jobs), _KEYS_AT_ONCE):
            states |= self.services.ledger.jobs.summaries(name, keys)
            ids = {result_id(name, version, key): key for key in keys if key not in states}
            results |= {ids[found] for found in self.services.results.existing(ids)}
        left, outdated = [], set()
        for job in jobs:
            state, code, _ = states.get(job.job_key, (None, None, 0))
            if state is None and job.job_key in results:
                state, code = JobState.DONE, version
            skip = _known(job, state, name=name, current=code == version)
            if skip is not None:
                skips.append(skip)
                continue
            left.append(job)
            if state is not None:
                outdated.add(job.job_key)
        return self._not_waiting(left, skips), outdated

    def _not_waiting(self, jobs: list[PlannedJob], skips: list[Skip]) -> list[PlannedJob]:
        """Leave out jobs that a file in the inbox already requests; the inbox is not read if there are no jobs."""
        waiting = self._waiting() if jobs else {}
        skips += [
            Skip(Reason.IN_INBOX, job.description, f"by {waiting[job.job_key]}")
            for job in jobs
            if job.job_key in waiting
        ]
        return [job for job in jobs if job.job_key not in waiting]

    def _waiting(self) -> dict[str, str]:
        """Return the inbox files that the sensor has not ingested yet, by the key of their job."""
        name, inbox = self.entry.analysis.name, self.services.inbox
        intake = Intake(self.entry, inbox, reading_s=math.inf)
        known = self.services.notes.known(name)
        todo = plan_intake(inbox.list_files(name), known, judged_with=intake.judged_with(), limit=_ALL_FILES)
        waiting = {}
        for number, judged in enumerate(intake.check(todo.to_read), start=1):
            self.progress("Reading new job files of the inbox", number, len(todo.to_read))
            if judged.request is not None:
                waiting[judged.request[0].job_key] = judged.file.name
        return waiting

    def _chosen(self, jobs: list[PlannedJob], skips: list[Skip]) -> list[PlannedJob]:
        """Return the first jobs whose inputs exist, up to the requested number."""
        chosen: list[PlannedJob] = []
        begin, limit = 0, self.options.max_jobs
        while begin < len(jobs) and len(chosen) < limit:
            some = jobs[begin : begin + min(limit - len(chosen), _CHECKED_AT_ONCE)]
            begin += len(some)
            chosen += self._with_inputs(some, skips)
        skips += [Skip(Reason.BEYOND_MAX_JOBS, job.description) for job in jobs[begin:]]
        return chosen

    def _with_inputs(self, jobs: list[PlannedJob], skips: list[Skip]) -> list[PlannedJob]:
        """Leave out jobs with missing inputs; files that were found in assets are not checked again."""
        check, reader = self.options.check_inputs, LookingReader.of(self.services.inputs.reader)
        if check is InputCheck.none:
            return jobs
        urls = dict.fromkeys(url for job in jobs if not job.candidate.files for url in job.candidate.locations)
        found = look_at(
            list(urls),
            lambda url: _input_fault(reader, url, check),
            what="Checking inputs",
            progress=self.progress,
            threads=_CHECKING_THREADS,
        )
        left = []
        for job in jobs:
            faults = [(url, found[url]) for url in job.candidate.locations if found.get(url) is not None]
            if faults and not job.candidate.files:
                skips.append(_without_input(job, *faults[0]))
            else:
                left.append(job)
        return left


def _known(job: PlannedJob, state: JobState | None, *, name: str, current: bool) -> Skip | None:
    """Return why a job is not requested; a rerun of an outdated result also uses the current code."""
    if state in {JobState.NEW, JobState.RUNNING}:
        return Skip(Reason.ASKED, job.description, f"{state}, job {job.job_key}")
    if state is JobState.DONE and current:
        return Skip(Reason.DONE, job.description, f"job {job.job_key}")
    if state is JobState.ARCHIVED:
        return Skip(
            Reason.ARCHIVED,
            job.description,
            f"bring it back with: analysis archive {name} --restore --key {job.job_key}",
        )
    if state is JobState.FAILED and current:
        return Skip(Reason.FAILED, job.description, f"try it again with: analysis rerun {name} --key {job.job_key}")
    return None


def _input_fault(reader: InputReader, url: str, check: InputCheck) -> tuple[Reason, str] | None:
    """Return why an input cannot be used; None if it can."""
    found = reader.candidates(url) if check is InputCheck.file else [url.rstrip("/")]
    if found == [url.rstrip("/")]:
        check_exists(reader, url)
    if len(found) == 1:
        return None
    return Reason.SEVERAL_FILES if found else Reason.NO_INPUT, ambiguous(url, found)


def _without_input(job: PlannedJob, url: str, fault: tuple[Reason, str] | PermanentError | None) -> Skip:
    """Return a skip that names the missing input of a job."""
    reason, detail = fault if isinstance(fault, tuple) else (Reason.NO_INPUT, str(fault))
    return Skip(reason, job.description if len(job.candidate.locations) == 1 else f"{job.description}: {url}", detail)
