"""The programs behind the embedded servers: where they are found, and how they are called.

Each flag here was tried; the comments say what went wrong without it.
"""

import shutil
import sys
import sysconfig
from dataclasses import dataclass, field, replace
from pathlib import Path

from domain.errors import SettingsError

DIR_CACHE_TIME = "2s"
"""How long rclone trusts what it knows of a folder: a file put straight into the data folder shows after this time.

Writes through the server show at once in any case. Without a cache every request lists the folder and reads every file
in it again for its MD5: a put took 100 ms instead of 2.
"""

_LIBCURL = "libcurl.so.4"


@dataclass(frozen=True)
class Program:
    """One server program.

    Attributes
    ----------
    name : str
        ``mongo``, ``s3`` or ``browse``: names its log and its remembered port.
    arguments : tuple of str
        The command; ``{port}`` stands for the port.
    environment : dict
        Its whole environment. The caller's is not passed on: proxies, locales and ``RCLONE_*`` would change what
        the servers do.
    """

    name: str
    arguments: tuple[str, ...]
    environment: dict[str, str] = field(repr=False)

    def command(self, port: int) -> list[str]:
        """Return the command that serves on a port."""
        return [argument.replace("{port}", str(port)) for argument in self.arguments]


def embedded_programs(home: Path, *, access_key: str, secret_key: str) -> tuple[Program, ...]:
    """Return the three server programs of a folder.

    Parameters
    ----------
    home : Path
        The folder of the embedded servers.
    access_key, secret_key : str
        Key pair that the S3 server asks for. It is passed by the environment: arguments show in ``ps``.

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
    """Return the ``mongod`` that came with the Python packages, else the one on PATH.

    Raises
    ------
    SettingsError
        If there is none.
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
    """Return the ``rclone`` that came with the Python packages, else the one on PATH.

    Raises
    ------
    SettingsError
        If there is none.
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
    """Tell whether a server's log says that libcurl is missing or cannot be loaded."""
    return _LIBCURL in log and "shared librar" in log


def with_bundled_libcurl(program: Program, home: Path) -> Program | None:
    """Return the program set to use the libcurl inside the ``pycurl`` package; None when there is none.

    The package's file has another name, so a link ``<home>/lib/libcurl.so.4`` gives it the wanted one; what it needs
    itself lies beside the file.
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
    """Say what to do about a server that does not start."""
    if lacks_libcurl(log):
        return "Install the Debian package libcurl4 (`apt-get install libcurl4`), or the Python package pycurl"
    if name == "mongo":
        return "Set DOCDB_URI to a MongoDB server that runs, or move the folder `mongo` to start without records"
    return "Set ANALYSIS_BUCKET (and AWS_ENDPOINT_URL) to use another S3 server"


def _mongod_flags(home: Path) -> list[str]:
    """Return mongod's flags: small, quiet, quick to start, nothing but loopback; the journal stays on."""
    return [
        *("--dbpath", str(home / "mongo"), "--bind_ip", "127.0.0.1", "--port", "{port}", "--nounixsocket", "--quiet"),
        *("--wiredTigerCacheSizeGB", "0.25", "--setParameter", "diagnosticDataCollectionEnabled=false"),
        # Journal files made ahead of need cost 300 MB and half a second at every start.
        *("--wiredTigerEngineConfigString", "log=(prealloc=false,file_max=16MB)"),
    ]
