#!/usr/bin/env python3
"""The sounds and the picture of the documentation, made with the voice that needs no training.

    python scripts/examples.py          # docs/audio/*.mp3, docs/images/snare_parts.png and
                                        # docs/player/tom.drum
    python scripts/examples.py FOLDER   # the same in another folder

All sounds get one gain, so that their levels can be compared.
"""

import argparse
import tempfile
from functools import reduce
from pathlib import Path
from typing import Dict

import numpy as np
import soundfile
import torch
from PIL import Image

import drumblender
from drumblender.plotting import plot_parts, save_figure
from drumblender.sound import Sound

ROOT = Path(__file__).resolve().parents[1]
RECORDINGS = ROOT / "audio/one-shots"
SNARE = RECORDINGS / "elec/snare/elec_snare.flac"
TOM = RECORDINGS / "drum/tom/drum_tom_mid_hard.flac"
# Linear, of the loudest sound. MP3 files may be a little louder than what they are made of.
PEAK = 0.9


def main() -> None:
    """Make the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "docs")
    folder = parser.parse_args().folder
    voice = drumblender.load(device="cpu")
    tom, snare = (voice.decompose(path, seed=1) for path in (TOM, SNARE))
    write_players(folder / "audio", tom, snare)
    draw_parts(folder / "images/snare_parts.png", snare)
    (folder / "player").mkdir(exist_ok=True)
    tom.save(folder / "player/tom.drum")


def write_players(folder: Path, tom: Sound, snare: Sound) -> None:
    """Write the sounds that pages play."""
    sounds: Dict[str, np.ndarray] = {
        "tom": tom.render(),
        "snare": snare.render(),
        "blend": drumblender.blend(tom, snare, 0.5).render(),
        "longer": tom.with_pitch(-4).with_decay(1.5).render(),
        **{f"snare_{name}": stem for name, stem in snare.stems().items()},
    }
    gain = PEAK / max(float(np.abs(sound).max()) for sound in sounds.values())
    folder.mkdir(parents=True, exist_ok=True)
    for name, sound in sounds.items():
        soundfile.write(folder / f"{name}.mp3", gain * sound, tom.sample_rate, format="MP3")


def draw_parts(path: Path, sound: Sound) -> None:
    """Draw a recording and its three parts."""
    stems = sound.stems()
    signals = [("Recording", reduce(np.add, stems.values()))]
    signals += [(name.capitalize(), stem) for name, stem in stems.items()]
    figure = plot_parts([(label, torch.from_numpy(x)) for label, x in signals], sound.sample_rate)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        whole = Path(scratch) / path.name
        save_figure(figure, whole)
        # With a palette, the file is half as large.
        palette = Image.open(whole).convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE)
        palette.save(path, optimize=True)


if __name__ == "__main__":
    main()
