"""How much one tick of a sensor does, so that it ends long before Dagster gives it up."""

from dataclasses import dataclass

from resources.ledger.ledger import LEASE_S


@dataclass(frozen=True)
class TickLimits:
    """What one tick does at most; what is left waits for the next one.

    Attributes
    ----------
    files : int
        Job files that are read.
    reading_s : float
        How long job files are read (s); at least one is.
    chunk : int
        Files whose jobs are stored together.
    listing_s : float
        How long the inbox is listed (s), beyond the first page.
    jobs : int
        New jobs that are looked at for a run, or for a result that exists.
    reused : int
        New jobs that are marked done because their result exists.
    shown_files : int
        Rejected job files that are listed in Dagster; all are counted.
    grace_s : float
        How long a run may take to its first claim, and between two claims besides the delay of its retries (s): twice
        the ledger's lease.
    messages : int
        About how many messages of the inbox's queue are received.
    receiving_s : float
        How long messages are received (s).
    messages_reading_s : float
        How long the files of ten messages are read (s).
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
"""What the platform's sensors keep to."""
