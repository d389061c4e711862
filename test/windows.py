"""Run commands of the package without what Windows lacks.

``python windows.py COMMANDS`` takes commands as JSON, a list of (module, arguments). It imports
every module of the package and calls the ``main`` of each command. An argument with ``*`` stands
for the file that it matches.
"""

import glob
import importlib.abc
import json
import os
import pkgutil
import signal
import sys

MODULES = {"fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "readline", "syslog"}
FUNCTIONS = (
    "fork forkpty geteuid getuid getegid getgid getgroups mkfifo mknod fchmod fchown chown lchown "
    "pread preadv pwrite pwritev posix_fadvise posix_fallocate sched_getaffinity sysconf statvfs "
    "getloadavg killpg setsid getpgid O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK"
).split()
LEFT = {getattr(signal, f"SIG{name}") for name in ("ABRT", "FPE", "ILL", "INT", "SEGV", "TERM")}
SIGNALS = "SIGKILL SIGHUP SIGUSR1 SIGUSR2 SIGALRM SIGPIPE SIGCHLD alarm setitimer".split()


class Missing(importlib.abc.MetaPathFinder):
    """Finds no module that Windows lacks."""

    def find_spec(self, name, path=None, target=None):
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def become_windows():
    """Take away what Windows lacks."""
    for name in MODULES:
        sys.modules.pop(name, None)
    sys.meta_path.insert(0, Missing())
    os.environ.setdefault("USERNAME", "user")  # which Windows sets
    for module, names in ((os, FUNCTIONS), (signal, SIGNALS)):
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    signal.valid_signals = lambda: LEFT


def main(commands):
    become_windows()
    import lightning_fabric.utilities.imports

    import drumblender

    # Lightning has code of its own for Windows.
    lightning_fabric.utilities.imports._IS_WINDOWS = True

    for module in pkgutil.walk_packages(drumblender.__path__, "drumblender."):
        if not module.name.endswith("__main__"):
            __import__(module.name)
    for module, arguments in commands:
        arguments = [glob.glob(arg, recursive=True)[0] if "*" in arg else arg for arg in arguments]
        code = importlib.import_module(module).main(arguments)
        if code:
            sys.exit(f"{module} {arguments} gives {code}")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
