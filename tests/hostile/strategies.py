"""Broken and hostile input of every kind, for Hypothesis."""

import json
import os

from hypothesis import strategies as st

from tests.hostile import corpus

SPECIAL = [
    *(
        "$gt",
        "$where",
        "$set",
        "$or",
        "a.b",
        "a.$b",
        ".",
        "",
        "__proto__",
        "constructor",
        "_id",
        "state",
        "lease",
        "sources",
    ),
    *("number", "s3_location", "distributed_parameters", "analysis_code", "group_metadata", "query", "dry_run"),
    *(
        "../x",
        "/etc/passwd",
        "..\\x",
        "C:\\x",
        "a\0b",
        "a\nb",
        "\x1b[2J",
        "\u202e",
        "\u00e9t\u00e9",
        "e\u0301te\u0301",
        "\ud800",
    ),
    *("NaN", "null", "true", "{{7*7}}", "${jndi:ldap://x}", "%s%n", "'; --", "<script>", "`id`"),
]
texts = st.text(max_size=40) | st.sampled_from(SPECIAL) | st.characters(categories=["Cs", "Cc", "Cf"])
numbers = (
    st.integers()
    | st.floats()
    | st.sampled_from([0, -0.0, 2**53, -(2**53), 2**63, 2**64, 10**99, 5e-324, 1.7e308, float("nan"), float("inf")])
)
scalars = st.none() | st.booleans() | numbers | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
)
urls = st.sampled_from(
    [*corpus.REFUSED_URLS, "s3://bucket/asset", "file:///data/x.nwb", "https://host/x.nwb"]
) | st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["s3://", "S3://", "file:///", "https://", "http://", "s3:/", "ftp://", "", "file://"]),
    texts,
    st.sampled_from(["/", "", "@", ":", "?", "#"]),
    texts,
)
parameters = st.dictionaries(st.sampled_from(["number", *SPECIAL]) | texts, values, max_size=5)
jobs = st.fixed_dictionaries(
    {},
    optional={
        "s3_location": st.lists(urls, max_size=3) | urls | values,
        "file_location": st.lists(urls, max_size=3) | values,
        "asset_id": st.lists(texts, max_size=3) | values,
        "asset_name": st.lists(texts, max_size=3) | values,
        "docdb_record_id": values,
        "analysis_parameters": parameters | values,
        "distributed_parameters": parameters | st.lists(parameters, max_size=2) | values,
        "group_metadata": parameters | values,
        "query": values,
        "analysis_code": st.fixed_dictionaries(
            {}, optional={"url": urls | values, "version": values, "parameters": parameters}
        )
        | values,
        "dispatch_id": values,
        "$set": values,
        "a.b": values,
    },
)
good_jobs = st.builds(
    lambda job, number: {**job, "s3_location": ["s3://bucket/asset"], "distributed_parameters": {"number": number}},
    st.fixed_dictionaries(
        {}, optional={"group_metadata": parameters, "query": values, "dispatch_id": texts, "$set": values}
    ),
    st.floats(allow_nan=False, allow_infinity=False),
)
documents = (jobs | good_jobs).map(lambda job: json.dumps(job).encode())
encodings = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1", "utf-7", "cp037"])


def _damaged(data, place, piece):
    """Put some bytes into the middle of others."""
    cut = place % (len(data) + 1)
    return data[:cut] + piece + data[cut:]


job_files = st.one_of(
    documents,
    st.binary(max_size=200),
    st.builds(_damaged, documents, st.integers(0, 10_000), st.binary(max_size=8)),
    st.builds(lambda data, cut: data[: cut % (len(data) + 1)], documents, st.integers(0, 10_000)),
    st.builds(lambda data, encoding: data.decode().encode(encoding, "replace"), documents, encodings),
    values.map(lambda value: json.dumps(value).encode()),
    st.builds(lambda mark, depth: mark * depth, st.sampled_from([b"[", b'{"a":', b'[{"$or":']), st.integers(1, 10_000)),
)
"""Files of an inbox, most of them nearly right."""


def _name(raw):
    """Make a name of a file that a disk takes."""
    cleaned = os.fsencode(raw) if isinstance(raw, str) else raw
    return cleaned.replace(b"\0", b"0").replace(b"/", b"|")[:249] + b".json"


file_names = st.one_of(
    st.binary(max_size=60).map(_name),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60).map(_name),
    st.sampled_from([text for text in SPECIAL if text.isprintable()]).map(_name),
)
"""Names of files, as bytes: whatever a disk takes."""


def bson(letters):
    """Give whatever MongoDB can hold, with keys of some letters."""
    return st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**62), 2**62)
        | st.floats()
        | st.text(st.characters(exclude_categories=["Cs"]), max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(letters, min_size=1, max_size=5), inner, max_size=3)
        ),
        max_leaves=6,
    )
