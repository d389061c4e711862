"""A program whose processes hold a pipe open, which therefore closes when the last of them ends."""

import os
import sys

from drumblender.files.parallel import Workers


def hold(pipes):
    """Tell one pipe who works, and wait for the other one; without pipes, do nothing."""
    if pipes is not None:
        told, gate = pipes
        with open(told, "w") as file:
            print(os.getpid(), file=file, flush=True)
            with open(gate) as waiting:
                waiting.read()
    return os.getpid()


def end(_):
    """End the process that works, as the system does when memory runs out."""
    os._exit(1)


if __name__ == "__main__":
    with Workers(2) as workers:
        for _ in workers.map(hold, [sys.argv[1:]] * 64):
            pass
