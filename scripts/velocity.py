"""Measure how real drums change with how hard they are hit, for the curve of drumblender-kit.

    python scripts/velocity.py /usr/share/hydrogen/data/drumkits/*

Each drum of a kit that has layers is compared with its loudest layer. The level of a layer is that
at which its kit plays it at its highest velocity. Printed is, per dB of level: the tilt of the
spectrum in dB per octave, and the level of the transient beside the whole sound in dB; each as the
median of all softer layers with the quartiles, for each instrument and for all.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch

import drumblender
from drumblender.errors import DrumblenderError
from drumblender.kits.layers import take_apart
from drumblender.kits.reading import read_kit
from drumblender.signal import loudness

OCTAVES = 62.5 * 2.0 ** np.arange(9)  # lower ends of bands, up to 32 kHz
LEAST_DB = 3.0  # layers that are closer than this say nothing
COPY_DB = 0.5  # a layer whose spectrum differs by less is the same recording, played softer
AUDIBLE_DB = -40.0  # bands that are softer than the loudest one by more than this do not count


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kits", nargs="+", type=Path, help="kits with velocity layers")
    voice = drumblender.load()
    found = {}
    for path in parser.parse_args().kits:
        with tempfile.TemporaryDirectory() as scratch:
            try:
                kit = read_kit(path, Path(scratch))
            except DrumblenderError as error:
                print(f"left out: {error}")
                continue
            for drum in kit.drums:
                if len(drum.layers) > 1:
                    found.setdefault(drum.instrument, []).extend(compare(drum, voice))
    found = {name: rows for name, rows in found.items() if rows}
    print("instrument  layers  tilt [dB/octave/dB]     transient [dB/dB]")
    every = [row for rows in found.values() for row in rows]
    for name, rows in [*sorted(found.items()), ("all", every)]:
        tilt, transient = np.array(rows).T
        print(f"{name:10}  {len(rows):6}  {quartiles(tilt)}  {quartiles(transient)}")


def compare(drum, voice):
    """Yield tilt and transient per dB of each layer that is softer than the loudest one."""
    try:
        heard = [measure(stroke.sounds[0]) for stroke in take_apart(drum, voice, 0)]
    except DrumblenderError as error:
        print(f"left out: {error}")
        return
    level, bands, transient = heard[-1]
    for its_level, its_bands, its_transient in heard[:-1]:
        change = its_level - level
        counts = bands > bands.max() + AUDIBLE_DB
        is_copy = np.ptp((its_bands - bands)[counts]) < COPY_DB
        if change < -LEAST_DB and not is_copy:
            octave = np.arange(len(bands))[counts]
            tilt = np.polyfit(octave, (its_bands - bands)[counts], 1)[0] if len(octave) > 2 else 0
            yield tilt / change, (its_transient - transient) / change


def measure(sound):
    """Return loudness, levels in octaves, and level of the transient beside the whole, in dB."""
    stems = {name: x.reshape(len(x), -1) for name, x in sound.stems().items()}
    whole = sum(stems.values())
    power = (np.abs(np.fft.rfft(whole, axis=0)) ** 2).sum(1)
    frequency = np.fft.rfftfreq(len(whole), 1 / sound.sample_rate)
    bands = [power[(frequency >= f) & (frequency < 2 * f)].sum() for f in OCTAVES]
    share = (stems["transient"] ** 2).sum() / (whole**2).sum()
    audio = torch.from_numpy(np.ascontiguousarray(whole.T))
    decibels = 10 * np.log10(np.maximum([*bands, share], 1e-15))
    return loudness(audio, sound.sample_rate), decibels[:-1], decibels[-1]


def quartiles(values):
    """Write the median and the quartiles of values."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    return f"{middle:6.3f} ({low:6.3f} to {high:6.3f})"


if __name__ == "__main__":
    main()
