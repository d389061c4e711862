"""Rows of a modal synthesizer, in which the modes of many strokes follow each other.

A synthesizer has a fixed number of rows, each of which is a sinusoid that sounds from beginning to
end. A loop has more modes than that, but few at a time. While a row is silent between two modes,
its frequency is bent so that the next mode begins with its own phase.
"""

import math
from typing import List, NamedTuple, Optional

import torch
from torch import Tensor

# Silent frames that a row needs between two modes: the inner ones are bent.
_SILENT = 3
# At most so many are.
_BENT = 16
# A row goes on with a mode that is at most so far away, in octaves, rather than an empty row.
_SAME = 1 / 12


class Span(NamedTuple):
    """A mode in the frames in which it sounds.

    Attributes:
        first: number of the first frame.
        omega: frequency in rad/sample (F,), float64.
        amplitude: linear amplitude (F,), float64.
        phase: phase of a sine at the center of the first frame, in radians.
    """

    first: int
    omega: Tensor
    amplitude: Tensor
    phase: float

    @property
    def stop(self) -> int:
        """Number of the frame behind the last one."""
        return self.first + len(self.omega)


class _Row:
    """A row that is filled from left to right."""

    def __init__(self, num_frames: int):
        self.omega = torch.zeros(num_frames, dtype=torch.float64)
        self.amplitude = torch.zeros(num_frames, dtype=torch.float64)
        self.phase = 0.0  # of the sine before the first sample
        self.turned = 0.0  # phase at the center of the last frame
        self.begin, self.stop = 0, 0  # frames of the last mode

    def add(self, span: Span, frame: float) -> None:
        """Add a mode behind what the row has."""
        # The phase is summed up from the numbers that are stored.
        omega = span.omega.float().double()
        begin = float(omega[0])
        if self.stop:
            last = float(self.omega[self.stop - 1])
            silent = span.first - self.stop
            turned = self.turned + 0.5 * frame * (last + begin) + frame * silent * begin
            turned += 0.5 * (begin - last)
            missing = math.remainder(span.phase - turned, 2 * math.pi)
            bent = min(silent - 2, _BENT)
            bend = missing / (bent * frame)
            if not 0 < begin + bend < math.pi:
                bend -= math.copysign(2 * math.pi / (bent * frame), bend)
            self.omega[self.stop : span.first] = begin
            self.omega[span.first - 1 - bent : span.first - 1] += bend
        else:
            self.omega[: span.first] = begin
            turned = frame * (span.first + 0.5) * begin + 0.5 * begin
            self.phase = math.remainder(span.phase - turned, 2 * math.pi)
        self.omega[span.first : span.stop] = omega
        self.omega[span.stop :] = omega[-1]
        self.amplitude[span.first : span.stop] = span.amplitude
        steps = 0.5 * frame * (omega[1:] + omega[:-1]).sum() + 0.5 * (omega[-1] - omega[0])
        self.turned = span.phase + float(steps)
        self.begin, self.stop = span.first, span.stop

    def cut(self, frame: int, length: float) -> None:
        """End the mode that sounds before a frame."""
        omega = self.omega[frame - 1 : self.stop].float().double()
        steps = 0.5 * length * (omega[1:] + omega[:-1]).sum() + 0.5 * (omega[-1] - omega[0])
        self.turned -= float(steps)
        self.amplitude[frame:] = 0
        self.stop = frame


def arrange(spans: List[Span], num_rows: int, num_frames: int, frame: float) -> Tensor:
    """Arrange modes in rows: frequencies, amplitudes and phases (3, num_rows, num_frames), float32.

    If more modes sound at a time than there are rows, the quietest ones end early.

    Args:
        spans: modes in the order in which they begin.
        num_rows: number of rows of the synthesizer.
        num_frames: number of frames of the sound.
        frame: length of a frame, in samples.

    >>> span = Span(2, torch.full((5,), 0.1).double(), torch.ones(5).double(), 0.0)
    >>> later = span._replace(first=11)
    >>> arrange([span, later], 4, 20, 64.0)[1].any(1)
    tensor([ True, False, False, False])
    """
    rows = [_Row(num_frames) for _ in range(num_rows)]
    used = 0
    for span in spans:
        row = _row_for(span, rows[:used])
        if row is None and used < num_rows:
            row, used = rows[used], used + 1
        elif row is None:
            row = _row_to_cut(span, rows, frame)
        if row is not None:
            row.add(span, frame)
    values = [(r.omega, r.amplitude, torch.full_like(r.omega, r.phase)) for r in rows]
    return torch.stack([torch.stack(list(row)) for row in zip(*values)]).float()


def _row_for(span: Span, rows: List[_Row]) -> Optional[_Row]:
    """Find a row that is silent when the span begins, the nearest in pitch, if it is near."""
    begin = float(span.omega[-1])
    best, distance = None, _SAME
    for row in rows:
        if row.stop + _SILENT <= span.first:
            away = abs(math.log2(float(row.omega[row.stop - 1]) / begin))
            if away <= distance:
                best, distance = row, away
    return best


def _row_to_cut(span: Span, rows: List[_Row], frame: float) -> Optional[_Row]:
    """Find the row that is quietest where the span begins, and cut it if it is quieter."""
    place = span.first - _SILENT
    candidates = [row for row in rows if row.stop <= place or row.begin + 1 < place]
    if not candidates:
        return None
    row = min(candidates, key=lambda r: float(r.amplitude[place]))
    if float(row.amplitude[place]) >= float(span.amplitude.max()):
        return None
    if row.stop > place:
        row.cut(place, frame)
    return row
