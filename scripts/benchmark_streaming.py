#!/usr/bin/env python3
"""How long sounds take that are played block by block, beside rendering them as a whole.

    python scripts/benchmark_streaming.py [MODEL ...] [--block_size 128] [--sounds FILE ...]

MODEL is "measured", the voice that needs no training, or the name or file of a model; both
"measured" and "drums" if none is given. Each sound is decomposed, opened as a stream, and played
block by block on one thread: as it is, while its pitch moves, and while it morphs to the next
sound. A block has to be ready before the one before it is over, so the worst block counts. It is
the largest one of a round, and the figure is the median over rounds, because other programs take
the processor away at times; so are the others. Times are those of the processor. "Voices" is how
many sounds that start together one core plays, by the mean time of the first 100 ms. The table is
Markdown.
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Dict, List, Sequence

import torch

import drumblender
from drumblender.sound import Sound, Voice
from drumblender.sound.streaming import Stream

ROOT = Path(__file__).resolve().parents[1]
SOUNDS = ("bd/kick/bd_808", "drum/snare/drum_snare_hard", "drum/tom/drum_tom_mid_hard")
SOUNDS += ("drum/cymbals/drum_splash_hard",)


def play(stream: Stream, changes: Dict[str, float]) -> List[float]:
    """Play a stream, and move controls between their values and rest; seconds of each block."""
    spent = []
    every = max(1, round(0.05 * stream.sample_rate / stream.block_size))
    while not stream.ended:
        begun = time.process_time()
        if changes and len(spent) % every == every - 1:
            share = (len(spent) // every + 1) % 2
            stream.set(**{name: share * value for name, value in changes.items()})
        stream.next()
        spent.append(time.process_time() - begun)
    return spent


def rendering(sound: Sound) -> float:
    """Seconds that the whole takes."""
    begun = time.process_time()
    sound.with_gain(0).render(rate_of(sound))  # a sound keeps its parts once they are played
    return time.process_time() - begun


def rate_of(sound: Sound) -> int:
    """Sample rate of the parts of a sound, in Hz."""
    return sound.timeline.sample_rate


def rows(voice: Voice, sounds: Sequence[Sound], size: int, rounds: int) -> List[List[str]]:
    """Measure sounds, one line of the table for each and each way of playing."""
    made = []
    for index, sound in enumerate(sounds):
        other = sounds[(index + 1) % len(sounds)]
        streams = {
            "as it is": (voice.stream(sound, size), {}),
            "pitch moves": (voice.stream(sound, size), {"pitch": 3.0}),
            "morph moves": (voice.stream(sound, size, toward=other), {"morph": 0.8}),
        }
        whole = [rendering(sound) for _ in range(rounds)]
        for name, (stream, changes) in streams.items():
            play(stream.again(), changes)
            takes = [play(stream.again(), changes) for _ in range(rounds)]
            seconds = stream.total / stream.sample_rate
            head = max(1, round(0.1 * stream.sample_rate / size))
            budget = size / stream.sample_rate
            made.append(
                [
                    f"{sound.name}, {name}",
                    f"{1000 * stream.opening:.0f}",
                    f"{statistics.median(whole) / seconds:.3f}",
                    f"{statistics.median(map(sum, takes)) / seconds:.3f}",
                    f"{1000 * statistics.median(statistics.median(x) for x in takes):.2f}",
                    f"{1000 * statistics.median(map(max, takes)):.2f}",
                    f"{budget / statistics.median(sum(x[:head]) / head for x in takes):.1f}",
                ]
            )
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=["measured", "drums"], metavar="MODEL")
    parser.add_argument("--block_size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--sounds", type=Path, nargs="+")
    options = parser.parse_args()
    torch.set_num_threads(1)
    files = options.sounds or [ROOT / f"audio/one-shots/{name}.flac" for name in SOUNDS]
    for model in options.models:
        voice = drumblender.load(None if model == "measured" else model, device="cpu")
        sounds = [voice.decompose(file, seed=0) for file in files]
        print(f"\n{model}, blocks of {options.block_size} samples:\n")
        print(
            "| sound | opening, ms | whole, x real time | stream, x real time | block, ms "
            "| worst block, ms | voices |\n|---|---|---|---|---|---|---|"
        )
        for row in rows(voice, sounds, options.block_size, options.rounds):
            print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
