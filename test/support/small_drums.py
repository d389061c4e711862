"""Small drums with known parts, and folders of them."""

import numpy as np
import soundfile

RATE = 44100


def drum(frequency=120.0, noise=0.2, seconds=0.3, level=0.5, rate=RATE, seed=0, decay=20.0):
    """A decaying tone with a decaying noise (N,), which begins with a click."""
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    sound = np.exp(-decay * time) * np.sin(2 * np.pi * frequency * time)
    sound += noise * np.exp(-1.5 * decay * time) * random.standard_normal(len(time))
    sound[:20] += 0.5 * random.standard_normal(20)
    return level * sound / np.abs(sound).max()


# A kit that has a pair of hats, layers by name, two channels and a quiet drum.
DRUMS = {
    "Kick.wav": drum(60, 0.05),
    "Snare soft.wav": drum(190, 0.3, level=0.1, seed=1),
    "Snare hard.wav": drum(190, 0.6, level=0.7, seed=2),
    "Hat closed.wav": drum(7000, 3.0, 0.15, 0.2, seed=3, decay=60),
    "Hat open.wav": drum(7000, 3.0, seed=4, level=0.25),
    "Tom.wav": np.stack([drum(90, 0.02), 0.5 * drum(90, 0.02)], 1),
}


def write_drums(folder, drums=None, rate=RATE):
    """Write drums as files, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, samples in (DRUMS if drums is None else drums).items():
        soundfile.write(folder / name, samples, rate, "PCM_24")
    return folder
