#!/usr/bin/env python3
"""What the analysis measures and what models sound like, in small files that tests compare with.

    python scripts/golden.py            # compares; the exit code is 1 where something has changed
    python scripts/golden.py --write    # makes test/golden anew

Three files: the features of bundled recordings, what the model of each configuration computes for
given modal parameters, and a sound with every edit of :class:`~drumblender.sound.Sound`. Weights
are drawn by name, so that the same name and shape have the same values on every machine.

Features belong to a version of a method of the analysis, because datasets of two versions are not
to be mixed: ``--write`` refuses features of a method that have moved while the version of
its class in drumblender/analysis has not. Computers round differently, so what is
compared are distances in dB (see ``TOLERANCE``).
"""

import argparse
import math
import sys
import zlib
from pathlib import Path
from typing import Callable, Dict

import numpy as np
import soundfile
import torch
from torch import nn

from drumblender.analysis import AnalysisSettings, CQTModalAnalysis
from drumblender.analysis.settings import METHODS
from drumblender.config import load_config
from drumblender.fast import accelerate
from drumblender.parameters import Modes
from drumblender.signal import fit_length, resample
from drumblender.sound import Sound, Voice, blend
from drumblender.tasks import Blender
from drumblender.tasks.checkpoint import TrainedModel, analysis_settings, build_model

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "test/golden"
CONFIGURATIONS = (
    "01_noise_params",
    "02_transient_params",
    "03_noise_transient_params",
    "04_noise_parallel_transient_params",
    "05_all_parallel",
    "06_modal",
    "kick_single_kicktcn",
)
RECORDINGS = ("bd/kick/bd_808", "drum/snare/drum_snare_hard", "drum/tom/drum_tom_hi_hard")
RATE = 48000
# Every so many samples are kept: a prime, so that all places within a frame come in turn.
STRIDE = 13
FRAME_STRIDE = 8
VERSION_KEY = "version"
# How far a value may be from the golden one, in dB relative to its root mean square. Other vector
# units and thread counts were seen to move sounds by -100 dB and features by -89 dB at most,
# a constant of the analysis that differs by a percent by -50 dB and more. Separating features have
# a tolerance of their own: the search ends at slightly different places, up to -47 dB apart.
TOLERANCE = {"features": -60.0, "wirings": -80.0, "edits": -80.0, "separating": -35.0}

Arrays = Dict[str, np.ndarray]


def fill(module: nn.Module) -> nn.Module:
    """Give every tensor of a model values that follow from its name and shape alone."""
    state = module.state_dict()
    for name, tensor in state.items():
        if name.endswith("num_batches_tracked"):
            continue
        shape = tuple(tensor.shape)
        values = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
        if name.endswith("running_var"):
            values = np.abs(values) + 0.5
        elif name.endswith(("noise_params", "amp_params")):
            values = np.abs(values) * 0.1
        elif len(shape) > 1:
            values = values / math.sqrt(np.prod(shape[1:]))
        else:
            values = 0.05 * values
        state[name] = torch.as_tensor(values, dtype=tensor.dtype)
    module.load_state_dict(state)
    return module.eval()


def model_of(configuration: str) -> TrainedModel:
    """The model of a file in cfg/, with filled weights, as it would come from a checkpoint."""
    config = load_config(ROOT / f"cfg/{configuration}.yaml")
    model = fill(build_model(config, configuration))
    data = config["data"]["init_args"]
    return TrainedModel(model, analysis_settings(data), data["num_samples"])


