"""Threads that do the same to many things, and stop cleanly."""

import queue
import threading
from typing import Any, Callable, Sequence


def in_threads(
    function: Callable[[Any, threading.Event], None], items: Sequence[Any], count: int
) -> None:
    """Call a function on many things at once, and stop at the first error or Ctrl-C.

    Args:
        function: takes an item, and an event that is set when the function should stop.
        items: what to call the function on.
        count: number of calls at once.

    Raises:
        BaseException: the first error that the function raises.
    """
    tasks: queue.SimpleQueue = queue.SimpleQueue()
    outcomes: queue.SimpleQueue = queue.SimpleQueue()
    stop = threading.Event()
    for item in items:
        tasks.put(item)

    def work() -> None:
        """Call the function on one item after the other until none is left."""
        while not stop.is_set():
            try:
                item = tasks.get_nowait()
            except queue.Empty:
                return
            try:
                function(item, stop)
                outcomes.put(None)
            except BaseException as error:
                outcomes.put(error)

    # Daemons: a read that hangs shall not hold up Ctrl-C.
    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(count, len(items)))]
    for thread in threads:
        thread.start()
    try:
        for _ in items:
            error = outcomes.get()
            if error is not None:
                stop.set()
                for thread in threads:
                    thread.join()
                raise error
    finally:
        stop.set()
