"""Velocity layers and round robins, made of a drum that was taken apart.

Layers that a kit has are used as they are. Others are derived: between two layers by a blend of
both, and elsewhere by the curves of :mod:`drumblender.kits.velocity`. Hits that a kit has are used
as round robins, and others are humanized.
"""

import math
from dataclasses import dataclass, replace
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from drumblender.errors import DrumblenderError
from drumblender.files.reading import read_channels
from drumblender.files.segments import SEGMENT_S
from drumblender.jobs.studio import derive_seed
from drumblender.kits.kit import Drum, Hit, even_layers
from drumblender.kits.settings import USUAL_LAYERS, USUAL_ROUND_ROBINS, Shape
from drumblender.kits.trim import start_of, trimmed
from drumblender.kits.velocity import level, softer
from drumblender.signal import loudness_of
from drumblender.sound.blending import blend
from drumblender.sound.playing import render
from drumblender.sound.sound import Sound
from drumblender.sound.voice import Voice


@dataclass(frozen=True)
class Stroke:
    """A drum at one velocity, taken apart.

    Attributes:
        velocity: the velocity that plays it as it is.
        sounds: sounds that are alike, as of several hits.
        instrument: instrument of the drum, which says how a softer hit sounds.
    """

    velocity: int
    sounds: Tuple[Sound, ...]
    instrument: str = ""


@dataclass(frozen=True)
class Samples:
    """The samples of one layer.

    Attributes:
        low: lowest velocity.
        high: highest velocity.
        takes: samples that play by turns, each with its sample rate.
    """

    low: int
    high: int
    takes: Tuple[Tuple[np.ndarray, int], ...]


def take_apart(drum: Drum, voice: Voice, seed: Optional[int] = None) -> Tuple[Stroke, ...]:
    """Take all recordings of a drum apart, from soft to loud.

    Raises:
        DrumblenderError: if a recording cannot be read, is too long, or is silent.
    """
    return tuple(
        Stroke(layer.high, tuple(_sound(hit, voice, seed) for hit in layer.hits), drum.instrument)
        for layer in drum.layers
    )


def _sound(hit: Hit, voice: Voice, seed: Optional[int]) -> Sound:
    """Take one recording apart, at the level and the pitch at which the kit plays it."""
    samples, rate = read_channels(hit.file)
    if len(samples) > SEGMENT_S * rate:
        raise DrumblenderError(
            f"{hit.file} is longer than {SEGMENT_S:g} s, too long for a drum; cut it."
        )
    # Played faster, it is a recording of another sample rate.
    faster = max(1, round(rate * 2 ** (hit.pitch / 12)))
    recording = voice.prepare(samples, faster, True, hit.file.name)
    drawn = derive_seed(seed, hit.file.name)
    sound = voice.decompose_prepared([recording], [drawn])[0]
    if sound.is_silent:
        raise DrumblenderError(f"{hit.file} is silent; leave it out.")
    return replace(sound, sample_rate=rate).with_gain(hit.gain)


def samples_of(
    strokes: Sequence[Stroke], shape: Shape, seed: Optional[int] = None
) -> Tuple[List[Samples], bool]:
    """Make the samples of a drum, layer by layer from soft to loud.

    All takes of a layer are equally loud. Where the recorded layers of a drum do not become louder,
    as if each had been normalized, their levels follow velocity by the curve.

    Args:
        strokes: the drum, from soft to loud.
        shape: the layers and samples to make.
        seed: seed of what is drawn by chance. None stands for another one each time.

    Returns:
        The samples, and whether all recordings had decayed before they ended.
    """
    measured = {stroke.velocity: mean_loudness(stroke.sounds) for stroke in strokes}
    levels = rising(measured, shape.range_db)
    decayed = True
    made = []
    for low, high in ranges_of([stroke.velocity for stroke in strokes], shape.layers):
        stroke, loud = stroke_at(strokes, levels, high, shape.range_db)
        takes = []
        sounds, origins = _takes(stroke, shape, seed, high)
        starts: Dict[int, int] = {}
        for sound, origin in zip(sounds, origins):
            samples = next(iter(render([sound], separate=False)[0].values()))
            # Takes of one recording begin at the same moment of it.
            start = starts.setdefault(origin, start_of(samples, sound.sample_rate))
            cut, ended = trimmed(samples, sound.sample_rate, start, shape.tail)
            gain = loud - loudness_of(cut, sound.sample_rate)
            if not math.isfinite(gain):
                raise DrumblenderError(
                    f"{sound.name} is silent with these controls; leave it out, or change them."
                )
            takes.append((cut * np.float32(10 ** (gain / 20)), sound.sample_rate))
            decayed = decayed and ended
        made.append(Samples(low, high, tuple(takes)))
    return made, decayed


