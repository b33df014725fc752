"""Real TLS connections and logins: which ones work, and the messages of the others."""

import socket
import ssl
import traceback
import urllib.parse

import boto3.session
import pytest
from pymongo.errors import ServerSelectionTimeoutError

from domain.errors import InputError, ServerUnavailableError, SettingsError
from resources.clients.tls import cause_of, tls_problem
from resources.data_assets.records_rest import RestAssetRecords
from resources.inputs.http import fetch_http
from resources.mongo import MongoConnection
from resources.result_store.store import ResultsStore
from resources.s3.connection import S3Connection
from resources.s3.server import forget_clients
from tests.secure_servers import KEY_ID, SECRET, Authority, as_root, serving

PASSWORD = "t0p-s3cret"  # noqa: S105 - made up, and searched for
BUCKET, ATTEMPT = "results-over-tls", ("a" * 64, "7f3c1b1e-8f5e-4c1e-9a6e-2d3f4a5b6c7d")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """Make the authority that the clients are to trust."""
    return Authority.make(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """Make an authority that signed nothing here."""
    return Authority.make(tmp_path_factory.mktemp("stranger"))


# -- MongoDB -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mongo_host(authority, tmp_path_factory):
    """Run a mongod that wants TLS and a user; one has a password, one a certificate."""
    _, _, pem = authority.sign("server")
    flags = ["--auth", "--tlsMode", "requireTLS", "--tlsCertificateKeyFile", pem, "--tlsCAFile", authority.file]
    home = tmp_path_factory.mktemp("tls-mongo")
    with serving(home, "mongo", *flags, "--tlsAllowConnectionsWithoutCertificates") as host:
        with as_root(host, tls=True, tlsCAFile=str(authority.file)) as root:
            roles = [{"role": "readWrite", "db": "records"}]
            root.admin.command("createUser", "analysis", pwd=PASSWORD, roles=roles, mechanisms=["SCRAM-SHA-256"])
            root["$external"].command("createUser", "O=clients,CN=analysis", roles=roles)
        yield host


@pytest.fixture(autouse=True)
def _s3_clients():
    """Forget the clients that a test has used: they are kept by address otherwise."""
    yield
    forget_clients()


@pytest.fixture
def connection():
    """Give a function that connects as a person would, who has written one address and is in a hurry."""
    opened = []

    def connect(host, options, *, login=f"analysis:{PASSWORD}@"):
        uri = f"mongodb://{login}{host}/?serverSelectionTimeoutMS=300{options and '&'}{options}"
        opened.append(MongoConnection(uri=uri, database="records", attempts=1))
        return opened[-1]

    yield connect
    for one in opened:
        one.close()


def refusal(mongo, kind):
    """Use a connection; return the message, which never contains the password."""
    with pytest.raises(kind) as caught:
        mongo.collection("things").find_one({"private": "text"})
    reported = str(caught.value)
    for text in (reported, "".join(traceback.format_exception(caught.value))):
        assert PASSWORD not in text
        assert "'private': 'text'" not in text
    assert "private" not in reported
    assert caught.value.__suppress_context__
    return reported


@pytest.mark.parametrize("mechanism", ["", "&authMechanism=SCRAM-SHA-256"])
def test_mongodb_is_used_by_tls_with_a_password(connection, mongo_host, authority, mechanism):
    mongo = connection(mongo_host, f"tls=true&tlsCAFile={authority.file}{mechanism}")
    mongo.collection("things", indexes=(("a",),)).raw.insert_one({"a": 1})
    assert mongo.now().tzinfo is not None


def test_mongodb_is_used_with_a_certificate_instead_of_a_password(connection, mongo_host, authority):
    _, _, pem = authority.sign("analysis", organization="clients")
    who = f"&authMechanism=MONGODB-X509&authSource=%24external&tlsCertificateKeyFile={pem}"
    mongo = connection(mongo_host, f"tls=true&tlsCAFile={authority.file}{who}", login="")
    mongo.collection("things").raw.insert_one({"b": 1})


@pytest.mark.parametrize("trusted", ["nobody", "a stranger"])
def test_a_mongodb_whose_authority_is_not_trusted_is_a_matter_of_settings(connection, mongo_host, stranger, trusted):
    options = f"tls=true&tlsCAFile={stranger.file}" if trusted == "a stranger" else "tls=true"
    reported = refusal(connection(mongo_host, options), SettingsError)
    assert (
        f"{mongo_host} is not trusted: Its certificate is not signed by an authority that is trusted here." in reported
    )
    assert "Name the authority's file: tlsCAFile in DOCDB_URI. Cause: " in reported
    assert reported.endswith("certificate in certificate chain.")


def test_a_mongodb_under_another_name_is_not_trusted(connection, authority, tmp_path):
    _, _, pem = authority.sign("elsewhere", hosts=["db.example.org"])
    with serving(tmp_path, "mongo", "--tlsMode", "requireTLS", "--tlsCertificateKeyFile", pem) as host:
        reported = refusal(connection(host, f"tls=true&tlsCAFile={authority.file}", login=""), SettingsError)
    assert "Its certificate is for another host. Use a host name that the certificate has. Cause: " in reported
    assert reported.endswith("IP address mismatch, certificate is not valid for '127.0.0.1'.")


def test_a_mongodb_that_wants_tls_says_so_to_who_comes_without(connection, mongo_host):
    reported = refusal(connection(mongo_host, "", login=""), ServerUnavailableError)
    assert "did not answer" in reported
    assert "If it wants TLS, correct tls= in DOCDB_URI. Cause: connection closed." in reported


def test_a_mongodb_without_tls_says_so_to_who_wants_it(connection, docdb_uri, authority):
    host = urllib.parse.urlsplit(docdb_uri).netloc
    reported = refusal(connection(host, f"tls=true&tlsCAFile={authority.file}", login=""), ServerUnavailableError)
    assert (
        "If it does not speak TLS, correct tls= in DOCDB_URI. Cause: EOF occurred in violation of protocol." in reported
    )


@pytest.mark.parametrize("option", ["tlsCAFile", "tlsCertificateKeyFile"])
def test_a_certificate_file_that_is_not_there_is_named(connection, mongo_host, option, tmp_path):
    reported = refusal(connection(mongo_host, f"tls=true&{option}={tmp_path}/none.pem"), SettingsError)
    assert "A file that DOCDB_URI names" in reported
    assert f"{tmp_path}/none.pem" in reported


@pytest.mark.parametrize("wrong", ["password", "authSource"])
def test_a_wrong_log_in_is_distinguished_from_a_missing_permission(connection, mongo_host, authority, wrong):
    options = f"tls=true&tlsCAFile={authority.file}" + ("&authSource=records" if wrong == "authSource" else "")
    login = f"analysis:{PASSWORD}{'x' if wrong == 'password' else ''}@"
    reported = refusal(connection(mongo_host, options, login=login), SettingsError)
    assert "denied access to `records`: user, password or authSource in DOCDB_URI is wrong." in reported
    elsewhere = connection(mongo_host, f"tls=true&tlsCAFile={authority.file}").model_copy(update={"database": "theirs"})
    reported = refusal(elsewhere, SettingsError)
    assert "denied access to `theirs`: the user in DOCDB_URI may not `find` the collection `things`" in reported


# -- S3 ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def s3_host(authority, tmp_path_factory):
    """Run an S3 server that speaks TLS only, with one bucket."""
    certificate, key, _ = authority.sign("s3")
    with serving(tmp_path_factory.mktemp("tls-s3"), "s3", "--cert", certificate, "--key", key) as host:
        boto3.session.Session(KEY_ID, SECRET, region_name="us-east-1").client(
            "s3", endpoint_url=f"https://{host}", verify=str(authority.file)
        ).create_bucket(Bucket=BUCKET)
        yield host


@pytest.fixture
def aws(monkeypatch):
    """Set credentials as boto3 finds them, and be quick to give up."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    return monkeypatch


def store(url):
    """Open the results on a server."""
    return ResultsStore(s3=S3Connection(endpoint_url=url), root=BUCKET)


def s3_refusal(url, kind):
    """Upload bytes; return the message."""
    results = store(url)
    with pytest.raises(kind) as caught:
        results.put_bytes(results.location(*ATTEMPT), "x.txt", b"x")
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_s3_is_used_by_tls(s3_host, authority, aws):
    aws.setenv("AWS_CA_BUNDLE", str(authority.file))
    results = store(f"https://{s3_host}")
    place = results.location(*ATTEMPT)
    results.put_bytes(place, "x.txt", b"x")
    assert results.get_bytes(place, "x.txt") == b"x"
    assert [file.path for file in results.list_files(place)] == ["x.txt"]


@pytest.mark.parametrize("last", [1, 2])
def test_uploads_trust_the_authority_that_boto3_finds(s3_host, authority, stranger, aws, last):
    """Of several files that are named, the one that is named last here counts."""
    named = ("REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE")
    for name in named:
        aws.delenv(name, raising=False)
    for name in named[:last]:
        aws.setenv(name, str(authority.file if name == named[last - 1] else stranger.file))
    results = store(f"https://{s3_host}")
    assert results.put_bytes(results.location(*ATTEMPT), "x.txt", b"x").bytes == 1


@pytest.mark.parametrize("trusted", ["nobody", "a stranger"])
def test_an_s3_server_whose_authority_is_not_trusted_is_a_matter_of_settings(s3_host, stranger, aws, trusted):
    if trusted == "a stranger":
        aws.setenv("AWS_CA_BUNDLE", str(stranger.file))
    reported = s3_refusal(f"https://{s3_host}", SettingsError)
    assert f"https://{s3_host} is not trusted. Its certificate is not signed by an authority" in reported
    assert "Name the authority's file: AWS_CA_BUNDLE. Cause: unable to get local issuer certificate." in reported


def test_an_authority_file_that_is_not_there_is_reported(s3_host, aws, tmp_path):
    aws.setenv("AWS_CA_BUNDLE", str(tmp_path / "none.pem"))
    reported = s3_refusal(f"https://{s3_host}", SettingsError)
    assert (
        "The file of trusted authorities cannot be read. Correct AWS_CA_BUNDLE. Cause: No such file or direct"
        in reported
    )


@pytest.mark.parametrize(
    ("signed", "kind", "text"),
    [
        (
            {"hosts": ["s3.example.org"]},
            SettingsError,
            "Its certificate is for another host. Use a host name that the certificate has. Cause: hostname '127.0.0.1'",
        ),
        (
            {"days": -1},
            ServerUnavailableError,
            "Its certificate has expired. Renew it on the server. Cause: certificate has expired.",
        ),
    ],
    ids=["another host", "expired"],
)
def test_an_s3_server_with_a_wrong_certificate_is_reported(authority, aws, tmp_path, signed, kind, text):
    aws.setenv("AWS_CA_BUNDLE", str(authority.file))
    certificate, key, _ = authority.sign("wrong", **signed)
    with serving(tmp_path, "s3", "--cert", certificate, "--key", key) as host:
        assert text in s3_refusal(f"https://{host}", kind)


def test_the_wrong_scheme_of_an_s3_server_is_reported(s3_host, servers, authority, aws):
    aws.setenv("AWS_CA_BUNDLE", str(authority.file))
    reported = s3_refusal(f"http://{s3_host}", ServerUnavailableError)
    assert "If it wants TLS, correct http:// or https:// in the address of the server." in reported
    results = store(f"http://{s3_host}")
    with pytest.raises(ServerUnavailableError, match="If it wants TLS, correct http:// or https://"):
        results.list_files(results.location(*ATTEMPT))
    reported = s3_refusal(servers.s3_endpoint.replace("http://", "https://"), ServerUnavailableError)
    assert "If it does not speak TLS, correct http:// or https:// in the address of the server." in reported


@pytest.mark.parametrize(
    ("name", "code"), [("AWS_ACCESS_KEY_ID", "InvalidAccessKeyId"), ("AWS_SECRET_ACCESS_KEY", "SignatureDoesNotMatch")]
)
def test_wrong_keys_of_s3_are_reported(s3_host, authority, aws, name, code):
    aws.setenv("AWS_CA_BUNDLE", str(authority.file))
    aws.setenv(name, "WRONGWRONGWRONGWRONG")
    reported = s3_refusal(f"https://{s3_host}", SettingsError)
    assert f"denied access ({code}). Check the AWS_* credentials" in reported
    assert "WRONG" not in reported


def test_keys_that_have_expired_are_reported(failing_s3, aws):
    with failing_s3(400, "ExpiredToken") as address:
        assert "denied access (ExpiredToken). Check the AWS_* credentials" in s3_refusal(address, SettingsError)


# -- http --------------------------------------------------------------------------------------------------------


@pytest.fixture
def https(authority, serve_http):
    """Serve one answer by TLS."""
    certificate, key, _ = authority.sign("http")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with serve_http(lambda _: (200, {"Content-Type": "application/json"}, b"[]"), tls=context) as (address, _):
        yield address


def test_an_input_is_downloaded_by_tls_from_a_server_that_is_trusted(https, authority, tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"is not trusted.*Name the authority's file: REQUESTS_CA_BUNDLE") as caught:
        fetch_http(f"{https}/a.nwb?token={PASSWORD}", tmp_path / "a.nwb", pause_s=0.01)
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))
    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
    assert not (tmp_path / "a.nwb").exists()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.file))
    assert fetch_http(f"{https}/a.nwb", tmp_path / "a.nwb").bytes == 2


def test_the_metadata_api_is_queried_by_tls_when_it_is_trusted(https, authority, monkeypatch):
    records = RestAssetRecords(url=f"{https}/v2", database="d", name="c", pause_s=0.01)
    with pytest.raises(
        SettingsError, match=r"is not trusted\. .*Name the authority's file: REQUESTS_CA_BUNDLE"
    ) as caught:
        records.count({}, time_limit_s=5)
    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.file))
    assert records.count({}, time_limit_s=5) == 0


def test_other_failures_have_nothing_to_do_with_tls():
    for error in (OSError("[Errno 111] Connection refused"), socket.gaierror("Name or service not known")):
        assert tls_problem(error, authority="A", plain="B") is None


def test_the_failure_of_another_connection_that_is_being_handled_does_not_count():
    def server_is_down():
        try:
            raise ssl.SSLCertVerificationError(1, "another server")
        except ssl.SSLError:
            raise ServerSelectionTimeoutError("127.0.0.1:9: [Errno 111] Connection refused")  # noqa: B904, EM101, TRY003

    with pytest.raises(ServerSelectionTimeoutError) as caught:
        server_is_down()
    assert tls_problem(caught.value, authority="A", plain="B") is None
    assert cause_of(caught.value) is None


@pytest.mark.parametrize("text", ["connection closed", "[SSL: CERTIFICATE_VERIFY_FAILED] x (_ssl.c:1)"])
def test_the_text_of_an_error_counts_for_pymongo_only(text):
    assert tls_problem(ServerSelectionTimeoutError(text), authority="A", plain="B") is not None
    assert tls_problem(ConnectionError(f"no answer from https://host/{text}"), authority="A", plain="B") is None


def test_a_file_of_authorities_that_holds_no_certificate_is_reported(s3_host, aws, tmp_path):
    (tmp_path / "ca.pem").write_text("nothing", encoding="ascii")
    aws.setenv("AWS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    reported = s3_refusal(f"https://{s3_host}", SettingsError)
    assert "The file of trusted authorities cannot be read. Correct AWS_CA_BUNDLE." in reported
