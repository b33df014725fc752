"""Runs one job of an analysis in a process of its own, and prints what it returned and wherever it wrote to.

``python -m tests.analysis_assets.tried ANALYSIS_FILE INPUT FOLDER PARAMETERS``. An audit hook cannot be taken back, so
it is set in this process and not in that of the tests.
"""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

from domain.job.job_file import Job
from domain.job.stored import ingest
from engine.discovery.analyses import load_analysis
from engine.execution.publish import build_manifest, result_files
from engine.worker.task import Task, run_task
from resources.inputs.reader import InputReader
from resources.s3.server import S3Server

_WRITES = {
    "os.mkdir": 0,
    "os.rename": 1,
    "os.remove": 0,
    "os.rmdir": 0,
    "os.symlink": 1,
    "os.link": 1,
    "os.truncate": 0,
}


def target_of(event, arguments):
    """Return the path that an audited event changes, if it changes any."""
    if event == "open":
        path, mode, flags = arguments
        writes = any(c in (mode or "") for c in "wax+") or (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        return path if writes else None
    return arguments[_WRITES[event]] if event in _WRITES else None


def main(file, source, folder, parameters):
    """Run the job, and say what came of it."""
    entry = load_analysis(Path(file))
    job = Job(file_location=(Path(source).as_uri(),), distributed_parameters=json.loads(parameters))
    stored, _ = ingest(entry.analysis, job, name="test", fixed={})
    task = Task(
        analysis_file=entry.path,
        code_version=entry.code_version,
        locations=(),
        files=stored.inputs.spelled_files,
        parameters=stored.parameters,
        folder=Path(folder),
        inputs=InputReader(S3Server()),
    )
    task.results.mkdir(parents=True)
    outside = []
    allowed = (str(task.folder), "/dev/", "/proc/")

    def watch(event, arguments):
        """Note a change outside the job's folder."""
        path = target_of(event, arguments)
        if isinstance(path, str | bytes | os.PathLike):
            where = os.path.abspath(os.fsdecode(path))  # noqa: PTH100  a Path would be audited itself
            if not where.startswith(allowed):
                outside.append(f"{event} {where}")

    sys.addaudithook(watch)
    work = run_task(task)
    task.log.touch()
    manifest = build_manifest(task.results, result_files(task.results), log=task.log)
    told = replace(work, inputs=(), sessions=())
    print(json.dumps({"outputs": told.outputs, "files": manifest["files"], "outside": outside}))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
