"""``drumblender-synth``, which resynthesizes recordings, takes them apart, and blends them.

This module only parses arguments. The work is done in :mod:`drumblender.jobs`.
"""

import argparse
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Callable, List, Optional, Sequence, Tuple

from drumblender.commands.report import Parser, report_errors
from drumblender.commands.words import NORMALIZE, join_values, split, untangle
from drumblender.errors import UsageError
from drumblender.files.text import printable
from drumblender.pretrained.names import name_of
from drumblender.pretrained.table import models_table
from drumblender.sound.changes import Changes, check_preset_name
from drumblender.sound.controls import CONTROLS
from drumblender.sound.controls import KNOWN_PARTS as PARTS

if TYPE_CHECKING:
    from drumblender.jobs import Job, Request


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run ``drumblender-synth`` with arguments, and return its exit code."""
    return report_errors(_synth, argv)


def _parser() -> argparse.ArgumentParser:
    """Describe the options."""
    parser = Parser(
        prog="drumblender-synth",
        usage="drumblender-synth [[CONFIG] CHECKPOINT] INPUT [INPUT ...] OUTPUT [options]\n"
        "       drumblender-synth [[CONFIG] CHECKPOINT] OUTPUT --blend A B [options]\n"
        "       drumblender-synth [[CONFIG] CHECKPOINT] OUTPUT --blend A B C --weights X Y Z\n"
        "       drumblender-synth --model NAME INPUT [INPUT ...] OUTPUT [options]\n"
        "       drumblender-synth --list_models",
        description="Take recordings apart, change and blend them. Without a model, parts are "
        "measured: what is not changed stays the recording, at its own rate and with all channels. "
        "With the CHECKPOINT of a model, or --model, its networks predict them. CONFIG is the "
        "configuration of a model whose checkpoint does not carry it. "
        "INPUT is a file or a folder; several, or a folder, go to a folder OUTPUT, with their "
        "sub-folders. OUTPUT of one file ends in .wav, .flac or .ogg; or in .drum, which keeps the "
        "parts, so that it can be INPUT again.",
        epilog="--debug shows where an error comes from.",
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help=argparse.SUPPRESS)
    named = parser.add_argument_group("models")
    named.add_argument(
        "--model",
        metavar="NAME",
        help="take a model by its name: one of --list_models, or owner/model (or "
        "owner/model@revision) of the Hugging Face hub. What ends in .safetensors, .ckpt or .yaml "
        "or begins with . or / is a file",
    )
    named.add_argument("--list_models", action="store_true", help="list the models that are here")
    take = parser.add_argument_group("parts")
    take.add_argument(
        "--stems", metavar="DIR", help="write modal, noise and transient to DIR; they add up"
    )
    for part in PARTS:
        take.add_argument(
            f"--{part}",
            metavar="FILE",
            help=f"take the {part} part of FILE; of a folder, that of the file that goes with each",
        )
    mix = parser.add_argument_group("blending")
    mix.add_argument(
        "--blend",
        nargs="+",
        metavar=("A", "B"),
        help="a sound between two files; or between each file of a folder A and what goes with it "
        "in a folder B, or the file B; with --weights, between any number of files",
    )
    mix.add_argument("--amount", type=float, metavar="X", help="0 for A to 1 for B (default: 0.5)")
    mix.add_argument("--steps", type=int, metavar="N", help="write N blends from A to B, numbered")
    mix.add_argument(
        "--weights", nargs="+", metavar="X", help="weight of each file of --blend, 0 or more"
    )
    mix.add_argument(
        "--pair",
        choices=("instrument", "name"),
        default="instrument",
        help="which files of two folders go together: those of one name, and then those of one "
        "instrument in their order; or only those of one name (default: instrument)",
    )
    controls = parser.add_argument_group("controls")
    for control in CONTROLS:
        controls.add_argument(
            f"--{control.name}",
            *(f"--{alias}" for alias in control.aliases),
            type=float,
            metavar=control.metavar,
            help=control.help,
        )
        for switch in control.switches:
            controls.add_argument(
                f"--{control.name}_{switch.name}", action="store_true", help=switch.help
            )
    controls.add_argument(
        "--preset", metavar="FILE", help="take controls from FILE; those given beside it win"
    )
    controls.add_argument(
        "--save_preset", metavar="FILE", help="write the controls to FILE (.yaml, .json)"
    )
    controls.add_argument(
        "--variations", type=int, metavar="N", help="write N humanized sounds of each, numbered"
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "--stereo",
        action="store_true",
        help="keep channels, not the first only; without a model they are kept anyway",
    )
    output.add_argument(
        "--sample_rate", type=int, metavar="HZ", help="of the output (default: the input's)"
    )
    output.add_argument(
        "--bits", type=int, choices=(16, 24, 32), default=24, help="32 are floats (default: 24)"
    )
    output.add_argument(
        "--format",
        choices=("wav", "flac", "ogg", "drum"),
        default="wav",
        help="of files in a folder",
    )
    output.add_argument(
        "--normalize",
        nargs="?",
        const="all",
        default="no",
        choices=NORMALIZE,
        help="bring the loudest sound to full scale and the others by the same gain; "
        "with `each`, each sound by itself",
    )
    output.add_argument(
        "--plot", action="store_true", help="write a picture (.png) beside each output"
    )
    run = parser.add_argument_group("running")
    run.add_argument("--seed", type=int, help="repeat noise and variations (default: never)")
    run.add_argument("--device", default="auto", help="cpu, cuda, ... (default: %(default)s)")
    run.add_argument(
        "--precision",
        choices=("32-true", "bf16-mixed"),
        default="32-true",
        help="bf16-mixed: convolutions in 16 bits, faster where the processor computes with them",
    )
    run.add_argument(
        "--force",
        action="store_true",
        help="let a model that was trained on one recording give its noise to others",
    )
    run.add_argument("--num_workers", type=int, metavar="N", help="processes (default: all cores)")
    run.add_argument(
        "--batch_size",
        type=int,
        metavar="N",
        help="recordings at once (default: 16 on a GPU, one in each process on a CPU)",
    )
    return parser


def _synth(argv: List[str]) -> None:
    """Carry out a command line."""
    parser = _parser()
    options = parser.parse_intermixed_args(join_values(parser, argv))
    if options.list_models:
        return print(models_table())
    _check_numbers(options)
    untangle(options)
    model, inputs, output = split(options)
    changes = _changes(options)

    from drumblender.jobs import Request, blend_files, plan_blend, resynthesize

    given = [(part, getattr(options, part)) for part in PARTS]
    parts = [(part, Path(path)) for part, path in given if path]
    sources = [Path(path) for path in options.blend or ()]
    if model == (None, None):
        model = _model_of([*inputs, *sources, *(path for _, path in parts)])
    folders = [(part, path) for part, path in parts if path.is_dir()]
    request = Request(
        *model,
        device=options.device,
        precision=options.precision,
        force=options.force,
        seed=options.seed,
        changes=changes,
        parts=tuple(part for part in parts if part not in folders),
        variations=options.variations or 0,
        stereo=options.stereo,
        sample_rate=options.sample_rate,
        bits=options.bits,
        normalize=options.normalize,
        stems=options.stems and Path(options.stems),
        plot=options.plot,
    )
    if sources and not (len(sources) == 2 and sources[0].is_dir()):
        blend_files(request, plan_blend(request, sources, output, _weights(options)))
    else:
        jobs, notes = _planned(options, request, inputs or sources, folders, output)
        for note in notes:
            print(printable(note))
        resynthesize(request, jobs, options.num_workers, options.batch_size)
    if options.save_preset:
        changes.write(options.save_preset)
        print(printable(f"{options.save_preset}: the controls as a preset"))


def _planned(
    options: argparse.Namespace,
    request: "Request",
    inputs: List[Path],
    folders: Sequence[Tuple[str, Path]],
    output: Path,
) -> Tuple[List["Job"], List[str]]:
    """Plan the jobs of all inputs, which are two folders of a blend or what is resynthesized."""
    from drumblender.jobs import plan, plan_blends, plan_parts

    if not options.blend and not folders:
        return plan(inputs, output, request, options.format)

    from drumblender.kits.pairs import pair_files

    pairing = functools.partial(pair_files, by_name=options.pair == "name")
    if folders:
        return plan_parts(request, inputs, folders, output, pairing, options.format)
    folder, other = inputs
    return plan_blends(request, folder, other, output, _weights(options), pairing, options.format)


def _model_of(paths: Sequence[Path]) -> Tuple[Optional[Path], None]:
    """Return the model that made those of some files that hold parts, if one made them, and say it.

    Raises:
        DrumblenderError: if a file cannot be read, or if its model is not here.
    """
    from drumblender.files.paths import is_drum
    from drumblender.sound.storing import model_of

    source, model = model_of([path for path in paths if is_drum(path) and not path.is_dir()])
    if model is not None:
        print(printable(f"{source} was made with the model {name_of(model)}, which is taken."))
    return model, None


def _weights(options: argparse.Namespace) -> List[Sequence[float]]:
    """Return the weights of the files in each blend that is asked for."""
    if options.weights is not None:
        return [options.weights]
    amounts = [0.5 if options.amount is None else options.amount]
    if options.steps is not None:
        amounts = [index / (options.steps - 1) for index in range(options.steps)]
    return [(1 - amount, amount) for amount in amounts]


def _changes(options: argparse.Namespace) -> Changes:
    """Return the controls of a command line and, where it gives none, those of its preset.

    Raises:
        UsageError: if there is no such preset, or if one cannot be saved under its name.
    """
    if options.save_preset:
        check_preset_name(options.save_preset)
    values = ((control.name, getattr(options, control.name)) for control in CONTROLS)
    switches = (
        (control.name, switch.name)
        for control in CONTROLS
        for switch in control.switches
        if getattr(options, f"{control.name}_{switch.name}")
    )
    changes = Changes(tuple(pair for pair in values if pair[1] is not None), tuple(switches))
    return changes.over(Changes.read(options.preset)) if options.preset else changes


def _check_numbers(options: argparse.Namespace) -> None:
    """Refuse a number that is out of range."""

    def check(name: str, fits: Callable[[float], bool], what: str) -> None:
        """Refuse one number that is out of range."""
        value = getattr(options, name)
        if value is not None and not fits(value):
            raise UsageError(f"--{name} is {value}; give {what}.")

    for control in CONTROLS:
        value = getattr(options, control.name)
        if value is not None:
            control.check(value, called=f"--{control.name}")
    check("amount", lambda x: 0 <= x <= 1, "0 for the first sound to 1 for the second")
    check("steps", lambda x: x >= 2, "2 or more")
    check("variations", lambda x: x >= 1, "1 or more")
    check("batch_size", lambda x: x >= 1, "1 or more")
    check("sample_rate", lambda x: 1_000 <= x <= 768_000, "Hz from 1000 to 768000")
    if options.steps is not None and options.amount is not None:
        raise UsageError("--steps makes blends of all amounts from 0 to 1; leave out --amount.")
    if options.format == "flac" and options.bits == 32:
        raise UsageError("FLAC holds 16 or 24 bits, not 32; take --format wav.")
