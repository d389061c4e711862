"""Plain forms of computations, for programs that other software runs.

Some of what this package computes has no counterpart in ONNX, above all complex numbers and its own
operations. Inside of :func:`plain_operations`, the same results come from operations that every
runtime has. They take more time in PyTorch, so nothing else uses them.
"""

import contextlib
from typing import Iterator

# A flag and no ContextVar, which torch.compile does not look into. It holds for all threads.
_plain = False


def is_plain() -> bool:
    """Return whether plain operations are asked for."""
    return _plain


@contextlib.contextmanager
def plain_operations() -> Iterator[None]:
    """Ask for plain operations inside this context.

    >>> with plain_operations():
    ...     is_plain()
    True
    >>> is_plain()
    False
    """
    global _plain
    before, _plain = _plain, True
    try:
        yield
    finally:
        _plain = before
