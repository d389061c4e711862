import importlib.metadata
import subprocess

import pytest

from drumblender.pretrained import origin


def git(folder, *words):
    who = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.com"]
    command = ["git", "-C", str(folder), *who, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A repository with a package, in place of the real one."""
    package = tmp_path / "clone/package"
    package.mkdir(parents=True)
    (package / "module.py").write_text("a = 1\n")
    git(tmp_path, "init", "-q", "clone")
    git(package, "add", ".")
    git(package, "commit", "-q", "-m", "Begin")
    monkeypatch.setattr(origin, "_PACKAGE", package)
    origin.software.cache_clear()
    yield package
    origin.software.cache_clear()


def test_a_clone_has_a_commit_and_the_installed_version(clone):
    version = importlib.metadata.version("drumblender")
    commit = git(clone, "rev-parse", "HEAD")
    assert origin.software() == {"version": version, "commit": commit}


def test_a_clone_that_was_changed_says_so(clone):
    (clone / "module.py").write_text("a = 2\n")
    assert origin.software()["commit"] == git(clone, "rev-parse", "HEAD") + "-dirty"


def test_what_is_installed_in_the_clone_of_another_project_has_no_commit(clone, monkeypatch):
    installed = clone / "environment/package"
    installed.mkdir(parents=True)
    monkeypatch.setattr(origin, "_PACKAGE", installed)
    assert origin.software()["commit"] is None


def test_without_git_there_is_no_commit(clone, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert origin.software()["commit"] is None
