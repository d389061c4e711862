"""Shows what the modal analysis finds in a recording, and writes it for other programs.

This is what ``drumblender-analyze`` does.
"""

import dataclasses
import math
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Dict, List, Union

import numpy as np
import torch
from torch import Tensor

from drumblender.analysis import AnalysisSettings, CQTModalAnalysis, separate
from drumblender.errors import DrumblenderError
from drumblender.files import atomic
from drumblender.files.audio import wav_bytes
from drumblender.files.reading import open_recording
from drumblender.files.text import fitting, printable
from drumblender.plotting import plot_modes, save_figure
from drumblender.signal import fit_length, rad_to_hz, resample
from drumblender.synths import modal_synth

# A minute takes about 2 GB of memory; a drum is over sooner.
_LONGEST_S = 120


@dataclass(frozen=True)
class Mode:
    """Summary of one mode.

    Attributes:
        frequency: mean frequency weighted by energy, in Hz.
        level: level of the loudest frame, in dB relative to amplitude 1.
        peak_time: time of the loudest frame, in seconds.
        t60: time in which the mode falls by 60 dB after its peak, in seconds. NaN if it does not
            fall.
        share: part of the energy of all modes, from 0 to 1.
    """

    frequency: float
    level: float
    peak_time: float
    t60: float
    share: float


def summarize(time: np.ndarray, frequency: np.ndarray, amplitude: np.ndarray) -> List[Mode]:
    """Summarize modes, the most energetic first. Silent modes are left out.

    Args:
        time: time of each frame, in seconds.
        frequency: frequencies, in Hz.
        amplitude: linear amplitudes.

    Shape:
        - time: (F,)
        - frequency, amplitude: (M, F)

    >>> time = np.linspace(0, 1, 101)
    >>> (mode,) = summarize(time, np.full((1, 101), 200.0), 10 ** (-3 * time[None]))
    >>> round(mode.frequency), round(mode.t60, 3)
    (200, 1.0)
    """
    energy = np.square(amplitude.astype(float))
    total = energy.sum() or 1.0
    modes = []
    for f, a, e in zip(frequency, amplitude, energy):
        if not e.any():
            continue
        peak = int(a.argmax())
        decibel = 20 * np.log10(np.maximum(a, 1e-12))
        # The slope until the mode is 40 dB down, where noise and neighbors begin to show.
        quiet = np.flatnonzero(decibel[peak:] < decibel[peak] - 40)
        tail = slice(peak, peak + int(quiet[0]) if len(quiet) else len(a))
        slope = 0.0
        if tail.stop - tail.start > 2:
            slope = np.polyfit(time[tail], decibel[tail], 1)[0]
        t60 = float(-60 / slope) if slope < 0 else math.nan
        mean = float((f * e).sum() / e.sum())
        modes.append(Mode(mean, float(decibel[peak]), float(time[peak]), t60, e.sum() / total))
    return sorted(modes, key=lambda mode: -mode.share)


