"""Commands in processes of their own, which begin with all that commands import.

Importing PyTorch and Lightning takes seconds of a core each time. Here one process does it, and a
copy of it runs each command. Nothing else is shared: what a command changes in memory ends with it.
"""

import importlib
import multiprocessing
import os
import sys
import tempfile
from typing import NamedTuple

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [f"drumblender.commands.{name}" for name in ("analyze", "dataset", "lightning", "synth")]
    + ["drumblender.callbacks", "drumblender.data", "drumblender.sound", "drumblender.tasks"]
    + ["nnAudio.features", "torch.utils.tensorboard"]
)


class Ended(NamedTuple):
    """How a command ended: its exit code, and what it printed to both streams."""

    code: int
    output: str


def run(command, arguments, folder):
    """Run a command of the package in a folder.

    Args:
        command: name of its module in ``drumblender.commands``.
        arguments: of its command line.
        folder: working directory.
    """
    with tempfile.NamedTemporaryFile() as printed:
        words = list(map(str, arguments))
        process = _CONTEXT.Process(target=_main, args=(command, words, folder, printed.name))
        process.start()
        process.join()
        return Ended(process.exitcode, printed.read().decode())


def _main(command, arguments, folder, output):
    """Be the command."""
    descriptor = os.open(output, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.chdir(folder)
    sys.argv = [f"drumblender-{command}", *arguments]
    sys.exit(importlib.import_module(f"drumblender.commands.{command}").main())
