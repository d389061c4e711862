"""Functions that change the controls of a sound, from which a synthesizer then makes the sound.

All are pure: tensors in, tensors out. Modal parameters have the shape (..., 3, M, F), and their
rows are frequency in rad/sample, amplitude, and the phase before sample 0. Frame f is centered on
sample (f + 1/2) N / F - 1/2 of the N samples that they describe. Band amplitudes of the noise have
the shape (..., K, bands), evenly spaced from 0 Hz to Nyquist. Their frame k is centered on sample
(k + 1) hop.
"""

from typing import Callable, Optional

import torch
from torch import Tensor

# From samples of the new sound to those of the old one.
TimeMap = Callable[[Tensor], Tensor]
# Frames at the end of a track whose frequency says little, and frames before them whose mean does.
_UNSURE, _KEPT = 4, 24


def shift_modes(modal: Tensor, ratio: float) -> Tensor:
    """Multiply the frequencies of modes by a ratio. Amplitudes and phases stay.

    >>> shift_modes(torch.ones(3, 2, 4), 2.0)[:, 0, 0].tolist()
    [2.0, 1.0, 1.0]
    """
    return torch.cat([modal[..., :1, :, :] * ratio, modal[..., 1:, :, :]], dim=-3)


def shift_bands(bands: Tensor, ratio: float) -> Tensor:
    """Multiply the frequencies of noise bands by a ratio.

    A ratio below 1 leaves the highest bands silent, because nothing is known above Nyquist.

    >>> shift_bands(torch.tensor([[0.0, 1.0, 0.0, 0.0, 0.0]]), 2.0).tolist()
    [[0.0, 0.5, 1.0, 0.5, 0.0]]
    """
    count = bands.shape[-1]
    position = torch.arange(count, device=bands.device) / ratio
    return _interpolate(bands, position) * (position <= count - 1)


def attack_time(modal: Tensor, bands: Optional[Tensor], num_samples: int, hop: int) -> float:
    """Find the sample at which the energy of a sound peaks.

    The energy is that of the modes. Where no mode sounds, it is that of the noise.

    Args:
        modal: modal parameters.
        bands: band amplitudes of the noise, or None without a noise part.
        num_samples: number of samples that the modal parameters describe.
        hop: distance between frames of the noise, in samples.

    Shape:
        - modal: (C, 3, M, F)
        - bands: (C, K, bands)
    """
    energy = modal[:, 1].square().sum((0, 1))
    if energy.any():
        return float((energy.argmax() + 0.5) * num_samples / len(energy) - 0.5)
    if bands is None or not bands.any():
        return 0.0
    return min(num_samples - 1.0, float((bands.square().sum((0, 2)).argmax() + 1) * hop))


def stretch_after(time: float, factor: float) -> TimeMap:
    """Return a map of time that stretches everything after a moment by a factor.

    The map takes samples of the new sound to samples of the old one. An envelope that falls by
    60 dB in T seconds after the moment then falls by 60 dB in ``factor`` T, whatever its shape.

    Args:
        time: the moment, in samples.
        factor: 2 makes everything after it twice as long.

    >>> stretch_after(100.0, 2.0)(torch.tensor([50.0, 100.0, 300.0])).tolist()
    [50.0, 100.0, 200.0]
    """
    return lambda t: torch.where(t <= time, t, time + (t - time) / factor)


def retime_modes(
    modal: Tensor,
    num_samples: int,
    new_length: int,
    time_map: TimeMap,
    new_frames: Optional[int] = None,
) -> Tensor:
    """Move the amplitudes of modes in time, and make them describe another number of samples.

    Frequencies stay where they are, so that a pitch sweep keeps its speed. Amplitudes are zero
    where the old sound has no samples.

    Args:
        modal: modal parameters.
        num_samples: number of samples that they describe.
        new_length: number of samples that the result describes.
        time_map: map from samples of the result to samples of ``modal``.
        new_frames: number of frames of the result. By default, its frames are about as far apart as
            those of ``modal``.

    Shape:
        - modal: (..., 3, M, F)
        - Output: (..., 3, M, new_frames)
    """
    frames = modal.shape[-1]
    count = new_frames or max(1, round(frames * new_length / num_samples))
    time = (torch.arange(count, device=modal.device) + 0.5) * (new_length / count) - 0.5
    source = time_map(time)

    def position(t: Tensor) -> Tensor:
        return (t + 0.5) * (frames / num_samples) - 0.5

    frequency, amplitude, phase = hold_frequencies(modal).unbind(-3)
    amplitude = _interpolate(amplitude, position(source)) * (source < num_samples)
    frequency = _interpolate(frequency, position(time))
    return torch.stack([frequency, amplitude, phase[..., :1].expand_as(amplitude)], dim=-3)


