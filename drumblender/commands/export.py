"""``drumblender export``, which makes programs of a model that other software runs."""

import argparse
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any, List, Sequence

from drumblender.commands.report import Parser
from drumblender.errors import DrumblenderError, UsageError
from drumblender.files.listing import files_below
from drumblender.files.paths import SUFFIXES
from drumblender.files.text import printable

if TYPE_CHECKING:
    from drumblender.export.check import Compared

_BUNDLED = Path(__file__).parents[2] / "audio/one-shots"
_COUNT = 20  # sounds of a check


def export_command(argv: List[str]) -> None:
    """Carry out ``drumblender export`` with arguments."""
    options = parser().parse_intermixed_args(argv)
    if not 2 <= len(options.paths) <= 3:
        raise UsageError("Give MODEL and FOLDER, and maybe CONFIG in front; see --help.")
    *config, model, folder = options.paths
    if options.host is not None:
        _export_host(options, model, folder, config[0] if config else None)
        return
    if options.sounds is not None:
        raise UsageError("--sounds are the drums of an instrument; give --host, or leave them out.")
    sounds = _sounds(options.check) if options.check is not None else []

    from drumblender.export.folder import onnx_runtime
    from drumblender.export.write import export_model

    forms = [form.strip() for form in options.forms.split(",") if form.strip()]
    if options.check is not None:
        if "onnx" not in forms:
            raise UsageError("--check plays the ONNX, which --forms leaves out; let it be one.")
        onnx_runtime()
    loaded, manifest = export_model(
        model,
        folder,
        config[0] if config else None,
        forms,
        options.sample_rate,
        options.untrained,
    )
    _list(manifest.parent)
    if options.check is not None:
        from drumblender.export.check import check_folder

        _report(check_folder(folder, loaded, sounds))


def _export_host(options: argparse.Namespace, model: str, folder: str, config: Any) -> None:
    """Write an instrument for hosts."""
    from drumblender.export.hosts import LIMIT, check_instrument, export_instrument

    if options.check:
        raise UsageError("--check takes no folder with --host, because it plays --sounds.")
    hosts = [host.strip() for host in options.host.split(",") if host.strip()]
    drums, manifest = export_instrument(
        model,
        folder,
        options.sounds or [],
        hosts,
        config,
        options.sample_rate,
        options.untrained,
        submit=options.check is not None,
    )
    _list(manifest.parent)
    if options.check is None:
        return
    found = check_instrument(folder, drums)
    for one in found:
        print(f"{printable(one.name)[:40]:40} {one.difference:8.1f}dB, {one.late} samples late")
    worst = max(found, key=lambda one: one.difference)
    if worst.difference > LIMIT:
        raise DrumblenderError(
            f"{worst.name} differs by {worst.difference:.1f} dB of its peak, more than -90 dB; do "
            "not use this export, and report the model."
        )


def _list(folder: Path) -> None:
    """Print the files of a folder and their sizes."""
    for path in sorted(folder.iterdir()):
        if path.is_file():
            print(printable(f"{path}  {path.stat().st_size / 1e6:.2f} MB"))


def parser() -> Parser:
    """Make the parser of the command."""
    made = Parser(
        prog="drumblender export",
        usage="drumblender export [CONFIG] MODEL FOLDER [options]",
        description="Write a folder with programs of a model that other software runs: encode, "
        "from audio and modes to controls, and synthesize, from controls and white noise to parts. "
        "MODEL is the name of a model, its file, a checkpoint, or `measured`, the model that needs "
        "no training. CONFIG is for a checkpoint that does not carry it.",
    )
    made.add_argument("paths", nargs="+", metavar="PATH", help=argparse.SUPPRESS)
    made.add_argument(
        "--forms",
        default="onnx,pt2,torchscript",
        metavar="LIST",
        help="forms to write, of onnx, pt2 (torch.export) and torchscript (default: all)",
    )
    made.add_argument(
        "--host",
        metavar="LIST",
        help="write an instrument of --sounds instead, for nn~ (Max, Pure Data), neutone, or both",
    )
    made.add_argument(
        "--sounds",
        nargs="+",
        metavar="FILE",
        help="recordings or files of parts (.drum) that become the drums of an instrument",
    )
    made.add_argument(
        "--sample_rate",
        type=int,
        metavar="HZ",
        help="sample rate of the measured model's programs (default: 48000)",
    )
    made.add_argument(
        "--untrained",
        action="store_true",
        help="MODEL is a configuration, exported with random weights, to try a host with",
    )
    made.add_argument(
        "--check",
        nargs="?",
        const="",
        metavar="SOUNDS",
        help="play 20 sounds of a folder (default: the bundled ones) in PyTorch and in ONNX "
        "Runtime, and fail if they differ by more than -90 dB of the peak",
    )
    return made


def _sounds(folder: str) -> List[Path]:
    """Choose sounds of a folder, evenly among their names."""
    top = Path(folder) if folder else _BUNDLED
    if not top.exists():
        advice = "check the path" if folder else "give --check a folder with drums"
        raise DrumblenderError(f"There is no {top}; {advice}.")
    names = sorted(name for name, problem in files_below(top) if not problem)
    names = [name for name in names if Path(name).suffix.lower() in SUFFIXES]
    if not names:
        raise DrumblenderError(f"{top} holds no recordings; give a folder with drums.")
    count = min(_COUNT, len(names))
    return [top / names[i * len(names) // count] for i in range(count)]


def _report(found: Sequence["Compared"]) -> None:
    """Print what came of a check.

    Raises:
        DrumblenderError: if a sound differs.
    """
    print(f"\n{'sound':32} {'difference':>10} {'PyTorch':>10} {'ONNX Runtime':>13}")
    for one in found:
        name = printable(one.name)[:32]
        times = f"{1000 * one.pytorch:8.1f}ms {1000 * one.onnx:11.1f}ms"
        print(f"{name:32} {one.difference:8.1f}dB {times}")
    worst = max(found, key=lambda one: one.difference)
    slow = [
        statistics.median(getattr(one, kind) / one.seconds for one in found)
        for kind in ("pytorch", "onnx")
    ]
    print(
        f"\n{len(found)} sounds, largest difference {worst.difference:.1f} dB; processor time "
        f"{slow[0]:.3f} of real time (median) in PyTorch, {slow[1]:.3f} in ONNX Runtime"
    )
    if not all(one.is_same for one in found):
        raise DrumblenderError(
            f"{worst.name} differs by {worst.difference:.1f} dB of its peak, more than -90 dB; do "
            "not use this export, and report the model."
        )
