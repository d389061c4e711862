"""Analyzes many sounds at once, in PyTorch, for a GPU.

The steps are those of :mod:`.peaks`, :mod:`.tracking`, :mod:`.selection` and :mod:`.fit`, in the
same order and with the same constants; those modules say why. The peaks of all sounds stand in one
list. Candidates and modes stand in rows, padded to a common number. The values differ from those of
one sound at a time only by rounding, whatever other sounds are in the batch. The host waits for the
device four times per batch.
"""

import math
from typing import List, NamedTuple, Tuple

import torch
from torch import Tensor

from drumblender.analysis.batched_fit import fit_modes
from drumblender.analysis.cqt import CQT
from drumblender.analysis.peaks import FLOOR
from drumblender.analysis.selection import EDGE, MASKED, SPACING
from drumblender.analysis.settings import AnalysisSettings
from drumblender.signal import hz_to_rad

# Of the memory that a device has free, the part that a batch may take.
_MEMORY_PART = 0.5
# On the processor small batches stay in its caches.
_MEMORY_OF_CPU = 2**28


class _Peaks(NamedTuple):
    """The peaks of all sounds, ordered by sound, frame and frequency, each (P,)."""

    sound: Tensor
    frame: Tensor
    frequency: Tensor
    amplitude: Tensor


def analyze(audio: Tensor, cqt: CQT, settings: AnalysisSettings) -> Tensor:
    """Measure the modal parameters of a batch and fit them to the waveforms.

    If the device runs out of memory, the batch is divided.

    Args:
        audio: samples of each sound.
        cqt: the transform that the settings describe.
        settings: settings of the analysis.

    Shape:
        - audio: (B, N), float32
        - Output: (B, 3, num_modes, N // hop_length + 1), float32, on the device of ``audio``

    >>> s = AnalysisSettings(sample_rate=8000, hop_length=100, n_bins=60, bins_per_octave=8)
    >>> tone = torch.sin(0.1 * torch.arange(4000.0))
    >>> parameters = analyze(torch.stack([tone, 0 * tone]), CQT(8000, 100, 20.0, 60, 8), s)
    >>> parameters.shape, round(parameters[0, 0, 0, 20].item(), 3), parameters[1].any().item()
    (torch.Size([2, 3, 64, 41]), 0.1, False)
    """
    at_once = _sounds_at_once(audio.shape[-1], settings, audio.device)
    while True:
        try:
            with torch.no_grad():
                return torch.cat([_analyze(part, cqt, settings) for part in audio.split(at_once)])
        except torch.OutOfMemoryError:  # others use the device, too
            if min(at_once, len(audio)) == 1:
                raise
            at_once = min(at_once, len(audio)) // 2


