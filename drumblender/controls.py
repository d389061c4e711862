"""What can be done to the controls of a sound: pure functions, tensors in, tensors out.

Modal parameters are (..., 3, M, F): frequency in rad/sample, amplitude, phase of sample 0. Frame f
is centered on sample (f + 1/2) N / F - 1/2 of the N samples that they describe. Band amplitudes of
the noise are (..., K, bands), evenly spaced from 0 to Nyquist; frame k is centered on sample
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
    """Multiply the frequencies of modes; phases at sample 0 stay.

    >>> shift_modes(torch.ones(3, 2, 4), 2.0)[:, 0, 0].tolist()
    [2.0, 1.0, 1.0]
    """
    return torch.cat([modal[..., :1, :, :] * ratio, modal[..., 1:, :, :]], dim=-3)


def shift_bands(bands: Tensor, ratio: float) -> Tensor:
    """Multiply the frequencies of noise bands; what comes from above Nyquist is silent.

    >>> shift_bands(torch.tensor([[0.0, 1.0, 0.0, 0.0, 0.0]]), 2.0).tolist()
    [[0.0, 0.5, 1.0, 0.5, 0.0]]
    """
    count = bands.shape[-1]
    position = torch.arange(count, device=bands.device) / ratio
    return _interpolate(bands, position) * (position <= count - 1)


def attack_time(modal: Tensor, bands: Optional[Tensor], num_samples: int, hop: int) -> float:
    """Where the energy of a sound peaks, in samples: of its modes, or of its noise without them.

    Shape:
        - modal: (C, 3, M, F)
        - bands: (C, K, bands) or None
    """
    energy = modal[:, 1].square().sum((0, 1))
    if energy.any():
        return float((energy.argmax() + 0.5) * num_samples / len(energy) - 0.5)
    if bands is None or not bands.any():
        return 0.0
    return min(num_samples - 1.0, float((bands.square().sum((0, 2)).argmax() + 1) * hop))


def stretch_after(time: float, factor: float) -> TimeMap:
    """Where in the old sound a sample of the new one lies, when all after a time is stretched.

    An envelope that falls by 60 dB in T seconds then does so in ``factor`` T, whatever its shape.

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

    Frequencies stay where they are (a pitch sweep keeps its speed) and last as long as the sound;
    amplitudes are zero where the old sound has no samples.

    Args:
        modal: modal parameters.
        num_samples: that they describe.
        new_length: that the result describes.
        time_map: from samples of the result to those of ``modal``.
        new_frames: of the result; about as far apart as those of ``modal`` when None.
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
    """Move noise bands in time; the counterpart of :func:`retime_modes`."""
    count = -(-new_length // hop)
    source = time_map((torch.arange(count, device=bands.device) + 1.0) * hop)
    moved = _interpolate(bands.transpose(-1, -2), source / hop - 1)
    # Half a frame at the very end belongs to the sound, too.
    return (moved * (source < min(num_samples, bands.shape[-2] * hop) + hop)).transpose(-1, -2)


def hold_frequencies(modal: Tensor) -> Tensor:
    """Let modes keep the frequency that they had last after they have become silent.

    What is silent may be anything; once envelopes are stretched or blended it may be heard. So may
    the last frames of a track, where there is hardly anything left to measure a frequency of: what
    is kept is the mean of the frames before them, weighted by energy.
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
    """Values at fractional positions of the last axis, linear; the ends hold."""
    position = position.clamp(0, x.shape[-1] - 1)
    below = position.long().clamp(max=max(0, x.shape[-1] - 2))
    above = (below + 1).clamp(max=x.shape[-1] - 1)
    fraction = (position - below).to(x.dtype)
    return x[..., below] * (1 - fraction) + x[..., above] * fraction


def tilt_filter(audio: Tensor, sample_rate: float, slope: float) -> Tensor:
    """Tilt a spectrum by so many dB per octave; 1 kHz stays as it is.

    The filter is of minimum phase, so that an attack stays an attack; the slope is flat below 20 Hz
    and above 20 kHz (or Nyquist).

    Args:
        audio: samples.
        sample_rate: in Hz.
        slope: in dB per octave; positive is brighter.

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
