"""``drumblender-kit``, which makes a kit that samplers open.

This module only parses arguments. The work is done in :mod:`drumblender.kits`.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

from drumblender.commands.report import Parser, report_errors
from drumblender.errors import DrumblenderError, UsageError
from drumblender.files.text import printable
from drumblender.kits.settings import (
    FORMATS,
    USUAL_LAYERS,
    USUAL_ROUND_ROBINS,
    KitRequest,
    Other,
    Shape,
)
from drumblender.kits.trim import USUAL_TAIL
from drumblender.kits.velocity import USUAL_RANGE
from drumblender.pretrained.names import find_model
from drumblender.pretrained.table import models_table
from drumblender.sound.changes import Changes
from drumblender.sound.controls import by_name


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run ``drumblender-kit`` with arguments, and return its exit code."""
    return report_errors(_kit, argv)


def _parser() -> argparse.ArgumentParser:
    """Describe the options."""
    parser = Parser(
        prog="drumblender-kit",
        usage="drumblender-kit INPUT [INPUT ...] OUT [options]\n"
        "       drumblender-kit --blend KIT_A KIT_B OUT [--amount X] [options]\n"
        "       drumblender-kit --list_models",
        description="Make a playable kit of drums: velocity layers and round robins, for samplers. "
        "INPUT is a recording, a folder of drums, a Hydrogen kit (.h2drumkit or its folder), an "
        "SFZ kit or a preset of Decent Sampler; several become one kit. OUT is a folder, and its "
        "name is that of the kit.",
        epilog="--debug shows where an error comes from.",
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help=argparse.SUPPRESS)
    two = parser.add_argument_group("two kits")
    two.add_argument(
        "--blend",
        nargs=2,
        metavar=("KIT_A", "KIT_B"),
        help="make the kit between two; drums go together by instrument",
    )
    two.add_argument(
        "--amount", type=float, metavar="X", help="0 for KIT_A to 1 for KIT_B (default: 0.5)"
    )
    two.add_argument(
        "--like",
        metavar="KIT",
        help="let drums keep their modes, and take noise and transient of those of KIT",
    )
    shape = parser.add_argument_group("layers")
    shape.add_argument(
        "--layers",
        type=int,
        metavar="N",
        help=f"velocity layers (default: those of the kit, or {USUAL_LAYERS})",
    )
    shape.add_argument(
        "--round_robins",
        type=int,
        metavar="N",
        help="samples that take turns in each layer (default: those of the kit, or "
        f"{USUAL_ROUND_ROBINS})",
    )
    shape.add_argument(
        "--humanize",
        type=float,
        metavar="X",
        help="how much round robins differ; 1 is usual (default: 1, or that of the preset)",
    )
    shape.add_argument(
        "--dynamics",
        type=float,
        default=USUAL_RANGE,
        metavar="DB",
        help="level of the highest velocity beside the lowest one, where the kit has no layers "
        "(default: %(default)g)",
    )
    shape.add_argument(
        "--tail",
        type=float,
        default=USUAL_TAIL,
        metavar="DB",
        help="level at which a sample ends, beside its loudest moment (default: %(default)g)",
    )
    sound = parser.add_argument_group("sound")
    sound.add_argument("--preset", metavar="FILE", help="change every drum by these controls")
    sound.add_argument(
        "--model", metavar="NAME", help="take a model by its name or file, as drumblender-synth"
    )
    sound.add_argument("--list_models", action="store_true", help="list the models that are here")
    sound.add_argument("--device", default="auto", help="cpu, cuda, ... (default: %(default)s)")
    sound.add_argument("--seed", type=int, help="repeat noise and round robins (default: never)")
    output = parser.add_argument_group("output")
    output.add_argument(
        "--format",
        action="append",
        choices=tuple(FORMATS),
        help="write this form only; may be given again (default: all)",
    )
    output.add_argument(
        "--bits", type=int, choices=(16, 24, 32), default=24, help="32 are floats (default: 24)"
    )
    output.add_argument(
        "--sample_rate", type=int, metavar="HZ", help="of all samples (default: the input's)"
    )
    output.add_argument("--force", action="store_true", help="replace a kit that is there")
    output.add_argument(
        "--num_workers", type=int, metavar="N", help="processes (default: all cores)"
    )
    return parser


