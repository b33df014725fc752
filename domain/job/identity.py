"""Identity of jobs and results: job keys and result ids.

The rules are a contract: a change here gives every job another key. Golden digests in ``tests/golden`` pin them.
Labels, order, the spelling of a URL and explicit defaults do not change them; any value, any input and any line of
code does.
"""

from collections.abc import Iterable
from typing import Any

from pydantic import Field

from domain.errors import InputError
from domain.formats import StoredModel
from domain.job.job_file import Job
from domain.job.urls import normalize_url
from domain.json_values import canonical_json, sha256_hex
from domain.messages import joined

JOB_FORMAT = "analysis-job/1"
RESULT_FORMAT = "analysis-result/1"
KEYS_FORMAT = "analysis-keys/1"


class JobInputs(StoredModel):
    """The inputs of one job, in the order and the spelling of its identity.

    Entry i of a ``spelled_`` list is the job file's spelling of entry i of the other list. If a file spells an input in
    several ways, the smallest spelling is kept, so that the order of the file does not matter.
    """

    locations: tuple[str, ...] = Field(description="URLs of the data assets, normalized, sorted, each once.")
    files: tuple[str, ...] = Field(description="URLs of single files, normalized, sorted, each once.")
    spelled_locations: tuple[str, ...] = Field(description="The locations as the job file spelled them.")
    spelled_files: tuple[str, ...] = Field(description="The files as the job file spelled them.")

    @classmethod
    def of(cls, job: Job) -> "JobInputs":
        """Return the inputs of a job file.

        Parameters
        ----------
        job : Job
            Parsed job file; the order of its lists does not matter.

        Returns
        -------
        JobInputs
            Normalized URLs, sorted, with their spelling.

        Raises
        ------
        InputError
            If the job has no input, or `normalize_url` rejects URLs; the message names all of them.
        """
        faults: list[str] = []
        locations = _normalized("s3_location", job.s3_location, faults)
        files = _normalized("file_location", job.file_location, faults)
        if not job.s3_location and not job.file_location:
            faults.append("no input is named: give `s3_location` or `file_location`")
        if faults:
            msg = f"The inputs of the job are rejected: {joined(faults)}."
            raise InputError(msg)
        return cls(
            locations=tuple(locations),
            files=tuple(files),
            spelled_locations=tuple(locations.values()),
            spelled_files=tuple(files.values()),
        )

    def identity(self) -> dict[str, list[str]]:
        """Return the part of the inputs that is hashed for the job key."""
        return {"locations": list(self.locations), "files": list(self.files)}


def job_key(inputs: JobInputs, parameters: dict[str, Any]) -> str:
    """Return the key of a job: the same inputs and the same validated parameters always give the same key.

    Parameters
    ----------
    inputs : JobInputs
        Normalized inputs from `JobInputs.of`.
    parameters : dict
        Validated parameters from `domain.analysis.parameters.resolve`.

    Returns
    -------
    str
        64 lower-case hexadecimal characters; also the partition key.

    Raises
    ------
    PermanentError
        If the parameters have no canonical JSON form.

    Examples
    --------
    >>> inputs = JobInputs.of(Job(s3_location=("s3://lab/b", "s3://lab/a")))
    >>> other_spelling = JobInputs.of(Job(s3_location=("S3://lab/a/", "s3://lab/b")))
    >>> job_key(inputs, {"bin_s": 0.1}) == job_key(other_spelling, {"bin_s": 0.1})
    True
    >>> job_key(inputs, {"bin_s": 0.1}) == job_key(inputs, {"bin_s": 0.2})
    False
    """
    return sha256_hex(canonical_json({"format": JOB_FORMAT, "inputs": inputs.identity(), "parameters": parameters}))


def result_id(analysis: str, code_version: str, job_key: str) -> str:
    """Return the id of a result, which belongs to one job and one code version of an analysis.

    Parameters
    ----------
    analysis : str
        Name of the analysis.
    code_version : str
        Declared version and digest, from `engine.discovery.code_identity.code_version`.
    job_key : str
        64 hexadecimal characters, from `job_key`.

    Returns
    -------
    str
        64 lower-case hexadecimal characters; the record's ``_id`` and ``name``.

    Examples
    --------
    >>> key = job_key(JobInputs.of(Job(s3_location=("s3://lab/a",))), {"bin_s": 0.1})
    >>> result = result_id("rates", "1+0123456789ab", key)
    >>> len(result), result == result_id("rates", "1+fedcba987654", key)
    (64, False)
    """
    return sha256_hex(
        canonical_json(
            {"format": RESULT_FORMAT, "analysis": analysis, "code_version": code_version, "job_key": job_key}
        )
    )


def keys_digest(keys: Iterable[str]) -> str:
    """Return a digest of several job keys; order and duplicates do not matter."""
    return sha256_hex(canonical_json({"format": KEYS_FORMAT, "keys": sorted(set(keys))}))


def _normalized(name: str, urls: Iterable[str], faults: list[str]) -> dict[str, str]:
    """Return the smallest spelling of each normalized URL, sorted; errors are collected."""
    spelled: dict[str, str] = {}
    for index, url in enumerate(urls):
        normal = _normalized_or_fault(f"{name}[{index}]", url, faults)
        if normal is not None:
            spelled[normal] = min(url, spelled.get(normal, url))
    return dict(sorted(spelled.items()))


def _normalized_or_fault(name: str, url: str, faults: list[str]) -> str | None:
    """Normalize a URL, or append the reason why it is rejected."""
    try:
        return normalize_url(url)
    except InputError as error:
        faults.append(f"`{name}`: {str(error).removesuffix('.')}")
        return None
