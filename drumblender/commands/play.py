"""``drumblender-play``, which plays a kit by MIDI or by strokes before a microphone.

This module only parses arguments. The work is done in :mod:`drumblender.live`.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, List, Optional, Sequence

from drumblender.commands.report import Parser, report_errors
from drumblender.errors import UsageError
from drumblender.files.text import printable
from drumblender.pretrained.names import known_models
from drumblender.pretrained.table import models_table

if TYPE_CHECKING:
    from drumblender.live.offline import Event
    from drumblender.live.player import Player


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run ``drumblender-play`` with arguments, and return its exit code."""
    return report_errors(_play, argv)


def _parser() -> argparse.ArgumentParser:
    """Describe the options."""
    parser = Parser(
        prog="drumblender-play",
        description="Play drums by MIDI or by strokes on a pad, while controllers change and morph "
        "them. KIT is a recording, a folder of drums, a Hydrogen kit, an SFZ kit or a preset of "
        "Decent Sampler. The modulation wheel morphs to --toward, the pitch wheel reaches 2 "
        "semitones, and controllers 20, 21 and 22 are the levels of sinusoids, noise and transient "
        "(100 leaves them as they are).",
        epilog="--debug shows where an error comes from.",
    )
    parser.add_argument("kit", nargs="?", metavar="KIT", help="what to play")
    parser.add_argument("--toward", metavar="KIT", help="another kit, to which drums can morph")
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="take a model, as in drumblender-synth (default: parts are measured)",
    )
    parser.add_argument("--list_models", action="store_true", help="list the models that are here")
    parser.add_argument("--list_devices", action="store_true", help="list devices and ports")
    live = parser.add_argument_group("devices")
    live.add_argument("--device", metavar="NAME", help="sound device (default: the system's)")
    live.add_argument("--port", metavar="NAME", help="port of MIDI (default: the first one)")
    live.add_argument(
        "--microphone", action="store_true", help="let strokes on the device's input play --note"
    )
    live.add_argument("--seconds", type=float, metavar="S", help="stop after (default: Ctrl-C)")
    files = parser.add_argument_group("files")
    files.add_argument("--midi", metavar="FILE", help="play a MIDI file into --output")
    files.add_argument(
        "--strokes", metavar="FILE", help="let strokes in a recording play --note, into --output"
    )
    files.add_argument("--output", metavar="FILE", help="audio file to write")
    sound = parser.add_argument_group("sound")
    sound.add_argument("--note", type=int, metavar="N", help="key of strokes (default: the first)")
    sound.add_argument(
        "--threshold",
        type=float,
        default=-40.0,
        metavar="DB",
        help="level below which nothing is a stroke (default: %(default)g)",
    )
    sound.add_argument(
        "--voices",
        type=int,
        default=8,
        metavar="N",
        help="notes that sound at once, at most (default: %(default)s)",
    )
    sound.add_argument(
        "--gain", type=float, default=0.0, metavar="DB", help="of everything (default: %(default)g)"
    )
    sound.add_argument(
        "--block_size",
        type=int,
        default=256,
        metavar="N",
        help="samples that are computed at once (default: %(default)s)",
    )
    sound.add_argument(
        "--sample_rate", type=int, metavar="HZ", help="of the output (default: the kit's)"
    )
    sound.add_argument("--seed", type=int, default=0, help="of the noise (default: %(default)s)")
    return parser