def ranges_of(velocities: Sequence[int], count: Optional[int]) -> List[Tuple[int, int]]:
    """Choose the velocity ranges of layers.

    Layers that are there stay where they are. If there are too many, those are taken that are
    spread most evenly, and always the loudest one. If there are too few, the widest ranges are
    divided.

    Args:
        velocities: highest velocities of the layers that are there.
        count: number of layers that are wanted. None stands for those that are there, or for 4 if
            there is only one.

    >>> ranges_of([127], None), ranges_of([40, 127], 3)
    ([(1, 32), (33, 64), (65, 95), (96, 127)], [(1, 40), (41, 84), (85, 127)])
    """
    if len(velocities) == 1:
        return even_layers(USUAL_LAYERS if count is None else count)
    highs = sorted(velocities)
    count = len(highs) if count is None else count
    if count < len(highs):
        highs = [highs[len(highs) - 1 - round(i * len(highs) / count)] for i in range(count)]
    while len(highs) < count:
        lows = [0, *sorted(highs)]
        width, low = max((high - low, low) for low, high in zip(lows, lows[1:]))
        highs.append(low + (width + 1) // 2)
    highs = sorted(highs)
    return list(zip([1, *(high + 1 for high in highs)], highs))


def stroke_at(
    strokes: Sequence[Stroke], levels: Dict[int, float], velocity: int, range_db: float
) -> Tuple[Stroke, float]:
    """Return a drum at a velocity, as it is there or derived, and its loudness in LUFS."""
    above = next((s for s in strokes if s.velocity >= velocity), strokes[-1])
    below = next((s for s in reversed(strokes) if s.velocity <= velocity), None)
    if above.velocity == velocity:
        return above, levels[velocity]
    if below is None or below is above:
        change = level(velocity, range_db) - level(above.velocity, range_db)
        sounds = tuple(softer(sound, change, above.instrument) for sound in above.sounds)
        return Stroke(velocity, sounds, above.instrument), levels[above.velocity] + change
    amount = (velocity - below.velocity) / (above.velocity - below.velocity)
    soft, hard = below.sounds, above.sounds
    sounds = tuple(
        blend(soft[i % len(soft)], hard[i % len(hard)], amount)
        for i in range(max(len(soft), len(hard)))
    )
    softest, loudest = levels[below.velocity], levels[above.velocity]
    return Stroke(velocity, sounds, above.instrument), softest + amount * (loudest - softest)


def _takes(
    stroke: Stroke, shape: Shape, seed: Optional[int], velocity: int
) -> Tuple[List[Sound], List[int]]:
    """Return as many sounds as are wanted, and from which sound of the stroke each one comes."""
    there = len(stroke.sounds)
    count = shape.round_robins
    if count is None:
        count = there if there > 1 else USUAL_ROUND_ROBINS
    sounds, origins = [], []
    for index in range(count):
        origin = index % there
        sound = stroke.sounds[origin]
        if index >= there:
            name = f"{sound.name} velocity {velocity} take {index}"
            sound = sound.with_variation(shape.humanize, seed=derive_seed(seed, name))
        sounds.append(sound)
        origins.append(origin)
    return sounds, origins


def mean_loudness(sounds: Sequence[Sound]) -> float:
    """Return the mean loudness of sounds that are alike, in LUFS."""
    heard = [
        loudness_of(next(iter(stems.values())), sound.sample_rate)
        for sound, stems in zip(sounds, render(sounds, separate=False))
    ]
    return sum(heard) / len(heard)


def rising(measured: Dict[int, float], range_db: float) -> Dict[int, float]:
    """Return levels by velocity that rise: those that were measured, or else those of the curve."""
    velocities = sorted(measured)
    loudest = measured[velocities[-1]]
    if len(velocities) == 1 or measured[velocities[0]] < loudest - 1:
        return measured
    top = level(velocities[-1], range_db)
    return {v: loudest + level(v, range_db) - top for v in velocities}
