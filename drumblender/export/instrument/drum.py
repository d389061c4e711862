"""A drum whose hits are synthesized block by block, in operations that TorchScript compiles.

Sinusoids are a bank whose phases go on from block to block, in float64. Noise is shaped in frames
that overlap, and a transient network remembers what its kernels reach back to. All of it computes
what :mod:`drumblender.streaming` computes, up to rounding. What a hit has to remember is a
:class:`Hit`.
"""

import math
from dataclasses import dataclass
from typing import Final, List, NamedTuple, Tuple

import torch
from torch import Tensor, nn

from drumblender.export.instrument.network import Shaper
from drumblender.export.instrument.noise import Noise, NoiseState, between, source_of
from drumblender.parameters.modes import turned_until


class Hit(NamedTuple):
    """A hit that sounds.

    Attributes:
        row: item of the batch that it belongs to.
        time: the next sample of the drum, counted from its beginning.
        end: the sample at which it is over.
        gain: by what it is multiplied.
        decay: factor by which what follows the loudest moment is longer.
        ratio: factor of all frequencies, beside the pitch that moves.
        shift: number of frames by which its white noise differs from that of others.
        leaving: the sample at which it begins to make room for others.
        phase: phase of the modes that sound before that sample, (C, M) or fewer.
        noise: where its noise is.
        memory: what the transient network remembers.
    """

    row: int
    time: int
    end: int
    gain: float
    decay: float
    ratio: float
    shift: int
    leaving: int
    phase: Tensor
    noise: NoiseState
    memory: List[Tensor]


@dataclass(frozen=True, eq=False)
class Sinusoids:
    """The modes of a drum, in the order of their ends, of which the last one comes first.

    Attributes:
        speed: frequency in rad/sample.
        held: the same, held where a mode is silent.
        level: linear amplitude.
        phase: phase before sample 0, in rad.
        turned: what a mode turns by until the onset, in rad.
        ends: the sample at which each mode is over.
        num_samples: number of samples that the frames describe.

    Shape:
        - speed, held, level: (C, M, F)
        - phase, turned: (C, M)
    """

    speed: Tensor
    held: Tensor
    level: Tensor
    phase: Tensor
    turned: Tensor
    ends: List[int]
    num_samples: int


@dataclass(frozen=True, eq=False)
class Course:
    """When a drum happens.

    Attributes:
        begins: the sample of each stroke after which decay stretches it.
        ends: the sample at which each stroke ends.
        heard: number of samples that are heard.
        outline: gain (C, N) of each sample by which a recording begins and ends.
    """

    begins: Tensor
    ends: Tensor
    heard: int
    outline: Tensor


