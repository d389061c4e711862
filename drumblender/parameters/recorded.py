"""The rest that a separating analysis leaves without the tones, and noise that edits can change."""

from dataclasses import dataclass, replace
from typing import Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from drumblender.parameters.between import (
    FLOOR,
    decay_time,
    mean_time,
    power_shares,
    ring_out,
    stretched,
)
from drumblender.parameters.structure import map_tensors
from drumblender.parameters.time_maps import TimeMap, interpolate
from drumblender.signal import fit_length, resample
from drumblender.signal.auditory import (
    band_positions,
    band_width,
    level_hop,
    noise_levels,
    noise_of_levels,
    shape_noise,
)
from drumblender.signal.plain import is_plain

# Recorded noise is amplified by this factor at most (20 dB). What lacks then is drawn.
LOUDER = 10.0
# Levels are averaged over so many neighbors on either side. What changes is then the level of the
# noise and not the chance by which it fluctuates.
SMOOTH = 4
# Length of the fade of what is cut off, in seconds.
_FADE = 0.005
# Number of levels before the end in which its level is measured.
_END = 12
# Energy that silence counts as between noises, relative to that of the loudest one.
_FAINT = 1e-6
# Noise between others is made louder by this factor at most.
_RAISED = 4.0
# Lowest level that counts in a ratio of levels.
_TINY = 1e-9


@dataclass(frozen=True, eq=False)
class Rest:
    """Waveforms of the transient and the noise, which recordings hold beside their tones.

    Shape:
        - transient, noise: (B, N)
    """

    transient: Tensor
    noise: Tensor