def _sounds_at_once(num_samples: int, settings: AnalysisSettings, device: torch.device) -> int:
    """Return how many sounds are analyzed together, given the memory of the device."""
    memory = _MEMORY_OF_CPU
    if device.type == "cuda":
        # What PyTorch keeps for reuse is free, too.
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        memory = int(_MEMORY_PART * (torch.cuda.mem_get_info(device)[0] + kept))
    return max(1, memory // _bytes_per_sound(num_samples, settings))


def _bytes_per_sound(num_samples: int, settings: AnalysisSettings) -> int:
    """Estimate the most memory that a sound takes, which is twice what was measured."""
    frames = num_samples // settings.hop_length + 1
    transform = 64 * num_samples + 24 * settings.n_bins * frames
    # Bands overlap by half: together they have twice the samples of the signal, as complex numbers.
    return transform + 4 * 16 * num_samples + 12 * 8 * settings.num_modes * frames


def _analyze(audio: Tensor, cqt: CQT, s: AnalysisSettings) -> Tensor:
    """Analyze sounds that fit into memory together."""
    num_samples = audio.shape[-1]
    num_frames = num_samples // s.hop_length + 1
    parameters = audio.new_zeros(len(audio), 3, s.num_modes, num_frames)
    peaks = _pick_peaks(cqt.to(audio.device)(audio), s)
    if not len(peaks.sound):
        return parameters
    frequency, level = _choose_modes(peaks, len(audio), num_samples, num_frames, s)
    frame = num_samples / num_frames
    audible = (audio.abs() > 10 ** (s.threshold / 20 - 1)).to(torch.uint8)
    begin = audible.argmax(-1)
    end = num_samples - 1 - audible.flip(-1).argmax(-1)
    first = (begin / frame - 0.5).long().clamp(min=0)
    last = ((end / frame + 0.5).long() + 2).clamp(max=num_frames)
    modes = fit_modes(audio, hz_to_rad(frequency, s.sample_rate), level, first, last)
    loud = (modes.amplitude.amax(-1) > 10 ** (s.threshold / 20)) & (level > 0)
    energy = torch.where(loud, modes.amplitude.square().sum(-1), -1)
    order = energy.argsort(dim=-1, descending=True, stable=True)
    phase = modes.phase[..., None].expand_as(modes.omega)
    for row, values in enumerate((modes.omega, modes.amplitude, phase)):
        ordered = values.gather(1, order[..., None].expand_as(values))
        heard = loud.gather(1, order)[..., None]
        parameters[:, row] = torch.where(heard, ordered, 0).float()
    return parameters


def _pick_peaks(spectrogram: Tensor, s: AnalysisSettings) -> _Peaks:
    """Find the peaks of all sounds, as :func:`~drumblender.analysis.peaks.pick_peaks` does."""
    power = (spectrogram.real.square() + spectrogram.imag.square()).transpose(1, 2)
    middle = power[..., 1:-1]
    is_peak = (middle > power[..., :-2]) & (middle >= power[..., 2:])
    # What is infinite in one sound must not disturb the order of all peaks.
    is_peak &= (middle > 10 ** (s.threshold / 10)) & (middle < math.inf)
    sound, frame, below = is_peak.nonzero(as_tuple=True)
    left, center, right = (
        0.5 * power[sound, frame, below + step].double().clamp(min=FLOOR**2).log()
        for step in range(3)
    )
    offset = 0.5 * (left - right) / (left - 2 * center + right)
    return _Peaks(
        sound=sound,
        frame=frame,
        frequency=s.fmin * torch.exp2((below + 1 + offset) / s.bins_per_octave),
        amplitude=torch.exp(center - 0.25 * (left - right) * offset),
    )


def _track(peaks: _Peaks, num_frames: int, tolerance: float) -> Tuple[Tensor, Tensor]:
    """Return, for each peak, the first peak of its track and the length of that track."""
    pitch = peaks.frequency.log2()
    # A frame of nothing between sounds keeps their tracks apart.
    moment = peaks.sound * (num_frames + 1) + peaks.frame
    apart = 4 * (pitch.abs().max() + 1)
    place = moment * apart + pitch
    after = _nearest(place, moment, apart, 1)
    before = _nearest(place, moment, apart, -1)
    index = torch.arange(len(pitch), device=pitch.device)
    mutual = (before >= 0) & (after[before] == index)
    mutual &= (pitch - pitch[before]).abs() <= tolerance
    origin = torch.where(mutual, before, index)
    for _ in range((num_frames - 1).bit_length()):
        origin = origin[origin]
    length = torch.zeros_like(origin).index_add_(0, origin, torch.ones_like(origin))
    return origin, length[origin]


def _nearest(place: Tensor, moment: Tensor, apart: Tensor, step: int) -> Tensor:
    """Return, for each peak, the nearest one of the next (or previous) frame, or -1.

    ``place`` orders all peaks by moment and pitch; moments are ``apart`` from each other.
    """
    wanted = place + step * apart
    right = torch.searchsorted(place, wanted).clamp(max=len(place) - 1)
    left = (right - 1).clamp(min=0)
    is_left = wanted - place[left] <= place[right] - wanted
    nearest, other = torch.where(is_left, left, right), torch.where(is_left, right, left)
    nearest = torch.where(moment[nearest] == moment + step, nearest, other)
    return torch.where(moment[nearest] == moment + step, nearest, -1)


def _choose_modes(
    peaks: _Peaks, num_sounds: int, num_samples: int, num_frames: int, s: AnalysisSettings
) -> Tuple[Tensor, Tensor]:
    """Choose modes: frequencies in Hz (B, num_modes, frames) and levels, 0 for no mode."""
    frame = num_samples / num_frames
    rate, resolution = s.sample_rate / frame, 2.5 / s.bins_per_octave
    # Candidates of a sound: its tracks, then bands of one frame rate with peaks of no track.
    origin, length = _track(peaks, num_frames, math.log2(1 + s.diff_threshold / 100))
    tracked = length >= s.min_length
    begins = tracked & (origin == torch.arange(len(origin), device=origin.device))
    number = begins.cumsum(0) - 1
    counts = _sums(begins.long(), peaks.sound, num_sounds)
    rank = number[origin] - (counts.cumsum(0) - counts)[peaks.sound]
    num_tracks = int(counts.max())
    num_cells = int(s.fmin * 2 ** (s.n_bins / s.bins_per_octave) / rate) + 2
    cell = num_tracks + (peaks.frequency / rate).round().long()
    candidate = torch.where(tracked, rank, cell)
    shape = num_sounds, num_tracks + num_cells
    place = peaks.sound * shape[1] + candidate
    weight = peaks.amplitude
    mass, moment, power = (
        _sums(values, place, shape[0] * shape[1]).view(shape)
        for values in (weight, weight * peaks.frequency, weight**2)
    )
    center = moment / mass.clamp(min=1e-30)
    chosen, level = _choose(mass, center, power.sqrt(), rate, resolution, s.num_modes)

    # Which peak belongs to which chosen track, on a grid of modes and frames.
    slot = chosen.new_full((num_sounds, shape[1] + 1), -1)
    numbers = torch.arange(s.num_modes, device=slot.device).expand_as(chosen)
    slot.scatter_(1, torch.where(level > 0, chosen, shape[1]), numbers)
    slot = slot[peaks.sound, candidate]
    size = num_sounds * s.num_modes * num_frames
    place = (peaks.sound * s.num_modes + slot) * num_frames + peaks.frame
    place = torch.where(tracked & (slot >= 0), place, size)
    hz = weight.new_zeros(size + 1).index_copy_(0, place, peaks.frequency)[:-1]
    hz = hz.view(num_sounds, s.num_modes, num_frames)
    index = torch.arange(num_frames, device=hz.device)
    there = hz > 0
    known = there & (index * (s.hop_length / s.sample_rate) * hz > EDGE / resolution)
    final = torch.where(there, index, -1).amax(-1, keepdim=True)
    known = torch.where(known.any(-1, keepdim=True), known, index == final)
    times = (((index.double() + 0.5) * frame - 0.5) / s.hop_length).clamp(0, num_frames - 1)
    rows = _interpolate(times, known, hz)
    return torch.where(final >= 0, rows, center.gather(1, chosen)[..., None]), level


def _choose(
    mass: Tensor, center: Tensor, loud: Tensor, rate: float, resolution: float, count: int
) -> Tuple[Tensor, Tensor]:
    """Return the chosen candidates (B, count) and their levels.

    A level is 0 where no candidate was left.
    """
    pitch = center.clamp(min=1e-9).log2()
    chosen: List[Tensor] = []
    levels: List[Tensor] = []
    for _ in range(count):
        value, best = mass.max(1, keepdim=True)
        level = loud.gather(1, best)
        distance = (center - center.gather(1, best)).abs() / rate
        same = (pitch - pitch.gather(1, best)).abs() < resolution
        gone = (distance < 1) & ((loud < MASKED * level) | same)
        mass = mass * (distance / SPACING).clamp(max=1) ** 2
        mass = mass.masked_fill_(gone, 0).scatter_(1, best, 0)
        chosen.append(best)
        levels.append(torch.where(value > 0, level, 0))
    return torch.cat(chosen, 1), torch.cat(levels, 1)


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


def _sums(values: Tensor, index: Tensor, size: int) -> Tensor:
    """Add up the values that have the same index."""
    return values.new_zeros(size).index_add_(0, index, values)
