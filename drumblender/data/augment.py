"""Augmentation: each training batch is heard at another level and another pitch, and cut.

Recordings and their modes are changed together, so that nothing has to be measured again. A change
of pitch is one of speed, as of a sampler: at a ratio of r, sample n is what was at n r. Then the
frames of the modes stand for fewer samples, frequencies are multiplied by r, and nothing else
changes.
"""

import math
from dataclasses import dataclass
from typing import Optional, Tuple

import torch
from torch import Tensor

from drumblender.errors import UsageError
from drumblender.signal import fit_length, resample

# Samples after a cut that the filter of the resampler reaches at most.
_MARGIN = 512


@dataclass(frozen=True)
class Augmentation:
    """Changes of training batches that are drawn by chance.

    Attributes:
        num_samples: number of samples to which sounds are cut. None keeps their length. Most of a
            drum is over after half of the usual two seconds, and a step takes half as long.
        semitones: largest change of pitch, up and down. All sounds of a batch get the same one.
        gain_db: largest change of level in dB, up and down. Each sound gets its own.

    Raises:
        UsageError: if a value is negative, or if there are no samples.

    >>> augment = Augmentation(num_samples=4800, semitones=2.0, gain_db=6.0)
    >>> audio, params = augment(torch.zeros(2, 1, 9600), torch.zeros(2, 3, 8, 38))
    >>> audio.shape, params.shape[:3]
    (torch.Size([2, 1, 4800]), torch.Size([2, 3, 8]))
    """

    num_samples: Optional[int] = None
    semitones: float = 0.0
    gain_db: float = 0.0

    def __post_init__(self) -> None:
        for name in ("semitones", "gain_db"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise UsageError(
                    f"Augmentation: {name} is {getattr(self, name)}; set it to 0 or more."
                )
        if self.num_samples is not None and self.num_samples < 1:
            raise UsageError(
                f"Augmentation: num_samples is {self.num_samples}; set it to 1 or more."
            )

    def __call__(
        self, audio: Tensor, params: Tensor, generator: Optional[torch.Generator] = None
    ) -> Tuple[Tensor, Tensor]:
        """Change a batch.

        Args:
            audio: recordings.
            params: their modes.
            generator: source of what is drawn. None stands for the global one.

        Shape:
            - audio: (B, 1, N)
            - params: (B, 3, M, F)
            - Output: (B, 1, num_samples) and (B, 3, M, frames)
        """
        turned = (2 * torch.rand((), generator=generator) - 1) * self.semitones
        audio, params = _pitched(audio, params, 2 ** float(turned / 12), self.num_samples)
        levels = (2 * torch.rand(len(audio), generator=generator) - 1) * self.gain_db
        gain = (10 ** (levels / 20)).to(audio).view(-1, 1, 1)
        frequency, amplitude, *phase = params.unbind(1)
        return audio * gain, torch.stack([frequency, amplitude * gain, *phase], dim=1)


def _pitched(
    audio: Tensor, params: Tensor, ratio: float, num_samples: Optional[int]
) -> Tuple[Tensor, Tensor]:
    """Play a batch faster by about a ratio, and cut it to a number of samples.

    The ratio is rounded so that the cut is at the end of a frame. Otherwise frames would have to
    be interpolated, and phases would drift.
    """
    length, frames = audio.shape[-1], params.shape[-1]
    wanted = length if num_samples is None else min(num_samples, length)
    kept = min(frames, max(1, round(ratio * frames * wanted / length)))
    # One frame lasts length / frames samples before, and wanted / kept samples after.
    old, new = length * kept, frames * wanted
    ratio = old / new
    needed = math.ceil(wanted * ratio) + _MARGIN
    common = math.gcd(old, new)
    audio = fit_length(resample(audio[..., :needed], old // common, new // common), wanted)
    frequency, amplitude, *phase = params[..., :kept].unbind(1)
    # Sample 0 is where it was, but a phase is that before sample 0.
    phase = [x + (1 - ratio) * frequency[..., :1] for x in phase]
    return audio, torch.stack([frequency * ratio, amplitude, *phase], dim=1)
