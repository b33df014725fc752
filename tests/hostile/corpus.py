"""What has broken other systems, each with the reason why it is here. Generated: most of it is too large or too odd to keep."""

import json
import os
import socket

GOOD = json.dumps({"s3_location": ["s3://bucket/asset"], "distributed_parameters": {"number": 7.0}}).encode()
INPUT = '"s3_location": ["s3://bucket/asset"]'


def with_parameters(text):
    """Write a job file whose parameters are a piece of raw JSON."""
    return f'{{{INPUT}, "distributed_parameters": {text}}}'.encode()


def with_field(name, text):
    """Write a job file with one more field of raw JSON."""
    return f'{{{INPUT}, "{name}": {text}}}'.encode()


REFUSED_FILES = {
    "empty": (b"", "an upload that has begun"),
    "blank": (b" \n\t ", "white space alone"),
    "bom alone": (b"\xef\xbb\xbf", "a byte order mark and nothing after it"),
    "utf-16": (GOOD.decode().encode("utf-16"), "saved by an editor on Windows"),
    "utf-32": (GOOD.decode().encode("utf-32"), "likewise"),
    "latin-1": (with_parameters('{"numbér": 1}').decode().encode("latin-1"), "invalid UTF-8"),
    "overlong utf-8": (b'{"s3_location": ["s3://b/\xc0\xae\xc0\xae/x"]}', "dots in a form that UTF-8 forbids"),
    "surrogate bytes": (b'{"s3_location": ["s3://b/\xed\xa0\x80"]}', "CESU-8, which is no UTF-8"),
    "nul bytes": (b"\0" * 4096, "a sparse file after a crash of the file system"),
    "binary": (b"\x89HDF\r\n\x1a\n" + bytes(range(256)), "an NWB file under the wrong name"),
    "two documents": (GOOD + GOOD, "written twice"),
    "cut off": (GOOD[:-7], "an upload that ended early"),
    "html": (b"<html><body>503</body></html>", "the error page of a proxy"),
    "single quotes": (b"{'s3_location': ['s3://b/a']}", "Python, not JSON"),
    "list": (b"[]", "no object"),
    "null": (b"null", "no object"),
    "number": (b"1e9999", "no object, and no finite number"),
    "no input": (b"{}", "nothing is named"),
    "deep lists": (b"[" * 10_000, "nesting ends a recursive parser"),
    "deep objects": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "likewise"),
    "deep parameters": (with_parameters('{"number": ' + "[" * 10_000 + "]" * 10_000 + "}"), "likewise, inside"),
    "deep group": (with_field("group_metadata", '{"a":' * 40 + "1" + "}" * 40), "deeper than is stored"),
    "10 MB": (b'{"s3_location": ["s3://b/' + b"x" * 10_000_000 + b'"]}', "memory"),
    "10 MB of blanks": (b" " * 10_000_000 + GOOD, "memory"),
    "open string": (b'"' + b'\\"' * 500_000, "a regular expression that goes back would never end"),
    "backslashes": (b'"' + b"\\" * 1_000_000, "likewise"),
    "integer of a million digits": (with_parameters('{"number": ' + "9" * 1_000_000 + "}"), "quadratic conversion"),
    "float of a million digits": (with_parameters('{"number": ' + "9" * 1_000_000 + ".0}"), "likewise"),
    "exponent of many digits": (with_parameters('{"number": 1e' + "9" * 900_000 + "}"), "likewise"),
    "1e400": (with_parameters('{"number": 1e400}'), "infinite when it is read"),
    "NaN": (with_parameters('{"number": NaN}'), "Python reads it, JSON has none"),
    "Infinity": (with_parameters('{"number": -Infinity}'), "likewise"),
    "2**53": (with_parameters('{"number": 9007199254740993}'), "readers disagree about its value"),
    "key twice": (with_parameters('{"number": 1, "number": 2}'), "readers disagree which one counts"),
    "inputs twice": (b'{"s3_location": ["s3://b/a"], "s3_location": ["s3://b/c"]}', "likewise"),
    "escaped key twice": (with_parameters('{"number": 1, "n\\u0075mber": 2}'), "the same key in two spellings"),
    "$where": (with_parameters('{"$where": "sleep(10000)"}'), "an operator as a parameter"),
    "$gt inside": (with_parameters('{"number": {"$gt": ""}}'), "an operator as a value"),
    "dotted key": (with_parameters('{"a.b": 1}'), "a path in a database"),
    "__proto__": (with_parameters('{"__proto__": {"number": 1}}'), "another language's weakness"),
    "empty key": (with_parameters('{"": 1}'), "no name"),
    "NUL in a key": (with_parameters('{"number\\u0000": 1}'), "ends the name in C, and in BSON"),
    "surrogate in a key": (with_field("group_metadata", '{"\\ud800": 1}'), "no character: cannot be encoded"),
    "surrogate in a value": (with_field("query", '"\\udfff"'), "likewise"),
    "wide key": (with_parameters(json.dumps({"n" * 900_000: 1})), "a suggestion of similar names takes long"),
    "many keys": (with_parameters(json.dumps({f"k{i}": i for i in range(60_000)})), "likewise"),
    "lists that do not match": (b'{"s3_location": ["s3://b/a"], "asset_name": ["a", "b"]}', "they run in parallel"),
    "no strings": (b'{"s3_location": [{"$ne": null}, 1, null, ["s3://b/a"]]}', "operators in the place of addresses"),
    "text for a number": (with_parameters('{"number": "\\u0660x"}'), "other digits"),
}
"""Content of files that are not job files, by description."""

