"""Run ``drumblender-dataset`` in processes of its own, and stop it at each change of the disk.

A program that has imported everything once and forks for each run; it reads what to do as lines of
JSON and answers in lines of JSON. A stop falls on a change of the disk by number, not on a moment
by the clock: an audit hook counts the changes and sends the signal. After each stop there must be
no dataset or a whole one, and the next run of the same command must end with the right one.
"""

import hashlib
import importlib
import json
import os
import resource
import shutil
import signal
import sys
import traceback
from pathlib import Path

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.utime"}
OUTPUT = "output.txt"
# What every run would import for itself, which takes a hundred times as long as the run.
FORKED = ("drumblender.commands.dataset", "drumblender.data.datamodule", "drumblender.config")


def run(argv, sig=0, at=0, limit=None):
    """Exit code of the command in a process of its own; negative when a signal ended it.

    Args:
        argv: of the command.
        sig: to stop it with.
        at: the number of the change of the disk before which to stop it.
        limit: bytes beyond which no file can grow, as on a full disk.
    """
    pid = os.fork()
    if pid == 0:
        out = os.open(OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        # Where the tests run in the background of a shell, it would be ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if at:
            stop_at(sig, at)
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        from drumblender.commands.dataset import main

        try:
            code = main(argv)
        except BaseException:  # --debug
            traceback.print_exc()
            code = 1
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


def stop_everywhere(argv, sig, step, data_dir, meta_file, remove, restore):
    """Stop a command at every ``step``-th change of the disk; gives how often that was.

    Args:
        argv: of the command.
        sig: to stop it with.
        step: from one stop to the next.
        data_dir: that the command makes.
        meta_file: what makes it a dataset.
        remove: what to remove before each run.
        restore: pairs of folders, a copy of the first to put in place of the second.
    """
    data_dir = Path(data_dir)

    def reset():
        for name in remove:
            path = Path(name)
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        for source, name in restore:
            shutil.copytree(source, name)

    reset()
    before = digest(data_dir)
    assert run(argv) == 0, f"the command fails: {Path(OUTPUT).read_text()}"
    after = digest(data_dir)
    beside = sorted(path.name for path in data_dir.parent.iterdir())
    stops = 0
    while True:
        reset()
        at = 1 + stops * step
        code = run(argv, sig, at)
        if code == 0:
            return stops
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


def main():
    for module in FORKED:
        importlib.import_module(module)
    for line in sys.stdin:
        what = json.loads(line)
        os.chdir(what["cwd"])
        os.environ.update(what["environment"])
        try:
            if "step" in what["options"]:
                answer = {"stops": stop_everywhere(**what["options"])}
            else:
                code = run(**what["options"])
                answer = {"code": code, "output": Path(OUTPUT).read_text()}
        except AssertionError as error:
            answer = {"failure": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
