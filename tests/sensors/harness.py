"""A sensor's harness: a Dagster, real stores of its own, and a daemon that does what it is asked."""

import json
import uuid
from dataclasses import replace

import dagster as dg
from dagster._core.test_utils import create_run_for_test

from domain.job.batches import covered
from domain.job.identity import result_id
from domain.result.records import to_record
from engine.assets.runs import job_name_of
from engine.execution.publish import listing_digest, write_documents
from sensors.job_files.sensor import tick
from sensors.limits import TickLimits
from tests.provenances import sparse

UNHURRIED = TickLimits(reading_s=3600.0, listing_s=3600.0)
"""A tick does all that it finds, however slow the machine is."""

START = "dagster/asset_partition_range_start"
END = "dagster/asset_partition_range_end"


def job_file(number=1.0, *, asset="s3://bucket/asset", **more):
    """Write a job file for the analysis `double`."""
    parameters = {"distributed_parameters": {"number": number}}
    return json.dumps({"s3_location": [asset], **parameters, **more}).encode()


class SensorHarness:
    """One analysis, its stores, and a Dagster that launches what the sensor asks for."""

    def __init__(self, entry, stores, instance):
        self.entry, self.stores, self.instance = entry, stores, instance
        self.name = entry.analysis.name
        self.cursor, self.limits = None, UNHURRIED
        self.run_keys = []

    def write(self, name, data):
        """Put a file into the inbox as a dispatcher would, past all checks."""
        self.stores.inbox.place.write(self.name, name, data)

    def tick(self, *, stores=None, instance=None):
        """Evaluate the sensor once; remember the cursor, and store its events as the daemon does."""
        dagster, stores = instance or self.instance, stores or self.stores
        found = tick(dagster, self.cursor, self.entry, stores, limits=self.limits)
        if isinstance(found, dg.SensorResult):
            self.cursor = found.cursor
        return found

    def launch(self, found, status=dg.DagsterRunStatus.STARTED):
        """Create the runs that a tick requested, except for run keys that were launched earlier."""
        runs = []
        for request in getattr(found, "run_requests", None) or []:
            assert request.run_key not in self.run_keys
            self.run_keys.append(request.run_key)
            job = job_name_of(self.name)
            runs.append(create_run_for_test(self.instance, job_name=job, tags=dict(request.tags), status=status))
            if status is dg.DagsterRunStatus.STARTED:
                self._begin(runs[-1])
        return runs

    def _begin(self, run):
        """Let a run begin as it does in its process: it counts for its jobs."""
        if START in run.tags:
            keys = covered(self.partitions(), [(run.tags[START], run.tags[END])])
            self.stores.ledger.run_counts.count_started(self.name, keys, run_id=run.run_id)

    def end(self, runs, status=dg.DagsterRunStatus.FAILURE):
        """Let runs end without having done anything."""
        for run in runs:
            _end(self.instance, run, status)

    def partitions(self):
        """Return the partitions, in their stored order."""
        return self.instance.get_dynamic_partitions(self.name)

    def requested(self, found):
        """Return the keys of the ranges that a tick requested, in order."""
        order, keys = self.partitions(), []
        for request in getattr(found, "run_requests", None) or []:
            first, last = order.index(request.tags[START]), order.index(request.tags[END])
            keys += order[first : last + 1]
        return keys

    def jobs(self, state=None):
        """Return the documents of the ledger by key, of one state or all."""
        query = {} if state is None else {"state": state.value}
        return {d["job_key"]: d for d in self.collection("jobs").find(query)}

    def collection(self, kind):
        """Return one of the collections beside the records."""
        return self.stores.ledger.mongo.collection(f"{self.stores.ledger.records_name}_{kind}").raw

    def change(self, key, **fields):
        """Change a job behind everybody's back."""
        self.collection("jobs").update_one({"job_key": key}, {"$set": fields})

    def renew(self, key, **fields):
        """Make a job new directly in the database, as if no run had been requested for it."""
        self.change(key, state="new", requests=0, fruitless=0, unstarted=0, **fields)

    def add_record(self, key):
        """Store the result of a job, record and files, as a run would have."""
        version, results = self.entry.code_version, self.stores.results
        result, attempt = result_id(self.name, version, key), str(uuid.uuid4())
        location = results.location(result, attempt)
        files = [results.put_bytes(location, "double.txt", b"2"), results.put_bytes(location, "log.txt", b"")]
        facts = {
            "analysis": self.name,
            "job_key": key,
            "code_version": version,
            "result_id": result,
            "attempt": attempt,
            "location": location,
            "listing_sha256": listing_digest(files),
        }
        record = to_record(sparse(**facts))
        write_documents(results, record, {"files": [], "logs": []})
        self.stores.records.commit(record)
        return record

    def rejected(self):
        """Return the refused files with their reasons."""
        return {note.name: note.problem for note in self.stores.notes.rejected(self.name)}

    def with_parameters(self, parameters):
        """Return the same harness whose analysis has another model."""
        analysis = self.entry.analysis.model_copy(update={"parameters": parameters})
        self.entry = replace(self.entry, analysis=analysis)


def _end(instance, run, status):
    """End a run."""
    event = {
        dg.DagsterRunStatus.FAILURE: dg.DagsterEventType.RUN_FAILURE,
        dg.DagsterRunStatus.SUCCESS: dg.DagsterEventType.RUN_SUCCESS,
        dg.DagsterRunStatus.CANCELED: dg.DagsterEventType.RUN_CANCELED,
    }[status]
    instance.report_dagster_event(dg.DagsterEvent(event.value, job_name=run.job_name), run_id=run.run_id)