def drum(frequency: float, seconds: float, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """A glide, three steady modes and a burst of noise (N,)."""
    t = np.arange(int(seconds * rate)) / rate
    glide = frequency * (t + 0.03 * (1 - np.exp(-t / 0.03)))
    x = 0.4 * np.exp(-12 * t) * np.sin(2 * np.pi * glide)
    for number, ratio in enumerate((2.3, 4.1, 7.7)):
        x += 0.1 * np.exp(-(20 + 5 * number) * t) * np.sin(2 * np.pi * ratio * frequency * t + 1)
    burst = np.random.default_rng(seed).standard_normal(len(t))
    return x + 0.05 * np.exp(-60 * t) * burst


def version_of(method: str) -> int:
    """Return the version of a method of the analysis."""
    return AnalysisSettings(method=method).version


def features() -> Arrays:
    """Modal parameters of bundled recordings by each method of the analysis, and its version.

    Amplitude and frequency in some frames, and one phase.
    """
    found = {f"{method}: {VERSION_KEY}": np.array(version_of(method)) for method in METHODS}
    for name in RECORDINGS:
        samples, rate = soundfile.read(
            ROOT / f"audio/one-shots/{name}.flac", dtype="float32", always_2d=True
        )
        audio = resample(torch.from_numpy(samples[:, 0].copy()), rate, RATE)
        audio = fit_length(audio, RATE // 2)
        for method in METHODS:
            modal = CQTModalAnalysis(AnalysisSettings(method=method))(audio)
            frequency, amplitude, phase = modal.numpy()
            key = f"{method}: {Path(name).name}"
            found[f"{key}, amplitude"] = amplitude[:, ::FRAME_STRIDE]
            # What is silent has no frequency.
            found[f"{key}, moment"] = (frequency * amplitude)[:, ::FRAME_STRIDE]
            total = amplitude.sum(1)
            found[f"{key}, phase"] = total * np.exp(1j * phase[:, 0]).astype(np.complex64)
    return found


def wirings(change: Callable[[Blender], nn.Module] = accelerate) -> Arrays:
    """The parts that each configuration makes of the same audio and modal parameters.

    Args:
        change: what to do with each model first.
    """
    audio = torch.from_numpy(drum(180, 0.24)).float()[None, None]
    audio = fit_length(audio, 12288)
    rng = np.random.default_rng(1)
    frames, modes = 49, 64
    modal = np.stack(
        [
            rng.uniform(0.005, 1.5, (modes, 1)) * np.linspace(1.1, 0.9, frames),
            rng.uniform(0.0, 0.05, (modes, 1)) * np.exp(-np.linspace(0, 6, frames)),
            rng.uniform(-np.pi, np.pi, (modes, 1)) * np.ones(frames),
        ]
    )
    modal = torch.from_numpy(modal).float()[None]
    made = {}
    for configuration in CONFIGURATIONS:
        model = change(model_of(configuration).network)
        with torch.no_grad():
            generator = torch.Generator().manual_seed(0)
            described = model.encode(audio, Modes(modal, audio.shape[-1]))
            stems = model.synthesize(described, audio.shape[-1], generator)
        for name, stem in stems.items():
            made[f"{configuration}: {name}"] = stem[0, 0, ::STRIDE].numpy()
    return made


def edits() -> Arrays:
    """Stems of a sound with every edit that there is, by a model of three parts."""
    model = model_of("04_noise_parallel_transient_params")
    accelerate(model.network)
    voice = Voice(model)
    low = voice.decompose(np.concatenate([np.zeros(1000), drum(120, 0.15)]), RATE, seed=1)
    high = voice.decompose(drum(170, 0.2, 44100, seed=2), 44100, seed=2)
    pair = np.stack([drum(120, 0.12), drum(200, 0.12, seed=3)], axis=1)
    changed: Dict[str, Callable[[], Sound]] = {
        "as it is": lambda: low,
        "another rate": lambda: high,
        "gain": lambda: low.with_gain(-3, modal=2, noise=-4, transient=1),
        "attack": lambda: low.with_attack(0.4),
        "pitch": lambda: low.with_pitch(-3.5),
        "pitch, noise too": lambda: low.with_pitch(5, noise=True),
        "decay, longer": lambda: low.with_decay(1.3),
        "decay, shorter": lambda: high.with_decay(0.6),
        "brightness": lambda: low.with_brightness(-3),
        "seed": lambda: low.with_seed(5),
        "variation": lambda: low.with_variation(1.0, seed=4),
        "modal of another": lambda: low.with_modal(high),
        "noise of another": lambda: low.with_noise(high),
        "transient of another": lambda: low.with_transient(high),
        "blend": lambda: blend(low, high, 0.3),
        "stereo": lambda: voice.decompose(pair, RATE, seed=1, stereo=True).with_pitch(1),
    }
    made = {}
    for edit, change in changed.items():
        for name, stem in change().stems().items():
            made[f"{edit}: {name}"] = stem[::STRIDE]
            made[f"{edit}: length"] = np.array(len(stem), dtype=float)
    return made


MADE: Dict[str, Callable[[], Arrays]] = {"features": features, "wirings": wirings, "edits": edits}


def read(kind: str) -> Arrays:
    with np.load(FOLDER / f"{kind}.npz") as file:
        return dict(file)


def distance(actual: np.ndarray, expected: np.ndarray) -> float:
    """Root mean square of the difference in dB relative to that of what is expected."""
    if actual.shape != expected.shape:
        return math.inf
    error, power = (np.square(np.abs(x)).sum() for x in (actual - expected, expected))
    if error == 0:
        return -math.inf
    return 10 * math.log10(error / power) if power > 0 else math.inf


def distances(actual: Arrays, expected: Arrays) -> Dict[str, float]:
    """How far each array is from the golden one; infinitely, where only one of them is there."""
    names = [*expected, *(name for name in actual if name not in expected)]
    names = [name for name in names if not name.endswith(VERSION_KEY)]
    return {
        name: distance(actual[name], expected[name])
        if name in actual and name in expected
        else math.inf
        for name in names
    }


def tolerance(kind: str, name: str) -> float:
    """How far an array of a file may be from the golden one, in dB."""
    return TOLERANCE.get(name.split(":")[0], TOLERANCE[kind])


def moved(kind: str, actual: Arrays, expected: Arrays) -> Dict[str, float]:
    """What is farther from the golden values than rounding takes it."""
    found = distances(actual, expected)
    return {name: value for name, value in found.items() if value > tolerance(kind, name)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=MADE, help="one of the files")
    parser.add_argument("--write", action="store_true", help="make the files anew")
    options = parser.parse_args()
    failed = False
    for kind in [options.only] if options.only else MADE:
        actual = MADE[kind]()
        path = FOLDER / f"{kind}.npz"
        if path.exists():
            expected = read(kind)
            found = distances(actual, expected)
            print(f"{kind}: at most {max(found.values()):.1f} dB, tolerance {TOLERANCE[kind]:g} dB")
            far = moved(kind, actual, expected)
            for name, value in far.items():
                print(f"  {name} has moved by {value:.1f} dB")
            failed |= bool(far)
            methods = {name.split(":")[0] for name in far} if kind == "features" else ()
            for method in methods:
                if options.write and expected.get(f"{method}: {VERSION_KEY}") == version_of(method):
                    sys.exit(
                        f"error: features of {method} have moved, and datasets of two analyses "
                        "must not be mixed; raise the version of its class in "
                        "drumblender/analysis, then write again."
                    )
        if options.write:
            FOLDER.mkdir(exist_ok=True)
            np.savez_compressed(path, **actual)
            print(f"{path}: {len(actual)} arrays, {path.stat().st_size / 1000:.0f} kB")
    sys.exit(1 if failed and not options.write else 0)


if __name__ == "__main__":
    main()