TAKEN_FILES = {
    "bom": (b"\xef\xbb\xbf" + GOOD, "tolerated"),
    "group of operators": (
        with_field(
            "group_metadata", '{"$gt": 1, "a.b": {"$where": "x"}, "__proto__": null, "$set": {"state": "done"}}'
        ),
        "fields of metadata records may be called anything; they are stored as values",
    ),
    "query": (
        with_field("query", '{"$where": "sleep(1000)", "a": {"$gt": {"$ne": []}}}'),
        "recorded as text, never asked",
    ),
    "query of brackets": (with_field("query", json.dumps("[{" * 100_000)), "nesting inside a string is no nesting"),
    "unknown keys": (
        f'{{{INPUT}, "$set": {{"state": "done"}}, "state": "done", "_id": "x", "analysis": "other", "a.b": 1}}'.encode(),
        "reported and ignored; only their names are kept",
    ),
    "infinite elsewhere": (with_field("zz", "[1e400, -0.0]"), "in a field that nobody reads"),
    "-0.0": (with_parameters('{"number": -0.0}'), "equal to 0, with another sign"),
    "NUL in a text": (with_field("asset_name", '["\\u0000"]'), "a value may hold it"),
    "control characters": (with_field("asset_name", '["\\u001b[2J\\u202e\\r\\n"]'), "a terminal would obey"),
    "60,000 inputs": (json.dumps({"s3_location": [f"s3://b/{i}" for i in range(60_000)]}).encode(), "a large group"),
    "many digits": (with_parameters('{"number": 1.' + "1" * 900_000 + "}"), "a float that takes long to read"),
}
"""Content of files that look dangerous and are jobs."""

