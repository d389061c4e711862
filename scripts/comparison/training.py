"""Training of a row with a budget, by the real command, which goes on where it was stopped."""

import json
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Dict, Optional

from comparison.rows import Row
from drumblender.errors import DrumblenderError, Stopped
from drumblender.files import atomic
from drumblender.tasks.checkpoint import read_checkpoint

RESULT = "trained.json"
# The command `drumblender`, which ends when the program that started it is gone: a training that
# nobody waits for must not write beside the one that takes its place.
_FIT = """
import os, sys, threading
from drumblender.commands.train import main
def end_with_parent():
    os.read(0, 1)
    os._exit(1)
threading.Thread(target=end_with_parent, daemon=True).start()
sys.exit(main())
"""
_NO_LIMIT = timedelta(days=999)  # lets Lightning's timer count all the same


@dataclass(frozen=True)
class Budget:
    """How long a configuration may train: so many steps, so many minutes, or as long as it says."""

    steps: Optional[int] = None
    minutes: Optional[float] = None


@dataclass(frozen=True)
class Training:
    """What a training came to.

    Attributes:
        checkpoint: the checkpoint to test: the best by validation, or the last without validation.
        steps: number of steps.
        seconds: how long it trained, with validation.
        budget: ``full`` if the configuration ended the training itself, else ``short``.
    """

    checkpoint: Path
    steps: int
    seconds: float
    budget: str


def train(row: Row, folder: Path, budget: Budget, seed: int, device: str) -> Training:
    """Train a row in a folder, unless that is done, and say what it came to.

    Raises:
        Stopped: if a signal has ended the training.
        DrumblenderError: if the training fails.
    """
    result = folder / RESULT
    if not result.is_file():
        config = _configuration(row, folder, budget, seed, device)
        atomic.write_json(folder / "config.yaml", config)  # JSON is YAML
        command = [sys.executable, "-c", _FIT, "fit", "-c", str(folder / "config.yaml")]
        last = newest(folder)
        if last is not None:
            command += ["--ckpt_path", str(last)]
        _run(command, row.name)
        atomic.write_json(result, _outcome(row, folder, budget))
    found = json.loads(result.read_text())
    return Training(**{**found, "checkpoint": folder / found["checkpoint"]})


def newest(folder: Path) -> Optional[Path]:
    """Return the newest checkpoint of a run that is whole, if there is one."""
    paths = (folder / "checkpoints").glob("*.ckpt")
    for path in sorted(paths, key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            read_checkpoint(path)
        except DrumblenderError:  # half written when the run was killed
            continue
        return path
    return None


def _configuration(
    row: Row, folder: Path, budget: Budget, seed: int, device: str
) -> Dict[str, Any]:
    """Return the configuration of a row with its budget."""
    config = {**(row.config or {}), "data": row.data, "seed_everything": seed}
    own = dict(config.get("trainer") or {})
    steps = [s for s in (own.get("max_steps"), budget.steps) if s is not None and s >= 0]
    times = [t for t in (_duration(own.get("max_time")), _minutes(budget)) if t is not None]
    running = {
        "class_path": "pytorch_lightning.callbacks.ModelCheckpoint",
        "init_args": {"filename": "running", "train_time_interval": "0:02:00"},
    }
    config["trainer"] = {
        **own,
        "accelerator": "gpu" if device.startswith("cuda") else device,
        "devices": 1,
        "logger": False,
        "default_root_dir": str(folder),
        "max_steps": min(steps, default=-1),
        "max_time": _text(min([*times, _NO_LIMIT])),
        # What a kill leaves is at most two minutes old.
        "callbacks": [*(own.get("callbacks") or []), running],
    }
    return config


def _minutes(budget: Budget) -> Optional[timedelta]:
    """Return the minutes of a budget, if it has some."""
    return None if budget.minutes is None else timedelta(minutes=budget.minutes)


def _duration(text: Optional[str]) -> Optional[timedelta]:
    """Read a duration as Lightning writes it, days:hours:minutes:seconds."""
    if text is None:
        return None
    days, hours, minutes, seconds = map(int, str(text).split(":"))
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def _text(duration: timedelta) -> str:
    """Write a duration as Lightning reads it."""
    minutes, seconds = divmod(duration.seconds, 60)
    return f"{duration.days:02}:{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"


def _run(command: list, name: str) -> None:
    """Run a training, and let what Ctrl-C or SIGTERM stops keep its last state."""
    # In a session of its own, the training gets each signal from here only, and only once.
    process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    stop: Optional[BaseException] = None
    while True:
        try:
            code = process.wait()
            break
        except (KeyboardInterrupt, Stopped) as error:
            stop = error
            process.send_signal(signal.SIGINT)
    if stop is not None:
        raise Stopped(signal.SIGINT, f"{name}: stopped; give the same command again to go on.")
    if code:
        raise DrumblenderError(f"{name} cannot be trained; see above.")


def _outcome(row: Row, folder: Path, budget: Budget) -> Dict[str, Any]:
    """Describe a training that has ended."""
    last = newest(folder)
    if last is None:
        raise DrumblenderError(f"{folder} holds no checkpoint after training; give more --steps.")
    state = read_checkpoint(last)
    callbacks = state.get("callbacks", {})
    best = next(
        (
            Path(value["best_model_path"])
            for value in callbacks.values()
            if isinstance(value, dict)
            and value.get("monitor") == "validation/loss"
            and value.get("best_model_path")
        ),
        last,
    )
    best = folder / "checkpoints" / best.name  # the folder may have been moved
    timer = callbacks.get("Timer", {}).get("time_elapsed", {})
    seconds = sum(timer.get(stage, 0.0) for stage in ("train", "validate"))
    steps = int(state["global_step"])
    cut = _is_cut(row, budget, steps, seconds)
    training = Training(best if best.is_file() else last, steps, round(seconds, 1), cut)
    path = training.checkpoint.relative_to(folder).as_posix()
    return {**asdict(training), "checkpoint": path}


def _is_cut(row: Row, budget: Budget, steps: int, seconds: float) -> str:
    """Say whether the budget ended a training, or what the configuration says itself."""
    own = (row.config or {}).get("trainer") or {}
    full_steps, full_time = own.get("max_steps"), _duration(own.get("max_time"))
    if budget.steps is not None and steps >= budget.steps:
        if full_steps is None or full_steps < 0 or full_steps > budget.steps:
            return "short"
    minutes = _minutes(budget)
    if minutes is not None and seconds >= minutes.total_seconds() - 1:
        if full_time is None or full_time > minutes:
            return "short"
    return "full"
