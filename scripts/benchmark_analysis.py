#!/usr/bin/env python3
"""Compare the modal analysis with its reference, a direct CQT (nnAudio) and plain peak tracking.

    python scripts/benchmark_analysis.py [FOLDER] [--packs A B] [--limit 20] [--output table.md]
    python scripts/benchmark_analysis.py [FOLDER] --device cuda [--batch_size 256]

Every sound under FOLDER is analyzed by both, resynthesized by the modal synthesizer alone and
compared with the original; the tables are Markdown. The instrument is the name of a file's folder,
the pack that of the folder above. One thread, so that times do not depend on the machine's cores.
With --device it compares sounds analyzed together on that device (cpu, too) with one at a time on
the processor instead.
"""

import argparse
import multiprocessing
import resource
import sys
import time
from pathlib import Path

import numpy as np
import soundfile
import torch
import torchaudio.functional
from auraloss.freq import MultiResolutionSTFTLoss

from drumblender.analysis import AnalysisSettings, CQTModalAnalysis
from drumblender.metrics import LogSpectralDistance, SpectralFluxOnsetError
from drumblender.signal import fit_length, trim_leading_silence
from drumblender.synths import ModalSynth

METHODS = ("nnAudio + tracking", "drumblender")
MEASURES = ("MSS", "LSD (dB)", "onset", "onset (legacy)", "ms", "ms of the CQT")


class NnAudioCQT(torch.nn.Module):
    """nnAudio's CQT with the interface of :class:`drumblender.analysis.CQT`."""

    def __init__(self, settings: AnalysisSettings):
        super().__init__()
        from nnAudio.features import CQT

        self.cqt = CQT(
            sr=settings.sample_rate,
            hop_length=settings.hop_length,
            fmin=settings.fmin,
            n_bins=settings.n_bins,
            bins_per_octave=settings.bins_per_octave,
            output_format="Complex",
            verbose=False,
        )

    def forward(self, x):
        return torch.view_as_complex(self.cqt(x, normalization_type="wrap"))


def build(method: str) -> CQTModalAnalysis:
    if method == "drumblender":
        return CQTModalAnalysis(AnalysisSettings())
    analysis = CQTModalAnalysis(AnalysisSettings(fit=False))
    analysis.method.cqt = NnAudioCQT(analysis.settings)
    return analysis


def read(path: Path, sample_rate: int, num_samples: int) -> torch.Tensor:
    x, rate = soundfile.read(path, dtype="float32", always_2d=True)
    x = torch.from_numpy(x.mean(1))
    if rate != sample_rate:
        x = torchaudio.functional.resample(x, rate, sample_rate)
    return fit_length(trim_leading_silence(x), num_samples)


def choose(folder: Path, packs, limit) -> list:
    """Sound files, evenly spread over each instrument when there are more than the limit."""
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".wav", ".flac"))
    if packs:
        files = [p for p in files if p.parent.parent.name in packs]
    if limit:
        by_instrument = {}
        for path in files:
            by_instrument.setdefault(path.parent.name, []).append(path)
        files = []
        for paths in by_instrument.values():
            steps = np.linspace(0, len(paths) - 1, min(limit, len(paths)))
            files += [paths[i] for i in np.rint(steps).astype(int)]
    return files


