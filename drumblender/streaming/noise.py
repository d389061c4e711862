"""Noise that is filtered in frames, in blocks.

The white noise of a sound is drawn when its blocks are made, as its generator gives it for the
whole. Frames are filtered when they are needed, and added up in the order in which the whole adds
them.
"""

from dataclasses import dataclass
from typing import Any, Optional, Sequence, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from drumblender.signal import at_least_float32
from drumblender.streaming.base import STILL, Blocks, Moving, between
from drumblender.synths import NoiseGenerator, ShapedNoise
from drumblender.synths.noise import GROUP, band_impulse_responses, in_groups
from drumblender.synths.shaped import gains_of_frames


@dataclass(frozen=True)
class Framed:
    """Where noise is.

    Attributes:
        position: the next sample.
        ahead: samples (C, n) that have been added up from there on.
        next: number of the next frame.
        frames: the frames before it, which reach beyond what has been added up, (C, R - 1, R, hop).
    """

    position: int
    ahead: Tensor
    next: int
    frames: Tensor


class Frames(Blocks):
    """Noise in frames that overlap, in blocks.

    Args:
        white: white noise of each frame.
        filters: for each sound between which the noise moves, by what the spectrum of each frame is
            multiplied. Frames that are missing are silent.
        knots: place of each sound, from 0 to 1.
        window: window by which the noise is multiplied before it is filtered, and afterwards.
        lead: number of samples of the first frame that come before sample 0.
        normalize: whether to divide by the sum of the squares of the windows.
        num_samples: number of samples N that are heard.
        group: number of frames that are filtered together.

    Shape:
        - white: (C, frames, window), perhaps a view
        - each of filters: (C, frames, bins)
        - window: two of (window,), the first of which may be None
    """

    def __init__(
        self,
        white: Tensor,
        filters: Sequence[Tensor],
        knots: Sequence[float],
        window: Tuple[Optional[Tensor], Tensor],
        hop_length: int,
        lead: int,
        normalize: bool,
        num_samples: int,
        group: int = 1,
    ):
        self.white = white
        self.group = group
        self.filters = torch.stack([*filters])
        self.knots = knots
        self.window = window
        self.hop = hop_length
        self.lead = lead
        self.parts = white.shape[-1] // hop_length
        self.num_samples = num_samples
        self.fft_size = 2 * (self.filters.shape[-1] - 1)
        self.weight: Optional[Tensor] = None
        if normalize:
            squares = window[1].square().view(1, 1, self.parts, -1)
            squares = squares.expand(1, white.shape[1], -1, -1)
            self.weight = self._added(F.pad(squares, (0, 0, 0, 0, *(2 * [self.parts - 1]))))[0]

    def begin(self, position: int = 0, before: Any = None, moving: Moving = STILL) -> Framed:
        """Return the state before a sample."""
        segment = (position + self.lead) // self.hop
        first = segment - (self.parts - 1)
        frames = self._frames(first, segment, moving)
        start = segment * self.hop - self.lead
        state = Framed(start, frames.new_zeros(len(frames), 0), segment, frames)
        skipped = position - start
        return self._after(state, skipped, moving)[1] if skipped else state

    def block(
        self, state: Framed, count: int, moving: Moving, signal: Optional[Tensor] = None
    ) -> Tuple[Tensor, Framed]:
        """Play a block, (C, 1, count)."""
        samples, state = self._after(state, count, moving)
        return samples[:, None], state

    def _after(self, state: Framed, count: int, moving: Moving) -> Tuple[Tensor, Framed]:
        """Return the next samples (C, count), and the state after them."""
        position, ahead, number, frames = state.position, state.ahead, state.next, state.frames
        lacking = count - ahead.shape[1]
        if lacking > 0:
            more = -(-lacking // (self.hop * self.group)) * self.group
            frames = torch.cat([frames, self._frames(number, number + more, moving)], dim=1)
            made = self._added(frames)
            begin = position + ahead.shape[1]
            if self.weight is not None:
                place = begin + self.lead
                weight = self.weight[place : place + made.shape[1]]
                made = made / F.pad(weight, (0, made.shape[1] - len(weight)), value=1.0)
            made[:, max(0, self.num_samples - begin) :] = 0
            ahead = torch.cat([ahead, made], dim=1)
            frames, number = frames[:, more:], number + more
        rest = Framed(position + count, ahead[:, count:], number, frames)
        return ahead[:, :count], rest

    def _frames(self, begin: int, end: int, moving: Moving) -> Tensor:
        """Filter frames, (C, end - begin, R, hop). Those that do not exist are silent."""
        total = self.white.shape[1]
        first, last = min(max(0, begin), total), max(0, min(end, total))
        shape = (len(self.white), -1, self.parts, self.hop)
        if first >= last:
            return self.white.new_zeros(len(self.white), end - begin, self.parts, self.hop)
        count = -(-(last - first) // self.group) * self.group
        start = min(first, total - count)
        white = self.white[:, start : start + count]
        before, after = self.window
        if before is not None:
            white = white * before
        spectrum = torch.fft.rfft(white, self.fft_size) * self._filter(start, start + count, moving)
        frames = torch.fft.irfft(spectrum, self.fft_size)[..., : white.shape[-1]] * after
        frames = frames[:, first - start : last - start]
        return F.pad(frames.view(shape), (0, 0, 0, 0, first - begin, end - last))

    def _filter(self, first: int, last: int, moving: Moving) -> Tensor:
        """Return by what the spectra of frames are multiplied, (C, last - first, bins)."""
        filters = self.filters[:, :, first:last]
        if len(filters) == 1:
            return filters[0]
        centers = (np.arange(first, last) + 0.5 * self.parts) * self.hop - self.lead
        below, share = between(self.knots, moving.amount.at(centers))
        frame = torch.arange(last - first)
        one, other = (filters[k, :, frame].transpose(0, 1) for k in (below, below + 1))
        return one + (other - one) * torch.from_numpy(share).to(one.real.dtype)[:, None]

    def _added(self, frames: Tensor) -> Tensor:
        """Add up frames (C, R - 1 + n, R, hop) that overlap, to (C, n hop)."""
        last = self.parts - 1
        count = frames.shape[1] - last
        total = frames[:, :count, last]
        for part in range(last - 1, -1, -1):
            total = total + frames[:, last - part : last - part + count, part]
        return total.flatten(1) if last else total.flatten(1).clone()


def blocks_of_noise(
    synth: nn.Module,
    bands: Sequence[Tensor],
    knots: Sequence[float],
    num_samples: int,
    generators: Sequence[torch.Generator],
) -> Optional[Blocks]:
    """Return filtered noise in blocks, or None if the synthesizer cannot play in blocks.

    It can if it is a :class:`~drumblender.synths.NoiseGenerator` or a
    :class:`~drumblender.synths.ShapedNoise` whose window is a multiple of its hop.

    Args:
        synth: the synthesizer.
        bands: band amplitudes (C, K, n_bands) of each sound between which it moves.
        knots: place of each sound, from 0 to 1.
        num_samples: number of samples.
        generators: a generator for each channel.
    """
    bands = [at_least_float32(x) for x in bands]
    if type(synth) is ShapedNoise and synth.window_size % synth.hop_length == 0:
        return _shaped(synth, bands, knots, num_samples, generators)
    if type(synth) is NoiseGenerator:
        return _generated(synth, bands, knots, num_samples, generators)
    return None


def _shaped(
    synth: ShapedNoise,
    bands: Sequence[Tensor],
    knots: Sequence[float],
    num_samples: int,
    generators: Sequence[torch.Generator],
) -> Frames:
    """Return the frames of :func:`drumblender.synths.shaped.shaped_noise`."""
    size, hop = synth.window_size, synth.hop_length
    count = num_samples // hop + 1
    drawn = [torch.randn((1, num_samples), generator=g, dtype=bands[0].dtype) for g in generators]
    white = F.pad(torch.cat(drawn), (size // 2, size // 2)).unfold(1, size, hop)[:, :count]
    window = torch.hann_window(size, dtype=bands[0].dtype)
    filters = [gains_of_frames(x, count, size) for x in bands]
    return Frames(white, filters, knots, (window, window), hop, size // 2, True, num_samples)


def _generated(
    synth: NoiseGenerator,
    bands: Sequence[Tensor],
    knots: Sequence[float],
    num_samples: int,
    generators: Sequence[torch.Generator],
) -> Frames:
    """Return the frames of :class:`~drumblender.synths.NoiseGenerator`."""
    size = synth.window_size
    shape = (1, bands[0].shape[1], size)
    drawn = [torch.rand(shape, generator=g, dtype=bands[0].dtype) for g in generators]
    responses = [in_groups(band_impulse_responses(x, size)) for x in bands]
    filters = [torch.fft.rfft(x, 2 * size) for x in responses]
    windows = None, synth.window.to(bands[0].dtype)
    white = in_groups(torch.cat(drawn) * 2 - 1)
    return Frames(white, filters, knots, windows, size // 2, 0, False, num_samples, GROUP)
