#!/usr/bin/env python3
"""How long the instruments take that `drumblender export --host nn~` writes, beside the package.

    python scripts/benchmark_hosts.py [MODEL ...] [--sounds FILE ...] [--rounds 5]

MODEL is "measured" or the name or file of a model; both "measured" and "drums" if none is given.
Each sound becomes an instrument of one drum, which is saved, loaded and played in blocks of 128 and
512 samples on one thread, by one hit at the beginning. Times are those of the processor: of a
block, and of the worst block of a round; medians over rounds. The package's own stream
(`voice.stream`) stands beside it. "Hits" is how many that begin together one core plays, by the
first 100 ms in blocks of 128. The table is Markdown.
"""

import argparse
import io
import statistics
import time
from pathlib import Path
from typing import Any, Callable, List, Tuple

import torch

import drumblender
from drumblender.export.instrument.building import instrument_of
from drumblender.export.nn_tilde import script
from drumblender.sound import Sound, Voice

ROOT = Path(__file__).resolve().parents[1]
SOUNDS = ("bd/kick/bd_808", "drum/snare/drum_snare_hard", "drum/cymbals/drum_splash_hard")


def saved(sound: Sound) -> Tuple[Any, int]:
    """Make an instrument as a host loads it, and the size of its file in bytes."""
    content = io.BytesIO()
    torch.jit.save(script(instrument_of([sound]), ["drum"]), content)
    size = content.tell()
    content.seek(0)
    return torch.jit.load(content), size


def spent(play: Callable[[int], Any], count: int) -> List[float]:
    """Seconds of each of a number of blocks."""
    times = []
    for k in range(count):
        begun = time.thread_time()
        play(k)
        times.append(time.thread_time() - begun)
    return times


def hit(module: Any, size: int, count: int) -> List[float]:
    """Seconds of the blocks of one hit."""
    module.reset()
    still, first = torch.zeros(2, 1, 1, size)
    first[..., 0] = 1.0
    return spent(lambda k: module.forward(still if k else first), count)


@torch.inference_mode()
def row(voice: Voice, sound: Sound, rounds: int) -> str:
    """Measure a sound: one line of the table."""
    module, size = saved(sound)
    rate, total = sound.timeline.sample_rate, sound.timeline.total
    cells = [f"{size / 1e6:.1f} MB"]
    for block in (128, 512):
        count = -(-total // block)
        hit(module, block, min(count, 8))  # compiles
        takes = [hit(module, block, count) for _ in range(rounds)]
        share = statistics.median(map(sum, takes)) / (total / rate)
        worst = statistics.median(map(max, takes))
        cells += [f"{share:.3f}", f"{1000 * worst:.2f}"]
        if block == 128:
            head = max(1, round(0.1 * rate / block))
            mean = statistics.median(sum(x[:head]) / head for x in takes)
            hits = f"{block / rate / mean:.1f}"
            stream = voice.stream(sound, block)
            played = []
            for _ in range(rounds):
                again = stream.again()
                played.append(spent(lambda k, again=again: again.next(), count))
            streamed = 1000 * statistics.median(map(max, played))
    return f"| {sound.name} | {' | '.join([*cells, hits, f'{streamed:.2f}'])} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=["measured", "drums"], metavar="MODEL")
    parser.add_argument("--sounds", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    files = options.sounds or [ROOT / f"audio/one-shots/{name}.flac" for name in SOUNDS]
    for model in options.models:
        voice = drumblender.load(None if model == "measured" else model, device="cpu")
        columns = ["sound", "file", "128: x real time", "worst block, ms", "512: x real time"]
        columns += ["worst block, ms", "hits", "worst block of a stream, ms"]
        print(f"\n{model}:\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
        for file in files:
            print(row(voice, voice.decompose(file, seed=0), options.rounds), flush=True)


if __name__ == "__main__":
    main()
