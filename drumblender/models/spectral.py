"""A small encoder on spectra, and the heads that make controls of what it finds.

Encoders on waveforms have to learn first what a spectrum is. This one begins with levels in bands
on an auditory scale: of the recording, of its sinusoids, and of what is left if these are taken
away. So it learns within minutes on a processor. Its blocks are those of ConvNeXt (Liu et al., "A
ConvNet for the 2020s", CVPR 2022) in one dimension.

The encoder gives features and the levels of the recording. The head for noise predicts by how much
the noise is below the recording in each band, so that a recording that is 6 dB louder gets noise
that is 6 dB louder.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from drumblender.parameters.time_maps import interpolate
from drumblender.signal import at_least_float32, fit_length, full_precision, rad_to_hz
from drumblender.signal.auditory import band_places, band_shares
from drumblender.signal.plain import is_plain
from drumblender.signal.spectra import hann_window, short_spectra

# Power below which a level does not fall: -120 dB.
_FLOOR = 1e-12
# What decibels are divided by before the network gets them, and what is the middle of them.
_RANGE, _MIDDLE = 30.0, -60.0
# Frames of silence that the network hears before and after a recording.
_CONTEXT = 16


class SpectralEncoder(nn.Module):
    """An encoder on levels in bands, of a recording and of its sinusoids.

    Args:
        num_bands: number of bands, which are equally wide on the scale of equivalent rectangular
            bandwidths.
        channels: number C of features.
        num_blocks: number of convolution blocks.
        kernel_size: number of frames that a block sees. Dilations are 1, 2, 4 and again 1.
        window_size: length of the window, in samples.
        hop_length: distance between frames, in samples. Frame k is centered on sample (k + 1)
            ``hop_length``.
        sample_rate: in Hz.

    Attributes:
        takes_sinusoids: always true. The model then gives the sinusoids beside the recording.

    Shape:
        - audio, sinusoids: (B, 1, N)
        - Output: (B, C + num_bands, ceil(N / hop_length)), features, and then the levels of the
          recording in nepers

    >>> x = torch.zeros(2, 1, 1280)
    >>> SpectralEncoder(num_bands=40, channels=24)(x, x).shape
    torch.Size([2, 64, 10])
    """

    takes_sinusoids = True

    def __init__(
        self,
        num_bands: int = 48,
        channels: int = 128,
        num_blocks: int = 6,
        kernel_size: int = 7,
        window_size: int = 512,
        hop_length: int = 128,
        sample_rate: int = 48_000,
    ):
        super().__init__()
        self.num_bands = num_bands
        self.window_size = window_size
        self.hop_length = hop_length
        self.sample_rate = sample_rate
        self.project = nn.Conv1d(3 * num_bands, channels, 1)
        self.blocks = nn.Sequential(
            *(_Block(channels, kernel_size, 2 ** (block % 3)) for block in range(num_blocks))
        )

    def forward(self, audio: Tensor, sinusoids: Tensor) -> Tensor:
        """Find features and levels of recordings."""
        # Silence around the recording: features at its ends then do not depend on its length.
        frames = (audio.shape[-1] + self.hop_length - 1) // self.hop_length
        around = _CONTEXT * self.hop_length
        with torch.no_grad(), full_precision(audio):
            padded = (F.pad(at_least_float32(x), (around, around)) for x in (audio, sinusoids))
            levels = self.levels(*padded)[..., : frames + 2 * _CONTEXT]
        decibels = levels * (20 / math.log(10))
        features = self.blocks(self.project((decibels.flatten(1, 2) - _MIDDLE) / _RANGE))
        return torch.cat([features, levels[:, 0]], dim=1)[..., _CONTEXT:-_CONTEXT]

    def levels(self, audio: Tensor, sinusoids: Tensor) -> Tensor:
        """Measure levels of recordings, of their sinusoids and of what is between them.

        White noise with a root mean square of 1 has a level of 0 in each band.

        Shape:
            - audio, sinusoids: (B, 1, N)
            - Output: (B, 3, num_bands, ceil(N / hop_length)), in nepers
        """
        hop = self.hop_length
        frames = (audio.shape[-1] + hop - 1) // hop
        both = torch.cat([audio, sinusoids], dim=1)
        both = F.pad(both, (0, frames * hop - audio.shape[-1]))
        # Padded in time, so that there are bins in the lowest bands.
        size = 4 * self.window_size
        real, imaginary = short_spectra(both.flatten(0, 1), size, hop, self.window_size)
        power = _three(real).square() + _three(imaginary).square()
        shares = band_shares(size // 2 + 1, self.sample_rate, self.num_bands).to(power)
        energy = hann_window(self.window_size, both).square().sum()
        shares = shares / (shares.sum(1, keepdim=True) * energy)
        power = shares @ power
        if is_plain():  # optimizers of ONNX take a number as small as this for zero
            return 0.5 * ((power / _FLOOR + 1).log() + math.log(_FLOOR))
        return 0.5 * (power + _FLOOR).log()


def _three(spectra: Tensor) -> Tensor:
    """Put the difference of two sounds behind their spectra, and leave out the first frame.

    Shape:
        - spectra: (2 B, bins, K + 1)
        - Output: (B, 3, bins, K)
    """
    first, second = spectra.unflatten(0, (-1, 2)).unbind(1)
    return torch.stack([first, second, first - second], dim=1)[..., 1:]


def _normalized(x: Tensor, norm: nn.Module) -> Tensor:
    """Normalize the channels of each frame, (B, C, K) to (B, C, K)."""
    return norm(x.transpose(1, 2)).transpose(1, 2)


class _Block(nn.Module):
    """A depth-wise convolution in time and two layers across channels, added to the input."""

    def __init__(self, channels: int, kernel_size: int, dilation: int):
        super().__init__()
        padding = dilation * (kernel_size - 1) // 2
        self.across_time = nn.Conv1d(
            channels, channels, kernel_size, padding=padding, dilation=dilation, groups=channels
        )
        self.norm = nn.LayerNorm(channels)
        self.expand = nn.Conv1d(channels, 2 * channels, 1)
        self.reduce = nn.Conv1d(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the block, (B, C, K) to (B, C, K)."""
        y = _normalized(self.across_time(x), self.norm)
        return x + self.reduce(F.gelu(self.expand(y)))


