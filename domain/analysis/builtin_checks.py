"""The built-in checks of every analysis: its files are those of the manifest, and its record is valid."""

from collections.abc import Sequence

from domain.analysis.checks import Verdict

FILES_MATCH_MANIFEST, RECORD_IS_VALID = "files_match_manifest", "record_is_valid"
BUILT_IN = {
    FILES_MATCH_MANIFEST: (
        "The files in S3 match the result's manifest. A run compares the server's answer to each upload, or, for "
        "an existing result, a listing (paths, sizes, ETags). Executed by hand, it lists the files again."
    ),
    RECORD_IS_VALID: (
        "The record in MongoDB is valid against aind-data-schema and equals what was written. Executed by hand, it "
        "fetches and validates the record again."
    ),
}
"""Descriptions of the built-in checks, by name."""


def files_verdict(faults: Sequence[str], *, looked: str) -> Verdict:
    """Return the verdict on the files of a result.

    Parameters
    ----------
    faults : sequence of str
        Differences from the manifest; empty if there are none.
    looked : str
        How the files were checked, for the verdict.
    """
    return _verdict(FILES_MATCH_MANIFEST, faults, looked)


def record_verdict(faults: Sequence[str], *, looked: str) -> Verdict:
    """Return the verdict on the record of a result; parameters as in `files_verdict`."""
    return _verdict(RECORD_IS_VALID, faults, looked)


def _verdict(name: str, faults: Sequence[str], looked: str) -> Verdict:
    return Verdict(name, passed=not faults, reason=f"{looked} {'; '.join(faults) or 'Nothing differs.'}")
