"""Engines: what calls a function on many things, on this machine or on many.

An engine yields results as they come, in any order. The function and the things are small and hold
nothing secret, because an engine may store and log them.
"""

import abc
import contextlib
import logging
import os
import socket
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Generator, Iterator, Optional, Sequence

from drumblender.data.sources.credentials import ACCESS_KEY, SECRET_KEY, credentials
from drumblender.errors import DrumblenderError, UsageError
from drumblender.files.parallel import Workers

LOCAL = "local"
_TOKEN = Path.home() / ".ray" / "auth_token"
_RETRIES = 20  # of a task whose worker or node dies
_WAIT_S = 5.0
_REACH_S = 10.0  # for a connection to the head


class Engine(abc.ABC):
    """Calls functions on things, as a context manager."""

    def __enter__(self) -> "Engine":
        return self

    @abc.abstractmethod
    def __exit__(self, *exception: object) -> None:
        """Let go of what the engine holds."""

    @abc.abstractmethod
    def map(
        self, function: Callable[[Any], Any], things: Sequence[Any]
    ) -> Generator[Any, None, None]:
        """Call a function on each thing, and yield results as they come, in any order.

        Args:
            function: function that can be pickled.
            things: what to call it on.

        Raises:
            DrumblenderError: if the function raises one, or if the engine fails.
        """

    @abc.abstractmethod
    def cores(self) -> int:
        """Return how many things are worked on at once, as of now."""


class Pool(Engine):
    """Processes of this machine.

    Args:
        count: number of processes. None stands for all cores.
    """

    def __init__(self, count: Optional[int] = None):
        self._workers = Workers(count, least=1)

    def map(
        self, function: Callable[[Any], Any], things: Sequence[Any]
    ) -> Generator[Any, None, None]:
        """Call a function on each thing, as :class:`Engine` says."""
        yield from self._workers.map(function, things)

    def cores(self) -> int:
        """Return the number of processes."""
        return self._workers.count

    def __exit__(self, *exception: object) -> None:
        self._workers.__exit__(*exception)


class RayCluster(Engine):
    """Machines that Ray [1] runs, or this one.

    A task whose worker or node dies is given to another one. Nodes may come and go.

    [1] https://docs.ray.io

    Args:
        address: address of the head, ``auto``, or ``local`` for a Ray of its own on this machine.
        count: number of processes, for ``local``. None stands for all cores.
        uses_gpu: whether each task takes a GPU.
    """

    def __init__(self, address: str, count: Optional[int] = None, uses_gpu: bool = False):
        self._address, self._count, self._uses_gpu = address, count, uses_gpu
        self._ray: Any = None

    def __enter__(self) -> "RayCluster":
        # Before Ray is imported: it would tell its makers of this run.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        if _TOKEN.is_file() or "RAY_AUTH_TOKEN" in os.environ:
            # A head that has a token asks for it, but a client does not send it by itself.
            os.environ.setdefault("RAY_AUTH_MODE", "token")
        try:
            import ray
        except ImportError:
            raise UsageError(
                '--cluster needs Ray; install it with pip install "drumblender[cluster]".'
            ) from None
        options: Dict[str, Any] = {"address": self._address}
        if self._address == LOCAL:
            _share_credentials()
            options = {"address": "local", "include_dashboard": False, "num_cpus": self._count}
        elif self._count is not None:
            raise UsageError("--num_workers is for this machine; a cluster has the cores it has.")
        try:
            _reach(self._address)
            # Workers say what they have to say by their results; what they print stays in Ray's
            # folder on their machine.
            ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
        except Exception as error:
            raise DrumblenderError(
                f"--cluster {self._address} cannot be reached ({type(error).__name__}); start Ray "
                "there with ray start --head, and give the address that it prints; if it asks for "
                "a token, have the same ~/.ray/auth_token on all machines."
            ) from None
        self._ray = ray
        return self

    def __exit__(self, *exception: object) -> None:
        if self._ray is not None:
            self._ray.shutdown()
            self._ray = None

    def cores(self) -> int:
        """Return the number of cores, or of GPUs, that the cluster has now."""
        found = self._ray.cluster_resources().get("GPU" if self._uses_gpu else "CPU", 0)
        return max(1, int(found))

    def map(
        self, function: Callable[[Any], Any], things: Sequence[Any]
    ) -> Generator[Any, None, None]:
        """Call a function on each thing, as :class:`Engine` says.

        Only as many tasks as the cluster can take are handed over at a time, so that the memory of
        its head does not grow with the library.
        """
        ray = self._ray
        remote = ray.remote(
            num_cpus=1,
            num_gpus=1 if self._uses_gpu else 0,
            max_retries=_RETRIES,
            scheduling_strategy="SPREAD",
        )(_call)
        left = iter(things)
        waiting: Dict[Any, Any] = {}
        try:
            while True:
                # More than there are cores for, so that an autoscaler sees that more would help.
                for thing in _some(left, 2 * self.cores() + 2 - len(waiting)):
                    waiting[remote.remote(function, thing)] = thing
                if not waiting:
                    return
                done, _ = ray.wait(list(waiting), num_returns=1, timeout=_WAIT_S, fetch_local=False)
                for reference in done:
                    thing = waiting.pop(reference)
                    yield self._result(reference, thing)
        finally:
            for reference in waiting:
                with contextlib.suppress(Exception):
                    ray.cancel(reference, force=True)

    def _result(self, reference: Any, thing: Any) -> Any:
        """Return the result of a task, or raise its error as a sentence."""
        from ray import exceptions

        try:
            return self._ray.get(reference)
        except exceptions.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, DrumblenderError):
                raise cause from None
            raise DrumblenderError(
                f"A worker failed ({type(cause).__name__}: {cause}); run the same command again, "
                "which goes on where it stopped."
            ) from None
        except exceptions.RayError as error:
            raise DrumblenderError(
                f"The cluster gave {thing} up after {_RETRIES} retries ({type(error).__name__}), "
                "probably for want of memory; give its nodes more, and run the same command again, "
                "which goes on where it stopped."
            ) from None


def _call(function: Callable[[Any], Any], thing: Any) -> Any:
    """Call a function in a worker of Ray."""
    return function(thing)


def _some(things: Iterator[Any], count: int) -> Iterator[Any]:
    """Yield some of the things that are left."""
    for _ in range(max(0, count)):
        try:
            yield next(things)
        except StopIteration:
            return


def _reach(address: str) -> None:
    """Raise an OSError if nobody listens at HOST:PORT. Ray would try for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), _REACH_S).close()


def _share_credentials() -> None:
    """Put credentials of a ``.env`` file where processes of this machine inherit them."""
    access, secret = credentials()
    if access and secret:
        os.environ[ACCESS_KEY], os.environ[SECRET_KEY] = access, secret


def engine_of(cluster: Optional[str], count: Optional[int] = None, device: str = "cpu") -> Engine:
    """Return the engine that a command line asks for.

    Args:
        cluster: address of a cluster. None stands for processes of this machine.
        count: number of processes.
        device: name of the device that measures features.
    """
    if cluster is None:
        return Pool(1 if device != "cpu" else count)
    if sys.platform == "win32":
        raise UsageError("--cluster needs Linux or macOS.")
    return RayCluster(cluster, count, uses_gpu=device != "cpu")
