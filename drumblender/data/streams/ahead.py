"""Reading ahead: threads get what is needed next while what came before is used."""

import os
import threading
import weakref
from collections import OrderedDict
from typing import Any, Callable, Dict, Iterable, Optional, Sequence, Tuple

_THREADS = 16


class _State:
    """What the threads share. It knows nothing of its owner, who can thus be given up.

    Attributes:
        changed: the lock of all that follows, and the news that it has changed.
        plan: what nobody has begun to get, in order.
        begun: what is being got, or waits to be taken: a list that gets the outcome.
        closed: whether the threads shall end.
    """

    def __init__(self) -> None:
        self.process = os.getpid()
        self.changed = threading.Condition()
        self.plan: OrderedDict[int, None] = OrderedDict()
        self.begun: Dict[int, list] = {}
        self.closed = False

    def close(self) -> None:
        """Let the threads end."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()


class ReadAhead:
    """Gets things by their numbers, in a known order and before they are asked for.

    It can be pickled, and used by processes that are forked or spawned, each of which has its own
    threads and its own order. The threads are daemons: one that waits for the network does not hold
    up the end of the program.

    Args:
        get: function that gets a thing.
        most: number of things that may wait to be taken.
        threads: number of threads.
    """

    def __init__(self, get: Callable[[int], Any], most: int, threads: int = _THREADS):
        self._get = get
        self._most = max(most, threads)
        self._threads = threads
        self._state = _State()
        self._started = False

    def expect(self, numbers: Sequence[int]) -> None:
        """Begin to get things in a new order, instead of what was expected before."""
        state = self._own_state()
        with state.changed:
            state.plan = OrderedDict.fromkeys(numbers)
            # What is on its way may be in the new order as well.
            state.begun = {n: outcome for n, outcome in state.begun.items() if n in state.plan}
            for number in state.begun:
                del state.plan[number]
            state.changed.notify_all()
        if not self._started:
            self._started = True
            weakref.finalize(self, state.close)
            for _ in range(min(self._threads, len(numbers))):
                args = (state, self._get, self._most)
                threading.Thread(target=_work, args=args, daemon=True).start()

    def expects(self, numbers: Iterable[int]) -> bool:
        """Return whether things are expected."""
        state = self._own_state()
        with state.changed:
            return all(number in state.plan or number in state.begun for number in numbers)

    def take(self, number: int) -> Any:
        """Return a thing, and wait for it if it is not there yet.

        Raises:
            BaseException: what getting it has raised.
        """
        state = self._own_state()
        with state.changed:
            outcome = state.begun.get(number)
            if outcome is None:
                state.plan.pop(number, None)
            else:
                while not outcome:
                    state.changed.wait()
                state.begun.pop(number, None)
                state.changed.notify_all()
        if outcome is None:  # nobody expected it so soon
            return self._get(number)
        thing, error = outcome
        if error is not None:
            raise error
        return thing

    def _own_state(self) -> _State:
        """Return the state of this process. That of the one it was forked from has no threads."""
        if self._state.process != os.getpid():
            self._state = _State()
            self._started = False
        return self._state

    def __getstate__(self) -> Dict[str, Any]:
        return {**self.__dict__, "_state": None, "_started": False}

    def __setstate__(self, state: Dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._state = _State()


def _work(state: _State, get: Callable[[int], Any], most: int) -> None:
    """Get what is expected, one thing after the other, until nobody wants any more."""
    while True:
        with state.changed:
            while not state.closed and (not state.plan or len(state.begun) >= most):
                state.changed.wait()
            if state.closed:
                return
            number, _ = state.plan.popitem(last=False)
            outcome = state.begun[number] = []
        try:
            result: Tuple[Any, Optional[BaseException]] = get(number), None
        except BaseException as error:  # for whoever takes it
            result = None, error
        with state.changed:
            outcome.extend(result)
            state.changed.notify_all()
        del result
