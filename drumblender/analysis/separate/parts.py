"""The separating analysis as a whole: stroke by stroke, tones, then transients and noise.

Each stroke of a recording is taken apart from its onset to the next one, without the tones of
earlier strokes that still ring. A drum alone is one stroke.
"""

import math
from dataclasses import replace
from typing import Dict, List, NamedTuple, Tuple

import torch
from torch import Tensor

from drumblender.analysis.separate.attack import BEFORE, shape_attack
from drumblender.analysis.separate.damped import Damped, frames_of, waves
from drumblender.analysis.separate.envelope import factors
from drumblender.analysis.separate.merge import merge_modes
from drumblender.analysis.separate.onsets import find_onsets
from drumblender.analysis.separate.rest import divide
from drumblender.analysis.separate.rows import Span, arrange
from drumblender.analysis.separate.tones import INAUDIBLE, find_tones
from drumblender.analysis.settings import AnalysisSettings
from drumblender.signal import exact_products
from drumblender.synths import modal_synth

# A stroke is cut out from this long before its onset to this long before the next one, in seconds,
# with fades of this length.
LEAD, GAP, FADE = 0.005, 0.0015, 0.003
# A mode that rings on through a later stroke explains this part of its own energy there at least;
# else it was damped.
RINGS = 0.5
# In which this is measured, in seconds after the onset.
_LISTEN = 0.1


class Separated(NamedTuple):
    """The parts of a batch of sounds. The waveforms add up to the recordings.

    Attributes:
        modal: parameters for :class:`~drumblender.synths.ModalSynth` (B, 3, num_modes, F), the most
            energetic mode first. Modes that do not exist are zero. In a recording of several
            strokes, a row may hold one mode after the other.
        tones: sound of the modes (B, N).
        transient: waveform (B, N).
        noise: waveform (B, N).
        onsets: onsets in seconds (B, K), float64; infinity where a recording has fewer.
    """

    modal: Tensor
    tones: Tensor
    transient: Tensor
    noise: Tensor
    onsets: Tensor


@exact_products()
def separate(audio: Tensor, settings: AnalysisSettings) -> Separated:
    """Take sounds apart, each as if it were alone, on the device where they are.

    Shape:
        - audio: (B, N), float32

    >>> time = torch.arange(24000) / 48000
    >>> bell = torch.exp(-time / 0.1) * torch.sin(2 * torch.pi * 440 * time)
    >>> parts = separate(bell[None], AnalysisSettings(hop_length=64))
    >>> parts.modal.shape, round(parts.modal[0, 0, 0, 100].item() * 48000 / (2 * torch.pi))
    (torch.Size([1, 3, 64, 376]), 440)
    >>> parts.onsets.round(decimals=3)
    tensor([[0.]], dtype=torch.float64)
    """
    # Thousands of small operations take an eighth less time where nothing is noted down for
    # gradients. What is computed there cannot take part in training, but copies can.
    with torch.inference_mode():
        parts = _separated(audio, settings)
    return Separated(*(part.clone() for part in parts))


def _separated(audio: Tensor, settings: AnalysisSettings) -> Separated:
    """Take sounds (B, N) apart."""
    num_samples = audio.shape[-1]
    onsets = find_onsets(audio, settings.sample_rate)
    # Of loudness 1 and without an offset, which are no matter of modes.
    scale = audio.abs().amax(1, keepdim=True).clamp(min=1e-20)
    modal = _modal((audio - audio.median(1, keepdim=True).values) / scale, onsets, settings)
    modal[:, 1] *= scale[..., None]
    modal[:, 1] *= modal[:, 1].amax(-1, keepdim=True) > 10 ** (settings.threshold / 20)
    tones = _played(modal, num_samples)
    helps = _helps(audio, tones, onsets, modal.shape[-1], settings.sample_rate)
    if not helps.all():
        modal[:, 1] *= helps[:, None]
        tones = _played(modal, num_samples)
    transient, noise = divide(audio - tones, onsets, settings.sample_rate)
    return Separated(modal, tones, transient, noise, onsets)


@exact_products()
def without_tones(audio: Tensor, modal: Tensor, sample_rate: int) -> Tuple[Tensor, Tensor]:
    """Transient and noise of sounds whose modes were measured before; those of :func:`separate`.

    Args:
        audio: the sounds.
        modal: their modes, as :class:`Separated` holds them.
        sample_rate: in Hz.

    Shape:
        - audio: (B, N)
        - modal: (B, 3, M, F)
        - Output: (B, N) each
    """
    with torch.no_grad():
        tones = _played(modal, audio.shape[-1])
        return divide(audio - tones, find_onsets(audio, sample_rate), sample_rate)