class _Head(nn.Module):
    """A layer that begins with zeros, and the scale by which it is multiplied.

    Args:
        channels: number C of features.
        outputs: number of values for each frame.
    """

    def __init__(self, channels: int, outputs: int):
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.out = nn.Conv1d(channels, outputs, 1)
        nn.init.zeros_(self.out.weight)
        if self.out.bias is not None:
            nn.init.zeros_(self.out.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Compute values of each frame, (B, C, K) to (B, outputs, K)."""
        return self.out(_normalized(features, self.norm))


class NoiseHead(nn.Module):
    """A head that predicts the bands of the noise, as levels relative to those of the recording.

    Args:
        channels: number C of features.
        num_bands: number of bands of the encoder.
        num_bins: number of bands that the noise synthesizer gets, evenly spaced from 0 to Nyquist.
        start: level relative to the recording at which training begins, in dB. At -60 dB the noise
            is not heard.
        highest: level relative to the recording that is not exceeded, in dB.
        sample_rate: in Hz.

    Shape:
        - Input: (B, C + num_bands, K), as of :class:`SpectralEncoder`
        - Output: linear amplitudes (B, K, num_bins)

    >>> levels = torch.zeros(1, 48, 10)  # white noise of amplitude 1
    >>> features = torch.zeros(1, 16, 10)
    >>> head = NoiseHead(channels=16, num_bands=48, num_bins=257, start=-20.0)
    >>> head(torch.cat([features, levels], dim=1)).round(decimals=3).unique().tolist()
    [0.1...]
    """

    def __init__(
        self,
        channels: int = 128,
        num_bands: int = 48,
        num_bins: int = 257,
        start: float = -60.0,
        highest: float = 12.0,
        sample_rate: int = 48_000,
    ):
        super().__init__()
        self.channels = channels
        self.num_bins = num_bins
        self.start = start * math.log(10) / 20
        self.highest = highest * math.log(10) / 20
        self.sample_rate = sample_rate
        self.head = _Head(channels, num_bands)

    def forward(self, embedding: Tensor) -> Tensor:
        """Predict band amplitudes from features and levels."""
        features, levels = embedding[:, : self.channels], embedding[:, self.channels :]
        # One unit is 30 dB, so that levels come from far below within the first steps.
        relative = self.start + self.head(features) * (_RANGE * math.log(10) / 20)
        with full_precision(embedding):
            relative = at_least_float32(relative).clamp(max=self.highest)
            bands = (at_least_float32(levels) + relative).exp()
            shares = band_shares(self.num_bins, self.sample_rate, bands.shape[1]).to(bands)
            return bands.transpose(1, 2) @ shares


class ModalHead(nn.Module):
    """A head that predicts gains in bands for the amplitudes of the modes.

    Before training, the gains are 1.

    Args:
        channels: number C of features.
        num_bands: number of bands of the encoder.
        most: largest gain in dB, up and down.
        sample_rate: in Hz.

    Shape:
        - Input: embedding (B, C + num_bands, K), as of :class:`SpectralEncoder`; params
          (B, 3, M, F)
        - Output: (B, 3, M, F)

    >>> params = torch.rand(1, 3, 4, 6)
    >>> gained = ModalHead(channels=16, num_bands=48)(torch.zeros(1, 64, 12), params)
    >>> torch.equal(gained, params)
    True
    """

    def __init__(
        self,
        channels: int = 128,
        num_bands: int = 48,
        most: float = 12.0,
        sample_rate: int = 48_000,
    ):
        super().__init__()
        self.channels = channels
        self.num_bands = num_bands
        self.most = most * math.log(10) / 20
        self.sample_rate = sample_rate
        self.head = _Head(channels, num_bands)

    def forward(self, embedding: Tensor, params: Tensor) -> Tensor:
        """Multiply the amplitudes of modes by the gains of the bands that they are in."""
        gains = self.most * torch.tanh(self.head(embedding[:, : self.channels]))
        frequency, amplitude, *phase = params.unbind(1)
        # Frame f of F is centered on (f + 1/2) / F of the sound, and frame k of K of the encoder
        # on (k + 1) / K.
        frames = torch.arange(params.shape[-1], device=params.device)
        centers = (frames + 0.5) * (gains.shape[-1] / params.shape[-1]) - 1
        gains = interpolate(at_least_float32(gains), centers)
        hz = rad_to_hz(frequency, self.sample_rate)
        place = band_places(hz, self.sample_rate, self.num_bands)
        place = place.clamp(0, self.num_bands - 1)
        below = place.floor().clamp(max=self.num_bands - 2)
        share = (place - below).to(gains)
        index = below.long()
        gain = gains.gather(1, index) * (1 - share) + gains.gather(1, index + 1) * share
        return torch.stack([frequency, amplitude * gain.exp(), *phase], dim=1)


class AttackHead(nn.Module):
    """A head that describes the attack by an embedding.

    Args:
        channels: number C of features.
        num_frames: number of frames, from the first one on, that count as the attack.
        values: number of values for each of these frames, before they are put together.
        embedding_size: number E of values of the embedding.

    Shape:
        - Input: (B, C + num_bands, K), as of :class:`SpectralEncoder`
        - Output: (B, E)

    >>> AttackHead(channels=16, embedding_size=4)(torch.zeros(2, 64, 10)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        channels: int = 128,
        num_frames: int = 32,
        values: int = 8,
        embedding_size: int = 64,
    ):
        super().__init__()
        self.channels = channels
        self.num_frames = num_frames
        self.reduce = nn.Conv1d(channels, values, 1)
        self.norm = nn.LayerNorm(channels)
        self.out = nn.Linear(num_frames * values, embedding_size)

    def forward(self, embedding: Tensor) -> Tensor:
        """Describe attacks."""
        features = fit_length(embedding[:, : self.channels], self.num_frames)
        features = F.gelu(self.reduce(_normalized(features, self.norm)))
        frames = torch.arange(self.num_frames, device=features.device)
        return self.out((features * (frames < embedding.shape[-1])).flatten(1))
