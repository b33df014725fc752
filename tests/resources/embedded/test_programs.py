"""Server programs are found beside Python first, and called without anything that others could see or change."""

import sys
from pathlib import Path

import pytest

from domain.errors import SettingsError
from resources.embedded.programs import (
    Program,
    embedded_programs,
    find_mongod,
    find_rclone,
    lacks_libcurl,
    start_advice,
    with_bundled_libcurl,
)


def test_the_programs_of_the_packages_are_found():
    assert find_mongod().is_file()
    assert find_rclone().is_file()


@pytest.mark.parametrize(("find", "name"), [(find_mongod, "mongod"), (find_rclone, "rclone")])
def test_a_program_on_path_will_do_and_none_is_an_error_with_the_way_out(find, name, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", [])
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingsError, match=rf"(?s)no|No.*`{name}`.*Install the package.*or\s+set"):
        find()
    program = tmp_path / "elsewhere" / name
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    assert find() == program


def test_secrets_are_passed_by_the_environment_and_nothing_else_is(tmp_path, monkeypatch):
    monkeypatch.setenv("RCLONE_READ_ONLY", "true")
    programs = embedded_programs(tmp_path, access_key="access", secret_key="s3cret")  # noqa: S106 - made up
    for program in programs:
        assert not any("s3cret" in part or "{port}" in part for part in program.command(1234))
        assert any("1234" in part for part in program.command(1234))
        assert not any("READ_ONLY" in name for name in program.environment)
        assert "s3cret" not in repr(program)
    assert [p.name for p in programs if "s3cret" in p.environment.get("RCLONE_AUTH_KEY", "")] == ["s3"]


def test_the_libcurl_of_pycurl_is_linked_under_the_wanted_name(tmp_path, monkeypatch):
    program = Program("mongo", ("mongod",), {"PATH": "/bin"})
    changed = with_bundled_libcurl(program, tmp_path)
    link = tmp_path / "lib" / "libcurl.so.4"
    assert link.resolve().parent.name == "pycurl.libs"
    assert changed.environment == {"PATH": "/bin", "LD_LIBRARY_PATH": f"{link.parent}:{link.resolve().parent}"}
    assert with_bundled_libcurl(changed, tmp_path) is None  # it did not help
    assert with_bundled_libcurl(program, tmp_path) is not None  # the link is there already
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    assert with_bundled_libcurl(program, tmp_path) is None


def test_advice_fits_the_fault():
    assert lacks_libcurl("mongod: error while loading shared libraries: libcurl.so.4: cannot open")
    assert not lacks_libcurl("libcurl.so.4: no version information available")
    assert "libcurl4" in start_advice("mongo", "error while loading shared libraries: libcurl.so.4")
    assert "DOCDB_URI" in start_advice("mongo", "")
    assert "ANALYSIS_BUCKET" in start_advice("s3", "")
    assert Path(sys.executable).exists()
