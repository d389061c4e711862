"""How long it takes from an audio file to its resynthesis, and in which stage.

    python scripts/benchmark_synthesis.py [CHECKPOINT] [--folder SOUNDS --count 1000] \\
        [--precision bf16-mixed]

Prints the CPU time of each stage for one two-second recording on one thread, the wall time of
``drumblender-synth`` for a first file, and with ``--folder`` that of a folder of many recordings.
Without a checkpoint it takes an untrained model of configuration 04, which costs the same.
"""

import argparse
import functools
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import torch

from drumblender.analysis import CQTModalAnalysis
from drumblender.config import load_config
from drumblender.files.audio import write_samples
from drumblender.files.paths import SUFFIXES
from drumblender.files.reading import read_channels
from drumblender.signal import fit_length, resample
from drumblender.sound import Voice, load, prepare
from drumblender.sound.engine import PRECISIONS
from drumblender.sound.sound import play, render
from drumblender.tasks.checkpoint import build_model

ROOT = Path(__file__).parent.parent
COMMAND = "import sys; from drumblender.commands.synth import main; sys.exit(main(sys.argv[1:]))"


def untrained(path: Path) -> Path:
    """A checkpoint of configuration 04 with the weights that training starts from."""
    config = json.loads(
        json.dumps(load_config(ROOT / "cfg/04_noise_parallel_transient_params.yaml"))
    )
    torch.manual_seed(0)
    model = build_model(config, "configuration 04")
    torch.save({"state_dict": model.state_dict(), "configuration": config}, path)
    return path


def snare(seconds: float, rate: int = 44100) -> np.ndarray:
    """Modes and noise that last as long as the recording, as the costliest recordings do."""
    rng = np.random.default_rng(0)
    t = np.arange(int(seconds * rate)) / rate
    x = 0.2 * rng.standard_normal(len(t)) * np.exp(-3 * t)
    for frequency in 180 * np.array([1, 1.59, 2.14, 2.3, 2.65, 2.92, 3.16, 3.5]):
        x += 0.1 * np.exp(-2 * t) * np.sin(2 * np.pi * frequency * t)
    return x


def stages(voice: Voice, analysis: CQTModalAnalysis, source: Path, folder: Path):
    """CPU time in seconds of each stage, for one recording."""
    spent = {}

    def timed(name, function):
        start = time.process_time()
        result = function()
        spent[name] = time.process_time() - start
        return result

    samples, rate = timed("read", lambda: read_channels(source))
    audio = torch.from_numpy(samples[:, 0].copy())
    timed("resample", lambda: resample(audio, rate, voice.sample_rate))
    recording = prepare(source, voice.settings)
    audio = fit_length(recording.audio, recording.audio.shape[-1] + voice.settings.silence_after)
    timed("analyze", lambda: analysis(audio))
    (sound,) = timed("encode", lambda: voice.decompose_prepared([recording], [0]))
    parts = timed("synthesize", lambda: play([sound])[0])
    stems = timed("resample back", lambda: render([sound], played=[parts])[0])
    samples = sum(stems.values())
    samples = samples / max(1.0, np.abs(samples).max())
    timed("write", lambda: write_samples(folder / "out.wav", samples, sound.sample_rate))
    return spent


def fill(folder: Path, sounds: Path, count: int) -> float:
    """Copy so many recordings of a folder to another one; their mean length in seconds."""
    files = sorted(p for p in sounds.rglob("*") if p.suffix.lower() in SUFFIXES)
    lengths = []
    for number, path in zip(range(count), itertools.cycle(files)):
        shutil.copy(path, folder / f"{number:05d}{path.suffix}")
        lengths.append(soundfile.info(path).duration)
    return sum(lengths) / len(lengths)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", nargs="?", type=Path, help="default: untrained, 04")
    parser.add_argument("--seconds", type=float, default=2.0, help="of the one recording")
    parser.add_argument("--precision", choices=PRECISIONS, default=PRECISIONS[0])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="recordings to resynthesize")
    parser.add_argument("--count", type=int, default=1000, help="how many, repeated as needed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        checkpoint = options.checkpoint or untrained(folder / "model.ckpt")
        source = folder / "in.wav"
        soundfile.write(source, snare(options.seconds), 44100, "PCM_16")
        voice = load(checkpoint, device="cpu", precision=options.precision)
        analysis = CQTModalAnalysis(voice.settings)
        stages(voice, analysis, source, folder)  # makes filters and windows
        runs = [stages(voice, analysis, source, folder) for _ in range(options.repeat)]
        best = {key: min(run[key] for run in runs) for key in runs[0]}
        total = sum(best.values())
        print(f"One recording of {options.seconds:g} s, one thread, best of {options.repeat}:")
        for key, value in best.items():
            print(f"  {key:<14} {1000 * value:7.1f} ms  {100 * value / total:5.1f} %")
        print(
            f"  {'together':<14} {1000 * total:7.1f} ms, {options.seconds / total:.1f} x real time"
        )
        command = functools.partial(subprocess.run, check=True, stdout=subprocess.DEVNULL)
        python = [sys.executable, "-c", COMMAND, str(checkpoint), "--device", "cpu"]
        python += ["--precision", options.precision]
        times = []
        for _ in range(min(3, options.repeat)):
            start = time.perf_counter()
            command([*python, str(source), str(folder / "out.wav")])
            times.append(time.perf_counter() - start)
        print(f"drumblender-synth, a first file: {min(times):.2f} s")
        if options.folder:
            (folder / "sounds").mkdir()
            mean = fill(folder / "sounds", options.folder, options.count)
            start = time.perf_counter()
            command([*python, str(folder / "sounds"), str(folder / "made")])
            spent = time.perf_counter() - start
            print(
                f"{options.count} recordings of {mean:.2f} s on average: {spent:.1f} s, "
                f"{options.count / spent:.2f} a second"
            )


if __name__ == "__main__":
    main()
