"""Counts of the runs that were requested for a job and that started, by which crash-looping jobs are found."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.failures import JobError
from domain.job.state import JobState
from domain.retry import UNFINISHED_RUNS
from resources.ledger.documents import change_to, id_chunks, job_id, update_jobs
from resources.mongo_collection import RetryingCollection


@dataclass(frozen=True)
class RunCounts:
    """Counts the runs of jobs; a request and the end of a job reset the counts of runs that did not finish it.

    Attributes
    ----------
    documents : RetryingCollection
        Collection of jobs, one document per job.
    now : callable
        Returns the server's time.
    """

    documents: RetryingCollection
    now: Callable[[], datetime]

    def count_requested(self, analysis: str, requests: Mapping[str, int]) -> None:
        """Increment the number of run requests of jobs: a run key contains it, so the next run gets another key.

        Parameters
        ----------
        analysis : str
            Name of the analysis.
        requests : mapping of str to int
            Keys of jobs, each with its number of requests so far. A job with another number is already counted.
        """
        now = self.now()
        for number in sorted(set(requests.values())):
            change = {"$set": {"requests": number + 1, "requested_at": now}, "$inc": {"unstarted": 1}}
            counted = {"$in": [0, None]} if number == 0 else number
            keys = [key for key, count in requests.items() if count == number]
            update_jobs(self.documents, analysis, keys, {"requests": counted}, change)

    def count_started(self, analysis: str, job_keys: Iterable[str], *, run_id: str) -> None:
        """Increment the number of started runs of new jobs, once per run; it is reset when a job ends.

        Parameters
        ----------
        analysis : str
            Name of the analysis.
        job_keys : iterable of str
            Keys of the run's jobs.
        run_id : str
            Id of the Dagster run.
        """
        fields = {"counted_run": run_id, "unstarted": 0}
        for ids in id_chunks(analysis, job_keys):
            match = {"_id": {"$in": ids}, "state": JobState.NEW.value}
            again, first = {"$exists": True, "$ne": run_id}, {"$exists": False}
            self.documents.update_many({**match, "counted_run": again}, {"$set": fields, "$inc": {"fruitless": 1}})
            # until release 0.1 the number also counted requests of runs that never started
            self.documents.update_many({**match, "counted_run": first}, {"$set": {**fields, "fruitless": 1}})

    def fail_crash_looping(self, analysis: str, job_keys: Sequence[str], *, code_version: str) -> int:
        """Fail new jobs that several consecutive runs started and did not finish: they are probably what ends the runs.

        Parameters
        ----------
        analysis : str
            Name of the analysis.
        job_keys : sequence of str
            Keys of new jobs that no unfinished run covers.
        code_version : str
            Current code version of the analysis, stored with the failure.

        Returns
        -------
        int
            Number of jobs that failed.
        """
        message = (
            f"{UNFINISHED_RUNS.attempts} runs in a row started and ended without finishing this job; see their logs."
        )
        error = JobError(kind="lost", message=message, permanent=False)
        match = {
            "_id": {"$in": [job_id(analysis, key) for key in job_keys]},
            "state": JobState.NEW.value,
            "fruitless": {"$gte": UNFINISHED_RUNS.attempts},
            "counted_run": {"$exists": True},
        }
        fields = {"error": error.model_dump(), "code_version": code_version, "requested_code": None}
        change = change_to({"state": JobState.FAILED.value, "fruitless": 0, **fields}, self.now())
        return self.documents.update_many(match, change).modified_count
