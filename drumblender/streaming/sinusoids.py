"""Banks of sinusoids in blocks, whose pitch and place between sounds may move while they play.

As long as nothing moves, each block of the bank's grid is evaluated as
:func:`drumblender.synths.bank.bank` does, from the same coefficients. Once a control moves, the
phase of each mode goes on from where it is. It is then summed up from block to block in float64.
Within a block of 64 samples at most, frequencies and amplitudes move along straight lines.
"""

from dataclasses import dataclass
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

from drumblender.parameters import Modes
from drumblender.signal import at_least_float32, exact_products
from drumblender.streaming.base import STILL, Blocks, Moving, between
from drumblender.synths import bank_torch
from drumblender.synths.bank import Cells, Grid, cells_of, reaches_nyquist, turns

# Sinusoids (modes x samples) that are evaluated ahead at once: fewer would cost as much time.
_AHEAD = 2**13
# Matrices of fewer rows, and fewer than two matrices, take other ways through a library of linear
# algebra, which add up in another order.
_LEAST_ROWS, _LEAST_CELLS = 64, 2


class Lines(NamedTuple):
    """How the modes of one channel move in the blocks of a grid, for each sound.

    All are arrays (sounds, cells, M) in float64, because NumPy takes less time for few numbers.

    Attributes:
        begun: phase before the first sample of each block.
        speed: frequency at the first sample.
        bend: change of the frequency from sample to sample.
        level: amplitude at the first sample.
        slope: change of the amplitude from sample to sample.
    """

    begun: np.ndarray
    speed: np.ndarray
    bend: np.ndarray
    level: np.ndarray
    slope: np.ndarray

    def at(self, sound: np.ndarray, cells: np.ndarray, time: Any) -> Tuple[np.ndarray, np.ndarray]:
        """Return frequencies and amplitudes (n, M) at samples of n blocks of n sounds."""
        place = sound, cells
        speed = self.speed[place] + time * self.bend[place]
        return speed, self.level[place] + time * self.slope[place]


class Bank(NamedTuple):
    """One channel of a bank.

    Attributes:
        lines: how its modes move.
        angles: phase in each block, as :mod:`drumblender.synths.bank` has it, (cells, M, 3).
        loud: amplitude in each block, (cells, 2, M).
        chunks: for each run of blocks that the bank evaluates at once, the modes that sound in it.
        size: number of blocks in such a run.
        offset: number of blocks of the channels before this one.
        mute: whether any mode may reach Nyquist.
    """

    lines: Lines
    angles: Tensor
    loud: Tensor
    chunks: List[Tensor]
    size: int
    offset: int
    mute: bool


@dataclass(frozen=True)
class Playing:
    """Where a bank of sinusoids is.

    Attributes:
        position: the next sample.
        ahead: samples (C, n) that have been evaluated from there on.
        phases: phase of the modes of each channel after these samples. None as long as no control
            has moved.
    """

    position: int
    ahead: Tensor
    phases: Optional[Tuple[np.ndarray, ...]]


