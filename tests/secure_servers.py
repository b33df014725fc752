"""Real servers with authentication: users, TLS, and certificates of an authority made for the test."""

import datetime as dt
import ipaddress
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pymongo import MongoClient

from resources.embedded.programs import embedded_programs
from resources.embedded.server_process import Server, free_port

ROOT_USER, ROOT_PASSWORD = "root", "r00t-made-up"
_USES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
    *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)
KEY_ID, SECRET = "TESTKEYTESTKEYTEST00", "secret/of+the/tests+00000000000000000000"


def _program(home, name):
    """Return one of the server programs of the platform, for a new folder."""
    for folder in ("mongo", "s3", "logs"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    return next(p for p in embedded_programs(home, access_key=KEY_ID, secret_key=SECRET) if p.name == name)


@contextmanager
def serving(home, name, *flags):
    """Run `mongo` or `s3` with more flags; gives host and port."""
    program = _program(home, name)
    server = Server(replace(program, arguments=(*program.arguments, *map(str, flags))), home=home, port=free_port())
    server.start()
    try:
        server.wait_until_ready()
        yield f"127.0.0.1:{server.port}"
    finally:
        server.ask_to_stop()
        server.wait_until_ended()


@contextmanager
def as_root(host, **options):
    """Open a client that may do everything on a server with users, which it makes on a new server."""
    with MongoClient(f"mongodb://{host}/", directConnection=True, **options) as nobody:  # the localhost exception
        nobody.admin.command("createUser", ROOT_USER, pwd=ROOT_PASSWORD, roles=["root"])
    with MongoClient(f"mongodb://{ROOT_USER}:{ROOT_PASSWORD}@{host}/", directConnection=True, **options) as root:
        yield root


@dataclass(frozen=True)
class Authority:
    """A certificate authority: one folder, one certificate, and what it signs."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def make(cls, folder):
        """Make an authority whose certificate is `ca.pem`."""
        folder.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("Authority of the tests")
        usage = x509.KeyUsage(**{use: use in {"key_cert_sign", "crl_sign"} for use in _USES})
        built = _builder(name, name, key).add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        built = built.add_extension(usage, critical=True)
        built = built.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        made = cls(folder, key, built.sign(key, hashes.SHA256()))
        made.file.write_bytes(made.certificate.public_bytes(serialization.Encoding.PEM))
        return made

    @property
    def file(self):
        """The certificate that others trust."""
        return self.folder / "ca.pem"

    def sign(self, name, *, hosts=("127.0.0.1", "localhost"), days=1, organization="tests"):
        """Sign a certificate; gives the files of certificate, key, and both together."""
        key = ec.generate_private_key(ec.SECP256R1())
        built = _builder(_name(name, organization), self.certificate.subject, key, days=days)
        built = built.add_extension(x509.SubjectAlternativeName([_host(h) for h in hosts]), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        signed = built.add_extension(issuer, critical=False).sign(self.key, hashes.SHA256())
        certificate = signed.public_bytes(serialization.Encoding.PEM)
        form = serialization.PrivateFormat.PKCS8
        secret = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        files = [self.folder / f"{name}.{kind}" for kind in ("crt", "key", "pem")]
        for file, content in zip(files, (certificate, secret, secret + certificate), strict=True):
            file.write_bytes(content)
        return files


def _name(name, organization="tests"):
    """Return a name as certificates have it."""
    parts = [(NameOID.COMMON_NAME, name), (NameOID.ORGANIZATION_NAME, organization)]
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in parts])


def _host(host):
    """Return a host as certificates have it."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(subject, issuer, key, *, days=1):
    """Begin a certificate; one of negative days has expired."""
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=3))
        .not_valid_after(now + dt.timedelta(days=days))
    )
