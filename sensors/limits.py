"""Bounds of one tick of a sensor, so that it ends long before Dagster's timeout."""

from dataclasses import dataclass

from resources.ledger.ledger import LEASE_S


@dataclass(frozen=True)
class TickLimits:
    """Maximum work of one tick; the rest is left for the next one.

    Attributes
    ----------
    files : int
        Number of job files that are read.
    reading_s : float
        Time for reading job files (s); at least one is read.
    chunk : int
        Number of files whose jobs are stored in one request.
    listing_s : float
        Time for listing the inbox beyond the first page (s).
    jobs : int
        Number of new jobs that are considered for a run, or for reuse.
    reused : int
        Number of new jobs that are marked done because their result exists.
    shown_files : int
        Number of rejected job files that Dagster lists; all are counted.
    grace_s : float
        Time before a run's first claim, and between two claims apart from retry delays (s): twice the ledger's lease.
    messages : int
        Approximate number of messages received from the inbox's queue.
    receiving_s : float
        Time for receiving messages (s).
    messages_reading_s : float
        Time for reading the files of ten messages (s).
    """

    files: int = 1000
    reading_s: float = 20.0
    chunk: int = 100
    listing_s: float = 8.0
    jobs: int = 1000
    reused: int = 200
    shown_files: int = 200
    grace_s: float = 2 * LEASE_S
    messages: int = 1000
    receiving_s: float = 12.0
    messages_reading_s: float = 6.0


LIMITS = TickLimits()
"""Bounds of the platform's sensors."""
