"""An inbox, in a folder and in S3: the same contract."""

import dagster as dg
import pytest

from domain.errors import JobFileError, ServerUnavailableError, SettingsError
from resources.inbox.job_inbox import JobInbox
from resources.s3.connection import S3Connection

NAME = "mean_rate"
MIB = 1024 * 1024


def names(inbox, analysis=NAME):
    return [file.name for file in inbox.list_files(analysis)]


def test_job_files_are_found_at_any_depth_in_order(inbox):
    for name in ("b.json", "0/a.json", "0/1/2/3/deep.JSON", "a b+c&é.json", "x" * 245 + ".json"):
        inbox.write(NAME, name, b"{}")
    inbox.write("other", "not_ours.json", b"{}")
    assert names(inbox) == ["0/1/2/3/deep.JSON", "0/a.json", "a b+c&é.json", "b.json", "x" * 245 + ".json"]
    assert all(file.problem is None for file in inbox.list_files(NAME))


def test_what_is_written_is_read(inbox):
    inbox.write(NAME, "0/a.json", b'{"a": 1}')
    assert inbox.read(NAME, "0/a.json") == b'{"a": 1}'
    inbox.write(NAME, "0/a.json", b"[]")
    assert inbox.read(NAME, "0/a.json") == b"[]"


def test_an_analysis_without_a_folder_has_no_jobs(inbox):
    inbox.ensure()
    assert inbox.list_files(NAME) == []
    assert inbox.read_fixed_parameters(NAME) is None
    assert inbox.fixed_fingerprint(NAME) == ""


def test_a_fingerprint_changes_with_the_file(inbox):
    inbox.write(NAME, "a.json", b"1")
    (before,) = inbox.list_files(NAME)
    assert inbox.list_files(NAME) == [before]
    inbox.write(NAME, "a.json", b"2")
    (after,) = inbox.list_files(NAME)
    assert after.name == before.name
    assert after.fingerprint != before.fingerprint


def test_fixed_parameters_are_not_a_job_but_only_at_the_top(inbox):
    inbox.write(NAME, "analysis_parameters.json", b'{"a": 1}')
    inbox.write(NAME, "0/analysis_parameters.json", b"{}")
    assert names(inbox) == ["0/analysis_parameters.json"]
    assert inbox.read_fixed_parameters(NAME) == b'{"a": 1}'
    before = inbox.fixed_fingerprint(NAME)
    inbox.write(NAME, "analysis_parameters.json", b'{"a": 2}')
    assert inbox.fixed_fingerprint(NAME) not in {"", before}


def test_a_file_that_is_gone_is_not_found(inbox):
    inbox.write(NAME, "a.json", b"{}")
    for name in ("b.json", "0/b.json"):
        with pytest.raises(FileNotFoundError):
            inbox.read(NAME, name)


def test_too_large_a_file_is_listed_with_the_reason_and_not_read(inbox):
    inbox.write(NAME, "limit.json", b" " * MIB)
    put_raw(inbox, "over.json", b" " * (MIB + 1))
    assert [f.problem is None for f in inbox.list_files(NAME)] == [True, False]
    assert len(inbox.read(NAME, "limit.json")) == MIB
    with pytest.raises(JobFileError, match="larger than 1 MiB"):
        inbox.read(NAME, "over.json")
    with pytest.raises(JobFileError, match="larger than 1 MiB"):
        inbox.write(NAME, "over.json", b" " * (MIB + 1))


def put_raw(inbox, name, data):
    """Write as a dispatcher would, past all checks."""
    inbox.place.write(NAME, name, data)


def test_names_with_control_characters_are_shown_escaped_and_work(inbox):
    put_raw(inbox, "a\nb%0A.json", b"1")
    put_raw(inbox, "a%0Ab\n.json", b"2")
    assert names(inbox) == ["a%0Ab%250A.json", "a%250Ab%0A.json"]
    assert [inbox.read(NAME, name) for name in names(inbox)] == [b"1", b"2"]


@pytest.mark.parametrize("name", ["../x.json", "/etc/x.json", "a//b.json", "a%00.json", "x.txt", "%2e%2e/x.json"])
def test_names_that_lead_out_are_refused(inbox, name):
    for act in (lambda: inbox.read(NAME, name), lambda: inbox.write(NAME, name, b"{}")):
        with pytest.raises(JobFileError, match="Not the name of an inbox file"):
            act()


@pytest.mark.parametrize("analysis", ["..", "a/b", "", "A"])
def test_what_is_not_an_analysis_is_refused(inbox, analysis):
    for act in (inbox.list_files, inbox.fixed_fingerprint, inbox.read_fixed_parameters):
        with pytest.raises(JobFileError, match="Not the name of an analysis"):
            act(analysis)


def test_a_url_says_where_a_file_is(folder_inbox, s3_inbox):
    assert folder_inbox.url(NAME, "0/a b%0A.json") == f"file://{folder_inbox.root}/{NAME}/0/a%20b%0A.json"
    assert s3_inbox.url(NAME, "0/a b.json") == f"{s3_inbox.root}/{NAME}/0/a b.json"


