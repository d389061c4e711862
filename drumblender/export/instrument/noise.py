"""Noise of a drum that is shaped in overlapping frames, in operations that TorchScript compiles."""

import math
from typing import Final, NamedTuple, Optional, Tuple

import torch
from torch import Tensor, nn


def between(frames: Tensor, position: Tensor, exact: bool = False) -> Tensor:
    """Interpolate frames (..., F) linearly at positions (n,), to (..., n). The ends hold.

    Args:
        frames: the frames.
        position: positions among the frames, in float64.
        exact: whether to compute in float64.

    >>> between(torch.tensor([0.0, 1.0, 4.0]), torch.tensor([-1.0, 0.5, 1.5])).tolist()
    [0.0, 0.5, 2.5]
    """
    last = frames.shape[-1] - 1
    position = position.clamp(0.0, float(last))
    below = position.long().clamp(max=max(0, last - 1))
    if last == 0 or len(below) == 0:
        return frames.index_select(-1, below)
    first = int(below.min())
    near = frames[..., first : int(below.max()) + 2]
    if exact:
        near = near.double()
    if near.shape[-1] <= 16:
        # A product takes less time than picking frames.
        place = torch.arange(near.shape[-1], device=position.device)[:, None]
        return near @ (1 - (position - first - place).abs()).clamp(min=0).to(near.dtype)
    share = (position - below).to(near.dtype)
    one = near.index_select(-1, below - first)
    return one + (near.index_select(-1, below - first + 1) - one) * share


def source_of(time: Tensor, decay: float, begins: Tensor, ends: Tensor) -> Tensor:
    """Map samples of a hit to those of the drum, as ``Timeline.stretch_map`` does.

    Args:
        time: samples of the hit, in float64.
        decay: 2 makes what follows the loudest moment of each stroke twice as long.
        begins: the sample of each stroke after which it is stretched.
        ends: the sample at which each stroke ends. What would come after it is not there.

    >>> begins, ends = torch.tensor([[100.0], [float("inf")]], dtype=torch.float64)
    >>> source_of(torch.tensor([50.0, 300.0], dtype=torch.float64), 2.0, begins, ends).tolist()
    [50.0, 200.0]
    """
    if decay == 1.0:
        return time
    stroke = torch.searchsorted(ends, time, right=True)
    begin, end = begins[stroke], ends[stroke]
    moved = torch.where(time <= begin, time, begin + (time - begin) / decay)
    return torch.where(moved < end, moved, 1e12)


class NoiseState(NamedTuple):
    """Where the noise of a hit is.

    Attributes:
        frame: number of the next frame.
        frames: the frames before it, which reach beyond what has been added up, (C, R - 1, R, hop).
        ahead: samples that have been added up, (C, n).
    """

    frame: int
    frames: Tensor
    ahead: Tensor