class Sinusoids(Blocks):
    """A bank of sinusoids in blocks.

    Args:
        modes: modes of each sound between which it moves, all of the same number and length. Their
            first axis is the channel.
        knots: place of each sound, from 0 to 1.
        num_samples: number of samples that are heard.
        whole: samples that are heard as long as no control moves, if they are others than those of
            the bank, (C, 1, N).
    """

    def __init__(
        self,
        modes: Sequence[Modes],
        knots: Sequence[float],
        num_samples: int,
        whole: Optional[Tensor] = None,
    ):
        self.knots = knots
        self.channels = len(modes[0].values)
        self.whole = whole
        self.num_samples = num_samples
        cells = [_cells(x) for x in modes]
        freqs = at_least_float32(modes[0].values[:, 0])
        self.grid: Grid = cells[0].grid
        self.length = len(self.grid.steps)
        self.steps = self.grid.steps.to(freqs.dtype)
        self.powers = bank_torch.powers_of(self.steps)
        self.index = self.grid.index
        self.cell_of = (self.index // self.length).numpy()
        total = len(self.grid.count) * len(self.grid.middle)
        self.counts = np.bincount(self.cell_of, minlength=total)
        self.firsts = self.counts.cumsum() - self.counts
        # The runs go across channels, as those of the whole do.
        angles, loud = cells[0].angles.flatten(0, 2), cells[0].envelopes.flatten(0, 2)
        parts = list(bank_torch.chunks(angles, self.steps))
        modes_of = [bank_torch.sounding(loud[part]) for part in parts]
        lines = [_lines(*pair) for pair in zip(modes, cells)]
        self.rows = [
            Bank(
                Lines(*(np.stack(values) for values in zip(*(x[channel] for x in lines)))),
                angles[channel * total : (channel + 1) * total],
                loud[channel * total : (channel + 1) * total],
                modes_of,
                parts[0].stop - parts[0].start,
                channel * total,
                reaches_nyquist(freqs),
            )
            for channel in range(self.channels)
        ]

    def begin(self, position: int = 0, before: Any = None, moving: Moving = STILL) -> Playing:
        """Return the state before a sample."""
        return Playing(position, torch.zeros(self.channels, 0), None)

    def block(
        self, state: Playing, count: int, moving: Moving, signal: Optional[Tensor] = None
    ) -> Tuple[Tensor, Playing]:
        """Play a block, (C, 1, count)."""
        is_moving = not (moving.pitch.is_still(0.0) and moving.amount.is_still(0.0))
        moves = state.phases is not None or is_moving or len(self.knots) > 1
        state = self._freed(state, moving) if moves and state.phases is None else state
        made = [state.ahead]
        ready, phases = state.ahead.shape[1], state.phases
        with exact_products():
            while ready < count:
                at = state.position + ready
                if at >= self.num_samples or at >= len(self.cell_of):
                    made.append(torch.zeros(self.channels, count - ready))
                elif phases is None and self.whole is not None:
                    made.append(self.whole[:, 0, at : at + count - ready])
                elif phases is None:
                    made.append(self._still(at, count - ready))
                else:
                    samples, phases = self._moving(at, count - ready, moving, phases)
                    made.append(samples)
                ready += made[-1].shape[1]
        samples = torch.cat(made, dim=1)
        ended = Playing(state.position + count, samples[:, count:].clone(), phases)
        return samples[:, None, :count], ended

    def _freed(self, state: Playing, moving: Moving) -> Playing:
        """Go over from the coefficients to phases that are summed up, where a block begins."""
        at, kept = state.position, 0
        last = len(self.cell_of) - 1
        cell = int(self.cell_of[min(at, last)])
        if self.firsts[cell] < at <= last and state.ahead.shape[1]:
            kept = int(self.firsts[cell] + self.counts[cell]) - at
            cell = int(self.cell_of[min(at + kept, last)])
        below, share = (x.item() for x in between(self.knots, moving.amount.at([at])))
        phases = []
        for row in self.rows:
            begun = row.lines.begun[below, cell]
            if share:
                way = row.lines.begun[below + 1, cell] - begun
                begun = begun + share * (way - 2 * np.pi * np.round(way / (2 * np.pi)))
            phases.append(begun)
        return Playing(at, state.ahead[:, :kept], tuple(phases))

    def _still(self, at: int, count: int) -> Tensor:
        """Evaluate blocks of the grid from a sample on, at least so many samples if it can."""
        begin = int(self.cell_of[at])
        final = int(self.cell_of[min(at + count, len(self.cell_of)) - 1]) + 1
        made, end = [], final
        for row in self.rows:
            # All channels go as far as the first one does.
            samples, end = self._run(row, begin, end, row is self.rows[0])
            made.append(samples)
        stop = int(self.firsts[end]) if end < len(self.firsts) else len(self.cell_of)
        index = self.index[at:stop] - begin * self.length
        return torch.stack([x.flatten()[index] for x in made])

    def _run(self, row: Bank, begin: int, end: int, may_exceed: bool) -> Tuple[Tensor, int]:
        """Evaluate blocks (cells, length), and say where they end."""
        made, cell = [], begin
        while cell < end:
            chunk = (cell + row.offset) // row.size
            modes = row.chunks[chunk]
            bounds = chunk * row.size - row.offset, (chunk + 1) * row.size - row.offset
            first, last = max(0, bounds[0]), min(len(self.firsts), bounds[1])
            count = max(1, len(modes))
            least = max(_LEAST_CELLS, -(-_LEAST_ROWS // count))
            wanted = max(end - cell, least)
            if may_exceed:
                wanted = max(wanted, _AHEAD // (count * self.length))
            stop = min(last, cell + wanted)
            stop = last if last - stop < least else stop
            # What is too little for a run of its own is evaluated together with what was before.
            start = max(first, min(cell, stop - least))
            made.append(self._evaluated(row, start, stop, modes)[cell - start :])
            cell = stop
        samples = torch.cat(made)
        return (samples, cell) if may_exceed else (samples[: end - begin], end)

    def _evaluated(self, row: Bank, start: int, stop: int, modes: Tensor) -> Tensor:
        """Evaluate some modes in blocks of one run, (cells, length)."""
        if not len(modes):
            return self.steps.new_zeros(stop - start, self.length)
        angles, loud = row.angles[start:stop][:, modes], row.loud[start:stop][:, :, modes]
        work = self.steps.new_empty(angles.shape[0] * len(modes) * self.length)
        return bank_torch.evaluate(angles, loud, self.powers, row.mute, work)

    def _moving(
        self, at: int, count: int, moving: Moving, phases: Tuple[np.ndarray, ...]
    ) -> Tuple[Tensor, Tuple[np.ndarray, ...]]:
        """Evaluate blocks from a sample on with phases that go on, and return those after them."""
        begin = int(self.cell_of[at])
        end = int(self.cell_of[min(at + count, len(self.cell_of)) - 1]) + 1
        # The grid has blocks without a sample.
        cells = begin + np.flatnonzero(self.counts[begin:end])
        firsts, span = self.firsts[cells], self.counts[cells][:, None].astype(float)
        lasts = firsts + self.counts[cells] - 1
        ratios = [2 ** (moving.pitch.at(x) / 12)[:, None] for x in (firsts, lasts)]
        places = [between(self.knots, moving.amount.at(x)) for x in (firsts, lasts)]
        made, after = [], []
        for row, phase in zip(self.rows, phases):
            samples, phase = self._advance(row, cells, span, ratios, places, phase)
            made.append(samples)
            after.append(phase)
        index = self.index[at : int(lasts[-1]) + 1]
        if len(cells) < end - begin:
            order = np.zeros(end - begin, dtype=np.int64)
            order[cells - begin] = np.arange(len(cells))
            cell = torch.from_numpy(order)[index // self.length - begin]
            index = cell * self.length + index % self.length
        else:
            index = index - begin * self.length
        return torch.stack([x.flatten()[index] for x in made]), tuple(after)

    def _advance(
        self,
        row: Bank,
        cells: np.ndarray,
        span: np.ndarray,
        ratios: Sequence[np.ndarray],
        places: Sequence[Tuple[np.ndarray, np.ndarray]],
        phase: np.ndarray,
    ) -> Tuple[Tensor, np.ndarray]:
        """Evaluate blocks of one channel, (cells, length), and return the phases after them."""
        lines, half = row.lines, 0.5 * (self.length - 1)
        speeds, levels = [], []
        for time, ratio, (below, share) in zip((0.0, span - 1), ratios, places):
            speed, level = lines.at(below, cells, time)
            if share.any():
                above = lines.at(below + 1, cells, time)
                speed += share[:, None] * (above[0] - speed)
                level += share[:, None] * (above[1] - level)
            speeds.append(speed * ratio)
            levels.append(level)
        steps = np.maximum(span - 1, 1)
        bend, slope = (speeds[1] - speeds[0]) / steps, (levels[1] - levels[0]) / steps
        # The first sample of a block turns by the frequency there already.
        turned = span * speeds[0] + 0.5 * span * (span - 1) * bend
        after = phase + turned.cumsum(0)
        c0 = after - turned + (half + 1) * speeds[0] + 0.5 * half * (half + 1) * bend
        c0 -= 2 * np.pi * np.round(c0 / (2 * np.pi))
        phase = after[-1] % (2 * np.pi)
        modes = np.flatnonzero(levels[0].any(0) | levels[1].any(0))
        if not len(modes):
            return self.steps.new_zeros(len(cells), self.length), phase
        angles = np.stack([c0, speeds[0] + (half + 0.5) * bend, 0.5 * bend], axis=-1)
        loud = np.stack([levels[0] + half * slope, slope], axis=1)
        mute = bool(max(np.abs(x).max() for x in speeds) >= np.pi)
        work = self.steps.new_empty(len(cells) * len(modes) * self.length)
        turning, lines_of = (
            torch.from_numpy(x).to(work) for x in (angles[:, modes], loud[:, :, modes])
        )
        return bank_torch.evaluate(turning, lines_of, self.powers, mute, work), phase


def _cells(modes: Modes) -> Cells:
    """Cut modes into the blocks of the bank's grid."""
    freqs, amps, *phases = at_least_float32(modes.values).unbind(1)
    return cells_of(freqs, amps, phases[0][..., :1] if phases else None, modes.num_samples)


def _lines(modes: Modes, cells: Cells) -> List[Lines]:
    """Return how the modes of each channel move in the blocks of the grid."""
    freqs, _, *phases = at_least_float32(modes.values).unbind(1)
    phase = phases[0][..., :1] if phases else None
    half = 0.5 * (len(cells.grid.steps) - 1)
    bend, first, before = (x.unsqueeze(2) for x in turns(freqs, phase, cells.grid))
    begin = (cells.grid.middle - half)[None, None]
    begun = before + begin * first + 0.5 * begin * (begin - 1) * bend
    mean, slope = cells.envelopes.double().unbind(3)
    values = (begun, first + begin * bend, bend.expand_as(begun), mean - half * slope, slope)
    arrays = [x.flatten(1, 2).numpy() for x in values]
    return [Lines(*(x[channel] for x in arrays)) for channel in range(len(freqs))]
