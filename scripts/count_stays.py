#!/usr/bin/env python3
"""Count how one request of drumblender-synth goes through the rooms of the package.

    python scripts/count_stays.py [ARGUMENTS OF drumblender-synth]

A request should go down once and come back once: command, job, recording, parts, edits, rendering,
file. A profiler (sys.setprofile) notes each call of a public function. A run of calls in one room,
which is a folder of the package, is a stay. A step from a room to one above it, in the order of the
layers in pyproject.toml, is a climb. The same is counted for modules, with the analysis as one; a
climb is a step to a room above there, too.

Left out are loading the model (LOADING), what every room builds on (PLUMBING), and helpers: private
functions, constructors, comprehensions and lambdas belong to whoever uses them. Without arguments,
a bundled recording is lowered and written with its stems, by measured parts.
"""

import argparse
import inspect
import os
import sys
import tempfile
from itertools import dropwhile, groupby
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import drumblender
from drumblender.commands.synth import main as synth

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = Path(drumblender.__file__).resolve().parent
# The rooms of a request, the highest first.
ROOMS = ("commands", "jobs", "sound", "tasks", "analysis")
# What they build on: files, errors and units; values; networks and oscillators.
PLUMBING = ("config", "errors", "fast", "files", "models", "parameters", "signal", "synths")
# Functions that load a model, with all that they call.
LOADING = (("sound.voice", "load"), ("jobs.studio", "__init__"), ("jobs.run", "_studio"))
# Functions that begin when the command line has been read.
JOBS = (("jobs.run", "resynthesize"), ("jobs.run", "blend_files"))


class Call(NamedTuple):
    """The call of a public function.

    Attributes:
        module: its module, without the name of the package.
        function: its name.
    """

    module: str
    function: str

    @property
    def room(self) -> str:
        """The folder of the module."""
        return self.module.partition(".")[0]

    @property
    def place(self) -> str:
        """The module, or the analysis as a whole."""
        return self.room if self.room == "analysis" else self.module


def calls_of(run: Callable[[], Any]) -> List[Call]:
    """List the public functions of the rooms that are called, in order, without those that load."""
    calls: List[Call] = []
    generators: Dict[int, FrameType] = {}  # that have begun, and are only resumed
    loading = 0

    def note(frame: FrameType, event: str, _: Any) -> None:
        nonlocal loading
        code = frame.f_code
        module = _module_of(code)
        if module is None or event not in ("call", "return"):
            return
        if (module, code.co_name) in LOADING:
            loading += 1 if event == "call" else -1
        elif event == "call" and not loading and _is_public(code):
            call = Call(module, code.co_name)
            if call.room in PLUMBING or generators.get(id(frame)) is frame:
                return
            if code.co_flags & inspect.CO_GENERATOR:
                generators[id(frame)] = frame
            calls.append(call)

    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
    return calls


def _module_of(code: CodeType) -> Optional[str]:
    """Return the module of a function of the package, without the name of the package."""
    if not code.co_filename.startswith(f"{PACKAGE}{os.sep}"):
        return None
    path = Path(code.co_filename).relative_to(PACKAGE)
    return ".".join(path.with_suffix("").parts)


def _is_public(code: CodeType) -> bool:
    """Return whether a piece of code is a function that other modules may call."""
    is_function = code.co_flags & inspect.CO_OPTIMIZED  # and no body of a class or a module
    return bool(is_function) and (code.co_name == "__call__" or code.co_name[0] not in "_<")


def from_the_job(calls: Sequence[Call]) -> List[Call]:
    """Leave out what happens before the command line has been read."""
    return list(dropwhile(lambda call: (call.module, call.function) not in JOBS, calls))


def stays_of(calls: Sequence[Call], place: Callable[[Call], str]) -> List[Tuple[str, List[Call]]]:
    """Divide calls into stays, each a place with the calls there."""
    return [(name, list(group)) for name, group in groupby(calls, place)]


def climbs_of(stays: Sequence[Tuple[str, List[Call]]]) -> int:
    """Count the steps to a room above."""
    levels = [ROOMS.index(calls[0].room) for _, calls in stays]
    return sum(after < before for before, after in zip(levels, levels[1:]))


def main() -> None:
    """Print the way of a request as a list, and the counts as a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="of drumblender-synth")
    arguments = parser.parse_args().arguments
    with tempfile.TemporaryDirectory() as folder:
        recording = next((REPOSITORY / "audio/one-shots").rglob("*.flac"))
        output = str(Path(folder, "out.wav"))
        example = [str(recording), output, "--pitch", "-2", "--stems", folder]
        calls = from_the_job(calls_of(lambda: synth(arguments or example)))
    if not calls:
        sys.exit(1)
    by_room = stays_of(calls, lambda call: call.room)
    by_module = stays_of(calls, lambda call: call.place)
    for number, (room, there) in enumerate(by_room, 1):
        names = dict.fromkeys(f"{call.module.rpartition('.')[2]}.{call.function}" for call in there)
        print(f"{number}. {room}: {', '.join(names)}")
    print("\n| from the job on | places | stays | climbs |\n|---|---|---|---|")
    for what, stays in (("rooms", by_room), ("modules", by_module)):
        places = len({place for place, _ in stays})
        print(f"| {what} | {places} | {len(stays)} | {climbs_of(stays)} |")


if __name__ == "__main__":
    main()