class Noise(nn.Module):
    """Noise in frames that overlap, whose spectra are multiplied by gains that change with time.

    The noise of models is white noise, which begins again where it ends. Recorded noise is its
    waveform as long as decay is as it was. Otherwise it is made louder and softer in bands until it
    has the levels that it had at the moment that is played, by 20 dB at most, and white noise is
    shaped to what lacks then, as :class:`~drumblender.parameters.RecordedNoise` does.

    Args:
        line: white noise, or the recorded noise with silence of half a window in front.
        stride: number of samples of ``line`` from frame to frame.
        filters: by what the spectrum of each frame is multiplied, of models; or levels of recorded
            noise, of which frame k is centered on sample k hop.
        windows: window before the spectrum, and after it.
        hop: number of samples from frame to frame.
        lead: number of samples of the first frame that come before sample 0.
        normalize: whether to divide by the sum of the squares of the windows.
        num_samples: number of samples that the frames describe.
        longer: the recorded noise, continued for as long as any decay asks for. None for models.
        own: levels that ``line`` and that ``longer`` have. None for models.
        spread: share of each band in each bin, (bands, bins). None for models.
        white: white noise for what recorded noise lacks, (n,). None for models.

    Shape:
        - line: (C, n)
        - filters: (C, K, bins), or (C, K, bands)
        - windows: two of (size,)
        - longer: (C, m)
        - own: two of (C, frames, bands)
    """

    line: Tensor
    longer: Tensor
    filters: Tensor
    own: Tensor
    own_longer: Tensor
    spread: Tensor
    density: Tensor
    white: Tensor
    before: Tensor
    after: Tensor
    squares: Tensor

    # Recorded noise is made louder by this factor at most, and levels below this one count as it.
    LOUDER: Final[float] = 10.0
    TINY: Final[float] = 1e-9

    def __init__(
        self,
        line: Tensor,
        stride: int,
        filters: Tensor,
        windows: Tuple[Tensor, Tensor],
        hop: int,
        lead: int,
        normalize: bool,
        num_samples: int,
        longer: Optional[Tensor] = None,
        own: Optional[Tuple[Tensor, Tensor]] = None,
        spread: Optional[Tensor] = None,
        white: Optional[Tensor] = None,
    ):
        super().__init__()
        empty = torch.zeros(len(line), 1, 1)
        before, after = windows
        self.recorded = longer is not None
        self.silent = not bool(line.any())
        self.stride, self.hop, self.lead = stride, hop, lead
        self.normalize, self.num_samples = normalize, num_samples
        self.size = len(after)
        self.parts = self.size // hop
        bins = filters.shape[2] if spread is None else spread.shape[1]
        self.fft_size = 2 * (bins - 1)
        spread = torch.zeros(1, 1) if spread is None else spread
        # White noise of variance 1 has the power 1 / (2 hop) in each bin.
        density = 2 * hop * spread / spread.sum(1, keepdim=True).clamp(min=self.TINY)
        for name, value in (
            ("line", line),
            ("longer", empty[0] if longer is None else longer),
            ("filters", filters),
            ("own", empty if own is None else own[0]),
            ("own_longer", empty if own is None else own[1]),
            ("spread", spread),
            ("density", density),
            ("white", empty[0, 0] if white is None else white),
            ("before", before),
            ("after", after),
            ("squares", (before * after).view(self.parts, hop)),
        ):
            self.register_buffer(name, value.contiguous())

    def begin(
        self, time: int, decay: float, shift: int, begins: Tensor, ends: Tensor
    ) -> NoiseState:
        """Return the state before a sample of a hit. Arguments are those of :meth:`advance`."""
        segment = (time + self.lead) // self.hop
        frames = self._frames(segment - self.parts + 1, segment, decay, shift, begins, ends)
        state = NoiseState(segment, frames, torch.zeros_like(self.line[:, :0]))
        skipped = time + self.lead - segment * self.hop
        return self.advance(state, skipped, decay, shift, begins, ends)[1]

    def advance(
        self, state: NoiseState, count: int, decay: float, shift: int, begins: Tensor, ends: Tensor
    ) -> Tuple[Tensor, NoiseState]:
        """Play the next samples.

        Args:
            state: where the noise is.
            count: number n of samples.
            decay: factor of decay times.
            shift: number of frames by which white noise differs from that of other hits.
            begins: as in :func:`source_of`.
            ends: as in :func:`source_of`.

        Returns:
            The samples (C, n), and the state after them.
        """
        frame, frames, ahead = state.frame, state.frames, state.ahead
        if self.silent:
            return torch.zeros(len(self.line), count, device=self.line.device), state
        lacking = count - ahead.shape[1]
        if lacking > 0:
            more = (lacking + self.hop - 1) // self.hop
            new = self._frames(frame, frame + more, decay, shift, begins, ends)
            frames = torch.cat([frames, new], dim=1)
            last = self.parts - 1
            added = frames[:, :more, last]
            for part in range(last - 1, -1, -1):
                added = added + frames[:, last - part : last - part + more, part]
            if self.normalize:
                added = added / self._weight(frame, more, decay, begins)
            ahead = torch.cat([ahead, added.flatten(1)], dim=1)
            frames, frame = frames[:, more:], frame + more
        return ahead[:, :count], NoiseState(frame, frames, ahead[:, count:])

    def _count(self, decay: float, begin: float) -> int:
        """Return the number of frames."""
        if decay == 1.0:
            return self.num_samples // self.hop + 1 if self.normalize else self.filters.shape[1]
        described = begin + (float(self.num_samples) - begin) * decay
        return math.ceil(described) // self.hop + 1

    def _weight(self, first: int, count: int, decay: float, begins: Tensor) -> Tensor:
        """Return the sum of the squares of windows in some segments, (count, hop)."""
        total = self._count(decay, float(begins[-1]))
        segments = torch.arange(first, first + count, device=self.squares.device)
        weight = torch.zeros_like(self.squares[:1]).repeat(count, 1)
        for part in range(self.parts):
            frame = segments - part
            exists = (frame >= 0) & (frame < total)
            weight = weight + exists[:, None] * self.squares[part]
        return torch.where(weight > 1e-10, weight, 1.0)

    def _frames(
        self, first: int, end: int, decay: float, shift: int, begins: Tensor, ends: Tensor
    ) -> Tensor:
        """Make frames, (C, end - first, R, hop). Those that do not exist are silent."""
        frame = torch.arange(first, end, device=self.before.device)
        exists = (frame >= 0) & (frame < self._count(decay, float(begins[-1])))
        line = self.longer if self.recorded and decay > 1.0 else self.line
        known = (line.shape[1] - self.size) // self.stride + 1
        place = frame.clamp(min=0)
        place = place.clamp(max=known - 1) if self.recorded else (place + shift) % known
        rows = self._rows(line, place * self.stride)
        if not (self.recorded and decay == 1.0):
            gains, lacking = self._gains(frame, decay, begins, ends)
            spectra = torch.fft.rfft(rows, self.fft_size) * gains
            if bool(lacking.any()):
                known = (self.white.shape[0] - self.size) // self.hop + 1
                drawn = self._rows(self.white[None], frame.clamp(min=0) % known * self.hop)
                spectra = spectra + torch.fft.rfft(drawn, self.fft_size) * lacking
            rows = torch.fft.irfft(spectra, self.fft_size)[:, :, : self.size]
        rows = rows * self.after * exists[:, None]
        return rows.view(len(rows), end - first, self.parts, self.hop)

    def _rows(self, line: Tensor, begin: Tensor) -> Tensor:
        """Cut frames that begin at samples (frames,) of a line, (C, frames, size)."""
        index = begin[:, None] + torch.arange(self.size, device=begin.device)
        return line.index_select(1, index.flatten()).view(len(line), -1, self.size) * self.before

    def _gains(
        self, frame: Tensor, decay: float, begins: Tensor, ends: Tensor
    ) -> Tuple[Tensor, Tensor]:
        """Return by what spectra of frames and of white noise are multiplied, (C, frames, bins)."""
        none = torch.zeros(1, device=self.before.device)
        last = self.filters.shape[1] - 1
        if decay == 1.0:
            return self.filters.index_select(1, frame.clamp(0, last)), none
        center = (frame.double() + 0.5 * self.parts) * self.hop - self.lead
        source = source_of(center, decay, begins, ends)
        position = ((source + self.lead) / self.hop - 0.5 * self.parts).clamp(0.0, float(last))
        below = position.long().clamp(max=max(0, last - 1))
        share = (position - below).float()[:, None]
        one = self.filters.index_select(1, below)
        found = self.filters.index_select(1, (below + 1).clamp(max=last))
        found = one + (found - one) * share
        found = found * (source < self.num_samples + 0.5 * self.parts * self.hop)[:, None]
        if not self.recorded:
            return found, none
        own = self.own_longer if decay > 1.0 else self.own
        have = own.index_select(1, frame.clamp(0, own.shape[1] - 1))
        ratio = found / have.clamp(min=self.TINY)
        gain = ratio.clamp(max=self.LOUDER)
        lacks = (found.square() - (gain * have).square()).clamp(min=0) * (ratio > self.LOUDER)
        return gain @ self.spread, (lacks @ self.density).sqrt()
