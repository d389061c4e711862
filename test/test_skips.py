"""The option with which a run fails whose tests are skipped for lack of what could be installed."""

import os
import subprocess
import sys

import pytest

TESTS = """
import pytest


@pytest.mark.skipif(True, reason="hardware: needs a GPU")
def test_of_a_gpu():
    pass


def test_of_a_package():
    pytest.importorskip("no_such_package")


@pytest.mark.xfail
def test_that_fails():
    assert False


def test_that_passes():
    pass
"""


@pytest.fixture
def outcome(repository, tmp_path):
    """Exit code and output of a run of its own, without what configures this one."""

    def outcome(code, *options):
        (tmp_path / "pytest.ini").touch()
        (tmp_path / "test_it.py").write_text(code)
        environment = {**os.environ, "PYTHONPATH": str(repository / "test" / "support")}
        environment.pop("PYTEST_ADDOPTS", None)
        command = [sys.executable, "-m", "pytest", "-p", "skips", "-p", "no:xdist", *options]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        return done.returncode, done.stdout

    return outcome


@pytest.mark.slow
def test_a_skip_passes_until_a_run_says_what_may_lack(outcome):
    code, output = outcome(TESTS)
    assert code == 0
    assert "1 passed, 2 skipped, 1 xfailed" in output


@pytest.mark.slow
def test_a_skip_for_anything_else_is_a_failure(outcome):
    code, output = outcome(TESTS, "--may-lack", "hardware", "--may-lack", "platform")
    assert code == 1
    assert "1 failed, 1 passed, 1 skipped, 1 xfailed" in output
    assert "may lack only hardware, platform: could not import 'no_such_package'" in output


@pytest.mark.slow
def test_so_is_a_file_that_is_skipped_whole(outcome):
    code, output = outcome("import pytest\npytest.importorskip('no')", "--may-lack", "platform")
    assert code != 0
    assert "may lack only platform: could not import 'no'" in output