# Dagster itself still reads this when resources are nested.
@pytest.mark.filterwarnings("ignore:InitResourceContext.dagster_run is deprecated:DeprecationWarning")
def test_it_is_configured_through_dagster(folder_inbox):
    folder_inbox.write(NAME, "a.json", b"{}")

    @dg.asset
    def found(job_inbox: JobInbox) -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata={"files": len(job_inbox.list_files(NAME))})

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([found], resources={"job_inbox": folder_inbox}, instance=instance)
        (event,) = result.asset_materializations_for_node("found")
    assert event.metadata["files"].value == 1


def test_keys_that_are_not_paths_are_reported(serve_http, failing_s3):
    keys = "".join(
        f"<Contents><Key>in/{NAME}/{key}</Key><Size>2</Size></Contents>" for key in ("../x.json", "a//b.json")
    )
    with serve_http(lambda _: (200, {}, f"<ListBucketResult>{keys}</ListBucketResult>".encode())) as (address, _):
        inbox = JobInbox(s3=S3Connection(endpoint_url=address), root="s3://bucket/in/")
        files = inbox.list_files(NAME)
    assert [(f.name, f.problem) for f in files] == [
        ("../x.json", "has a name that could not be a path: rename it"),
        ("a//b.json", "has a name that could not be a path: rename it"),
    ]
    assert inbox.url(NAME, "../x.json") == f"s3://bucket/in/{NAME}/../x.json"


def test_names_that_are_not_utf8_cannot_be_in_s3(s3_inbox):
    with pytest.raises(JobFileError, match="not UTF-8"):
        s3_inbox.write(NAME, "%FF.json", b"{}")


def test_a_missing_bucket_is_an_error_and_never_an_empty_inbox(s3):
    inbox = JobInbox(s3=s3, root="s3://no-such-inbox/x")
    for act in (
        lambda: inbox.list_files(NAME),
        lambda: inbox.fixed_fingerprint(NAME),
        lambda: inbox.read(NAME, "a.json"),
        lambda: inbox.write(NAME, "a.json", b"{}"),
    ):
        with pytest.raises(SettingsError, match=r"no such bucket.*JOB_INBOX"):
            act()


def test_an_inbox_bucket_is_made_on_the_embedded_server(s3):
    inbox = JobInbox(s3=s3, root="s3://an-inbox")
    inbox.ensure()
    inbox.write(NAME, "a.json", b"{}")
    assert names(inbox) == ["a.json"]


@pytest.mark.parametrize(
    ("status", "code", "kind"), [(503, "SlowDown", ServerUnavailableError), (403, "AccessDenied", SettingsError)]
)
def test_a_failed_read_of_s3_is_an_error(failing_s3, status, code, kind):
    with failing_s3(status, code) as address:
        inbox = JobInbox(s3=S3Connection(endpoint_url=address), root="s3://bucket")
        for act in (
            lambda: inbox.list_files(NAME),
            lambda: inbox.fixed_fingerprint(NAME),
            lambda: inbox.read(NAME, "a.json"),
        ):
            with pytest.raises(kind):
                act()


def test_a_listing_of_s3_is_gone_on_with_where_it_stopped(s3_inbox):
    for number in range(1003):
        put_raw(s3_inbox, f"{number:04}.json", b"{}")
    put_raw(s3_inbox, "analysis_parameters.json", b"{}")
    first, second = s3_inbox.pages(NAME)
    assert (len(first.files), first.upto, len(second.files), second.upto) == (1000, "0999.json", 3, None)
    (rest,) = s3_inbox.pages(NAME, after="0999.json")
    assert rest == second
    assert [f.name for page in s3_inbox.pages(NAME, after="1001.json") for f in page.files] == ["1002.json"]
    assert next(s3_inbox.pages(NAME, after="zz")).files == ()
    assert len(s3_inbox.list_files(NAME)) == 1003


def test_a_folder_is_listed_as_a_whole(folder_inbox):
    for name in ("b.json", "a.json"):
        folder_inbox.write(NAME, name, b"{}")
    (page,) = folder_inbox.pages(NAME, after="a.json")
    assert ([f.name for f in page.files], page.upto) == (["a.json", "b.json"], None)


def test_one_file_is_looked_at_as_a_listing_shows_it(inbox):
    inbox.write(NAME, "0/a b.json", b"{}")
    assert [inbox.look_at(NAME, "0/a b.json")] == inbox.list_files(NAME)
    assert inbox.look_at(NAME, "0/b.json") is None
    put_raw(inbox, "over.json", b" " * (MIB + 1))
    assert "larger than 1 MiB" in inbox.look_at(NAME, "over.json").problem
    with pytest.raises(JobFileError, match="Not the name of an inbox file"):
        inbox.look_at(NAME, "../a.json")


def test_an_object_of_the_inbox_is_distinguished_from_others(s3, folder_inbox):
    inbox = JobInbox(s3=s3, root="s3://jobs/in/")
    assert inbox.place_of("jobs", "in/double/0/a\n.json") == ("double", "0/a%0A.json")
    for bucket, key in [
        ("other", "in/double/a.json"),
        ("jobs", "out/double/a.json"),
        ("jobs", "in/a.json"),
        ("jobs", "in/double/a.txt"),
        ("jobs", "in/double/analysis_parameters.json"),
        ("jobs", "inn/double/a.json"),
    ]:
        assert inbox.place_of(bucket, key) is None
    assert JobInbox(s3=s3, root="s3://jobs").place_of("jobs", "double/a.json") == ("double", "a.json")
    assert folder_inbox.place_of("jobs", "double/a.json") is None
