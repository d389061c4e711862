"""Locks between processes, which are real ones here."""

import io
import subprocess
import sys
import threading

import pytest

from drumblender.files.locks import locked, scratch_folder

HOLD = """
import sys
from pathlib import Path
from drumblender.files.locks import {name} as hold

with hold(Path(sys.argv[1]), sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder():
    """Starts a process that holds a lock until its input ends; gives the process."""
    started = []

    def hold(name, *arguments):
        command = [sys.executable, "-c", HOLD.format(name=name), *map(str, arguments)]
        process = subprocess.Popen(
            command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


class Said(io.StringIO):
    """A stderr that lets somebody wait until something is written."""

    def __init__(self):
        super().__init__()
        self.something = threading.Event()

    def write(self, text):
        self.something.set()
        return super().write(text)


def test_who_waits_for_a_lock_says_so_and_gets_it(holder, tmp_path, monkeypatch):
    path, stderr, got = tmp_path / "a.lock", Said(), threading.Event()
    monkeypatch.setattr(sys, "stderr", stderr)
    other = holder("locked", path, "")

    def wait():
        with locked(path, "Waiting ..."):
            got.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert stderr.something.wait(60)
    assert not got.is_set()
    other.stdin.close()
    thread.join(60)

    assert got.is_set()
    assert stderr.getvalue() == "Waiting ...\n"
    assert not path.exists()


def test_a_lock_is_said_to_be_waited_for_only_where_somebody_holds_it(holder, tmp_path, capsys):
    path = tmp_path / "a.lock"
    other = holder("locked", path, "")
    other.kill()
    other.wait()
    assert path.exists()  # a process that was killed leaves the file, but no lock

    with locked(path, "Waiting ..."):
        assert path.exists()

    assert not path.exists()
    assert capsys.readouterr().err == ""


def test_one_process_after_the_other_holds_a_lock(tmp_path):
    path, count = tmp_path / "a.lock", tmp_path / "count"
    count.write_text("0")
    program = (
        "import sys\nfrom pathlib import Path\nfrom drumblender.files.locks import locked\n"
        "path, count = map(Path, sys.argv[1:])\n"
        "for _ in range(40):\n"
        "    with locked(path, ''):\n"
        "        count.write_text(str(int(count.read_text()) + 1))\n"
    )
    command = [sys.executable, "-c", program, str(path), str(count)]
    for process in [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(3)]:
        assert process.wait() == 0

    assert count.read_text() == "120"


def test_scratch_folders_of_killed_programs_go_and_those_in_use_stay(holder, tmp_path):
    killed = holder("scratch_folder", tmp_path, ".scratch-")
    killed.kill()
    killed.wait()
    (abandoned,) = tmp_path.glob(".scratch-*")
    holder("scratch_folder", tmp_path, ".scratch-")
    (used,) = set(tmp_path.glob(".scratch-*"))
    assert used != abandoned

    with scratch_folder(tmp_path, ".scratch-") as scratch:
        assert set(tmp_path.glob(".scratch-*")) == {used, scratch}

    assert list(tmp_path.glob(".scratch-*")) == [used]
