"""Processes of one thread each, which do the same to many things and stop cleanly."""

import contextlib
import itertools
import multiprocessing
import os
import signal
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Callable, Dict, Generator, Iterator, Optional, Sequence, Set

import torch

from drumblender.errors import DrumblenderError, UsageError

# Starting a process costs seconds of imports: fewer things than this do not deserve another one.
_TASKS_PER_PROCESS = 32
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def available_cores() -> int:
    """Count the cores that this process may use. Batch systems grant fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Workers:
    """Processes that call a function on many things, as a context manager.

    They start when there is enough to do, and serve until the context ends.

    Args:
        count: number of processes. None stands for all cores. With one, this process works itself.
        least: number of things that another process deserves.

    Raises:
        UsageError: if the number is not positive.
    """

    def __init__(self, count: Optional[int] = None, least: int = _TASKS_PER_PROCESS):
        if count is not None and count < 1:
            raise UsageError(f"--num_workers is {count}; give 1 or more.")
        self.count = count or available_cores()
        self._least = least
        self._pool: Optional[ProcessPoolExecutor] = None

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def abandon(self) -> None:
        """End the processes at once, in the midst of what they do. Others start when needed."""
        if self._pool is not None:
            for process in set(multiprocessing.active_children()) - self._others:
                process.terminate()
            self.__exit__()

    def map(
        self, function: Callable[[Any], Any], tasks: Sequence[Any]
    ) -> Generator[Any, None, None]:
        """Call a function on every task, and yield results as they come, in any order.

        Args:
            function: function of one task. It has to be importable, because processes are spawned.
            tasks: what to call it on.

        Raises:
            DrumblenderError: if a process dies.
        """
        if self._pool is None and min(self.count, len(tasks) // self._least) > 1:
            context = multiprocessing.get_context("spawn")
            self._others = set(multiprocessing.active_children())
            self._pool = ProcessPoolExecutor(self.count, context, initializer=_start_worker)
        if self._pool is None:
            with _one_thread():
                yield from map(function, tasks)
            return
        try:
            yield from self._feed(self._pool, function, iter(tasks))
        except BrokenProcessPool as error:
            self.__exit__()
            raise DrumblenderError(
                "A worker process died, probably for want of memory; run the same command again "
                f"with less than --num_workers {self.count}."
            ) from error

    def _feed(
        self, pool: ProcessPoolExecutor, function: Callable[[Any], Any], tasks: Iterator[Any]
    ) -> Iterator[Any]:
        """Keep twice as many tasks waiting as there are processes, and yield results."""
        waiting: Set[Future] = set()

        def submit(count: int) -> None:
            """Hand over some of the tasks that are left."""
            for task in itertools.islice(tasks, count):
                assert self._pool is not None  # it is made before anything is fed to it
                waiting.add(self._pool.submit(function, task))

        # The first tasks start the processes. They inherit that Ctrl-C is ignored (it reaches the
        # whole group, but stopping is this process's business) and how many threads they may use.
        with _ignore_interrupts(), _environment(dict.fromkeys(_THREAD_VARIABLES, "1")):
            submit(2 * self.count)
        while waiting:
            done = wait(waiting, return_when=FIRST_COMPLETED).done
            waiting -= done
            submit(len(done))
            for future in done:
                yield future.result()


def _start_worker() -> None:
    """Prepare a process that has just started."""
    torch.set_num_threads(1)
    # A worker whose parent was killed would wait for work forever.
    parent = multiprocessing.parent_process()

    def die_with_parent() -> None:
        """End this process when the one that started it has ended."""
        assert parent is not None  # workers are started by one
        parent.join()
        os._exit(1)

    threading.Thread(target=die_with_parent, daemon=True).start()


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Let PyTorch compute in one thread inside this context."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextlib.contextmanager
def _ignore_interrupts() -> Iterator[None]:
    """Ignore Ctrl-C inside this context, and in processes that start there."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


@contextlib.contextmanager
def _environment(variables: Dict[str, str]) -> Iterator[None]:
    """Set environment variables inside this context."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
