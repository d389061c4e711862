#!/usr/bin/env python3
"""Compare engines for making datasets on many machines: Ray and Dask.

    python scripts/benchmark_engines.py [ray] [dask] [--tasks 5000]

Each engine runs on two nodes of this machine, in processes of their own. The tasks are handed over
as drumblender-dataset does it: as many as there is room for, and the next one when one is done.

- overhead: seconds per task that does nothing, by the clock and of all processes together
- head: memory that the head takes for each task that is done, and for each that waits
- a worker, and a node, is killed in the midst of 24 tasks of half a second: what is lost, what is
  done twice, and how long it takes

It needs ray, or dask[distributed].
"""

import argparse
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

from hosts import Host


def nothing(_: int) -> int:
    """Do nothing."""
    return 0


def half_a_second(task: Tuple[int, str]) -> int:
    """Work for half a second, and leave a note that it was begun."""
    number, folder = task
    with open(Path(folder, f"{number}-{os.getpid()}-{time.time_ns()}"), "w"):
        pass
    time.sleep(0.5)
    return number


class Ray:
    """Ray on two nodes."""

    name = "ray"

    def __init__(self, folder: Path):
        self.hosts = [Host(1, folder), Host(2, folder)]
        self.address = self.hosts[0].join()
        self.hosts[1].join(self.address)
        os.environ["RAY_AUTH_MODE"] = "disabled"
        import ray

        self.ray = ray
        ray.init(address=self.address, log_to_driver=False, logging_level="ERROR")
        self.tasks: Dict[Callable, Any] = {}

    def submit(self, function: Callable, thing: Any) -> Any:
        """Hand over a task."""
        if function not in self.tasks:
            options = {"max_retries": 20, "scheduling_strategy": "SPREAD"}
            self.tasks[function] = self.ray.remote(num_cpus=1, **options)(function)
        return self.tasks[function].remote(thing)

    def waiting(self) -> "WaitingRay":
        """Return what waits for tasks."""
        return WaitingRay(self.ray)

    def result(self, reference: Any) -> Any:
        """Return the result of a task."""
        return self.ray.get(reference)

    def kill_worker(self) -> None:
        """Kill one process that works."""
        kill_one(self.hosts[1], b"ray::")

    def kill_node(self) -> None:
        """Kill one node."""
        self.hosts[1].kill()

    def close(self) -> None:
        """Stop everything."""
        with contextlib.suppress(Exception):
            self.ray.shutdown()
        for host in self.hosts:
            host.kill()


class Dask:
    """Dask's distributed scheduler with two nodes."""

    name = "dask"

    def __init__(self, folder: Path):
        self.hosts = [Host(1, folder), Host(2, folder), Host(3, folder)]
        for host in self.hosts:
            host.environment["PYTHONPATH"] += os.pathsep + os.pathsep.join(sys.path)
        options = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        scheduler = self._start(0, "distributed.cli.dask_scheduler", *options)
        assert scheduler.stdout is not None
        found = (re.search(r"Scheduler at:\s+(\S+)", line) for line in scheduler.stdout)
        self.address = next(match[1] for match in found if match)
        for index in (1, 2):
            self._start(
                *(index, "distributed.cli.dask_worker", self.address, "--no-dashboard"),
                *("--nthreads", "1", "--nworkers", "1", "--host", self.hosts[index].address),
            )
        subprocess.Popen(["cat"], stdin=scheduler.stdout, stdout=subprocess.DEVNULL)
        from distributed import Client

        self.client = Client(self.address, timeout="120s")
        self.client.wait_for_workers(2, timeout=120)

    def _start(self, index: int, module: str, *arguments: str) -> subprocess.Popen:
        """Start a program of Dask on a host."""
        code = f"from {module} import main; main()"
        process = self.hosts[index].start(sys.executable, "-c", code, *arguments)
        if index:
            subprocess.Popen(["cat"], stdin=process.stdout, stdout=subprocess.DEVNULL)
        return process

    def submit(self, function: Callable, thing: Any) -> Any:
        """Hand over a task."""
        return self.client.submit(function, thing, pure=False, retries=20)

    def waiting(self) -> Any:
        """Return what waits for tasks."""
        from distributed import as_completed

        return as_completed([])

    def result(self, reference: Any) -> Any:
        """Return the result of a task."""
        return reference.result()

    def kill_worker(self) -> None:
        """Kill one process that works."""
        kill_one(self.hosts[2], b"multiprocessing")

    def kill_node(self) -> None:
        """Kill one node."""
        self.hosts[2].kill()

    def close(self) -> None:
        """Stop everything."""
        with contextlib.suppress(Exception):
            self.client.close()
        for host in self.hosts:
            host.kill()


