"""Sessions, which hold what one person has on the page. They are in memory only.

A session is known by a token that only its page knows, so that nobody hears the sounds of another.
It is removed when its page is closed or was idle for long.
"""

import itertools
import secrets
import time
from collections import OrderedDict
from dataclasses import replace
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from drumblender.app.recipe import SLOTS, Recipe
from drumblender.app.result import Result
from drumblender.errors import DrumblenderError
from drumblender.sound import Sound

IDLE_S = 1800.0
# A page that is closed may only be loaded anew, and asks for its session again then.
LEAVING_S = 20.0
MOST = 32
# Results that are held for downloads and for going back, besides those that are kept as takes.
_RESULTS = 8
_BYTES = 512 * 2**20


class Gone(DrumblenderError):
    """The error of a session, a sound or a drum that is not here any more."""


class Session:
    """What one person has on the page: drums, and sounds that were made of them.

    Args:
        drums: drums that are there from the beginning.

    Attributes:
        drums: drums by the index of their slot.
    """

    def __init__(self, drums: Sequence[Sound] = ()):
        self._names = itertools.count(1)
        self._numbers: Dict[int, int] = {}
        self.drums: Dict[int, Sound] = {}
        for slot, drum in enumerate(drums[:SLOTS]):
            self.put(slot, drum)
        self._results: OrderedDict[str, Result] = OrderedDict()
        self._kept: Dict[str, None] = {}
        self._made: Dict[Any, str] = {}
        self._mixed: Tuple[Any, Optional[Sound]] = (None, None)

    def put(self, slot: int, drum: Sound) -> None:
        """Put a drum into a slot."""
        self.drums[slot] = drum
        self._numbers[slot] = next(self._names)

    def remove(self, slot: int) -> None:
        """Take a drum out of its slot."""
        self.drums.pop(slot, None)
        self._numbers.pop(slot, None)

    def make(self, recipe: Recipe) -> Tuple[str, Result]:
        """Make a sound, or find it if it was made before. Nothing in it is muted.

        Returns:
            The name of the result, and the result.

        Raises:
            UsageError: if the recipe does not fit the drums.
            DrumblenderError: if the drums cannot be mixed.
        """
        recipe = replace(recipe, muted=())
        numbers = tuple(sorted(self._numbers.items()))
        key = (recipe, numbers)
        name = self._made.get(key, "")
        if name in self._results:
            self._results.move_to_end(name)
            return name, self._results[name]
        mixed_key = (recipe.weights, numbers)
        if self._mixed[0] != mixed_key:
            self._mixed = (mixed_key, recipe.mixed(self.drums))
        mixed = self._mixed[1]
        assert mixed is not None, "mixed above"
        result = Result.of(recipe.finished(mixed, self.drums))
        name = str(next(self._names))
        self._results[name] = result
        self._made[key] = name
        self._forget_old(name)
        return name, result

    def result(self, name: str) -> Result:
        """Return a result by its name.

        Raises:
            Gone: if it is not here any more.
        """
        if name not in self._results:
            raise Gone("This sound is not here any more; move a control to make it anew.")
        return self._results[name]

    def keep(self, name: str) -> Result:
        """Keep a result as a take.

        Raises:
            Gone: if it is not here any more.
            DrumblenderError: if too many are kept.
        """
        result = self.result(name)
        size = sum(self._results[kept].size for kept in self._kept if kept != name)
        if size + result.size > _BYTES:
            raise DrumblenderError("There is no memory left for this take; remove others first.")
        self._kept[name] = None
        return result

    def drop(self, name: str) -> None:
        """Keep a result no longer."""
        self._kept.pop(name, None)

    def _forget_old(self, newest: str) -> None:
        """Forget the oldest results that nobody keeps."""
        free = [name for name in self._results if name not in self._kept and name != newest]
        size = sum(result.size for result in self._results.values())
        while free and (len(free) >= _RESULTS or size > _BYTES):
            size -= self._results.pop(free.pop(0)).size
        self._made = {key: name for key, name in self._made.items() if name in self._results}


class Sessions:
    """All sessions of a server.

    Args:
        drums: drums that each session begins with.
        clock: function that returns a time in seconds.
    """

    def __init__(self, drums: Sequence[Sound] = (), clock: Callable[[], float] = time.monotonic):
        self._drums = drums
        self._clock = clock
        self._sessions: Dict[str, Session] = {}
        self._ends: Dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def open(self) -> str:
        """Open a session, and return its token.

        Raises:
            DrumblenderError: if there are too many.
        """
        self.remove_idle()
        if len(self._sessions) >= MOST:
            raise DrumblenderError(f"{MOST} pages are open, which is the most; close one first.")
        token = secrets.token_urlsafe(24)
        self._sessions[token] = Session(self._drums)
        self._ends[token] = self._clock() + IDLE_S
        return token

    def find(self, token: str) -> Session:
        """Return the session of a token. It is not idle then.

        Raises:
            Gone: if there is none, or none any more.
        """
        self.remove_idle()
        if token not in self._sessions:
            raise Gone("This page was idle for too long, so its sounds were removed; reload it.")
        self._ends[token] = self._clock() + IDLE_S
        return self._sessions[token]

    def leave(self, token: str) -> None:
        """Remove a session soon, unless its page asks for it again."""
        if token in self._sessions:
            self._ends[token] = self._clock() + LEAVING_S

    def leaving(self, token: str) -> bool:
        """Return whether a session is removed soon, because its page was closed."""
        return self._ends.get(token, 0.0) <= self._clock() + LEAVING_S

    def remove_idle(self) -> List[str]:
        """Remove sessions that are idle, and return their tokens."""
        now = self._clock()
        idle = [token for token, end in self._ends.items() if end <= now]
        for token in idle:
            del self._sessions[token], self._ends[token]
        return idle