class _Stroke(NamedTuple):
    """Modes that begin together, in b of the sounds.

    Attributes:
        sound: numbers of the sounds (b,).
        modes: the modes, on the time of the whole recordings.
        until: end of each mode in seconds (b, M).
        curves: curves of their envelopes (b, M, knots).
        piece: signal in which they were found (b, n).
        start: sample at which the piece begins (b,).
    """

    sound: Tensor
    modes: Damped
    until: Tensor
    curves: Tensor
    piece: Tensor
    start: Tensor

    def rows(self, index: Tensor) -> "_Stroke":
        """Return the strokes of some of the sounds, by their places (k,)."""
        modes = self.modes.rows(index)
        rest = (part[index] for part in (self.until, self.curves, self.piece, self.start))
        return _Stroke(self.sound[index], modes, *rest)


def _modal(audio: Tensor, onsets: Tensor, settings: AnalysisSettings) -> Tensor:
    """Compute the parameters for the modal synthesizer, the most energetic mode first."""
    num_frames = audio.shape[-1] // settings.hop_length + 1
    modal = audio.new_zeros(len(audio), 3, settings.num_modes, num_frames)
    frame = audio.shape[-1] / num_frames
    several = onsets.isfinite().sum(1) > 1
    strokes: List[_Stroke] = []
    spans: Dict[int, List[Span]] = {int(sound): [] for sound in several.nonzero()}
    for number in range(onsets.shape[1]):
        stroke = _find(audio, onsets, number, strokes, settings)
        strokes.append(stroke)
    for stroke in strokes:
        alone = (~several[stroke.sound]).nonzero()[:, 0]
        if len(alone):
            one = stroke.rows(alone)
            first = torch.zeros_like(one.start)
            frames = _frames(one, first, num_frames, frame, settings)
            modal[one.sound, :, : frames.shape[2]] = frames.float()
        for row in several[stroke.sound].nonzero():
            one = stroke.rows(row)
            spans[int(one.sound)] += _spans(one, num_frames, frame, settings)
    for sound, modes in spans.items():
        modal[sound] = arrange(modes, settings.num_modes, num_frames, frame).to(modal.device)
    energy = modal[:, 1].square().sum(-1)
    order = energy.argsort(dim=1, descending=True, stable=True)[:, None, :, None]
    return modal.gather(2, order.expand_as(modal))


def _find(
    audio: Tensor, onsets: Tensor, number: int, earlier: List[_Stroke], settings: AnalysisSettings
) -> _Stroke:
    """Find the modes that begin at an onset, and end earlier ones that are damped there."""
    rate, num_samples = settings.sample_rate, audio.shape[-1]
    sound = onsets[:, number].isfinite().nonzero()[:, 0]
    onset = onsets[sound, number]
    later = onsets[sound, number + 1] if number + 1 < onsets.shape[1] else onset + math.inf
    start = ((onset - LEAD) * rate).long() if number else torch.zeros_like(sound)
    start = start.clamp(min=0)
    stop = ((later - GAP) * rate).clamp(max=num_samples).long()
    place = start[:, None] + torch.arange(int((stop - start).max()), device=audio.device)
    piece = audio[sound].gather(1, place.clamp(max=num_samples - 1))
    time = place.double() / rate
    piece = piece - _ringing(piece, time, onset, sound, earlier)
    fade = (stop[:, None] - place) / (FADE * rate)
    fade = torch.where((stop < num_samples)[:, None], fade.clamp(0, 1), place < stop[:, None])
    if number:
        fade = fade * ((place - start[:, None]) / (FADE * rate)).clamp(max=1)
    piece = piece * fade
    begin = start.double() / rate
    end = torch.where(stop < num_samples, stop.double() / rate - FADE, math.inf)
    peak = audio.abs().amax(1)[sound]
    modes, curves = find_tones(piece, onset - begin, end - begin, peak, rate, settings.num_modes)
    # A mode is over where it is not heard any more, or where its sound is.
    quiet = modes.amplitude.abs() / (INAUDIBLE * peak).double()[:, None].clamp(min=1e-30)
    lasts = quiet.clamp(min=1).log() / modes.rate.clamp(min=1e-6)
    whole = torch.where(stop < num_samples, num_samples / rate, modes.end + begin)
    modes = replace(modes, onset=onset, end=whole)
    until = torch.minimum(onset[:, None] + lasts, whole[:, None])
    return _Stroke(sound, modes, until, curves, piece, start)


