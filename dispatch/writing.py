"""Writes the job files of a plan, each atomically, into a new folder of the inbox.

An interrupted dispatch leaves only complete files. The next dispatch finds these jobs in the inbox or the ledger, and
continues with the others.
"""

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from dispatch.data_asset_files import Progress
from dispatch.model.plan import job_document
from dispatch.model.report import DispatchPlan
from dispatch.services import DispatchServices
from domain.errors import PlatformError
from domain.json_values import canonical_json

FOLDER = "dispatch"
_THREADS = 8


@dataclass(frozen=True)
class Written:
    """A written dispatch.

    Attributes
    ----------
    dispatch_id : str
        Time and a few random characters: ids sort by time, and can be part of a path.
    folder : str
        URL of its folder in the inbox.
    when : datetime
        Start of the writing (UTC).
    files : int
        Number of written job files.
    """

    dispatch_id: str
    folder: str
    when: datetime
    files: int


def write_plan(plan: DispatchPlan, services: DispatchServices, *, progress: Progress) -> Written:
    """Write the job files of a plan.

    Parameters
    ----------
    plan : DispatchPlan
        Its `jobs` are written, one file each.
    services : DispatchServices
        Its inbox is written to.
    progress : callable
        Called after each file.

    Returns
    -------
    Written
        Id and folder; without jobs, nothing is written.

    Raises
    ------
    PlatformError
        If a file cannot be written; the message has the number of written ones. Another dispatch writes the rest.
    """
    when = datetime.now(UTC)
    dispatch_id = f"{when:%Y-%m-%dT%H-%M-%SZ}-{uuid.uuid4().hex[:8]}"
    inbox, name = services.inbox, plan.analysis

    def write(number: int) -> None:
        document = job_document(plan.jobs[number], given=plan.given, query=plan.query, dispatch_id=dispatch_id)
        inbox.write(name, _file_name(dispatch_id, number, plan.options.files_per_folder), canonical_json(document))

    done = 0
    pool = ThreadPoolExecutor(_THREADS)
    try:
        for _ in pool.map(write, range(len(plan.jobs))):
            done += 1
            progress("Writing job files", done, len(plan.jobs))
    except PlatformError as error:
        msg = f"{error} {done} of {len(plan.jobs)} job files were written; dispatching again writes the others."
        raise type(error)(msg) from error
    finally:
        pool.shutdown(cancel_futures=True)
    first = inbox.url(name, _file_name(dispatch_id, 0, 1))
    return Written(dispatch_id, first.rpartition(f"/{dispatch_id}/")[0] + f"/{dispatch_id}", when, done)


def _file_name(dispatch_id: str, number: int, files_per_folder: int) -> str:
    """Return the name of a job file, which contains nothing from outside."""
    return f"{FOLDER}/{dispatch_id}/{number // files_per_folder:04d}/{number:06d}.json"
