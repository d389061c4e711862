"""The pace of requests: a store that says it is busy gets fewer of them, and no run fails for it.

Each process keeps a limit of requests at a time. It is halved whenever the store says that it is
busy, and grows by one after as many answers as it allows, as the window of TCP does [1]. With many
processes the requests thus settle at what the store gives.

[1] V. Jacobson, "Congestion Avoidance and Control", SIGCOMM 1988
"""

import os
import random
import sys
import threading
import time
from typing import Any, Callable

from tqdm import tqdm

from drumblender.data.sources.transfer import Busy, Fault, network_timeout
from drumblender.errors import DrumblenderError

MOST_REQUESTS = 16  # of a process, at a time
_PATIENCE_S = 1800.0  # with a store that is busy
_ATTEMPTS = 8  # after other faults
_PAUSE_S = 0.5
_RANDOM = random.Random()  # of its own, so that trainings stay the same
_LONGEST_PAUSE_S = 30.0


class Pace:
    """A limit of requests at a time, which adapts to what the store says.

    Args:
        most: the limit at first, and the highest one.

    Attributes:
        limit: the limit as it is now.
    """

    def __init__(self, most: int = MOST_REQUESTS):
        self._most = most
        self.limit = most
        self._running = 0
        self._answers = 0
        self._changed = threading.Condition()

    def steadily(self, name: str, action: Callable[[], Any]) -> Any:
        """Make a request, and make it again while faults may go away, with longer pauses.

        Args:
            name: name of its object in messages.
            action: function that makes the request. It raises `Fault`.

        Raises:
            DrumblenderError: after too many faults, or after half an hour of a busy store.
        """
        start, faults, busy = time.monotonic(), 0, 0
        while True:
            try:
                with self._changed:
                    self._changed.wait_for(lambda: self._running < self.limit)
                    self._running += 1
                try:
                    result = action()
                finally:
                    with self._changed:
                        self._running -= 1
                        self._changed.notify_all()
                self._speed_up()
                return result
            except Busy as fault:
                busy += 1
                self._slow_down()
                if time.monotonic() - start > _PATIENCE_S:
                    raise _given_up(name, fault) from None
            except Fault as fault:
                faults += 1
                if faults == _ATTEMPTS:
                    raise _given_up(name, fault) from None
                tqdm.write(f"{name}: {fault}; trying again.", file=sys.stderr)
            longest = min(_LONGEST_PAUSE_S, network_timeout())
            pause = min(_PAUSE_S * 2 ** min(faults + busy, 16), longest)
            # Processes that were refused together must not come back together.
            time.sleep(pause * _RANDOM.uniform(0.5, 1.0))

    def _slow_down(self) -> None:
        """Halve the limit."""
        with self._changed:
            self.limit = max(1, self.limit // 2)
            self._answers = 0

    def _speed_up(self) -> None:
        """Count an answer, and raise the limit after enough of them."""
        with self._changed:
            self._answers += 1
            if self._answers >= self.limit:
                self._answers = 0
                self.limit = min(self._most, self.limit + 1)
                self._changed.notify_all()


def _given_up(name: str, fault: Fault) -> DrumblenderError:
    """Make the error of a request that was made often enough."""
    return DrumblenderError(
        f"{name} cannot be had: {fault}, again and again; check the configuration and the network, "
        "and run the same command again, which goes on where it stopped."
    )


PACE = Pace()  # of this process
if hasattr(os, "register_at_fork"):  # the threads whose requests are counted stay behind
    os.register_at_fork(after_in_child=PACE.__init__)  # type: ignore[misc]
