import hashlib
import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from domain.errors import InputError, PermanentError
from domain.job.identity import JobInputs, job_key, keys_digest, result_id
from domain.job.job_file import Job, read_job
from domain.job.urls import normalize_url

QUICK = settings(max_examples=100, deadline=None, database=None)
GOLDEN = json.loads((Path(__file__).resolve().parents[2] / "golden" / "identity.json").read_text("utf-8"))
HIDDEN = "f00dfeed"

SEGMENT = st.text("abcXYZ019_-+ é%#", min_size=1, max_size=6)
URL = st.builds(
    lambda scheme, host, parts: f"{scheme}://{host}/{'/'.join(parts)}",
    st.sampled_from(["s3", "http", "https"]),
    st.text("abcdXYZ09-", min_size=1, max_size=8),
    st.lists(SEGMENT, min_size=1, max_size=3),
)
PARAMETERS = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=4),
    st.integers(-1000, 1000)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("xyz", max_size=3)
    | st.none(),
    max_size=5,
)


def inputs(*locations, files=()):
    return JobInputs.of(Job(s3_location=locations, file_location=tuple(files)))


def refusal(url):
    with pytest.raises(InputError) as caught:
        normalize_url(url)
    return str(caught.value)


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("S3://My-Bucket/Key/Of.NWB/", "s3://my-bucket/Key/Of.NWB"),
        ("file:///Data/x.nwb//", "file:///Data/x.nwb"),
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/", "s3://bucket"),
        ("s3://bucket//a//b/", "s3://bucket//a//b"),
        ("s3://bucket/what?is#this/", "s3://bucket/what?is#this"),
        ("s3://bucket/../x", "s3://bucket/../x"),
        ("file:///Data/x.nwb/", "file:///Data/x.nwb"),
        ("FILE://LOCALHOST/x", "file://localhost/x"),
        ("https://Host.ORG:8443/A%2Fb/?Version=1/", "https://host.org:8443/A%2Fb/?Version=1/"),
        ("http://[2001:DB8::1]:80/x/", "http://[2001:db8::1]:80/x"),
        ("https://host/a@b.nwb", "https://host/a@b.nwb"),
        ("https://host/x?versionId=3&download=1", "https://host/x?versionId=3&download=1"),
    ],
)
def test_scheme_and_host_are_lowered_and_trailing_slashes_removed_and_nothing_else(url, normal):
    assert normalize_url(url) == normal
    assert normalize_url(normal) == normal


@pytest.mark.parametrize(
    ("url", "reported"),
    [
        ("data/x.nwb", "relative path or no address at all"),
        ("", "relative path or no address at all"),
        ("/data/x.nwb", "write file:///data/x.nwb"),
        ("file:/data/x.nwb", "write s3://bucket/key, file:///path or https://host/path"),
        ("gs://bucket/x", "its scheme is `gs`, expected one of s3, file, https, http"),
        ("s3://bucket/key//", "it ends with several slashes"),
        ("s3://bucket//", "it ends with several slashes"),
        ("s3://bucket/what?is#this//", "it ends with several slashes"),
        ("https://host/x///", "it ends with several slashes"),
        ("s3:///key", "its bucket is empty"),
        ("s3://?x", "its bucket is empty"),
        ("https:///x", "its host is empty"),
        ("https://:443/x", "its host is empty"),
        ("s3://s3://bucket/x", "not a plain bucket name"),
        ("https://host:port/x", "not a plain host name"),
        ("file://", "it has no path"),
        ("file:///", "it has no path"),
        ("file://data/x.nwb", "write file:///path with three slashes"),
        ("file:///a/../b", "`.` or `..` as a segment"),
        ("file:///a/./b", "`.` or `..` as a segment"),
        ("file:///a/%2E%2e/b", "`.` or `..` as a segment"),
        ("file:///a%2f..%2Fb", "`.` or `..` as a segment"),
        ("file:///a%00b", "encoded control character"),
        ("s3://bucket/a\nb", "control character"),
        ("s3://bucket/a\x85b", "control character"),
        ("s3://bucket/a\0b", "NUL"),
        ("s3://bucket/\ud800", "lone surrogate"),
        ("https://hôst/x", "not plain ASCII"),
        ("s3://buc\u212aet/x", "not plain ASCII"),
    ],
)
def test_an_address_that_cannot_be_an_identity_is_refused_with_the_reason(url, reported):
    assert reported in refusal(url)


