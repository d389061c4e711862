"""Causal networks that shape a signal, in blocks."""

from dataclasses import dataclass
from typing import Any, List, Optional, Sequence, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from drumblender.fast.blocks import FastTCN
from drumblender.fast.causal import Memory, Network, block, silence
from drumblender.streaming.base import STILL, Blocks, Moving, between
from drumblender.synths import AttackTCN, TransientTCN


@dataclass(frozen=True)
class Remembered:
    """What a network remembers.

    Attributes:
        position: the next sample.
        amount: place among the embeddings.
        networks: the network with the embedding of each channel.
        memories: memory of the network of each channel.
    """

    position: int
    amount: float
    networks: Sequence[Network]
    memories: Sequence[Memory]


class Shaping(Blocks):
    """A causal TCN in blocks.

    Args:
        tcn: the network.
        embeddings: embeddings of each sound between which it moves.
        knots: place of each sound, from 0 to 1.
        learned: signal that the network gets beside the input.
        window: gain of the first samples. All others are silent. None stands for no such end.

    Shape:
        - each of embeddings: (C, E)
        - learned: (channels, N)
        - window: (length,)
    """

    def __init__(
        self,
        tcn: FastTCN,
        embeddings: Sequence[Tensor],
        knots: Sequence[float],
        learned: Optional[Tensor] = None,
        window: Optional[Tensor] = None,
    ):
        self.tcn = tcn
        self.embeddings = torch.stack([*embeddings])
        self.knots = knots
        self.learned = learned
        self.window = window
        self.first = self._networks(0.0)

    def begin(self, position: int = 0, before: Any = None, moving: Moving = STILL) -> Remembered:
        """Return the state before a sample, with the memory of another state if there is one."""
        memories = [silence(network) for network in self.first]
        if isinstance(before, Remembered) and len(before.memories) == len(memories):
            memories = list(before.memories)
        return Remembered(position, 0.0, self.first, memories)

    def _networks(self, amount: float) -> List[Network]:
        """Return the network with the embedding of each channel at an amount."""
        below, share = between(self.knots, np.array([amount]))
        k, weight = int(below[0]), float(share[0])
        e = self.embeddings[k]
        if weight:
            e = torch.lerp(e, self.embeddings[k + 1], weight)
        made = [self.tcn.network(row) for row in e.split(1)]
        return [network for network in made if network is not None]

    def block(
        self, state: Remembered, count: int, moving: Moving, signal: Optional[Tensor] = None
    ) -> Tuple[Tensor, Remembered]:
        """Shape a block of a signal, (C, 1, count) to (C, 1, count)."""
        assert signal is not None
        begin, end = state.position, state.position + count
        if self.window is not None and begin >= len(self.window):
            return torch.zeros_like(signal), Remembered(end, *_rest(state))
        amount = float(moving.amount.at(begin))
        networks = state.networks if amount == state.amount else self._networks(amount)
        if self.learned is not None:
            learned = self.learned[:, begin:end]
            learned = F.pad(learned, (0, count - learned.shape[-1]))
            signal = torch.cat([signal, learned.expand(len(signal), -1, -1)], dim=1)
        lines = signal.transpose(1, 2).contiguous()
        made = [block(*pair) for pair in zip(networks, state.memories, lines)]
        y = torch.stack([x for x, _ in made]).transpose(1, 2)
        if self.window is not None:
            gain = self.window[begin:end]
            y = F.pad(y[..., : len(gain)] * gain, (0, count - len(gain)))
        return y, Remembered(end, amount, networks, [memory for _, memory in made])


def _rest(state: Remembered) -> Tuple[float, Sequence[Network], Sequence[Memory]]:
    """Return what a state holds beside the position."""
    return state.amount, state.networks, state.memories


def blocks_of_network(
    synth: nn.Module, embeddings: Sequence[Optional[Tensor]], knots: Sequence[float]
) -> Optional[Blocks]:
    """Return a transient network in blocks, or None if it cannot play in blocks.

    It can if it is a :class:`~drumblender.synths.TransientTCN` or an
    :class:`~drumblender.synths.AttackTCN` that an embedding modulates, with layers that
    :func:`drumblender.fast.accelerate` knows.

    Args:
        synth: the network.
        embeddings: embeddings (C, E) of each sound between which it moves.
        knots: place of each sound, from 0 to 1.
    """
    if not isinstance(synth, (TransientTCN, AttackTCN)) or not isinstance(synth.tcn, FastTCN):
        return None
    known = [x for x in embeddings if x is not None]
    if len(known) < len(embeddings) or synth.tcn.network(known[0][:1]) is None:
        return None
    if isinstance(synth, AttackTCN):
        return Shaping(synth.tcn, known, knots, window=synth.window)
    learned = synth.transient_conditioning
    return Shaping(synth.tcn, known, knots, None if learned is None else learned[0])
