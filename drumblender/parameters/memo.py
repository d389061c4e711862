"""Functions that remember what they returned for values that are still alive.

Whoever moves a slider asks for many mixes of the same sounds. What depends on the sounds alone is
then computed once. A value is known by its identity, because values never change. As soon as one of
the values is gone, what was remembered of it is gone, too.
"""

import functools
import threading
import weakref
from collections import OrderedDict
from typing import Any, Callable, Hashable, List, Tuple, TypeVar

Result = TypeVar("Result")

# Arguments of these types are compared by what they are, and not by identity.
_PLAIN = (int, float, str, frozenset, type(None))


def remember(most: int) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Let a function remember its results for the last arguments.

    Arguments are numbers, strings, frozen sets, objects that are never changed, and tuples of
    these. A result must not refer to these objects, as they would live forever then.

    Args:
        most: number of results that are remembered.

    >>> class Value:
    ...     pass
    >>> calls = []
    >>> @remember(most=2)
    ... def note(value, number):
    ...     return calls.append(number)
    >>> value = Value()
    >>> note(value, 1), note(value, 1), note(value, 2), calls
    (None, None, None, [1, 2])
    """

    def decorate(function: Callable[..., Result]) -> Callable[..., Result]:
        """Wrap a function."""
        results: OrderedDict[Hashable, Tuple[List[Any], Result]] = OrderedDict()
        lock = threading.RLock()

        @functools.wraps(function)
        def remembering(*args: Any) -> Result:
            """Return what is remembered, or call the function."""
            objects: List[Any] = []
            key = _key(args, objects)
            with lock:
                if key in results:
                    results.move_to_end(key)
                    return results[key][1]
            result = function(*args)

            def forget(_: Any) -> None:
                """Drop the result, because an object that it belongs to is gone."""
                with lock:
                    results.pop(key, None)

            with lock:
                results[key] = [weakref.ref(x, forget) for x in objects], result
                while len(results) > most:
                    results.popitem(last=False)
            return result

        return remembering

    return decorate


def _key(value: Any, objects: List[Any]) -> Hashable:
    """Make a key of an argument, and note the objects that it is known by."""
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, tuple):
        return tuple(_key(x, objects) for x in value)
    objects.append(value)
    return ("object", id(value))