@pytest.mark.parametrize(
    ("url", "reported"),
    [
        (f"https://me:{HIDDEN}@host/x", "user info"),
        (f"s3://{HIDDEN}@bucket/x", "user info"),
        (f"https://me:{HIDDEN}/more@host/x", "not a plain host name"),
        (f"ftp://me:{HIDDEN}@host/x", "its scheme is `ftp`"),
        (f"me:{HIDDEN}@host/x", "relative path"),
        (f"/x?token={HIDDEN}", "write file:///x…"),
        (f"https://host/x?X-Amz-Signature={HIDDEN}", "`X-Amz-Signature`"),
        (f"https://host/x?a=1&x-amz-credential={HIDDEN}", "`x-amz-credential`"),
        (f"s3://bucket/x?AWSAccessKeyId={HIDDEN}", "`AWSAccessKeyId`"),
        (f"https://host/x?SIGNATURE={HIDDEN}", "`SIGNATURE`"),
        (f"https://host/x?sig={HIDDEN}&se=1", "`sig`"),
        (f"https://host/x?a=1;Access_Token={HIDDEN}", "`Token`"),
        (f"https://host/x?X%2DAmz%2DSignature={HIDDEN}", "`X-Amz-Signature`"),
        (f"https://host/x#id_token={HIDDEN}", "`token`"),
        (f"https://host/x?token{HIDDEN}", "`token`"),
        (f"https://host/x?api_key={HIDDEN}", "`api_key`"),
        (f"file:///x?password={HIDDEN}", "`password`"),
    ],
)
def test_a_secret_in_an_address_is_refused_and_never_shown(url, reported):
    message = refusal(url)
    assert reported in message
    assert HIDDEN not in message


@QUICK
@given(st.text() | st.builds("{}://{}".format, st.sampled_from(["s3", "file", "HTTP", "https"]), st.text()))
def test_any_text_is_refused_or_normalized_once_and_for_all(text):
    with suppress(InputError):
        normal = normalize_url(text)
        assert normalize_url(normal) == normal


@QUICK
@given(URL, st.integers(0, 3))
def test_trailing_slashes_and_the_case_of_scheme_and_host_change_no_key(url, slashes):
    scheme, _, rest = url.partition("://")
    host, _, path = rest.partition("/")
    assume(scheme == "s3" or "#" not in path)
    other = f"{scheme.upper()}://{host.swapcase()}/{path}{'/' * slashes}"
    with suppress(InputError):
        assert job_key(inputs(url), {}) == job_key(inputs(other), {})


@QUICK
@given(st.lists(URL, min_size=1, max_size=4), st.permutations(range(4)), PARAMETERS)
def test_the_order_of_grouped_inputs_and_of_parameters_changes_no_key(urls, order, parameters):
    shuffled = [urls[i] for i in order if i < len(urls)]
    with suppress(InputError):
        one, other = inputs(*urls, files=urls), inputs(*shuffled, files=shuffled)
        assert one == other
        assert job_key(one, parameters) == job_key(other, dict(reversed(parameters.items())))


@QUICK
@given(st.lists(URL, max_size=3), st.lists(URL, max_size=3), st.lists(URL, max_size=3), st.lists(URL, max_size=3))
def test_other_inputs_give_another_key(locations, files, other_locations, other_files):
    with suppress(InputError):
        one, other = inputs(*locations, files=files), inputs(*other_locations, files=other_files)
        same = one.identity() == other.identity()
        assert (job_key(one, {}) == job_key(other, {})) is same


