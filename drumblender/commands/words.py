"""The words of a command line of ``drumblender-synth``, beyond what argparse knows of them."""

import argparse
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

from drumblender.config import is_configuration
from drumblender.config.overlays import CHECKPOINTS, CONFIGURATIONS
from drumblender.errors import UsageError
from drumblender.files.paths import SUFFIXES, is_drum
from drumblender.pretrained.names import find_model, may_be_name
from drumblender.sound.controls import KNOWN_PARTS as PARTS

NORMALIZE = ("all", "each")


def untangle(options: argparse.Namespace) -> None:
    """Take apart the files of a blend, its weights and paths behind them.

    Raises:
        UsageError: if there is not one weight for each file.
    """
    words = options.weights or []
    count = next((i for i, word in enumerate(words) if not _is_number(word)), len(words))
    options.paths += words[count:]
    if options.weights is not None:
        options.weights = [float(word) for word in words[:count]]
        if not options.blend or options.amount is not None or options.steps is not None:
            raise UsageError("--weights is of --blend A B C, and goes with no --amount or --steps.")
    files = 2 if options.weights is None else count
    if options.blend:
        if len(options.blend) < max(2, files):
            raise UsageError(
                f"--blend names {len(options.blend)} files for {files} weights; give as many, and "
                "two or more."
            )
        options.paths += options.blend[files:]
        options.blend = options.blend[:files]


def join_values(parser: argparse.ArgumentParser, argv: Sequence[str]) -> List[str]:
    """Join options and their values where argparse would not see what belongs together.

    It takes -inf for another option, and whatever follows --normalize for its value.
    """
    numbers = {
        name
        for action in parser._actions
        if action.type in (int, float)
        for name in action.option_strings
    }
    end = argv.index("--") if "--" in argv else len(argv)
    joined: List[str] = []
    for arg in argv[:end]:
        before = joined[-1] if joined else ""
        is_negative = before in numbers and arg.startswith("-") and _is_number(arg)
        if is_negative or (before == "--normalize" and arg in NORMALIZE):
            joined[-1] += f"={arg}"
        else:
            joined.append(arg)
    joined = [f"{arg}={NORMALIZE[0]}" if arg == "--normalize" else arg for arg in joined]
    return [*joined, *argv[end:]]


def split(
    options: argparse.Namespace,
) -> Tuple[Tuple[Optional[Path], Optional[Path]], List[Path], Path]:
    """Split the words into the model, the inputs and the output.

    The model is a configuration and a checkpoint, one of them, or none: then parts are measured.
    """
    paths = [Path(path) for path in options.paths]
    models = 0
    names_model = bool(paths) and paths[0].suffix.lower() in (*CHECKPOINTS, *CONFIGURATIONS)
    # A blend of folders goes to a folder, which need not be there yet.
    is_output = bool(options.blend) and len(paths) == 1 and not names_model
    if options.model is not None:
        if names_model:
            raise UsageError(
                f"{paths[0]} is a model, and --model names another one; leave out one of them."
            )
    elif paths and not is_output and not _is_recording(paths[0]):
        models = 1
        if is_configuration(paths[0]) and not all(map(_is_recording, paths[1:2])):
            models = 2
    config, checkpoint, *_ = [*paths[:models], None, None]
    rest = paths[models:]
    given = [getattr(options, part) for part in PARTS]
    if options.blend:
        if any(given) or options.variations:
            raise UsageError("--blend goes with no other recordings or variations; leave them out.")
        if len(rest) != 1:
            raise UsageError(
                "--blend A B needs an OUTPUT, maybe a CHECKPOINT in front of it, and no INPUT "
                "beside A and B; for more than two files, give --weights as well. See --help."
            )
        inputs = []
    else:
        if options.steps is not None or options.amount is not None:
            raise UsageError("--amount and --steps are of --blend A B; give that, too.")
        inputs = rest[:-1]
        if not inputs and rest and all(given):
            inputs = [Path(given[0])]  # nothing of any other recording would be heard
        if not inputs:
            raise UsageError(
                "Give INPUT and OUTPUT, and in front of them the CHECKPOINT of a model if you want "
                "one (and its CONFIG, if it does not carry one); see --help."
            )
    if options.model is not None:
        config = find_model(options.model)
    elif config is not None and not config.exists() and may_be_name(str(config)):
        raise UsageError(
            f"There is no file {config}; check the path, or give --model {config} if that is the "
            "name of a model."
        )
    return (config, checkpoint), inputs, rest[-1]


def _is_recording(path: Path) -> bool:
    """Return whether a path names a recording or a folder of them, and no model."""
    return path.suffix.lower() in SUFFIXES or is_drum(path) or path.is_dir()


def _is_number(text: str) -> bool:
    """Return whether a word is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
