"""Sounds that are ready to be played in blocks."""

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

from drumblender.sound.playing import outline_gain
from drumblender.sound.sound import Sound
from drumblender.streaming.base import STILL, Blocks, Moving, Ramp
from drumblender.streaming.waves import Waves, moved
from drumblender.tasks.parts import Player
from drumblender.tasks.wiring import Wiring

States = Dict[str, Any]


@dataclass(frozen=True)
class Take:
    """A sound, or a way between two sounds, that is ready to be played in blocks.

    Attributes:
        blocks: each part by name.
        on_signal: names of the parts that are played on the signal of others.
        wiring: what plays the parts together.
        knots: places of the sounds of which it was made.
        gains: gain of each part, for each of these sounds.
        outlines: gain by which the outline of each of them holds it, (C, 1, N).
        lead: number of silent samples in front. If it is negative, so many are not heard.
        heard: number of samples that are heard of the parts.
    """

    blocks: Mapping[str, Blocks]
    on_signal: Sequence[str]
    wiring: Wiring
    knots: Sequence[float]
    gains: Mapping[str, Sequence[float]]
    outlines: Sequence[Tensor]
    lead: int
    heard: int

    @classmethod
    def of(cls, sounds: Sequence[Sound], knots: Sequence[float], lead: int) -> "Take":
        """Prepare sounds of one length and structure to be played in blocks."""
        first = sounds[0]
        parts, wiring = first.engine.parts, first.engine.model.network.wiring
        length = first.timeline.played

        def generators() -> List[torch.Generator]:
            """Make the generators that a sound is played with."""
            return [torch.Generator().manual_seed(first.seed) for _ in range(first.channels)]

        made = {
            name: part.blocks([x.parameters[name] for x in sounds], knots, length, generators())
            for name, part in parts.items()
        }
        waves: Dict[str, List[Tensor]] = {name: [] for name in parts}
        outlines = []
        if any(x.timeline.outline for x in sounds) or not all(made.values()):
            for sound in sounds:
                kept = {
                    name: _Kept(Player(part, sound.parameters[name], length, generators()))
                    for name, part in parts.items()
                }
                stems = wiring.connect(kept)
                end = sound.timeline.recorded
                cut = {name: stem[..., :end] for name, stem in stems.items()}
                gain = outline_gain(cut, sound.timeline)
                outlines += [] if gain is None else [gain]
                for name, player in kept.items():
                    waves[name].append(player.samples)
        return cls(
            blocks={name: made[name] or Waves(waves[name], knots) for name in parts},
            on_signal=[name for name, part in parts.items() if part.on_signal],
            wiring=wiring,
            knots=knots,
            gains={name: [x.gains[name] for x in sounds] for name in parts},
            outlines=outlines if len(outlines) == len(sounds) else [],
            lead=lead,
            heard=min(first.timeline.recorded, length),
        )

    def begin(
        self, position: int = 0, before: Optional[States] = None, moving: Moving = STILL
    ) -> States:
        """Return the states of the parts before a sample."""
        return {
            name: blocks.begin(position, before and before.get(name), moving)
            for name, blocks in self.blocks.items()
        }

    def play(
        self, states: States, position: int, count: int, moving: Moving, levels: Mapping[str, Ramp]
    ) -> Tuple[Tensor, States]:
        """Play a block (C, count), and return the states after it."""
        players = {
            name: _Playing(blocks, states[name], count, moving, name in self.on_signal)
            for name, blocks in self.blocks.items()
        }
        stems = self.wiring.connect(players)
        gain = moved(self.outlines, self.knots, position, count, moving) if self.outlines else None
        times = np.arange(position, position + count)
        total: Optional[Tensor] = None
        for name, stem in stems.items():
            stem = stem if gain is None else stem * gain
            stem = stem * self._gain(name, times, moving)
            if not levels[name].is_still(1.0):
                stem = stem * torch.from_numpy(levels[name].at(times)).to(stem.dtype)
            total = stem if total is None else total + stem
        assert total is not None
        if position + count > self.heard:
            total = total.clone()
            total[..., max(0, self.heard - position) :] = 0
        return total[:, 0], {name: player.state for name, player in players.items()}

    def _gain(self, name: str, times: np.ndarray, moving: Moving) -> Any:
        """Return the gain of a part at some samples."""
        gains = self.gains[name]
        if len(set(gains)) == 1:
            return gains[0]
        amounts = moving.amount.at(times)
        return torch.from_numpy(np.interp(amounts, self.knots, gains)).float()


class _Kept:
    """A part that is played as a whole, and keeps what it has played."""

    def __init__(self, player: Player):
        self.on_signal = player.on_signal
        self.player = player
        self.samples = torch.empty(0)

    def __call__(self, signal: Optional[Tensor] = None) -> Tensor:
        """Play the part, perhaps on a signal."""
        self.samples = self.player(signal)
        return self.samples


class _Playing:
    """A part of one block, which a wiring plays by a call as it plays a whole part."""

    def __init__(self, blocks: Blocks, state: Any, count: int, moving: Moving, on_signal: bool):
        self.blocks = blocks
        self.state = state
        self.count = count
        self.moving = moving
        self.on_signal = on_signal

    def __call__(self, signal: Optional[Tensor] = None) -> Tensor:
        """Play the block, perhaps on a signal, (C, 1, count) to (C, 1, count)."""
        samples, self.state = self.blocks.block(self.state, self.count, self.moving, signal)
        return samples
