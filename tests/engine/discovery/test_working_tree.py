"""Uncommitted changes as a patch: what it holds is applied by git itself; secrets and data stay where they are."""

import subprocess

import pytest

from domain.redaction import spellings
from engine.discovery.working_tree import uncommitted_patch

SECRET = "hunter2-hunter2"  # noqa: S105  a synthetic one


def git(folder, *words):
    who = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True).stdout


@pytest.fixture
def tree(tmp_path):
    """Give a repository with one commit."""
    root = tmp_path / "repo"
    (root / "lab").mkdir(parents=True)
    (root / "lab" / "double.py").write_text("X = 1\n", encoding="utf-8")
    (root / ".gitignore").write_text("ignored/\n", encoding="utf-8")
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "one")
    return root


def test_a_clean_tree_has_no_patch(tree):
    assert uncommitted_patch(tree) is None


def test_a_patch_turns_the_commit_into_what_ran(tree, tmp_path):
    (tree / "lab" / "double.py").write_text("X = 2\n", encoding="utf-8")
    (tree / "lab" / "new.py").write_text("Y = 'é'\n", encoding="utf-8")
    (tree / "lab" / "staged.py").write_text("Z = 3\n", encoding="utf-8")
    git(tree, "add", "lab/staged.py")
    before = git(tree, "status", "--porcelain"), (tree / ".git" / "index").read_bytes()
    patch = uncommitted_patch(tree)
    assert patch.is_complete
    assert before == (git(tree, "status", "--porcelain"), (tree / ".git" / "index").read_bytes())
    copy = tmp_path / "copy"
    git(tmp_path, "clone", "-q", str(tree), str(copy))
    (tmp_path / "p.patch").write_text(patch.text, encoding="utf-8")
    git(copy, "apply", str(tmp_path / "p.patch"))
    for name in ("double.py", "new.py", "staged.py"):
        assert (copy / "lab" / name).read_bytes() == (tree / "lab" / name).read_bytes()


def test_data_and_ignored_files_stay_where_they_are(tree):
    (tree / "ignored").mkdir()
    (tree / "ignored" / "x.py").write_text("I = 1\n", encoding="utf-8")
    (tree / "keys.env").write_text(f"AWS_SECRET_ACCESS_KEY={SECRET}\n", encoding="utf-8")
    patch = uncommitted_patch(tree)
    assert patch.text == "# new file, not included: keys.env\n"
    assert not patch.is_complete


@pytest.mark.parametrize(
    "line", [f'API_TOKEN = "{SECRET}"', f"password: {SECRET}", f"url = 'https://me:{SECRET}@host/x'", f"x = '{SECRET}'"]
)
def test_secrets_are_redacted(tree, line):
    (tree / "lab" / "double.py").write_text(f"{line}\n", encoding="utf-8")
    patch = uncommitted_patch(tree, secrets=spellings([SECRET] if line.startswith("x") else []))
    assert SECRET not in patch.text
    assert "[secret removed]" in patch.text
    assert not patch.is_complete


def test_a_large_patch_is_shortened_after_a_line(tree):
    (tree / "lab" / "double.py").write_text("".join(f"X = {n}\n" for n in range(200)), encoding="utf-8")
    patch = uncommitted_patch(tree, max_bytes=400)
    assert not patch.is_complete
    *lines, note, end = patch.text.split("\n")
    assert note.startswith("# shortened: the whole patch has ")
    assert end == ""
    assert lines[-1].startswith("+X = ")


def test_without_a_commit_or_git_there_is_none(tmp_path, tree, monkeypatch):
    git(tmp_path, "init", "-q", "empty")
    (tmp_path / "empty" / "a.py").write_text("X = 1\n", encoding="utf-8")
    assert uncommitted_patch(tmp_path / "empty") is None
    monkeypatch.setenv("PATH", "/nonexistent")
    assert uncommitted_patch(tree) is None