REFUSED_URLS = {
    "s3://user:hunter2@bucket/x": "user info",
    "s3://bucket@evil/x": "a host that looks like another",
    "https://lab.example.org@evil.example.com/x": "likewise",
    "https://user%3Ahunter2%40evil/x": "user info that is encoded",
    "s3:/bucket/x": "a slash too few",
    "s3:///user:hunter2@bucket/x": "a slash too many, before a secret",
    "s3:x": "no slashes",
    "//bucket/x": "no scheme",
    "/etc/passwd": "a path",
    "../../etc/passwd": "a path upwards",
    "C:\\data\\x.nwb": "a drive letter",
    "\\\\server\\share\\x.nwb": "a network share",
    "file://C:/data/x.nwb": "a drive letter as a host",
    "file://server/share/x.nwb": "another machine",
    "file:///data/../etc/passwd": "a step upwards",
    "file:///data/%2e%2e/etc/passwd": "likewise, encoded",
    "file:///data/%00/x": "an encoded control character",
    "s3://../x": "dots for a bucket",
    "s3://buc\u2024ket/x": "a dot that is none",
    "s3://bucket\uff0fevil/x": "a slash that is none",
    "https://ex\u0430mple.org/x": "a letter of another alphabet",
    "https://\u2100.example.org/x": "a character that becomes a slash when it is normalized",
    "https://host\\@evil.org/x": "readers disagree about the host",
    "https://host#@evil.org/x?sig=1": "likewise",
    "https://[::1%25eth0]/x": "a zone",
    "s3://bucket/x?X-Amz-Signature=abc": "signed",
    "https://host/x?token=hunter2": "a token",
    "https://host/x?a=1;%74oken=hunter2": "a token, encoded",
    "https://host/x#access_token=hunter2": "a token in a fragment",
    "javascript://host/%0aalert(1)": "a link that a browser would run",
    "gopher://127.0.0.1:27017/_x": "a scheme that speaks to other servers",
    "mongodb://user:hunter2@host/": "a scheme with a password",
    "s3://bucket/a\nb": "a new line",
    "s3://bucket/a\x00b": "NUL",
    "s3://bucket/\x85": "a control character of the second kind",
    "http://169.254.169.254/latest/meta-data/iam/": "gives the credentials of a machine in the cloud away",
    "http://[fe80::1]/x": "reachable from this machine alone",
    "http://metadata.google.internal/computeMetadata/v1/": "as 169.254.169.254, by name",
    "http://0xA9FEA9FE/latest": "as 169.254.169.254, in another spelling",
    "http://2852039166/latest": "likewise",
    "": "nothing",
}
"""URLs that are rejected in jobs. Passwords in them are hunter2."""

NAMES = {
    "plain.json": "good",
    "with space.json": "good",
    "new\nline.json": "two lines in a log",
    "\x1b[2Jclear.json": "a terminal would obey",
    "\u202egpj.json": "shown backwards",
    "\u00e9t\u00e9.json": "composed",
    "e\u0301te\u0301.json": "the same word decomposed: another file, because names are bytes",
    "CASE.json": "a name in capitals",
    "case.json": "the same name in small letters",
    "%2e%2e%2fescaped.json": "a path once it is decoded",
    "..\\..\\windows.json": "a path on another system",
    "C:drive.json": "a drive letter",
    "$gt.json": "an operator",
    "a.$where.json": "likewise",
    "-rf.json": "an option of a command",
    "'; drop table jobs; --.json": "a quote",
    "$(reboot).json": "a shell would run it",
    "..json": "dots",
    "...json": "dots",
    ".hidden.json": "hidden",
    "UPPER.JSON": "another spelling of the ending",
    f"{'n' * 250}.json": "255 bytes, as long as a name can be",
    "\u00e9" * 125 + ".json": "255 bytes in 130 characters",
    b"\xff\xfe.json": "no UTF-8",
    b"\xc0\xae\xc0\xae.json": "dots in a form that UTF-8 forbids",
}
"""Names of files in an inbox."""


def plant_entries(folder, yard):
    """Create special files in a folder of the inbox; return the names that must be reported, with descriptions."""
    folder.mkdir(parents=True, exist_ok=True)
    links = {
        "link.json": (yard / "secret.json", "a link to a file outside"),
        "relative.json": ("../../../secret.json", "likewise"),
        "linked_folder": (yard / "secrets", "a link to a folder outside"),
        "up": ("..", "a loop of folders"),
        "itself": ("itself", "a link to itself"),
        "itself.json": ("itself.json", "likewise"),
        "dangling.json": ("nowhere", "a link to nothing"),
        "zero.json": ("/dev/zero", "a file without an end"),
        "environ.json": ("/proc/self/environ", "the environment of whoever reads it"),
        "long.json": ("x/" * 2000, "a target that is too long"),
    }
    for name, (target, _) in links.items():
        (folder / name).symlink_to(target)
    os.mkfifo(folder / "fifo.json")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.open(folder, os.O_RDONLY)
        try:
            server.bind(f"/proc/self/fd/{here}/socket.json")
        finally:
            os.close(here)
    (folder / "folder.json").mkdir()
    return {name: why for name, (_, why) in links.items()} | {"fifo.json": "a read waits", "socket.json": "no file"}


def plant_depths(folder):
    """Make folders inside each other until no path reaches them, with a job at the bottom."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(25):
        os.mkdir("d" * 200, dir_fd=here)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    with os.fdopen(os.open("deep.json", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=here), "wb") as file:
        file.write(GOOD)
    os.close(here)
