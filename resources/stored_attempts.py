"""Everything below the results' root, attempt by attempt, however much it is: for audits and cleaning."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from resources.result_names import METADATA, is_attempt, is_result
from resources.results_store import ResultsStore, StoredFile


@dataclass
class StoredAttempt:
    """One attempt's folder.

    Attributes
    ----------
    result_id, attempt : str
        Whose folder it is.
    files : list of StoredFile
        What is in it.
    newest : datetime
        When its latest file was written, by the server's clock.
    """

    result_id: str
    attempt: str
    newest: datetime
    files: list[StoredFile] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether the attempt wrote its last file."""
        return any(file.path == METADATA for file in self.files)

    @property
    def bytes(self) -> int:
        """Total size."""
        return sum(file.bytes for file in self.files)


@dataclass(frozen=True)
class ForeignObject:
    """An object below the root that belongs to no attempt."""

    key: str


def stored_attempts(results: ResultsStore, *, others: bool = False) -> Iterator[StoredAttempt | ForeignObject]:
    """Yield every attempt below the root with its files, and every object that belongs to none.

    One listing of the whole root; S3 lists by key, so the files of an attempt come together, and only one attempt is
    held at a time.

    Parameters
    ----------
    results : ResultsStore
        Where to look.
    others : bool
        Also look for objects under names that are no result's.

    Raises
    ------
    ServerUnavailableError
        If S3 does not answer.
    """
    current: StoredAttempt | None = None
    for key, stored, modified in results.objects_of_root(others=others):
        result_id, _, rest = key.partition("/")
        attempt, _, path = rest.partition("/")
        if not (is_result(result_id) and is_attempt(attempt) and path):
            if not key.endswith("/"):  # consoles create empty objects to show a folder
                yield ForeignObject(key)
            continue
        if current is None or (current.result_id, current.attempt) != (result_id, attempt):
            if current is not None:
                yield current
            current = StoredAttempt(result_id, attempt, modified)
        current.files.append(StoredFile(path, stored.bytes, stored.etag))
        current.newest = max(current.newest, modified)
    if current is not None:
        yield current
