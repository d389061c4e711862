"""Processes that end as they should, however the program that started them ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from held import end, hold

from drumblender.errors import DrumblenderError, UsageError
from drumblender.files.parallel import Workers

PROGRAM = Path(__file__).parents[1] / "support/held.py"
ENOUGH = 64  # tasks, so that two processes are started


@pytest.fixture
def pipes(tmp_path):
    """Paths of two pipes: one that processes write to, and one that they wait for."""
    paths = [str(tmp_path / name) for name in ("told", "gate")]
    for path in paths:
        os.mkfifo(path)
    return paths


@pytest.fixture
def program(pipes):
    """A program whose two processes work, the pipe that they hold open, and their numbers."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, str(PROGRAM), *pipes]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    with open(pipes[0]) as told, process.stderr:
        yield process, told, [int(told.readline()) for _ in range(2)]
    process.kill()
    process.wait()


def open_gate(pipes):
    """Let all go on that wait, and all that come after them."""
    gate = pipes[1]
    with open(gate, "w"):
        Path(gate + ".open").touch()
        os.replace(gate + ".open", gate)


def test_a_number_of_processes_that_is_not_positive_is_refused():
    with pytest.raises(UsageError, match="--num_workers is 0"):
        Workers(0)


def test_few_tasks_are_done_by_this_process_itself():
    with Workers(2) as workers:
        assert list(workers.map(hold, [None] * 8)) == [os.getpid()] * 8


@pytest.mark.slow
def test_many_tasks_are_done_by_processes_which_serve_again():
    with Workers(2) as workers:
        first, second = (set(workers.map(hold, [None] * ENOUGH)) for _ in range(2))
    assert os.getpid() not in first | second
    assert len(first | second) <= 2


@pytest.mark.slow
def test_a_process_that_dies_is_told_of_in_one_sentence_and_others_start():
    with Workers(2) as workers:
        with pytest.raises(DrumblenderError, match=r"A worker process died.*--num_workers 2"):
            list(workers.map(end, [None] * ENOUGH))
        assert len(list(workers.map(hold, [None] * ENOUGH))) == ENOUGH


@pytest.mark.slow
def test_processes_that_are_abandoned_end_in_the_midst_of_what_they_do(pipes):
    with Workers(2) as workers:
        results = workers.map(hold, [None, *[pipes] * ENOUGH])
        next(results)
        with open(pipes[0]) as told:
            assert told.readline()
            workers.abandon()
            told.read()  # ends when no process holds the pipe any more


@pytest.mark.slow
def test_processes_end_when_the_program_that_started_them_is_killed(program):
    process, told, _ = program
    process.kill()
    told.read()
    assert process.wait() == -signal.SIGKILL


@pytest.mark.slow
def test_at_ctrl_c_processes_finish_what_they_do_and_nobody_complains(program, pipes):
    process, told, workers = program
    for number in (process.pid, *workers):  # as a terminal does
        os.kill(number, signal.SIGINT)
    open_gate(pipes)
    told.read()
    said = process.stderr.read()
    assert process.wait() == -signal.SIGINT
    assert said.count("Traceback") == said.count("KeyboardInterrupt") == 1