class Drum(nn.Module):
    """A drum that plays hits.

    Args:
        modes: its sinusoids.
        noise: its noise.
        shaper: the transient network, or what is played in its place.
        fed: whether modes and whether noise go into the network.
        replaces: whether the network replaces what goes in.
        course: when it happens.
        levels: gain (3,) of modal, noise and transient.
        limit: number of hits of one row that sound at the same time.
    """

    hits: List[Hit]
    settled: List[Tensor]
    mode_ends: List[int]
    speed: Tensor
    held: Tensor
    level: Tensor
    phase: Tensor
    turned: Tensor
    outline: Tensor
    begins: Tensor
    ends: Tensor
    levels: Tensor

    # Number of samples over which a hit makes room, and the sample at which it does so otherwise.
    FADE: Final[int] = 256
    NEVER: Final[int] = 2**40
    TURN: Final[float] = 2 * math.pi
    NYQUIST: Final[float] = 0.5  # turns per sample

    def __init__(
        self,
        modes: Sinusoids,
        noise: Noise,
        shaper: Shaper,
        fed: Tuple[bool, bool],
        replaces: bool,
        course: Course,
        levels: Tensor,
        limit: int = 4,
    ):
        super().__init__()
        for name, value in (
            ("speed", modes.speed.float()),
            ("held", modes.held.float()),
            ("level", modes.level.float()),
            ("phase", modes.phase.double()),
            ("turned", modes.turned.double()),
            ("outline", course.outline.float()),
            ("begins", course.begins.double()),
            ("ends", course.ends.double()),
            ("levels", levels.float()),
        ):
            self.register_buffer(name, value.contiguous())
        self.mode_ends, self.described = modes.ends, modes.num_samples
        self.noise, self.shaper = noise, shaper
        self.fed_modes, self.fed_noise = fed
        self.replaces = replaces
        self.heard, self.last_begin = course.heard, float(course.begins[-1])
        self.limit = limit
        self.start = 0
        self.settled = shaper.silence()
        self.hits = []

    @torch.jit.ignore
    def settle(self, start: int) -> None:
        """Let hits begin at a later sample of the drum, with the state that it has there."""
        hit = self.begin(0, 1.0, 1.0, 1.0, 1.0, 0)
        _, hit = self.advance(hit, start, torch.zeros(start), torch.ones(3, start))
        # Whole turns say nothing of the phase, but they count where the pitch is another one.
        turned = turned_until(start - 1.0, self.speed, self.described)
        count = hit.phase.shape[1]
        rest = hit.phase - self.phase[:, :count] - turned[:, :count]
        turned[:, :count] += torch.remainder(rest + math.pi, self.TURN) - math.pi
        self.phase, self.turned = self.phase + turned, self.turned - turned
        self.start, self.settled = start, hit.memory

    def reset(self) -> None:
        """Forget all hits."""
        none: List[Hit] = []
        self.hits = none

    def strike(
        self,
        events: List[Tuple[int, int, float]],
        out: Tensor,
        pitch: Tensor,
        levels: Tensor,
        decay: float,
        humanize: float,
    ) -> None:
        """Play a block: hits that sound, and hits that begin in it.

        Args:
            events: for each hit that begins, its row, its sample in the block and its gain.
            out: what has been played of all drums, to which this one is added.
            pitch: transposition at each sample, in semitones.
            levels: gain of the parts at each sample.
            decay: factor of decay times of hits that begin.
            humanize: amount of small variations of hits that begin.

        Shape:
            - out: (B, C, 3, n)
            - pitch: (n,)
            - levels: (3, n)
        """
        count = out.shape[3]
        kept: List[Hit] = []
        for hit in self.hits:
            made, after = self.advance(hit, count, pitch, levels)
            out[hit.row, :, :, : made.shape[2]] += made
            if after.time < min(after.end, after.leaving + self.FADE):
                kept.append(after)
        for row, place, gain in events:
            kept = self._with_room(kept, row)
            lasts, ratio, shift = decay, 1.0, 0
            if humanize > 0:
                # As the control does: 5 cents, 0.5 dB and 3 %, each within 2.5 times as much.
                draw: List[float] = torch.randn(3).clamp(-2.5, 2.5).tolist()
                ratio = 2.0 ** (humanize * draw[0] * 0.05 / 12.0)
                gain = gain * 10.0 ** (humanize * draw[1] * 0.5 / 20.0)
                lasts = min(decay * math.exp(humanize * draw[2] * 0.03), 4.0)
                shift = int(torch.randint(0, 4096, [1]).item())
            turn = ratio * 2.0 ** (float(pitch[place]) / 12.0)
            begun = self.begin(row, gain, lasts, ratio, turn, shift)
            made, after = self.advance(begun, count - place, pitch[place:], levels[:, place:])
            out[row, :, :, place : place + made.shape[2]] += made
            if after.time < after.end:
                kept.append(after)
        self.hits = kept

    def begin(
        self, row: int, gain: float, decay: float, ratio: float, turn: float, shift: int
    ) -> Hit:
        """Begin a hit.

        Args:
            row: item of the batch.
            gain: by what it is multiplied.
            decay: factor of decay times.
            ratio: factor of all frequencies, beside the pitch that moves.
            turn: factor of all frequencies with which it begins. Phases at the onset stay.
            shift: number of frames by which its white noise differs.
        """
        end = self.heard
        if float(end) > self.last_begin:
            end = math.ceil(self.last_begin + (float(end) - self.last_begin) * decay)
        return Hit(
            row,
            self.start,
            end,
            gain,
            decay,
            ratio,
            shift,
            self.NEVER,
            self.phase + (1.0 - turn) * self.turned,
            self.noise.begin(self.start, decay, shift, self.begins, self.ends),
            [x.to(self.phase.device) for x in self.settled],
        )

    def advance(self, hit: Hit, count: int, pitch: Tensor, levels: Tensor) -> Tuple[Tensor, Hit]:
        """Play the next samples of a hit.

        Args:
            hit: the hit.
            count: number n of samples.
            pitch: transposition at each sample, in semitones.
            levels: gain of the parts at each sample.

        Returns:
            What the parts contribute, (C, 3, m) with m samples or fewer if the hit ends, and the
            hit after them.

        Shape:
            - pitch: (n,)
            - levels: (3, n)
        """
        count = max(0, min(count, hit.end - hit.time))
        pitch, levels = pitch[:count], levels[:, :count]
        time = torch.arange(hit.time, hit.time + count, device=self.phase.device).double()
        source = source_of(time, hit.decay, self.begins, self.ends)
        modal, phase = self._modes(hit, time, source, pitch)
        noise, state = self.noise.advance(
            hit.noise, count, hit.decay, hit.shift, self.begins, self.ends
        )
        fed = torch.zeros_like(modal)
        if self.fed_modes:
            fed = fed + modal
        if self.fed_noise:
            fed = fed + noise
        transient, memory = self.shaper(fed, hit.time, hit.memory)
        if self.replaces:
            transient = transient - fed
        made = torch.stack([modal, noise, transient], dim=1)
        gain = hit.gain * between(self.outline, source)
        if hit.leaving < self.NEVER:
            gain = gain * (1 - (time - hit.leaving) / self.FADE).clamp(0, 1).float()
        made = made * gain[:, None] * (self.levels[:, None] * levels)
        after = self._moved(hit, count, phase, state, memory)
        return made, after

    def _moved(
        self, hit: Hit, count: int, phase: Tensor, noise: NoiseState, memory: List[Tensor]
    ) -> Hit:
        """Return a hit some samples later."""
        return Hit(
            hit.row,
            hit.time + count,
            hit.end,
            hit.gain,
            hit.decay,
            hit.ratio,
            hit.shift,
            hit.leaving,
            phase,
            noise,
            memory,
        )

    def _with_room(self, hits: List[Hit], row: int) -> List[Hit]:
        """Let the oldest hits of a row fade out if there is no room for another one."""
        sounding = 0
        for hit in hits:
            if hit.row == row and hit.leaving == self.NEVER:
                sounding += 1
        kept: List[Hit] = []
        for hit in hits:
            if hit.row == row and hit.leaving == self.NEVER and sounding >= self.limit:
                sounding -= 1
                hit = Hit(
                    hit.row,
                    hit.time,
                    hit.end,
                    hit.gain,
                    hit.decay,
                    hit.ratio,
                    hit.shift,
                    hit.time,
                    hit.phase,
                    hit.noise,
                    hit.memory,
                )
            kept.append(hit)
        return kept

    def _modes(
        self, hit: Hit, time: Tensor, source: Tensor, pitch: Tensor
    ) -> Tuple[Tensor, Tensor]:
        """Play the modes that sound yet, (C, n), and return their phases after that."""
        sounding = 0
        if len(time) > 0:
            first = float(source[0])
            while sounding < hit.phase.shape[1] and self.mode_ends[sounding] >= first:
                sounding += 1
        if sounding == 0:
            silent = torch.zeros(len(self.phase), len(time), device=self.phase.device)
            return silent, hit.phase[:, :0]
        speeds = self.speed if hit.decay == 1.0 else self.held
        rate = speeds.shape[2] / self.described
        speed = between(speeds[:, :sounding], (time + 0.5) * rate - 0.5, exact=True)
        level = between(self.level[:, :sounding], (source + 0.5) * rate - 0.5)
        if float(source[-1]) >= self.described:
            level = level * (source < self.described)
        # In turns instead of radians, whose fraction is found in less time.
        speed = speed * (hit.ratio / self.TURN * torch.exp2(pitch.double() / 12))
        turns = speed.cumsum(2) + hit.phase[:, :sounding, None] / self.TURN
        wave = level * torch.sin(self.TURN * torch.frac(turns).float())
        if float(speed.abs().max()) >= self.NYQUIST:
            wave = wave * (speed.abs() < self.NYQUIST)
        return wave.sum(1), self.TURN * torch.frac(turns[:, :, -1])
