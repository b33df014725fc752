"""What is known about a result joins the job, its requests and the execution."""

GROUP = [{"field": "subject.subject_id", "value": "700001"}]


def test_every_request_for_a_job_is_in_its_provenance(double):
    (key,) = double.ingest({"number": 3.0}, asset_names=("one",), record_ids=("r1",))
    double.ingest(
        {"number": 3.0},
        asset_names=("two", "one"),
        record_ids=("r2",),
        query='{"a": 1}',
        group=GROUP,
        dispatch_id="d1",
        requested_code_url="https://host/other",
        requested_code_version="v2",
    )
    found = double.work(key)[key].provenance
    assert found.asset_names == ("one", "two")
    assert found.record_ids == ("r1", "r2")
    assert (found.query, found.dispatch_id) == ('{"a": 1}', "d1")
    assert found.group[0].value == "700001"
    assert (found.code.requested_url, found.code.requested_version) == ("https://host/other", "v2")
    assert found.origins == {"number": found.origins["number"]}
    assert (found.file_count, found.owners) == (3, ("team:tests",))


def test_a_job_whose_request_is_not_known_has_a_provenance_all_the_same(double):
    (key,) = double.ingest({"number": 3.0})
    double.change(key, sources=[])
    found = double.work(key)[key].provenance
    assert (found.asset_names, found.query, found.group, found.dispatch_id) == ((), None, (), None)
    assert found.code.requested_url is None
