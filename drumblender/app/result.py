"""Sounds that were made for the page, with what it plays, draws and downloads of them."""

import base64
import io
import math
import tempfile
import zipfile
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from pathlib import Path
from typing import Any, Collection, Dict, List, Mapping, Optional, Tuple

import numpy as np
import soundfile
import torch

from drumblender.app.recipe import finite
from drumblender.errors import UsageError
from drumblender.files.takes import record
from drumblender.files.writing import describe_scales, full_scales, stem_files, write_take
from drumblender.parameters import Modes
from drumblender.plotting import DYNAMIC_RANGE, FRAMES, MIN_FREQUENCY, log_frequency_spectrogram
from drumblender.signal import loudness_of
from drumblender.sound import Changes, Sound

WHOLE = "whole"  # among the signals of a result, the sum of the parts
# Of the modes that are drawn: how many, of how many points each, and how far below the loudest.
_MODES, _POINTS, _SOFTEST = 64, 120, 60.0


@dataclass(frozen=True, eq=False)
class Result:
    """A sound that was made, with its samples.

    Attributes:
        sound: the sound.
        stems: what each part contributes, by name.

    Shape:
        - each stem: (N,), or (N, channels) if there are several channels
    """

    sound: Sound
    stems: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, sound: Sound) -> "Result":
        """Play a sound."""
        stems = sound.stems()
        # What playing keeps for a later edit would only take memory.
        return cls(replace(sound), stems)

    @property
    def size(self) -> int:
        """The number of bytes that the samples take."""
        return 2 * sum(stem.nbytes for stem in self.stems.values())

    @cached_property
    def whole(self) -> np.ndarray:
        """The sum of the parts, (N,) or (N, channels)."""
        return self.heard(())

    def heard(self, muted: Collection[str]) -> np.ndarray:
        """Return the sum of the parts that are not muted, (N,) or (N, channels)."""
        heard = [stem for name, stem in self.stems.items() if name not in muted]
        first = next(iter(self.stems.values()))
        return reduce(np.add, heard, np.zeros_like(first))

    def signal(self, name: str) -> np.ndarray:
        """Return the samples of a part, or of their sum.

        Raises:
            UsageError: if there is no such part.
        """
        if name == WHOLE:
            return self.whole
        if name not in self.stems:
            raise UsageError(f"There is no part {name}; the parts are {', '.join(self.stems)}.")
        return self.stems[name]

    def describe(self, muted: Collection[str] = ()) -> Dict[str, Any]:
        """Say how long and how loud the sound is, without the parts that are muted.

        Levels are in dB. They are None if nothing is heard.
        """
        heard = self.heard(muted)
        return {
            "seconds": self.sound.seconds,
            "sample_rate": self.sound.sample_rate,
            "channels": self.sound.channels,
            "parts": list(self.stems),
            "peak": _decibels(float(np.abs(heard).max(initial=0.0))),
            "loudness": finite(loudness_of(heard, self.sound.sample_rate)),
        }

    def picture(self, name: str) -> Dict[str, Any]:
        """Compute what the page draws of a part or of the sum: levels in bands, and modes.

        Only the first channel is drawn.

        Raises:
            UsageError: if there is no such part.
        """
        levels = self._levels(name)
        # Shown below the loudest point of the whole, so that parts keep their balance.
        top = max(float((levels if name == WHOLE else self._levels(WHOLE)).max()), -120.0)
        shades = ((levels - top) / DYNAMIC_RANGE + 1).clamp(0, 1).mul(255).round().to(torch.uint8)
        return {
            "bands": shades.shape[0],
            "frames": shades.shape[1],
            "levels": base64.b64encode(shades.numpy().tobytes()).decode(),
            "seconds": self.sound.seconds,
            "lowest": MIN_FREQUENCY,
            "highest": self.sound.sample_rate / 2,
            "range": DYNAMIC_RANGE,
            "modes": tracks_of(self.sound) if name in (WHOLE, "modal") else [],
        }

    def _levels(self, name: str) -> torch.Tensor:
        """Compute the levels of a part or of the sum, in dB, (bands, frames)."""
        samples = self.signal(name)
        mono = np.ascontiguousarray(samples.reshape(len(samples), -1)[:, 0])
        hop = min(max(len(mono) // FRAMES, 1), 1024)
        return log_frequency_spectrogram(
            torch.from_numpy(mono), self.sound.sample_rate, hop_size=hop
        )


def tracks_of(sound: Sound) -> List[Dict[str, Any]]:
    """List the modes of a sound as the page draws them, the softest one first.

    Each has the times of its points in seconds, their frequencies in Hz, and their levels in dB
    below the loudest point of all.
    """
    modes = sound.parameters.get("modal")
    if not isinstance(modes, Modes) or not sound.gains.get("modal"):
        return []
    frequency, amplitude = modes.frequency[0], modes.amplitude[0]
    times = modes.times + sound.timeline.lead / sound.timeline.sample_rate
    level = 20 * amplitude.clamp(min=1e-9).log10()
    level = level - (level.max() if level.numel() else 0)
    shown = (level > -_SOFTEST) & (amplitude > 0) & (frequency > MIN_FREQUENCY)
    shown &= (times >= 0) & (times <= sound.seconds)
    loudest = level.masked_fill(~shown, -math.inf).amax(-1) if level.numel() else level[:, :0]
    order = [int(i) for i in loudest.argsort() if math.isfinite(float(loudest[i]))]
    tracks = []
    for i in order[-_MODES:]:
        (frames,) = torch.nonzero(shown[i], as_tuple=True)
        frames = frames[:: math.ceil(len(frames) / _POINTS)]
        tracks.append(
            {
                "times": [round(float(x), 4) for x in times[frames]],
                "frequencies": [round(float(x), 1) for x in frequency[i, frames]],
                "levels": [round(float(x), 1) for x in level[i, frames]],
            }
        )
    return tracks


def wav_of(samples: np.ndarray, sample_rate: int) -> bytes:
    """Return samples (N,) or (N, channels) as a WAV file of 32-bit floats, which change nothing."""
    file = io.BytesIO()
    soundfile.write(file, samples, sample_rate, "FLOAT", format="WAV")
    return file.getvalue()


def download(
    result: Result, muted: Collection[str], bits: int, preset: Optional[Changes] = None
) -> Tuple[bytes, List[str]]:
    """Make the file that a person downloads.

    Args:
        result: the sound.
        muted: names of parts that are left out.
        bits: number of bits of a sample, as in ``drumblender-synth``.
        preset: changes to put beside the stems. None if only the sound is asked for, without its
            stems.

    Returns:
        A WAV file, or a ZIP file of it, its stems and the preset; and sentences about levels.

    Raises:
        DrumblenderError: if the samples are not numbers, or if the disk refuses the file.
    """
    stems = {name: stem for name, stem in result.stems.items() if name not in muted}
    silence = np.zeros_like(result.whole)
    with tempfile.TemporaryDirectory(prefix="drumblender-app-") as name:
        folder = Path(name)
        output = folder / "sound.wav"
        paths = stem_files(folder, output, list(stems)) if preset is not None else {}
        # Where all parts are muted, silence is what is heard.
        pieces = [(0, stems or {WHOLE: silence})]
        take = record(pieces, output, paths, result.sound.sample_rate, folder / "take")
        scales = full_scales([take], "no", bits)
        write_take(take, scales[0], bits)
        notes = [
            note.replace(f"{folder}/", "") for note in describe_scales([take], scales, "no", bits)
        ]
        if preset is None:
            return output.read_bytes(), notes
        preset.write(folder / "preset.yaml")
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in (output, *paths.values(), folder / "preset.yaml"):
                archive.write(path, path.name)
        return file.getvalue(), notes


def _decibels(value: float) -> Optional[float]:
    """Return an amplitude in dB, or None for silence."""
    return 20 * math.log10(value) if value > 0 else None