@QUICK
@given(PARAMETERS, PARAMETERS)
def test_other_values_give_another_key(one, other):
    place = inputs("s3://b/a")
    assert (job_key(place, one) == job_key(place, other)) is (one == other)


def test_a_location_and_a_file_of_the_same_address_are_different_jobs():
    assert job_key(inputs("s3://b/a"), {}) != job_key(inputs(files=["s3://b/a"]), {})


def test_the_smallest_spelling_of_an_input_is_kept():
    spelled = ["s3://B/a/", "S3://b/a", "s3://b/a", "s3://b/Z"]
    found = inputs(*spelled)
    assert found == inputs(*reversed(spelled))
    assert found.locations == ("s3://b/Z", "s3://b/a")
    assert found.spelled_locations == ("s3://b/Z", "S3://b/a")
    assert found.identity() == {"locations": ["s3://b/Z", "s3://b/a"], "files": []}


def test_all_refused_inputs_are_named_at_once():
    with pytest.raises(InputError) as caught:
        inputs("s3://b/a", "x", files=["gs://b/a"])
    assert "`s3_location[1]`: Input 'x' is rejected" in str(caught.value)
    assert "`file_location[0]`: Input 'gs://b/a' is rejected" in str(caught.value)


def test_a_job_without_inputs_has_no_identity():
    with pytest.raises(InputError, match="no input is named"):
        JobInputs.of(Job())


def test_one_and_one_point_zero_are_the_same_value_and_true_is_another():
    place = inputs("s3://b/a")
    assert job_key(place, {"a": 1}) == job_key(place, {"a": 1.0})
    assert len({job_key(place, {"a": value}) for value in (1, True, "1", None, [1])}) == 5


def test_parameters_that_are_not_finite_have_no_key():
    with pytest.raises(PermanentError, match=r"`parameters\.a` is nan"):
        job_key(inputs("s3://b/a"), {"a": float("nan")})


def test_a_job_key_is_the_digest_of_the_documented_text():
    text = '{"format":"analysis-job/1","inputs":{"files":[],"locations":["s3://b/a"]},"parameters":{"x":0.5}}'
    assert job_key(inputs("S3://B/a/"), {"x": 0.5}) == hashlib.sha256(text.encode()).hexdigest()


def test_a_result_id_is_the_digest_of_the_documented_text():
    text = '{"analysis":"a","code_version":"1+0","format":"analysis-result/1","job_key":"k"}'
    assert result_id("a", "1+0", "k") == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("change", [("b", "1", "k"), ("a", "2", "k"), ("a", "1", "l")])
def test_another_analysis_code_or_job_gives_another_result(change):
    assert result_id(*change) != result_id("a", "1", "k")


def test_the_digest_of_keys_depends_on_which_keys_there_are_only():
    assert keys_digest(["b", "a", "a"]) == keys_digest(["a", "b"])
    assert keys_digest(["a"]) != keys_digest(["a", "b"])


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["what"])
def test_keys_and_ids_of_the_golden_jobs_never_change(case):
    found = inputs(*case["s3_location"], files=case["file_location"])
    key = job_key(found, case["parameters"])
    assert key == case["job_key"]
    assert result_id(case["analysis"], case["code_version"], key) == case["result_id"]


def test_the_example_in_the_documentation_has_the_key_and_id_that_it_shows():
    text = (Path(__file__).resolve().parents[3] / "docs" / "job-files.md").read_text("utf-8")
    job = read_job(text.split("```json\n")[1].split("```")[0].encode(), name="docs/job-files.md")
    key = job_key(JobInputs.of(job), {"bin_s": 0.05, **job.distributed_parameters})
    assert f"job key `{key}`" in text
    assert f"result id `{result_id('unit_quality', '1.2.0+3f786850e387', key)}`" in text
    assert all(f"`{field}`" in text for field in Job.model_fields if field != "unknown_keys")
