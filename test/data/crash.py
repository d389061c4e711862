"""Run a command again and again, stop it at each change of the disk in turn, and look after it.

A stop falls on a change of the disk by number, not on a moment by the clock: an audit hook counts
the changes and sends the signal. Run as a program with what to do as JSON; prints how often it
stopped the command. After each stop there must be no dataset or a whole one, and the next run of
the same command must end with the right one and nothing beside it.
"""

import hashlib
import json
import os
import shutil
import signal
import sys
from pathlib import Path

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.utime"}
OUTPUT = "output.txt"


def run(argv, sig=0, at=0):
    """Exit code of the command in a process of its own; negative when a signal ended it."""
    pid = os.fork()
    if pid == 0:
        out = os.open(OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        if at:
            stop_at(sig, at)
        from drumblender.dataset_cli import main

        code = main(argv)
        sys.stdout.flush()
        os._exit(code)
    status = os.waitpid(pid, 0)[1]
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def stop_at(sig, at):
    here = os.getcwd()
    count = 0

    def hook(event, args):
        nonlocal count
        writes = event == "open" and isinstance(args[2], int) and args[2] & os.O_ACCMODE
        if not (writes or event in CHANGES) or not isinstance(args[0], (str, os.PathLike)):
            return
        path = os.path.abspath(args[0])
        if not path.startswith(here) or path.endswith(OUTPUT):
            return
        count += 1
        if count == at:
            os.kill(os.getpid(), sig)

    sys.addaudithook(hook)


def digest(folder):
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        # The journal tells of times of raw files.
        if path.is_file() and path.name != "journal.jsonl":
            name = path.relative_to(folder).as_posix()
            total.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def main():
    what = json.loads(sys.argv[1])
    argv, sig, step = what["argv"], what["signal"], what["step"]
    data_dir, meta_file = Path(what["data_dir"]), what["meta_file"]

    # What the command imports is imported once.
    import drumblender.data.lightning  # noqa: F401

    def reset():
        for name in what["remove"]:
            path = Path(name)
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        for source, name in what["restore"]:
            shutil.copytree(source, name)

    reset()
    before = digest(data_dir)
    if run(argv):
        sys.exit(f"the command fails: {Path(OUTPUT).read_text()}")
    after = digest(data_dir)
    beside = sorted(path.name for path in data_dir.parent.iterdir())
    stops = 0
    while True:
        reset()
        at = 1 + stops * step
        code = run(argv, sig, at)
        if code == 0:
            break
        where = f"stop {at}: {Path(OUTPUT).read_text()}"
        assert code == (-sig if sig == signal.SIGKILL else 130), f"{code} at {where}"
        whole = (data_dir / meta_file).exists()
        assert not whole or digest(data_dir) in (before, after), f"a part after {where}"
        assert run(argv) == 0, f"no way on after {where} then {Path(OUTPUT).read_text()}"
        assert digest(data_dir) == after, f"another dataset after {where}"
        left = sorted(path.name for path in data_dir.parent.iterdir())
        # A process that was killed could not remove its lock, which is free. What stopped behind
        # the last step, when all was well, leaves what the next change removes.
        left = [name for name in left if not name.endswith(".lock")]
        assert whole or left == beside, f"{left} after {where}"
        stops += 1
    print(stops)


if __name__ == "__main__":
    main()
