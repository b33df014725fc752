"""Digests of the metadata that an analysis received."""

import hashlib

import pytest

from domain.job.metadata import JobMetadata, MetadataDigest, digest_of


def test_the_digest_is_that_of_the_canonical_text():
    assert digest_of({"b": 1.0, "a": [None]}) == hashlib.sha256(b'{"a":[null],"b":1}').hexdigest()


def test_each_record_and_the_group_have_a_digest():
    records = ({"_id": "r", "n": 1}, {"_id": "s"})
    found = JobMetadata(("s3://b/1", "s3://b/2"), records, {"subject": "7"}).digests()
    assert [(one.input, one.record_id) for one in found] == [("s3://b/1", "r"), ("s3://b/2", "s"), (None, None)]
    assert [one.sha256 for one in found] == [digest_of(d) for d in (*records, {"subject": "7"})]
    assert [one.subject for one in found[1:]] == ["the metadata record of s3://b/2", "the group"]


def test_what_is_not_declared_has_no_digest():
    assert JobMetadata(("s3://b/1",)).digests() == ()
    assert JobMetadata(("s3://b/1",), group={}).digests() == (MetadataDigest(sha256=digest_of({})),)
    with pytest.raises(ValueError, match="shorter"):
        JobMetadata(("s3://b/1",), records=()).digests()
