"""Datasets that a Ray cluster makes in a bucket: a real one, whose workers are killed."""

import contextlib
import functools
import os
import pickle
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest
from buckets import RAW, dataset, objects, there
from projects import ACCESS, SECRET
from proxy import proxy_to

from drumblender.commands.dataset import main
from drumblender.data.bucket.work import Job, make_block
from drumblender.data.sources import credentials

__all__ = ["there"]  # a fixture
pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra cluster")


class Head:
    """The head of a cluster in processes of their own: its address and its folder."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(dir="/tmp", prefix="ray-")  # names of sockets are short
        ray = [sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start"]
        options = "--head --block --port=0 --num-cpus=2 --include-dashboard=false".split()
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "disabled",
            credentials.ACCESS_KEY: ACCESS,
            credentials.SECRET_KEY: SECRET,
        }
        self.process = subprocess.Popen(
            [*ray, *options, f"--temp-dir={self.folder}"],
            env=env, text=True, start_new_session=True, cwd=self.folder,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        lines = iter(self.process.stdout.readline, "")
        self.address = next(
            match[1]
            for match in (re.search(r"--address='?([\d.]+:\d+)", line) for line in lines)
            if match
        )

    def processes(self):
        """Yield the processes of this cluster, each with its command."""
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                status = (path / "stat").read_text().rpartition(")")[2].split()
                if int(status[3]) == self.process.pid:  # its session
                    yield int(path.name), (path / "cmdline").read_bytes()

    def kill_workers(self):
        """Kill all processes that work on tasks; gives their number."""
        pids = [pid for pid, command in self.processes() if command.startswith(b"ray::_call")]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        return len(pids)

    def end(self):
        for pid, _ in list(self.processes()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.communicate()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def head():
    head = Head()
    yield head
    head.end()


@pytest.mark.slow
def test_a_cluster_makes_the_same_bytes_though_workers_are_killed(
    there, client, store, head, capsys, monkeypatch
):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert dataset("--preprocess") == 0
    alone = objects(client, store.bucket)
    with proxy_to(store.url) as proxy:
        there.bucket(url=proxy.address, out="made/other")
        proxy.fail(path=f"{RAW}/pack%200/kick_2.wav", after=100, how="stall")
        killed = []
        # As soon as one waits for the store, all die.
        proxy.on_stall = lambda: killed.append(head.kill_workers())
        options = ["--block_size", "4", "--cluster", head.address]
        assert main(["bucket.yaml", "--preprocess", "--verify", *options]) == 0
        assert sum(killed) > 0
        assert "15 sounds are right" in capsys.readouterr().out
        read = [p for m, p, _ in proxy.requests if m == "GET" and f"/{RAW}/" in p]
        assert len([p for p in read if p.endswith(".wav")]) <= 14 + 1 + 2 * 4  # blocks in flight
    assert objects(client, store.bucket, "made/other") == alone
    # Ray has written down neither of the keys.
    for path in Path(head.folder).rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert ACCESS.encode() not in content, path
            assert SECRET.encode() not in content, path


def test_tasks_hold_no_credentials(store):
    job = Job("s3://drums/raw", "s3://drums/made", store.url)
    job.out_place().read("recordings.json")  # which makes a client
    for thing in (functools.partial(make_block, job), job.out_place()):
        assert SECRET.encode() not in pickle.dumps(thing)
        assert ACCESS.encode() not in pickle.dumps(thing)


def test_a_head_that_is_not_there_is_told_of_at_once(there, capsys):
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    assert main(["bucket.yaml", "--preprocess", "--cluster", address]) == 1
    error = capsys.readouterr().err
    assert f"--cluster {address} cannot be reached" in error
    assert "ray start --head" in error
