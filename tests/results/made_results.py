"""The results of the tests of `results`: eight jobs of one analysis, some with an older, replaced or invalidated result."""

import uuid
from datetime import timedelta

from IPython.core.formatters import DisplayFormatter

from domain.result.provenance import GroupField
from tests.provenances import STARTED, sparse

CURRENT, OLD = "2.0.0+aaaaaaaaaaaa", "1.0.0+bbbbbbbbbbbb"
COUNT = 8
SCRIPT = "<script>alert(1)</script>"
PNG = b"\x89PNG\r\n\x1a\nnot really"


def key_of(number):
    return f"{number:064x}"


def made(number, code=CURRENT, *, minute=0, **changes):
    """Make the result of a job by some code; job 7 is of several subjects."""
    result = f"{number + (100 if code == OLD else 0):060x}abcd"
    attempt = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{number}{code}{minute}"))
    fields = {
        "analysis": "quality",
        "job_key": key_of(number),
        "code_version": code,
        "result_id": result,
        "attempt": attempt,
        "location": f"s3://analysis-results/{result}/{attempt}",
        "subject_ids": ("700001", "700002") if number == 7 else (f"70000{number % 2}",),
        "session_names": (f"session {number}",),
        "parameters": {
            "analysis_tag": "wide" if number % 2 else "narrow",
            "method": "hill" if number < 4 else "llobet",
            "cutoff": number / 10,
            "lags": [1, number],
            "window": {"start_s": 0, "stop_s": float(number)},
            "note": "x" * 300,
        },
        "outputs": {"n": number, "fraction": None if number == 3 else number / 8, "word": "a" if number % 2 else 1},
        "group": (GroupField(field="subject.subject_id", value=f"70000{number % 2}"), GroupField(field="n", value=2)),
        "started": STARTED + timedelta(hours=number, minutes=minute),
        "ended": STARTED + timedelta(hours=number, minutes=minute + 1),
    }
    return sparse(**(fields | changes))


def names(found):
    """Return which results were found: number of the job, with a letter for the state."""
    letters = {"done": "", "outdated": "o", "superseded": "s"}
    return [f"{int(item.job_key, 16)}{letters[item.state]}" for item in found]


def in_jupyter(thing):
    """Return how a notebook shows a thing, by kind."""
    return DisplayFormatter().format(thing)[0]
