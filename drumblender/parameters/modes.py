"""Modes as a value, and the edits that change them."""

import math
from dataclasses import dataclass, replace
from typing import List, Optional, Sequence

import torch
from torch import Tensor

from drumblender.parameters.time_maps import TimeMap, interpolate, unchanged
from drumblender.signal import rad_to_hz

# Frames at the end of a track whose frequency says little, and frames before them whose mean does.
_UNSURE, _KEPT = 4, 24
# Grids whose densities differ by a smaller factor are as good as each other.
_DENSER = 1.5


@dataclass(frozen=True, eq=False)
class Modes:
    """Sinusoids whose frequency and amplitude change with time, and the time that they describe.

    Frame f is centered on sample (f + 1/2) N / F - 1/2 of the N samples. In between, frequency and
    amplitude are interpolated linearly. The phase is the running sum of the frequency, plus the
    phase before sample 0.

    Attributes:
        values: frequency in rad/sample, linear amplitude, and phase before sample 0, as rows.
        num_samples: number N of samples that the frames describe.
        sample_rate: sample rate in Hz. It is 1 where only samples count.

    Shape:
        - values: (..., 3, M, F), or (..., 2, M, F) without phase

    >>> modes = Modes(torch.ones(3, 2, 100), 12_800, 48_000)
    >>> modes.num_frames, round(modes.times[0].item(), 6), round(modes.frequency[0, 0].item())
    (100, 0.001323, 7639)
    """

    values: Tensor
    num_samples: int
    sample_rate: float = 1.0

    @property
    def frequency(self) -> Tensor:
        """Frequencies (..., M, F) in Hz."""
        return rad_to_hz(self.values[..., 0, :, :], self.sample_rate)

    @property
    def amplitude(self) -> Tensor:
        """Linear amplitudes (..., M, F)."""
        return self.values[..., 1, :, :]

    @property
    def num_frames(self) -> int:
        """Number F of frames."""
        return self.values.shape[-1]

    @property
    def times(self) -> Tensor:
        """Centers of the frames (F,), in seconds."""
        frames = torch.arange(self.num_frames, dtype=torch.float64)
        return ((frames + 0.5) * self.num_samples / self.num_frames - 0.5) / self.sample_rate

    @property
    def seconds(self) -> float:
        """Length of the sound that the modes describe, in seconds."""
        return self.num_samples / self.sample_rate

    def peak(self) -> Optional[float]:
        """Find the sample at which the energy peaks, or return None if no mode sounds."""
        amplitude = self.amplitude
        energy = amplitude.square().sum(tuple(range(amplitude.ndim - 1)))
        if not energy.any():
            return None
        return float((energy.argmax() + 0.5) * self.num_samples / len(energy) - 0.5)

    def transpose(self, ratio: float, moment: float = 0.0) -> "Modes":
        """Multiply the frequencies by a ratio. Amplitudes stay, and so do the phases at a moment.

        Args:
            ratio: 2 is an octave.
            moment: the sample, such as that of the onset, at which modes keep their phases.

        >>> Modes(torch.ones(3, 2, 4), 8).transpose(2.0).values[:, 0, 0].tolist()
        [2.0, 1.0, 1.0]
        >>> moved = Modes(torch.ones(3, 2, 4), 8).transpose(2.0, 3.0).values[:, 0, 0]
        >>> moved.round(decimals=2)  # a phase of -3
        tensor([2.0000, 1.0000, 3.2800])
        """
        values = (self.turned(moment) if moment else self).values
        frequency, rest = values[..., :1, :, :], values[..., 1:, :, :]
        moved = replace(self, values=torch.cat([frequency * ratio, rest], dim=-3))
        return moved.turned(moment, back=True) if moment else moved

    def turned(self, moment: float, back: bool = False) -> "Modes":
        """Give the phases at a moment instead of those before sample 0.

        Args:
            moment: a sample.
            back: give the phases before sample 0 instead of those at the moment.
        """
        if self.values.shape[-3] < 3:
            return self
        frequency, amplitude, phase = self.values.unbind(-3)
        turned = turned_until(moment, frequency, self.num_samples)[..., None]
        phase = (phase.double() + (-turned if back else turned)).remainder(2 * math.pi)
        return replace(self, values=torch.stack([frequency, amplitude, phase.to(frequency)], -3))

    def delay(self, num_samples: int) -> "Modes":
        """Put silence in front. Frames are then three times as dense, so that attacks stay steep.

        >>> Modes(torch.ones(3, 2, 4), 8).delay(4).num_samples
        12
        """
        if not num_samples:
            return self
        total = self.num_samples + num_samples
        count = round(3 * self.num_frames * total / self.num_samples)
        time = (torch.arange(count, device=self.values.device) + 0.5) * (total / count) - 0.5
        source = time - num_samples
        position = (source + 0.5) * (self.num_frames / self.num_samples) - 0.5
        values = interpolate(self.values, position)
        values[..., 1, :, :] *= source > -1
        if values.shape[-3] > 2:
            before = self.values[..., 2, :, :1] - num_samples * self.values[..., 0, :, :1]
            values[..., 2, :, :] = before
        return replace(self, values=values, num_samples=total)

    def resample(self, sample_rate: float) -> "Modes":
        """Describe the same modes at another sample rate, in Hz. Above Nyquist they are silent."""
        ratio = self.sample_rate / sample_rate
        values = self.values.clone()
        if values.shape[-3] > 2:
            values[..., 2, :, :] += (1 - ratio) * values[..., 0, :, :1]
        values[..., 0, :, :] *= ratio
        length = round(self.num_samples / ratio)
        return replace(self, values=values, num_samples=length, sample_rate=sample_rate)

    def retime(
        self,
        num_samples: int,
        time_map: TimeMap = unchanged,
        num_frames: Optional[int] = None,
    ) -> "Modes":
        """Move the amplitudes in time, and let the modes describe another number of samples.

        Frequencies stay where they are, so that a pitch sweep keeps its speed. Amplitudes are zero
        where these modes have no samples.

        Args:
            num_samples: number of samples that the result describes.
            time_map: map from samples of the result to samples of these modes.
            num_frames: number of frames of the result. By default its frames are about as far apart
                as those of these modes.
        """
        frames, values = self.num_frames, self.values
        count = num_frames or max(1, round(frames * num_samples / self.num_samples))
        time = (torch.arange(count, device=values.device) + 0.5) * (num_samples / count) - 0.5
        source = time_map(time)

        def position(t: Tensor) -> Tensor:
            """Convert samples to frames."""
            return (t + 0.5) * (frames / self.num_samples) - 0.5

        frequency, amplitude, phase = hold_frequencies(values).unbind(-3)
        amplitude = interpolate(amplitude, position(source)) * (source < self.num_samples)
        frequency = interpolate(frequency, position(time))
        phase = phase[..., :1].expand_as(amplitude)
        moved = torch.stack([frequency, amplitude, phase], dim=-3)
        return replace(self, values=moved, num_samples=num_samples)