def peak_memory(method: str, x: np.ndarray) -> float:
    """MiB that the analysis of one sound adds to a fresh process, kernels included."""
    torch.set_num_threads(1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    build(method)(torch.from_numpy(x))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (after - before) / (1 if sys.platform != "darwin" else 1024) / 1024


def measure(files: list, num_samples: int):
    """One row per sound and method: instrument, method, values in the order of MEASURES."""
    analyses = {method: build(method) for method in METHODS}
    sample_rate = AnalysisSettings().sample_rate
    mss, lsd = MultiResolutionSTFTLoss(), LogSpectralDistance()
    onset, legacy = SpectralFluxOnsetError(), SpectralFluxOnsetError(legacy=True)
    synth = ModalSynth()
    for analysis in analyses.values():
        analysis(torch.zeros(num_samples))
    for path in files:
        x = read(path, sample_rate, num_samples)
        if not x.any():
            continue
        for method, analysis in analyses.items():
            start = time.perf_counter()
            parameters = analysis(x)
            milliseconds = [1000 * (time.perf_counter() - start)]
            start = time.perf_counter()
            analysis.method.cqt(x[None])
            milliseconds.append(1000 * (time.perf_counter() - start))
            y = synth(parameters[None], num_samples)
            values = [mss(y, x[None, None]).item()]
            values += [m.distance(y[0, 0], x).item() for m in (lsd, onset, legacy)]
            yield path.parent.name, method, values + milliseconds
        print(".", end="", file=sys.stderr, flush=True)


def measure_together(files: list, num_samples: int, device: str, batch_size: int) -> str:
    """A table of times per sound: one at a time on the processor, and together on a device."""
    settings = AnalysisSettings()
    sounds = (read(path, settings.sample_rate, num_samples) for path in files)
    sounds = torch.stack([x for x in sounds if x.any()])
    batch = sounds.repeat(-(-batch_size // len(sounds)), 1)[:batch_size]
    alone, together = CQTModalAnalysis(settings), CQTModalAnalysis(settings, batched=True)
    is_cuda = torch.device(device).type == "cuda"

    def seconds(work) -> float:
        if is_cuda:
            torch.cuda.synchronize(device)
        start = time.perf_counter()
        work()
        if is_cuda:
            torch.cuda.synchronize(device)
        return time.perf_counter() - start

    few = sounds[:: -(-len(sounds) // 32)]  # of every instrument
    on_device = few.to(device)
    expected, found = alone(few), together(on_device)  # these also warm up
    y, z = (ModalSynth()(p, num_samples)[:, 0].double() for p in (expected, found))
    error = 10 * torch.log10((z - y).square().sum(-1) / y.square().sum(-1))
    if is_cuda:
        together(batch.to(device))
        torch.cuda.reset_peak_memory_stats(device)
    rows = []
    for _ in range(3):  # in turn, so that both see the same machine
        one = seconds(lambda: alone(few)) / len(few)
        transform = seconds(lambda: together.method.cqt.to(device)(on_device)) / len(few)
        together.method.cqt.cpu()
        rows.append((one, seconds(lambda: together(batch.to(device))) / len(batch), transform))
    one, many, transform = 1000 * np.median(np.array(rows), 0)
    name = torch.cuda.get_device_name(device) if is_cuda else device
    lines = [
        f"{len(sounds)} sounds, together in batches of {len(batch)} on {name}; medians of 3.",
        "",
        "| | ms per sound | sounds per s |",
        "|---|---|---|",
        f"| one at a time, one thread of the processor | {one:.2f} | {1000 / one:.0f} |",
        f"| together | {many:.2f} | {1000 / many:.0f} |",
        f"| the CQT alone, together | {transform:.2f} | |",
        "",
        f"Their resyntheses differ by {error.median():.0f} dB ({error.max():.0f} dB at most).",
    ]
    if is_cuda:
        lines += ["", f"Peak memory: {torch.cuda.max_memory_allocated(device) / 2**20:.0f} MiB."]
    return "\n".join(lines)


def tables(rows: list, memory: dict) -> str:
    values = {m: np.array([v for _, method, v in rows if method == m]) for m in METHODS}
    names = np.array([name for name, method, _ in rows if method == METHODS[0]])
    lines = [f"{len(names)} sounds; mean, and median (quartiles).", ""]
    lines += ["| | " + " | ".join((*METHODS, "change of mean")) + " |", "|---|---|---|---|"]
    for column, measure_name in enumerate(MEASURES):
        old, new = (values[m][:, column] for m in METHODS)
        cells = []
        for v in (old, new):
            low, middle, high = np.percentile(v, [25, 50, 75])
            cells.append(f"{v.mean():.4g}, {middle:.4g} ({low:.4g} to {high:.4g})")
        change = 100 * (new.mean() / old.mean() - 1)
        lines.append(f"| {measure_name} | {cells[0]} | {cells[1]} | {change:+.0f} % |")
    old, new = (memory[m] for m in METHODS)
    lines.append(f"| peak memory (MiB) | {old:.0f} | {new:.0f} | {100 * (new / old - 1):+.0f} % |")
    lines += ["", "Means per instrument, reference → ours:", ""]
    lines += ["| instrument | sounds | " + " | ".join(MEASURES) + " |"]
    lines.append("|---" * (len(MEASURES) + 2) + "|")
    for name in sorted(set(names)):
        old, new = (values[m][names == name].mean(0) for m in METHODS)
        cells = [f"{a:.4g} → {b:.4g} ({100 * (b / a - 1):+.0f} %)" for a, b in zip(old, new)]
        lines.append(f"| {name} | {(names == name).sum()} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def compare(files: list, num_samples: int) -> str:
    """Tables of the reference and of ours."""
    noise = 0.1 * np.random.default_rng(0).standard_normal(num_samples).astype(np.float32)
    memory = {}
    for method in METHODS:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            memory[method] = pool.apply(peak_memory, (method, noise))
    return tables(list(measure(files, num_samples)), memory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    default = Path(__file__).parent.parent / "audio"
    parser.add_argument("folder", type=Path, nargs="?", default=default, help="sounds")
    parser.add_argument("--packs", nargs="+", help="only these packs")
    parser.add_argument("--limit", type=int, help="sounds per instrument at most")
    parser.add_argument("--num_samples", type=int, default=96000, help="length at 48 kHz")
    parser.add_argument("--device", help="measure sounds analyzed together there, such as cuda")
    parser.add_argument("--batch_size", type=int, default=256, help="with --device")
    parser.add_argument("--output", type=Path, help="file for the tables, else standard output")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    files = choose(args.folder, args.packs, args.limit)
    if not files:
        parser.error(f"no .wav or .flac file under {args.folder}: name a folder of sounds")
    if args.device:
        text = measure_together(files, args.num_samples, args.device, args.batch_size)
    else:
        text = compare(files, args.num_samples)
    print(file=sys.stderr)
    if args.output:
        args.output.write_text(text + "\n", encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
