"""An instrument of drums, with the controls of the one table, in TorchScript's operations."""

from typing import Dict, Final, List, Sequence, Tuple

import torch
from torch import Tensor, nn

from drumblender.export.instrument.drum import Drum
from drumblender.export.instrument.pad import Edges, Pad
from drumblender.sound.controls import by_name

# Controls that follow while drums sound, and those that count when a hit begins.
MOVING = ("pitch", "modal_gain", "noise_gain", "transient_gain", "attack")
BEGINNING = ("decay", "humanize")
# What a tail may be stretched by: recorded noise is continued for as long as that.
DECAY = (0.1, 4.0)
# A control that is changed moves for so many seconds.
RAMP_S = 0.02


def range_of(name: str) -> Tuple[float, float]:
    """Return the lowest and the highest value of a control of instruments.

    >>> range_of("pitch"), range_of("decay")
    ((-96.0, 96.0), (0.1, 4.0))
    """
    control = by_name(name)
    return DECAY if name == "decay" else (control.lowest, control.highest)


class Instrument(nn.Module):
    """Drums that play hits, block by block.

    Args:
        drums: the drums, all of one sample rate and with as many channels.
        channels: number C of channels.
        sample_rate: in Hz.
    """

    values: Dict[str, float]
    ranges: Dict[str, Tuple[float, float]]
    target: List[float]
    now: Tensor

    NAMES: Final[Tuple[str, ...]] = (*MOVING, *BEGINNING)

    def __init__(self, drums: Sequence[Drum], channels: int, sample_rate: int):
        super().__init__()
        self.drums = nn.ModuleList(drums)
        self.edges, self.pad = Edges(), Pad(sample_rate)
        self.channels, self.sample_rate = channels, sample_rate
        self.ranges = {name: range_of(name) for name in self.NAMES}
        neutral = {name: by_name(name).neutral for name in self.NAMES}
        self.values = {name: 0.0 if x is None else x for name, x in neutral.items()}
        self.values["threshold"], self.ranges["threshold"] = -40.0, (-90.0, 0.0)
        # Pitch in semitones, and gains of modal, noise and transient, as they are and shall be.
        self.register_buffer("now", torch.tensor([0.0, 1.0, 1.0, 1.0]), persistent=False)
        self.target = [0.0, 1.0, 1.0, 1.0]
        self.ramp = max(1, round(RAMP_S * sample_rate))
        self.left = 0
        self.rows = 0

    def reset(self) -> None:
        """Forget all hits and what was before. Controls stay, and arrive at once."""
        for drum in self.drums:
            drum.reset()  # type: ignore[operator]
        self.edges.reset()
        self.pad.reset()
        self.left = 0
        self.now = torch.tensor(self.target, device=self.now.device)

    def get(self, name: str) -> float:
        """Return the value of a control."""
        return self.values[name]

    def set(self, name: str, value: float) -> int:
        """Set a control. Returns 0, or -1 if the value is out of range, which changes nothing."""
        lowest, highest = self.ranges[name]
        if not (lowest <= value and value <= highest):
            return -1
        if self.values[name] == value:
            return 0
        self.values[name] = value
        self.target = [
            self.values["pitch"],
            10.0 ** (self.values["modal_gain"] / 20.0),
            10.0 ** (self.values["noise_gain"] / 20.0),
            10.0 ** (self.values["transient_gain"] / 20.0) * self.values["attack"],
        ]
        self.left = self.ramp
        if not self.is_sounding():
            self.left = 0
            self.now = torch.tensor(self.target, device=self.now.device)
        return 0

    def is_sounding(self) -> bool:
        """Return whether any hit sounds."""
        sounding = False
        for drum in self.drums:
            sounding = sounding or len(drum.hits) > 0  # type: ignore[arg-type]
        return sounding

    def triggered(self, x: Tensor) -> Tensor:
        """Play hits where signals rise above zero, (B, D, n) to (B, C, 3, n)."""
        return self.play(x, self.edges(x))

    def struck(self, x: Tensor) -> Tensor:
        """Play hits where strokes begin in the sound of pads, (B, D, n) to (B, C, 3, n)."""
        return self.play(x, self.pad(x, self.values["threshold"]))

    def play(self, x: Tensor, events: List[List[Tuple[int, int, float]]]) -> Tensor:
        """Play a block.

        Args:
            x: a tensor (B, D, n), whose sizes count.
            events: for each drum, the row, the sample and the level of each hit that begins.

        Returns:
            What modal, noise and transient contribute, (B, C, 3, n).
        """
        rows, count = x.shape[0], x.shape[2]
        if rows != self.rows:
            self.rows = rows
            for drum in self.drums:
                drum.reset()  # type: ignore[operator]
        moved = self._moving(count)
        out = torch.zeros(rows, self.channels, 3, count, device=self.now.device)
        decay, humanize = self.values["decay"], self.values["humanize"]
        for i, drum in enumerate(self.drums):
            drum.strike(  # type: ignore[operator]
                events[i], out, moved[0], moved[1:], decay, humanize
            )
        return out

    def _moving(self, count: int) -> Tensor:
        """Return pitch and gains at the next samples, (4, n)."""
        now = self.now[:, None]
        if self.left == 0:
            return now.expand(-1, count)
        target = torch.tensor(self.target, device=now.device)[:, None]
        share = torch.arange(1, count + 1, device=now.device) / self.left
        values = now + (target - now) * share.clamp(max=1.0)
        self.left = max(0, self.left - count)
        self.now = target[:, 0] if self.left == 0 else values[:, -1].clone()
        return values
