"""How the C library hands memory to this process."""

import contextlib
import ctypes

# Of mallopt(3).
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


def keep_memory() -> None:
    """Keep freed memory for the next tensor, instead of giving it back to the system.

    glibc asks the system for every large tensor and gives it back at once. Each of its pages is
    then cleared and mapped again, which takes a third of a training step on a CPU. Other C
    libraries do not have this call and stay as they are.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, -1)
