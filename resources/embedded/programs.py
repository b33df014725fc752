"""The programs of the embedded servers: their paths and command lines.

Every flag is needed; the comments say what failed without it.
"""

import shutil
import sys
import sysconfig
from dataclasses import dataclass, field, replace
from pathlib import Path

from domain.errors import SettingsError

DIR_CACHE_TIME = "2s"
"""Time for which rclone caches a folder: a file that is copied directly into the data folder appears after this time.

Writes through the server appear immediately. Without a cache, every request lists the folder and reads every file in it
for its MD5: a put took 100 ms instead of 2.
"""

_LIBCURL = "libcurl.so.4"


@dataclass(frozen=True)
class Program:
    """The program of one server.

    Attributes
    ----------
    name : str
        ``mongo``, ``s3`` or ``browse``: name of its log and of its stored port.
    arguments : tuple of str
        The command; ``{port}`` is replaced with the port.
    environment : dict
        Its whole environment. The caller's is not passed on: proxies, locales and ``RCLONE_*`` would change the
        behavior of the servers.
    """

    name: str
    arguments: tuple[str, ...]
    environment: dict[str, str] = field(repr=False)

    def command(self, port: int) -> list[str]:
        """Return the command for a port."""
        return [argument.replace("{port}", str(port)) for argument in self.arguments]


def embedded_programs(home: Path, *, access_key: str, secret_key: str) -> tuple[Program, ...]:
    """Return the three server programs of a folder.

    Parameters
    ----------
    home : Path
        The folder of the embedded servers.
    access_key, secret_key : str
        Key pair of the S3 server. It is passed in the environment, because ``ps`` shows arguments.

    Raises
    ------
    SettingsError
        If a program is not installed.
    """
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    keys = environment | {"RCLONE_AUTH_KEY": f'"{access_key},{secret_key}"'}
    rclone = [str(find_rclone()), "serve"]
    common = ["--config", "", "--addr", "127.0.0.1:{port}", "--dir-cache-time", DIR_CACHE_TIME]
    common += ["--vfs-cache-mode", "off", str(home / "s3")]
    return (
        Program("mongo", (str(find_mongod()), *_mongod_flags(home)), environment),
        Program("s3", (*rclone, "s3", *common), keys),
        Program("browse", (*rclone, "http", "--read-only", *common), environment),
    )


def find_mongod() -> Path:
    """Return the ``mongod`` of the Python packages, otherwise the one on PATH.

    Raises
    ------
    SettingsError
        If the program is not installed.
    """
    bundled = [Path(entry) / "fiftyone/db/bin/mongod" for entry in sys.path]
    found = next((path for path in bundled if path.is_file()), None) or shutil.which("mongod")
    if found is None:
        msg = (
            "No MongoDB server was found: neither fiftyone/db/bin/mongod among the Python packages nor `mongod` on "
            "PATH. Install requirements/embedded.txt (or MongoDB itself), or set DOCDB_URI to a running server."
        )
        raise SettingsError(msg)
    return Path(found)


def find_rclone() -> Path:
    """Return the ``rclone`` of the Python packages, otherwise the one on PATH.

    Raises
    ------
    SettingsError
        If the program is not installed.
    """
    bundled = [Path(sys.executable).parent / "rclone", Path(sysconfig.get_path("scripts")) / "rclone"]
    found = next((path for path in bundled if path.is_file()), None) or shutil.which("rclone")
    if found is None:
        msg = (
            "No S3 server was found: neither `rclone` beside Python nor on PATH. Install requirements/embedded.txt, or "
            "set ANALYSIS_BUCKET to an existing bucket."
        )
        raise SettingsError(msg)
    return Path(found)


def lacks_libcurl(log: str) -> bool:
    """Return whether a server's log reports that libcurl is missing or cannot be loaded."""
    return _LIBCURL in log and "shared librar" in log


def with_bundled_libcurl(program: Program, home: Path) -> Program | None:
    """Return the program configured for the libcurl inside the ``pycurl`` package; None if there is none.

    The package's file has another name, so the link ``<home>/lib/libcurl.so.4`` points to it; its dependencies are
    beside the file.
    """
    folders = [Path(entry) / "pycurl.libs" for entry in sys.path]
    library = next((path for folder in folders for path in sorted(folder.glob("libcurl*.so.4*"))), None)
    if library is None or "LD_LIBRARY_PATH" in program.environment:
        return None
    link = home / "lib" / _LIBCURL
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(library)
    paths = {"LD_LIBRARY_PATH": f"{link.parent}:{library.parent}"}
    return replace(program, environment=program.environment | paths)


def start_advice(name: str, log: str) -> str:
    """Return advice for a server that does not start."""
    if lacks_libcurl(log):
        return "Install the Debian package libcurl4 (`apt-get install libcurl4`), or the Python package pycurl"
    if name == "mongo":
        return "Set DOCDB_URI to a MongoDB server that runs, or move the folder `mongo` to start without records"
    return "Set ANALYSIS_BUCKET (and AWS_ENDPOINT_URL) to use another S3 server"


def _mongod_flags(home: Path) -> list[str]:
    """Return mongod's flags for little memory, few log lines, a quick start and only loopback; the journal stays on."""
    return [
        *("--dbpath", str(home / "mongo"), "--bind_ip", "127.0.0.1", "--port", "{port}", "--nounixsocket", "--quiet"),
        *("--wiredTigerCacheSizeGB", "0.25", "--setParameter", "diagnosticDataCollectionEnabled=false"),
        # Preallocated journal files take 300 MB and half a second at every start.
        *("--wiredTigerEngineConfigString", "log=(prealloc=false,file_max=16MB)"),
    ]
