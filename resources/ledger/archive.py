"""Jobs that are retired: Dagster has no partition for them any more, and everything else of them stays.

An archived job is left alone by every tick, retry and later file that asks for it: its result is there. A person brings
it back.
"""

from collections.abc import Iterable

from domain.job.state import JobState
from resources.ledger.requests import LedgerWishes


class LedgerArchive(LedgerWishes):
    """Small verbs on jobs that are retired and brought back."""

    def archive(self, analysis: str, job_keys: Iterable[str]) -> int:
        """Retire those of some jobs that are done; returns how many."""
        return self._move(analysis, job_keys, JobState.DONE, JobState.ARCHIVED)

    def restore(self, analysis: str, job_keys: Iterable[str]) -> int:
        """Make those of some jobs done again that are retired; returns how many."""
        return self._move(analysis, job_keys, JobState.ARCHIVED, JobState.DONE)

    def archived_among(self, analysis: str, job_keys: Iterable[str]) -> set[str]:
        """Return those of some jobs that are retired."""
        return {key for key, (state, _, _) in self.summaries(analysis, job_keys).items() if state is JobState.ARCHIVED}

    def result_ids(self, analysis: str, job_keys: Iterable[str]) -> dict[str, str]:
        """Return the latest result of those of some jobs that have one, by job."""
        found = self._found(analysis, job_keys, ("job_key", "result_id"))
        return {d["job_key"]: d["result_id"] for d in found if d.get("result_id")}

    def _move(self, analysis: str, job_keys: Iterable[str], before: JobState, after: JobState) -> int:
        """Change the state of those jobs that are in the one before."""
        return self._change_all(analysis, job_keys, [before], {"$set": {"state": after.value}})