def _ringing(
    piece: Tensor, time: Tensor, onset: Tensor, sound: Tensor, earlier: List[_Stroke]
) -> Tensor:
    """Compute what still rings of earlier strokes in the pieces of sounds, and end the rest there.

    Args:
        piece: pieces of the sounds, which begin shortly before an onset.
        time: times of their samples in seconds (b, n).
        onset: onsets in seconds (b,).
        sound: numbers of the sounds (b,).
        earlier: earlier strokes, whose ``until`` is changed.
    """
    total = torch.zeros_like(piece)
    listened = (time >= onset[:, None]) & (time < onset[:, None] + _LISTEN)
    for index, stroke in enumerate(earlier):
        row = (stroke.sound[:, None] == sound).to(torch.uint8).argmax(0)
        ringing = (stroke.until[row] > onset[:, None]) & (stroke.modes.stat[row] > 0)
        column = ringing.any(0).nonzero()[:, 0]
        if not len(column):
            continue
        modes = stroke.modes.rows(row).choose(column.expand(len(row), -1))
        curves = stroke.curves[row][:, column]
        wave = waves(modes, time, factors(curves)) * ringing[:, column, None]
        heard = wave * listened[:, None]
        explained, own = (heard * piece[:, None]).sum(-1), heard.square().sum(-1)
        rings = explained >= RINGS * own
        until = stroke.until.clone()
        place = row[:, None], column[None]
        until[place] = torch.where(rings, until[place], torch.minimum(until[place], onset[:, None]))
        earlier[index] = stroke._replace(until=until)
        total += (wave * rings[..., None]).sum(1)
    return total


def _frames(
    stroke: _Stroke, first: Tensor, count: int, frame: float, settings: AnalysisSettings
) -> Tensor:
    """Compute frequency, amplitude and phase of the modes in frames, (b, 3, M, count), float64."""
    rate, modes = settings.sample_rate, stroke.modes
    factor = factors(stroke.curves)
    omega, amplitude, phase = frames_of(modes, frame, first, count, rate, factor)
    if amplitude.shape[1]:
        amplitude = shape_attack(
            stroke.piece, stroke.start, modes, factor, amplitude, first, frame, rate
        )
    amplitude = amplitude * (modes.stat > 0)[..., None]
    rows = zip(omega, amplitude, phase)
    merged = [merge_modes(*row, frame, rate) for row in rows]
    frames = torch.stack(merged) if merged else omega.new_zeros(0, 3, *omega.shape[1:])
    return frames * (frames[:, 1:2].any(-1, keepdim=True))


def _spans(
    stroke: _Stroke, num_frames: int, frame: float, settings: AnalysisSettings
) -> List[Span]:
    """Return the modes of a stroke of one sound, the loudest first."""
    there = (stroke.modes.stat[0] > 0).nonzero()[:, 0]
    if not len(there):
        return []
    rate = settings.sample_rate
    onset = int((stroke.modes.onset * rate / frame).floor())
    begin = min(max(0, onset - BEFORE - 1), num_frames - 1)
    stop = (stroke.until[0] * rate / frame).ceil().long().clamp(begin + 2, num_frames)
    count = max(2, int(stop[there].max()) - begin)
    first = stroke.start.new_tensor([begin])
    omega, amplitude, phase = _frames(stroke, first, count, frame, settings)[0].cpu()
    energy = amplitude.square().sum(-1)
    spans = []
    for mode in sorted(there.tolist(), key=lambda number: -energy[number]):
        # Phases of frames are counted from half a frame before the center of the first one.
        turned = 0.5 * (frame + 1) * float(omega[mode, 0]) + float(phase[mode, 0])
        size = amplitude[mode, : int(stop[mode]) - begin].clone()
        fade = min(len(size), round(FADE * rate / frame) + 1)
        size[len(size) - fade :] *= torch.linspace(1, 0, fade + 1)[1:]
        if size.any():
            spans.append(Span(begin, omega[mode, : len(size)], size, turned))
    return spans


def _played(modal: Tensor, num_samples: int) -> Tensor:
    """Play modes, (B, N)."""
    heard = int(modal[:, 1].any(-1).sum(1).max())
    frequency, amplitude, phase = modal[:, :, : max(1, heard)].unbind(1)
    return modal_synth(frequency, amplitude, num_samples, phase[..., :1])[:, 0]


def _helps(audio: Tensor, tones: Tensor, onsets: Tensor, num_frames: int, rate: int) -> Tensor:
    """Return whether tones explain something, from each onset to the next one, by frames (B, F)."""
    num_samples = audio.shape[-1]
    if onsets.shape[1] == 1:
        explained = audio.square().sum(1) >= (audio - tones).square().sum(1)
        return explained[:, None].expand(-1, num_frames)
    begin = (onsets - LEAD).clamp(min=0) * rate
    begin[:, 0] = 0
    place = torch.arange(num_samples, dtype=torch.float64, device=audio.device)
    stroke = torch.searchsorted(begin, place.expand(len(audio), -1).contiguous(), right=True) - 1
    gain = audio.square() - (audio - tones).square()
    total = torch.zeros_like(begin).scatter_add_(1, stroke, gain.double())
    center = (torch.arange(num_frames, device=audio.device) + 0.5) * (num_samples / num_frames)
    return (total >= 0).gather(1, stroke[:, center.long().clamp(max=num_samples - 1)])
