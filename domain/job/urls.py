"""The form of an input's URL that is part of the identity, and why URLs are rejected.

The rules are part of the contract of `domain.job.identity`: a change here gives jobs another key.
"""

import ipaddress
import re
from urllib.parse import unquote

from domain.errors import InputError
from domain.messages import shown

_SCHEMES = ("s3", "file", "https", "http")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://([^/?#]*)(.*)", re.DOTALL)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_BUCKET = re.compile(r"[A-Za-z0-9._\-]+")
_METADATA_HOSTS = frozenset({"metadata", "metadata.google.internal", "instance-data", "fd00:ec2::254"})
_LINK_LOCAL = "is reached from one machine alone, and exposes credentials of cloud machines"
_HOST = re.compile(r"([A-Za-z0-9._\-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]*)?")
_SIGNING_KEY = re.compile(
    r"^x-(?:amz|goog|ms)-[a-z0-9\-]{1,40}|signature|token|secret|passw(?:or)?d|credentials?"
    r"|^(?:sig|awsaccesskeyid|googleaccessid|access[_\-]?key(?:[_\-]?id)?|key-pair-id|policy"
    r"|api[_\-]?key|auth|authorization|jwt)$",
    re.IGNORECASE,
)


def normalize_url(url: str) -> str:
    """Return the URL of an input in the form that is part of the identity.

    The scheme and the host are lower-cased (ASCII) and a trailing slash is removed; nothing else changes. An
    http(s) URL with a query or a fragment keeps its slashes, because there they are part of a value.

    Parameters
    ----------
    url : str
        ``s3://bucket/key``, ``file:///path`` or ``https://host/path``.

    Returns
    -------
    str
        The normalized URL; normalizing it again changes nothing.

    Raises
    ------
    InputError
        If the URL is a path without scheme, or has another scheme, no host, no path (``file``), user info, a
        signed query, a control character, a lone surrogate, ``.`` or ``..`` as a segment (``file``), several trailing
        slashes (not ``file``: ``s3://b/k`` and ``s3://b/k//`` are two prefixes and would have one key), or a host that is
        not a plain ASCII name or is blocked (`unreachable`). The message never contains the query or the user info.
    """
    parts = _URL.fullmatch(url)
    fault = _text_fault(url) or (_url_fault(*parts.groups()) if parts else _path_fault(url))
    if fault or parts is None:
        msg = f"Input '{shown(url)}' is rejected: {fault}."
        raise InputError(msg)
    scheme, host, rest = parts[1].lower(), parts[2].lower(), parts[3]
    if not (scheme.startswith("http") and ("?" in rest or "#" in rest)):
        rest = rest.rstrip("/")
    return f"{scheme}://{host}{rest}"


def unreachable(host: str) -> str | None:
    """Return why no input may be read from a host; None if it may.

    Parameters
    ----------
    host : str
        Host name or IP address, optionally with a port.

    Returns
    -------
    str or None
        Part of a sentence. Link-local addresses are blocked: the metadata services of clouds expose credentials there.
    """
    with_port = re.fullmatch(r"(\[.*\]|[^:]*):[0-9]*", host)  # an IPv6 address may end like one
    name = (with_port[1] if with_port else host).lower().strip("[]").rstrip(".")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        if name in _METADATA_HOSTS:
            return f"its host {_LINK_LOCAL}"
        odd = re.fullmatch(r"0x[0-9a-f]*|[0-9]+", name.rpartition(".")[2])
        return "its host is a number but not a plain address; write it as four numbers" if odd else None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return f"its host {_LINK_LOCAL}" if (mapped or address).is_link_local or name in _METADATA_HOSTS else None


def _text_fault(text: str) -> str | None:
    """Return the error for characters that are not allowed in a URL."""
    if "\0" in text:
        return "it holds NUL"
    if _CONTROL.search(text):
        return "it holds a control character"
    return "it holds a lone surrogate, which is not a character" if _SURROGATE.search(text) else None


def _path_fault(text: str) -> str:
    """Return the error for a path, with the URL to write instead."""
    if text.startswith("/"):
        return f"it is a path without scheme; write file://{shown(text)}"
    return "it is a relative path or no address at all; write s3://bucket/key, file:///path or https://host/path"


def _url_fault(scheme: str, host: str, rest: str) -> str | None:
    """Return why a URL is rejected; None if it is not."""
    kind = scheme.lower()
    if kind not in _SCHEMES:
        return f"its scheme is `{shown(scheme)}`, expected one of {', '.join(_SCHEMES)}"
    if "@" in host:
        return "it holds user info (before the `@`); give credentials in the settings, never in an address"
    if not host.isascii():
        return "its host is not plain ASCII; write the host in its ASCII (punycode) form"
    fault = _file_fault(host, rest) if kind == "file" else _host_fault(kind, host)
    is_value = kind != "s3" and ("?" in rest or "#" in rest)
    if kind != "file" and rest.endswith("//") and not is_value:
        fault = (
            fault or "it ends with several slashes, which is another address than with one; write one slash, or none"
        )
    return fault or _query_fault(rest)


def _host_fault(kind: str, host: str) -> str | None:
    """Return the error for a bucket or host that is missing or not a plain name."""
    word, form = ("bucket", _BUCKET) if kind == "s3" else ("host", _HOST)
    if not host.partition(":")[0]:
        return f"its {word} is empty; write {kind}://{word}/path"
    if not form.fullmatch(host) or host in {".", ".."}:
        return f"its {word} is not a plain {word} name"
    return None if kind == "s3" else unreachable(host)


def _file_fault(host: str, rest: str) -> str | None:
    """Return the error for a file URL without path, on another machine, or with ``.`` or ``..``."""
    if host.lower() not in {"", "localhost"}:
        return "the part after file:// is read as a host; write file:///path with three slashes"
    path = unquote(rest.rstrip("/"))
    if not path.startswith("/"):
        return "it has no path; write file:///path"
    if {".", ".."} & set(path.split("/")):
        return "its path has `.` or `..` as a segment; write the path that is meant"
    return "its path holds an encoded control character" if _CONTROL.search(path) else None


def _query_fault(rest: str) -> str | None:
    """Return the error for a query with a signature or another secret; it names only the key."""
    _, mark, query = rest.replace("#", "?").partition("?")
    for pair in re.split("[?&;]", query) if mark else ():
        key = _SIGNING_KEY.search(unquote(pair.partition("=")[0]))
        if key:
            return f"its query is signed (`{key[0]}`); give the address without the query"
    return None