@dataclass(frozen=True, eq=False)
class RecordedNoise:
    """Noise as it was recorded, and the levels that it shall have.

    An edit changes the wanted levels. The recorded noise is then made louder and softer in bands
    that change with time until it has these levels. Noise is drawn only where there is too little
    of it, as in a tail that became longer. So a small edit makes a small difference.

    Attributes:
        waveform: samples.
        sample_rate: sample rate in Hz.
        levels: wanted levels, as :func:`~drumblender.signal.auditory.noise_levels` measures them.
            None stands for those that the waveform has.

    Shape:
        - waveform: (B, N)
        - levels: (B, bands, N // level_hop + 1)
    """

    waveform: Tensor
    sample_rate: int
    levels: Optional[Tensor] = None

    @property
    def num_samples(self) -> int:
        """Number N of samples."""
        return self.waveform.shape[-1]

    @property
    def own_levels(self) -> Tensor:
        """Levels of the waveform, averaged over neighbors."""
        return noise_levels(self.waveform, self.sample_rate, smooth=SMOOTH)

    @property
    def wanted(self) -> Tensor:
        """Levels that the noise shall have."""
        return self.own_levels if self.levels is None else self.levels

    def play(
        self, generator: Optional[torch.Generator] = None, white: Optional[Tensor] = None
    ) -> Tensor:
        """Make the noise, (B, N).

        Args:
            generator: source of the noise that is drawn.
            white: normal white noise of variance 1 (B, N), which is taken instead of drawing it.
        """
        if self.levels is None:
            return self.waveform
        shaped, missing = self._shaped(self.levels)
        if not is_plain() and not missing.any():  # a program cannot ask
            return shaped
        return shaped + noise_of_levels(
            missing, self.num_samples, self.sample_rate, generator, white
        )

    def peak(self) -> Optional[float]:
        """Find the sample at which the energy peaks, or return None if there is no energy."""
        energy = self.wanted.square().sum((0, 1))
        if not energy.any():
            return None
        return float(min(self.num_samples - 1, int(energy.argmax()) * level_hop(self.sample_rate)))

    def transpose(self, ratio: float) -> "RecordedNoise":
        """Multiply the frequencies of the levels by a ratio.

        A ratio below 1 leaves the highest bands silent, because nothing is known above Nyquist.
        """
        levels = self.wanted
        position = band_positions(self.sample_rate, ratio, levels.shape[1]).to(levels.device)
        moved = interpolate(levels.transpose(1, 2), position) * (position < levels.shape[1] - 0.5)
        return replace(self, levels=moved.transpose(1, 2))

    def retime(self, num_samples: int, time_map: TimeMap) -> "RecordedNoise":
        """Move the levels in time, and let the noise last another number of samples.

        If it becomes longer, noise of the level that it has in the end is put behind.

        Args:
            num_samples: number of samples of the result.
            time_map: map from samples of the result to samples of this noise.
        """
        hop, levels = level_hop(self.sample_rate), self.wanted
        count = num_samples // hop + 1
        source = time_map(torch.arange(count, device=levels.device) * float(hop))
        moved = interpolate(levels, source / hop) * (source < self.num_samples)
        return replace(self, waveform=self._continued(num_samples), levels=moved)

    def delay(self, num_samples: int) -> "RecordedNoise":
        """Put a number of silent samples in front."""
        return self._padded(num_samples, 0)

    def lengthen(self, num_samples: int) -> "RecordedNoise":
        """Append silence until there are as many samples as given."""
        return self._padded(0, num_samples - self.num_samples)

    def resample(self, sample_rate: int) -> "RecordedNoise":
        """Describe the same noise at another sample rate, in Hz."""
        old, new = self.sample_rate, sample_rate
        if old == new:
            return self
        waveform = resample(self.waveform, old, new)
        if self.levels is None:
            return replace(self, waveform=waveform, sample_rate=new)
        count = self.levels.shape[1]
        bands = band_positions(new, 1.0, count, old)
        frames = torch.arange(waveform.shape[-1] // level_hop(new) + 1) * float(level_hop(new))
        levels = interpolate(self.levels, frames * (old / new) / level_hop(old))
        levels = interpolate(levels.transpose(1, 2), bands) * (bands < count - 0.5)
        # Bands of another width hold another part of the power.
        width = (band_width(new, count) / band_width(old, count)) ** 0.5
        return RecordedNoise(waveform, new, levels.transpose(1, 2) * width)

    def row(self, index: int) -> "RecordedNoise":
        """Return one noise of the batch."""
        row: RecordedNoise = map_tensors(lambda x: x[index : index + 1], self)
        return row

    def _continued(self, num_samples: int) -> Tensor:
        """Cut the waveform, or continue it by drawn noise of the level that it has in the end."""
        if num_samples <= self.num_samples:
            return self.waveform[:, :num_samples]
        sounding = self.waveform.abs().amax(0).nonzero()
        end = int(sounding[-1]) + 1 if len(sounding) else 0
        hop = level_hop(self.sample_rate)
        last = noise_levels(self.waveform[:, max(0, end - _END * hop) : end], self.sample_rate)
        last = last[..., 2:-2] if last.shape[-1] > 4 else last  # windows that lie inside
        level = last.square().mean(-1, keepdim=True).sqrt()
        level = level.expand(-1, -1, num_samples // hop + 1)
        # The same noise in all channels, and in every rendering.
        drawn = [
            noise_of_levels(row, num_samples, self.sample_rate, torch.Generator().manual_seed(0))
            for row in level.split(1)
        ]
        return torch.cat([self.waveform[:, :end], torch.cat(drawn)[:, end:]], 1)

    def _faded(self) -> Tensor:
        """Fade the waveform out where it ends, because it would be heard to be cut off."""
        sounding = self.waveform.abs().amax(0).nonzero()
        end = int(sounding[-1]) + 1 if len(sounding) else 0
        count = min(end, round(_FADE * self.sample_rate))
        fade = torch.hann_window(2 * count, device=self.waveform.device)[count:]
        rest = self.num_samples - end
        return self.waveform * F.pad(F.pad(fade, (end - count, 0), value=1.0), (0, rest))

    def _padded(self, front: int, back: int) -> "RecordedNoise":
        """Put numbers of silent samples on either side."""
        if not front and not back:
            return self
        waveform = self._faded() if back else self.waveform
        padded = replace(self, waveform=F.pad(waveform, (front, back)), levels=None)
        if self.levels is None:
            return padded
        own, frames = padded.own_levels, self.levels.shape[-1]
        source = torch.arange(own.shape[-1], device=own.device) - front / level_hop(
            self.sample_rate
        )
        # Spectra reach over the ends, where the noise is as much louder or softer as beside them.
        gains = (self.levels / self.own_levels.clamp(min=_TINY)).clamp(max=LOUDER)
        outside = own * interpolate(gains, source)
        inside = (source >= 0) & (source <= frames - 1)
        return replace(
            padded, levels=torch.where(inside, interpolate(self.levels, source), outside)
        )

    def _shaped(self, levels: Tensor) -> Tuple[Tensor, Tensor]:
        """Give the recorded noise other levels, and return it with the levels of what it lacks."""
        own = self.own_levels
        levels = fit_length(levels, own.shape[-1])
        ratio = levels / own.clamp(min=_TINY)
        gains = ratio.clamp(max=LOUDER)
        lacking = (levels.square() - (gains * own).square()).clamp(min=0).sqrt()
        missing = torch.where(ratio > LOUDER, lacking, 0)
        return shape_noise(self.waveform, gains, self.sample_rate), missing


def mix_noise(
    noises: Sequence[RecordedNoise],
    weights: Sequence[float],
    ends: Optional[Sequence[int]] = None,
    moment: float = 0.0,
) -> RecordedNoise:
    """Compute noise that lies between others of the same length.

    Levels are interpolated in dB. Where they decay in a band, the times in which they do have their
    mean on a logarithmic scale. So does the energy of all bands. Otherwise it would be too low
    between noises of other bands, because levels are then high in one of them only. Each noise is
    brought to these levels, and then they are cross-faded.

    Args:
        noises: noise of each sound.
        weights: weight of each sound. Their sum is 1.
        ends: number of samples that the recording of each sound lasts. Where one stops before
            another one, its level falls to silence along a straight line in dB.
        moment: sample of the onset, from which decay times count.
    """
    first = noises[0]
    onset = moment / level_hop(first.sample_rate)
    levels = [x.wanted for x in noises]
    shape = levels[0].shape
    rows = [x.flatten(0, 1) for x in levels]
    if ends is not None:
        # Averages fall already before the end.
        lasts = [x // level_hop(first.sample_rate) - SMOOTH - 2 for x in ends]
        rows = [
            ring_out(x, last if last < max(lasts) else None, torch.tensor([1 - weight]))
            for x, last, weight in zip(rows, lasts, weights)
        ]
    weight = torch.tensor(weights, dtype=torch.float64)[:, None]
    times = torch.stack([decay_time(x, onset) for x in rows])
    _, longer = mean_time(times, weight.expand_as(times))
    wanted = torch.ones(shape)
    for x, factor, share in zip(rows, longer, weights):
        wanted = wanted * stretched(x, onset, factor).view(shape) ** share
    wanted = torch.where(wanted > FLOOR * 1.0001, wanted, 0)
    wanted = wanted * _missing_gain(levels, wanted, weight)
    gains = power_shares(weights).sqrt().tolist()
    waveform = sum(gain * x._shaped(wanted)[0] for gain, x in zip(gains, noises))
    return replace(first, waveform=waveform, levels=wanted)


def _missing_gain(levels: Sequence[Tensor], mixed: Tensor, weight: Tensor) -> Tensor:
    """Compute the gain by which levels between those of noises get the energy between theirs.

    Shape:
        - each of levels, mixed: (B, bands, frames)
        - weight: (n, 1)
        - Output: (B, 1, 1), at least 1
    """
    energies = torch.stack([x.square().sum((1, 2)) for x in levels])
    loudest = energies.amax(0).clamp(min=FLOOR**2)
    energies = torch.maximum(energies, _FAINT * loudest)
    made = mixed.square().sum((1, 2)).clamp(min=FLOOR**2)
    gain = (energies**weight).prod(0) / made
    return gain.sqrt().clamp(1, _RAISED).to(mixed)[:, None, None]