def turned_until(moment: float, frequency: Tensor, num_samples: int) -> Tensor:
    """Return how far modes turn up to a moment, in radians.

    Args:
        moment: a sample.
        frequency: in rad/sample, on frames as those of :class:`Modes`.
        num_samples: number of samples that the frames describe.

    Shape:
        - frequency: (..., M, F)
        - Output: (..., M), float64

    >>> turned_until(3.0, torch.full((1, 4), 0.5), 8).tolist()
    [2.0]
    """
    frequency = frequency.double()
    count = frequency.shape[-1]
    distance = num_samples / count
    # Frequencies are interpolated between the centers of frames; the ends hold.
    steps = 0.5 * (frequency[..., 1:] + frequency[..., :-1])
    position = (moment + 1) / distance - 0.5
    last = min(count - 1, max(0, math.floor(position)))
    passed = 0.5 * frequency[..., 0] + steps[..., :last].sum(-1)
    here = position - last
    there = min(last + 1, count - 1)
    rise = 0.5 * max(0.0, here) * (frequency[..., there] - frequency[..., last])
    return distance * (passed + here * (frequency[..., last] + rise))


def align_modes(values: Sequence[Modes]) -> List[Modes]:
    """Let values describe the same number of samples on one grid, that of the longest one.

    If the frames of another one are much denser, the grid is as dense as that, so that its attack
    stays as steep.
    """
    length, frames = max((x.num_samples, x.num_frames) for x in values)
    densest = math.ceil(max(x.num_frames * length / x.num_samples for x in values))
    frames = densest if densest > _DENSER * frames else frames
    return [
        x
        if (x.num_samples, x.num_frames) == (length, frames)
        else x.retime(length, num_frames=frames)
        for x in values
    ]


def hold_frequencies(modal: Tensor) -> Tensor:
    """Let modes keep their last frequency after they have become silent.

    The frequency of a silent frame may be anything, because nobody hears it. Once envelopes are
    stretched or blended, the frame may be heard. The last frames of a track are too quiet to have a
    reliable frequency either. So the frequency that is kept is the mean over the frames before
    them, weighted by energy.

    Shape:
        - modal: (..., 3, M, F)
        - Output: (..., 3, M, F)
    """
    frequency, amplitude, phase = modal.unbind(-3)
    frames = torch.arange(modal.shape[-1], device=modal.device)
    sounding = amplitude != 0
    first = torch.where(sounding, frames, modal.shape[-1]).amin(-1, keepdim=True)
    last = torch.where(sounding, frames, -1).amax(-1, keepdim=True)
    last = torch.maximum(last - _UNSURE, torch.minimum(first, last))
    energy = amplitude.square() * (frames <= last) * (frames > last - _KEPT)
    total = energy.sum(-1, keepdim=True)
    kept = (frequency * energy).sum(-1, keepdim=True) / total.clamp(min=1e-30)
    # Zeros between two tracks and before the first one stay: they make the phase what it is.
    frequency = torch.where((frames > last) & (total > 1e-30), kept, frequency)
    return torch.stack([frequency, amplitude, phase], dim=-3)