def retime_bands(
    bands: Tensor, hop: int, num_samples: int, new_length: int, time_map: TimeMap
) -> Tensor:
    """Move noise bands in time, as :func:`retime_modes` moves modes.

    Args:
        bands: band amplitudes.
        hop: distance between frames, in samples.
        num_samples: number of samples that they describe.
        new_length: number of samples that the result describes.
        time_map: map from samples of the result to samples of ``bands``.

    Shape:
        - bands: (..., K, bands)
        - Output: (..., ceil(new_length / hop), bands)
    """
    count = -(-new_length // hop)
    source = time_map((torch.arange(count, device=bands.device) + 1.0) * hop)
    moved = _interpolate(bands.transpose(-1, -2), source / hop - 1)
    # Half a frame at the very end belongs to the sound, too.
    return (moved * (source < min(num_samples, bands.shape[-2] * hop) + hop)).transpose(-1, -2)


def hold_frequencies(modal: Tensor) -> Tensor:
    """Let modes keep their last frequency after they have become silent.

    The frequency of a silent frame may be anything, because nobody hears it. Once envelopes are
    stretched or blended, the frame may be heard. The last frames of a track are too quiet to have a
    reliable frequency either. So the frequency that is kept is the mean over the frames before
    them, weighted by energy.

    Shape:
        - modal: (..., 3, M, F)
        - Output: (..., 3, M, F)
    """
    frequency, amplitude, phase = modal.unbind(-3)
    frames = torch.arange(modal.shape[-1], device=modal.device)
    sounding = amplitude != 0
    first = torch.where(sounding, frames, modal.shape[-1]).amin(-1, keepdim=True)
    last = torch.where(sounding, frames, -1).amax(-1, keepdim=True)
    last = torch.maximum(last - _UNSURE, torch.minimum(first, last))
    energy = amplitude.square() * (frames <= last) * (frames > last - _KEPT)
    total = energy.sum(-1, keepdim=True)
    kept = (frequency * energy).sum(-1, keepdim=True) / total.clamp(min=1e-30)
    # Zeros between two tracks and before the first one stay: they make the phase what it is.
    frequency = torch.where((frames > last) & (total > 1e-30), kept, frequency)
    return torch.stack([frequency, amplitude, phase], dim=-3)


def _interpolate(x: Tensor, position: Tensor) -> Tensor:
    """Interpolate linearly at fractional positions of the last axis; the ends hold beyond them."""
    position = position.clamp(0, x.shape[-1] - 1)
    below = position.long().clamp(max=max(0, x.shape[-1] - 2))
    above = (below + 1).clamp(max=x.shape[-1] - 1)
    fraction = (position - below).to(x.dtype)
    return x[..., below] * (1 - fraction) + x[..., above] * fraction


def tilt_filter(audio: Tensor, sample_rate: float, slope: float) -> Tensor:
    """Tilt a spectrum by a number of dB per octave about 1 kHz, which stays as it is.

    The filter has minimum phase, so that an attack stays an attack. Its gain is constant below
    20 Hz and above 20 kHz (or Nyquist, if that is lower).

    Args:
        audio: samples.
        sample_rate: in Hz.
        slope: in dB per octave. A positive slope makes the sound brighter.

    Shape:
        - audio: (..., N)
        - Output: (..., N)

    >>> tilt_filter(torch.zeros(2, 100), 48_000, 3.0).shape
    torch.Size([2, 100])
    """
    if slope == 0:
        return audio
    # Twice the length and some: a falling slope rings long, and must not wrap around.
    size = 2 ** (2 * audio.shape[-1] + 8192).bit_length()
    frequency = torch.fft.rfftfreq(size, 1 / sample_rate, dtype=torch.float64)
    octaves = torch.log2(frequency.clamp(20.0, min(20_000.0, sample_rate / 2)) / 1000)
    log_gain = octaves * (slope * torch.log(torch.tensor(10.0, dtype=torch.float64)) / 20)
    # Minimum phase: fold the cepstrum, of which only times from zero on remain.
    cepstrum = torch.fft.irfft(log_gain, size)
    cepstrum[1 : size // 2] *= 2
    cepstrum[size // 2 + 1 :] = 0
    response = torch.exp(torch.fft.rfft(cepstrum)).to(audio.device)
    spectrum = torch.fft.rfft(audio.double(), size) * response
    return torch.fft.irfft(spectrum, size)[..., : audio.shape[-1]].to(audio.dtype)
