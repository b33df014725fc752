"""Why results are outdated: what differs between their code version and the current one."""

from collections import Counter

from domain.errors import NewerFormatError
from domain.job.identity import result_id
from domain.job.state import JobState
from domain.messages import counted
from domain.result.provenance import CodeFacts
from domain.result.records import from_record
from engine.discovery.changes import why_changed
from operations.platform import Platform


def why_outdated(platform: Platform, name: str, *, job_key: str, code_version: str) -> str:
    """Return why the result of a job is outdated; empty if it is from the current code version.

    Parameters
    ----------
    platform : Platform
        Analyses and records; only read.
    name : str
        Name of the analysis.
    job_key : str
        Key of the job.
    code_version : str
        Code version of its result.
    """
    return why_changed(platform.entry(name), code_version, _facts_of(platform, name, job_key, code_version))


def outdated_summary(platform: Platform, name: str) -> list[str]:
    """Return a sentence for each older code version of an analysis's results, with their number and the reason.

    Parameters
    ----------
    platform : Platform
        Analyses, ledger and records; only read.
    name : str
        Name of the analysis.

    Returns
    -------
    list of str
        The most frequent version first; empty if no result is outdated.
    """
    ledger, current = platform.connections.ledger, platform.entry(name).code_version
    keys = ledger.jobs.keys_in(name, JobState.DONE, match={"code_version": {"$ne": current}})
    found = {key: version for key, (_, version, _) in ledger.jobs.summaries(name, keys).items() if version}
    example = {version: key for key, version in found.items()}
    return [
        f"{counted(number, 'result')} of {version}: "
        + why_outdated(platform, name, job_key=example[version], code_version=version)
        for version, number in Counter(found.values()).most_common()
    ]


def _facts_of(platform: Platform, name: str, job_key: str, code_version: str) -> CodeFacts | None:
    """Return the recorded code of a result; None if the record is missing or cannot be read."""
    record = platform.connections.record_store.get(result_id(name, code_version, job_key))
    try:
        return from_record(record).code if record is not None else None
    except (NewerFormatError, ValueError, LookupError, TypeError):  # the reason is informative only
        return None