def analyze_file(
    source: Union[str, Path],
    folder: Union[str, Path],
    settings: AnalysisSettings,
    top: int = 12,
) -> None:
    """Analyze the first channel of a recording, write what was found and print the main modes.

    The names of all files begin with that of the recording. ``_modal.wav`` and ``_residual.wav``
    are 32-bit floats that add up to the recording at the rate of the settings. The separating
    method writes ``_transient.wav`` and ``_noise.wav`` instead of the latter, and finds when each
    stroke begins. ``_modes.png`` is a picture. ``_modes.npz`` and ``_modes.json`` hold the
    parameters.

    Args:
        source: the recording.
        folder: folder to write to.
        settings: settings of the analysis.
        top: number of modes to print.

    Raises:
        DrumblenderError: when a file cannot be read or written.
    """
    source, folder = Path(source), Path(folder)
    with open_recording(source) as file:
        rate = file.sample_rate
        # One second more than is analyzed, because a file may not know its own length.
        blocks = [block[:, 0] for block in file.blocks(frames=(_LONGEST_S + 1) * rate)]
    audio = torch.from_numpy(np.concatenate(blocks))
    if len(audio) > _LONGEST_S * rate:
        raise DrumblenderError(
            f"{source} is longer than {_LONGEST_S} s, too long for one analysis; cut it."
        )
    audio = resample(audio, rate, settings.sample_rate)
    num_samples = len(audio) + settings.silence_after
    padded = fit_length(audio, num_samples)
    rest: Dict[str, Tensor] = {}
    found: Dict[str, np.ndarray] = {}
    if settings.method == "separating":
        parts = separate(padded[None], settings)
        params = parts.modal[0]
        rest = {"transient": parts.transient[0], "noise": parts.noise[0]}
        onsets = parts.onsets[0] if audio.any() else parts.onsets[0, :0]
        found["onsets"] = onsets[onsets.isfinite()].numpy()
    else:
        params = CQTModalAnalysis(settings)(padded)
    heard = params[1].any(dim=1)
    params = params[:, heard if heard.any() else slice(1)]
    omega, amplitude, phase = params
    modal = modal_synth(omega[None], amplitude[None], num_samples, phase[None, :, :1])[0, 0]
    modal = modal[: len(audio)]
    frames = params.shape[-1]
    # The synthesizer samples envelopes at half-pixel centers.
    time = ((np.arange(frames) + 0.5) * num_samples / frames - 0.5) / settings.sample_rate
    frequency = rad_to_hz(omega, settings.sample_rate)

    def path(ending: str) -> Path:
        return folder / fitting(source.stem, f"_{ending}")

    atomic.write(path("modal.wav"), wav_bytes(modal, settings.sample_rate))
    rest = rest or {"residual": padded - fit_length(modal, num_samples)}
    for name, samples in rest.items():
        atomic.write(path(f"{name}.wav"), wav_bytes(samples[: len(audio)], settings.sample_rate))
    arrays = {
        "time": time,
        "frequency": frequency.numpy(),
        "amplitude": amplitude.numpy(),
        "phase": phase[:, 0].numpy(),
        **found,
    }
    buffer = BytesIO()
    np.savez_compressed(buffer, **arrays, sample_rate=settings.sample_rate)
    atomic.write(path("modes.npz"), buffer.getvalue())
    units = "time in s, frequency in Hz, linear amplitude, phase before the first sample in rad"
    description = {"settings": dataclasses.asdict(settings), "num_samples": num_samples}
    listed = {key: np.round(value, 7).tolist() for key, value in arrays.items()}
    atomic.write_json(path("modes.json"), {"units": units, **description, **listed})
    level = 20 * amplitude.clamp(min=1e-12).log10()
    figure = plot_modes(
        audio, torch.from_numpy(time), frequency, level, settings.sample_rate, source.name
    )
    save_figure(figure, path("modes.png"))
    _print(summarize(time, arrays["frequency"], arrays["amplitude"]), audio, audio - modal, top)
    if "onsets" in found:
        print(_strokes(found["onsets"], top))
    written = printable(str(path("modal.wav")))
    names = ", ".join(f"{name}.wav" for name in rest)
    print(f"\nWritten: {written}, {names}, modes.png, modes.npz, modes.json")


def _print(modes: List[Mode], audio: Tensor, residual: Tensor, top: int) -> None:
    """Print a table of the main modes, and how loud the residual is."""
    print(f"{'Frequency':>12} {'Level':>9} {'Peak at':>9} {'T60':>9} {'Energy':>8}")
    for mode in modes[:top]:
        t60 = f"{mode.t60:7.2f} s" if mode.t60 < 100 else "        -"
        print(
            f"{mode.frequency:9.1f} Hz {mode.level:6.1f} dB {mode.peak_time:7.3f} s {t60} "
            f"{100 * mode.share:6.1f} %"
        )
    if len(modes) > top:
        print(f"{'':>12} and {len(modes) - top} more")
    if audio.any():
        left = 10 * math.log10(max(1e-12, float(residual.square().sum() / audio.square().sum())))
        print(f"Residual: {left:.1f} dB of the recording's energy, {len(modes)} modes.")


def _strokes(onsets: np.ndarray, top: int) -> str:
    """Say how many strokes there are, and when the first of them begin.

    >>> _strokes(np.array([0.0123]), 12)
    'One stroke, at 0.012 s.'
    >>> _strokes(np.array([0.1, 0.3, 0.55]), 2)
    '3 strokes, at 0.100 s, 0.300 s and 1 more.'
    """
    if not len(onsets):
        return "No stroke."
    times = [f"{onset:.3f} s" for onset in onsets[:top]]
    times += [f"{len(onsets) - top} more"] if len(onsets) > top else []
    when = " and ".join(filter(None, [", ".join(times[:-1]), times[-1]]))
    return f"{'One stroke' if len(onsets) == 1 else f'{len(onsets)} strokes'}, at {when}."
