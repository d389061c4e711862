"""Chooses which tracks become modes.

A synthesizer has room for fewer modes than a drum has tracks. The loudest are mostly neighbors of
each other at low frequencies, where one mode could stand for several: an envelope on the frame grid
covers a band about as wide as the frame rate. Chosen for coverage, modes explain far more of the
sound.
"""

from typing import Tuple

import numpy as np
import torch
from torch import Tensor

from drumblender.analysis.arrays import arrays
from drumblender.analysis.peaks import Peaks
from drumblender.analysis.settings import AnalysisSettings
from drumblender.analysis.tracking import Tracks, on_grid

# A chosen mode takes weight off candidates that are nearer than this many frame rates.
SPACING = 1.6
# Within one frame rate, what is this much quieter (linear) is a side lobe or the attack's splatter.
MASKED = 0.15
# Frames are left out of a track while they are within this many window lengths (roughly) of the
# beginning, whose reflection in the CQT distorts them.
EDGE = 0.1


def choose_modes(
    peaks: Peaks, tracks: Tracks, num_samples: int, settings: AnalysisSettings
) -> Tuple[Tensor, Tensor]:
    """Choose which tracks become modes.

    Candidates are the tracks and also, at constant frequency, bands of one frame rate that hold
    peaks of no track. They are chosen one after the other by weight. The weight of a candidate is
    the sum of the amplitudes of its peaks; with the sum of energies, quiet modes that are long or
    wide would not count. A chosen candidate takes weight off its neighbors. A mode holds its
    frequency before its first peak and after its last.

    Args:
        peaks: all peaks.
        tracks: the tracks that they form.
        num_samples: length N of the sounds, in samples.
        settings: settings of the analysis.

    Returns:
        The frequencies of the chosen modes, in Hz, at the centers of the frames of the result, and
        their levels. A level is the square root of the energy of the peaks. It is 0 where there is
        no mode.

    Shape:
        - Output: (B, K, F) and (B, K), float64, K <= num_modes
    """
    s = settings
    num_sounds, num_frames = peaks.num_sounds, peaks.num_frames
    # The synthesizer samples envelopes at half-pixel centers: its frames are N / F apart.
    frame = num_samples / num_frames
    rate = s.sample_rate / frame
    # Peaks that are nearer, in octaves, belong to one sinusoid.
    resolution = 2.5 / s.bins_per_octave
    # Candidates of a sound: its tracks, then bands of one frame rate with peaks of no track.
    size = tracks.most + int(s.fmin * 2 ** (s.n_bins / s.bins_per_octave) / rate) + 2
    cell = tracks.most + (peaks.frequency / rate).round().long()
    place = peaks.sound * size + torch.where(tracks.number >= 0, tracks.number, cell)
    weight = peaks.amplitude
    sums = torch.stack([weight, weight * peaks.frequency, weight * weight], 1)
    sums = sums.new_zeros(num_sounds * size, 3).index_add_(0, place, sums)
    mass, moment, power = sums.T.contiguous().view(3, num_sounds, size)
    center = moment / mass.clamp(min=1e-30)
    chosen, level = _choose(mass, center / rate, power.sqrt(), resolution, s.num_modes)
    most = int((level > 0).sum(1).max())
    chosen, level = chosen[:, :most], level[:, :most]

    hz = on_grid(peaks, tracks, torch.where(level > 0, chosen, -1)).of(peaks.frequency)
    index = torch.arange(num_frames, device=hz.device)
    there = hz > 0
    known = there & (index * (s.hop_length / s.sample_rate) * hz > EDGE / resolution)
    final = torch.where(there, index, -1).amax(-1, keepdim=True)
    known = torch.where(known.any(-1, keepdim=True), known, index == final)
    times = (((index.double() + 0.5) * frame - 0.5) / s.hop_length).clamp(0, num_frames - 1)
    rows = _interpolate(times, known, hz)
    return torch.where(final >= 0, rows, center.gather(1, chosen)[..., None]), level


def _choose(
    mass: Tensor, center: Tensor, loud: Tensor, resolution: float, count: int
) -> Tuple[Tensor, Tensor]:
    """Choose candidates one after the other.

    Args:
        mass: their weights (B, C).
        center: their frequencies in frame rates (B, C).
        loud: their levels (B, C).
        resolution: how near two are that belong to one sinusoid, in octaves.
        count: number of those that are chosen.

    Returns:
        Numbers of the chosen candidates, and their levels: 0 where none was left (B, count).
    """
    sounds = torch.arange(len(mass), device=mass.device)
    chosen = mass.new_zeros(count, len(mass), dtype=torch.long)
    weights = mass.new_zeros(count, len(mass))
    # Places of the candidates by frequency and by pitch, in units of what is near.
    place = torch.stack([center, center.clamp(min=1e-12).log2() / resolution])
    xp, (left, places, levels, rows, found, values) = arrays(
        mass.clone(), place, loud, sounds, chosen, weights
    )
    for number in range(count):
        best = left.argmax(1)
        found[number], values[number] = best, left[rows, best]
        # On a GPU it would cost more to look than to go on.
        if xp is np and not values[number].any():
            break
        distance, steps = abs(places - places[:, rows, best][..., None])
        quiet = levels < MASKED * levels[rows, best][:, None]
        gone = (distance < 1) & (quiet | (steps < 1))
        left *= (distance / SPACING).clip(max=1) ** 2 * ~gone
    chosen = chosen.T
    return chosen, torch.where(weights.T > 0, loud.gather(1, chosen), 0)


def _interpolate(times: Tensor, known: Tensor, values: Tensor) -> Tensor:
    """Interpolate between known frames at ``times``, in frames. Beyond them, values hold."""
    num_frames = known.shape[-1]
    index = torch.arange(num_frames, device=known.device)
    before = torch.where(known, index, -1).cummax(-1).values
    after = torch.where(known, index, num_frames).flip(-1).cummin(-1).values.flip(-1)
    at = times.long()
    before = before[..., at]
    after = after[..., (at + 1).clamp(max=num_frames - 1)]
    # The last frame has none after it, but may be before: then both are the same.
    after = torch.where((at + 1 < num_frames) & (after < num_frames), after, before)
    before = torch.where(before >= 0, before, after)
    left, right = (values.gather(-1, i.clamp(min=0)) for i in (before, after))
    share = ((times - before) / (after - before).clamp(min=1)).clamp(0, 1)
    return left + share * (right - left)
