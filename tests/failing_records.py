"""A metadata database that answers every query with an error."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FailingRecords:
    """Stands for records of data assets behind a server that is away or denies access."""

    error: Exception
    description: str = "the metadata database"

    def find(self, _query, **_options):
        """Raise the error."""
        raise self.error