def kill_one(host: Host, mark: bytes) -> None:
    """Kill one process of a host whose command holds a mark."""
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            session = int((path / "stat").read_text().rpartition(")")[2].split()[3])
            command = (path / "cmdline").read_bytes()
            if session in host.sessions and mark in command and b"IDLE" not in command:
                if b"resource_tracker" not in command:
                    os.kill(int(path.name), signal.SIGKILL)
                    return
    raise SystemExit("There is no worker to kill.")


class WaitingRay:
    """Tasks of Ray that are waited for, in the form of Dask's ``as_completed``."""

    def __init__(self, ray: Any):
        self._ray = ray
        self._tasks: List[Any] = []

    def add(self, task: Any) -> None:
        """Wait for one more."""
        self._tasks.append(task)

    def __next__(self) -> Any:
        done, self._tasks = self._ray.wait(self._tasks, num_returns=1)
        return done[0]


def run(engine: Any, function: Callable, things: List[Any], most: int) -> Iterator[Any]:
    """Hand tasks over as there is room, and yield results."""
    left, waiting, count = iter(things), engine.waiting(), 0
    while True:
        for _, thing in zip(range(most - count), left):
            waiting.add(engine.submit(function, thing))
            count += 1
        if not count:
            return
        yield engine.result(next(waiting))
        count -= 1


def memory_mb(host: Host) -> float:
    """Return the memory of all processes of a host."""
    pages = 0
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int((path / "stat").read_text().rpartition(")")[2].split()[3]) in host.sessions:
                command = (path / "cmdline").read_bytes()
                if b"ray::" not in command:  # a worker is no part of the head
                    status = (path / "statm").read_text().split()
                    pages += int(status[1]) - int(status[2])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def with_kill(engine: Any, kill: Callable[[], None], folder: Path) -> Tuple[int, int, float]:
    """Kill something in the midst; returns tasks lost, tasks begun twice, and seconds."""
    notes = Path(tempfile.mkdtemp(dir=folder))
    start, results = time.perf_counter(), []
    things = [(number, str(notes)) for number in range(24)]
    for result in run(engine, half_a_second, things, 6):
        results.append(result)
        if len(results) == 6:
            time.sleep(0.2)
            kill()
    seconds = time.perf_counter() - start
    begun = [path.name.partition("-")[0] for path in notes.iterdir()]
    return 24 - len(set(results)), len(begun) - len(set(begun)), seconds


def measure(kind: Any, tasks: int, folder: Path) -> List[str]:
    """Return a row of the table."""
    start = time.perf_counter()
    engine = kind(folder)
    try:
        list(run(engine, nothing, list(range(200)), 6))
        started = time.perf_counter() - start
        seconds = [host.seconds() for host in engine.hosts]
        before, start = time.process_time(), time.perf_counter()
        memory = memory_mb(engine.hosts[0])
        list(run(engine, nothing, list(range(tasks)), 64))
        clock = (time.perf_counter() - start) / tasks
        used = time.process_time() - before
        used += sum(host.seconds() for host in engine.hosts) - sum(seconds)
        after = memory_mb(engine.hosts[0])
        waiting = [engine.submit(nothing, number) for number in range(tasks)]
        most = memory_mb(engine.hosts[0])
        for reference in waiting:
            engine.result(reference)
        del waiting
        worker = with_kill(engine, engine.kill_worker, folder)
        node = with_kill(engine, engine.kill_node, folder)
    finally:
        engine.close()
    return [
        engine.name,
        f"{started:.0f}",
        f"{1000 * clock:.2f}",
        f"{1000 * used / tasks:.2f}",
        f"{memory:.0f}",
        f"{1000 * (after - memory) / tasks:.1f}",
        f"{1000 * (most - after) / tasks:.1f}",
        "{} / {} / {:.0f} s".format(*worker),
        "{} / {} / {:.0f} s".format(*node),
    ]


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("engines", nargs="*", default=["ray", "dask"], help="ray, dask or both")
    parser.add_argument("--tasks", type=int, default=5000, help="tasks that do nothing")
    args = parser.parse_args()
    head = (
        "engine, start (s), ms per task, core ms per task, head (MB), kB per task done, "
        "kB per task that waits, worker killed: lost / twice / time, node killed: the same"
    ).split(", ")
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for kind in (Ray, Dask):
        if kind.name in args.engines:
            folder = Path(tempfile.mkdtemp(prefix="engines-"))
            try:
                print(f"| {' | '.join(measure(kind, args.tasks, folder))} |", flush=True)
            finally:
                shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