def _kit(argv: List[str]) -> None:
    """Carry out a command line."""
    options = _parser().parse_intermixed_args(argv)
    if options.list_models:
        return print(models_table())
    inputs, out, other = _kits(options)
    request = replace(_request(options), other=other)

    from drumblender.kits.build import build_kit

    built = build_kit(inputs, out, request, options.force, options.num_workers)
    for note in built.notes:
        print(printable(note))
    for drum in built.kit.drums:
        takes = sum(len(layer.hits) for layer in drum.layers)
        print(printable(f"{drum.note:4d}  {drum.name}: {len(drum.layers)} layers, {takes} samples"))
    print(
        f"{len(built.kit.files)} samples of {len(built.kit.drums)} drums, all with a gain of "
        f"{built.gain:.1f} dB"
    )
    for path in built.files:
        print(printable(str(path)))
    if built.failed:
        total = len(built.failed) + len(built.kit.drums)
        lines = ["Failed:", *(f"  {reason}" for reason in built.failed)]
        print("\n".join(lines), file=sys.stderr)
        raise DrumblenderError(
            f"{out} lacks {len(built.failed)} of {total} drums, for the reasons listed above; mend "
            "or remove them, and run the same command with --force."
        )


def _kits(options: argparse.Namespace) -> Tuple[List[Path], Path, Optional[Other]]:
    """Return what is read, where the kit goes, and the other kit if there is one.

    Raises:
        UsageError: if paths or options do not go together.
    """
    paths = [Path(path) for path in options.paths]
    if options.blend:
        if options.like is not None:
            raise UsageError("--blend and --like do not go together; leave one of them out.")
        if len(paths) != 1:
            raise UsageError("--blend KIT_A KIT_B needs OUT and no INPUT beside it; see --help.")
        amount = 0.5 if options.amount is None else options.amount
        if not 0 <= amount <= 1:
            raise UsageError(f"--amount is {amount:g}; give 0 for KIT_A to 1 for KIT_B.")
        return [Path(options.blend[0])], paths[0], Other(Path(options.blend[1]), amount)
    if options.amount is not None:
        raise UsageError("--amount is of --blend KIT_A KIT_B; give that, too.")
    if len(paths) < 2:
        raise UsageError("Give INPUT and OUT, such as drumblender-kit drums/ my_kit; see --help.")
    *inputs, out = paths
    return inputs, out, Other(Path(options.like)) if options.like is not None else None


def _request(options: argparse.Namespace) -> KitRequest:
    """Return what a command line asks for.

    Raises:
        UsageError: if a number is out of range.
    """
    for name, low, high in (
        ("layers", 1, 127),
        ("round_robins", 1, 64),
        ("dynamics", 0, 96),
        ("tail", -120, -20),
        ("sample_rate", 4_000, 768_000),
    ):
        value = getattr(options, name)
        if value is not None and not low <= value <= high:
            raise UsageError(f"--{name} is {value:g}; give {low} to {high}.")
    changes = Changes.read(options.preset) if options.preset else Changes()
    humanize = options.humanize
    if humanize is None:
        humanize = dict(changes.values).get("humanize", 1.0)
    by_name("humanize").check(humanize, called="--humanize")
    return KitRequest(
        config=find_model(options.model) if options.model else None,
        device=options.device,
        seed=options.seed,
        changes=changes,
        shape=Shape(options.layers, options.round_robins, humanize, options.dynamics, options.tail),
        sample_rate=options.sample_rate,
        bits=options.bits,
        formats=tuple(dict.fromkeys(options.format or FORMATS)),
    )