def _play(argv: List[str]) -> None:
    """Carry out a command line."""
    options = _parser().parse_args(argv)
    if options.list_models:
        return print(models_table())
    if options.list_devices:
        from drumblender.live.devices import list_devices

        return print(list_devices())
    _check(options)
    # Before drums are taken apart for a file or a device that is not there.
    events = _events_of(options) if options.output else []
    if not options.output:
        from drumblender.live.devices import sound_library

        sound_library()

    import torch

    from drumblender.kits.reading import read_kit
    from drumblender.live.instruments import instruments_of, rate_of
    from drumblender.live.player import Player
    from drumblender.sound import load

    torch.set_num_threads(1)

    def tell(line: str) -> None:
        """Print a line."""
        print(printable(line), flush=True)

    voice = load(options.model, device="cpu")
    with tempfile.TemporaryDirectory(prefix="drumblender-play-") as name:
        scratch = [Path(name) / "kit", Path(name) / "toward"]
        for place in scratch:
            place.mkdir()
        kit = read_kit(options.kit, scratch[0])
        toward = read_kit(options.toward, scratch[1]) if options.toward else None
        tell(f"Taking {len(kit.drums)} drums apart ...")
        drums = instruments_of(kit, voice, toward, options.seed, tell)
    for drum in drums:
        hits = sum(len(layer.hits) for layer in drum.layers)
        tell(f"{drum.note:4d}  {drum.name}: {len(drum.layers)} layers, {hits} hits")
    note = drums[0].note if options.note is None else options.note
    if note not in [drum.note for drum in drums]:
        raise UsageError(f"--note {note} plays no drum; give a key of the list above.")
    rate = options.sample_rate or rate_of(drums)
    # In a file, only the time counts that the computation takes, and not that of other programs.
    clock = time.process_time if options.output else time.perf_counter
    player = Player(drums, rate, options.voices, 10 ** (options.gain / 20), clock=clock)
    if options.output:
        if options.strokes:
            events = [event._replace(number=note) for event in events]
        _into_file(options, player, events)
    else:
        _with_devices(options, player, note)
    tell(f"{player.load}.")


def _check(options: argparse.Namespace) -> None:
    """Check that options go together.

    Raises:
        UsageError: if they do not.
    """
    if options.kit is None:
        raise UsageError("Give a KIT to play, such as drumblender-play my_kit; see --help.")
    names = [model.name for model in known_models()]
    if options.kit in names and not Path(options.kit).exists():
        raise UsageError(
            f"{options.kit} is a model, which has no drums of its own; give a kit as well: "
            f"drumblender-play KIT --model {options.kit}."
        )
    given = [name for name in ("midi", "strokes") if getattr(options, name)]
    if len(given) > 1:
        raise UsageError("--midi and --strokes do not go together; leave one of them out.")
    if bool(given) != bool(options.output):
        raise UsageError("--output goes with --midi or --strokes; give both, or none of them.")
    for name, low, high in (
        ("voices", 1, 64),
        ("block_size", 32, 8192),
        ("threshold", -90, -6),
        ("gain", -90, 24),
        ("sample_rate", 4_000, 768_000),
    ):
        value = getattr(options, name)
        if value is not None and not low <= value <= high:
            raise UsageError(f"--{name} is {value:g}; give {low} to {high}.")


def _events_of(options: argparse.Namespace) -> "List[Event]":
    """Read the events of a file of MIDI, or the strokes of a recording, whose key is not known."""
    from drumblender.files.audio import check_name
    from drumblender.files.reading import read_channels
    from drumblender.live.offline import Event, events_of_file
    from drumblender.live.onsets import Listening, strokes

    check_name(options.output)
    if options.midi:
        return events_of_file(Path(options.midi))
    samples, rate = read_channels(options.strokes)
    found, latency = strokes(samples[:, 0], rate, Listening(options.threshold))
    print(f"{len(found)} strokes, each found {1000 * latency / rate:.1f} ms late at most")
    return [Event(x.found / rate, "note", 0, x.velocity) for x in found]


def _into_file(options: argparse.Namespace, player: "Player", events: "List[Event]") -> None:
    """Play events into a file."""
    import numpy as np

    from drumblender.files.audio import write_samples
    from drumblender.live.offline import play_events

    made = play_events(player, events, options.block_size)
    made = made if len(made) else np.zeros((1, 2), dtype=np.float32)
    peak = float(np.abs(made).max())
    if peak > 1:
        print(f"All was made softer by {20 * np.log10(peak):.1f} dB, to full scale.")
        made = made / np.float32(peak)
    write_samples(Path(options.output), made, player.sample_rate)


def _with_devices(options: argparse.Namespace, player: "Player", note: int) -> None:
    """Play what comes from devices."""
    from drumblender.live.devices import play_live
    from drumblender.live.onsets import Listening

    device = options.device
    device = int(device) if device is not None and device.isdigit() else device
    listening = Listening(options.threshold)
    try:
        play_live(
            player,
            options.block_size,
            options.port,
            device,
            options.microphone,
            note,
            listening,
            options.seconds,
        )
    except KeyboardInterrupt:
        print()
