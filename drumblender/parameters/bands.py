"""Noise bands as a value, and the edits that change them."""

from dataclasses import dataclass, replace
from typing import List, Optional, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from drumblender.errors import UsageError
from drumblender.parameters.time_maps import TimeMap, interpolate, unchanged


@dataclass(frozen=True, eq=False)
class Bands:
    """Amplitudes of noise bands that change with time, and the time that they describe.

    Attributes:
        amplitudes: linear amplitudes, at frequencies evenly spaced from 0 Hz to Nyquist.
        num_samples: number of samples that they describe.
        hop_length: distance between frames, in samples. Frame k is centered on sample (k + 1)
            ``hop_length``. None where the synthesizer does not say it.
        sample_rate: sample rate in Hz. It is 1 where only samples count.

    Shape:
        - amplitudes: (..., K, n_bands)

    >>> Bands(torch.ones(10, 128), 1280, 128, 48_000).seconds
    0.02666...
    """

    amplitudes: Tensor
    num_samples: int
    hop_length: Optional[int] = None
    sample_rate: float = 1.0

    @property
    def seconds(self) -> float:
        """Length of the sound that the bands describe, in seconds."""
        return self.num_samples / self.sample_rate

    def peak(self) -> Optional[float]:
        """Find the sample at which the energy peaks, or return None if there is no energy."""
        if not self.amplitudes.any():
            return None
        energy = self.amplitudes.square().sum(-1)
        energy = energy.sum(tuple(range(energy.ndim - 1)))
        return min(self.num_samples - 1.0, float((energy.argmax() + 1) * self._hop()))

    def transpose(self, ratio: float) -> "Bands":
        """Multiply the frequencies of the bands by a ratio.

        A ratio below 1 leaves the highest bands silent, because nothing is known above Nyquist.

        >>> Bands(torch.tensor([[0.0, 1.0, 0.0, 0.0, 0.0]]), 1).transpose(2.0).amplitudes.tolist()
        [[0.0, 0.5, 1.0, 0.5, 0.0]]
        """
        count = self.amplitudes.shape[-1]
        position = torch.arange(count, device=self.amplitudes.device) / ratio
        moved = interpolate(self.amplitudes, position) * (position <= count - 1)
        return replace(self, amplitudes=moved)

    def retime(self, num_samples: int, time_map: TimeMap = unchanged) -> "Bands":
        """Move the bands in time, and let them describe another number of samples.

        Args:
            num_samples: number of samples that the result describes.
            time_map: map from samples of the result to samples of these bands.

        Raises:
            UsageError: if the synthesizer does not say how far its frames are apart.
        """
        hop = self._hop()
        bands = self.amplitudes
        count = -(-num_samples // hop)
        source = time_map((torch.arange(count, device=bands.device) + 1.0) * hop)
        moved = interpolate(bands.transpose(-1, -2), source / hop - 1)
        # Half a frame at the very end belongs to the sound, too.
        end = min(self.num_samples, bands.shape[-2] * hop) + hop
        moved = (moved * (source < end)).transpose(-1, -2)
        return replace(self, amplitudes=moved, num_samples=num_samples)

    def lengthen(self, num_frames: int) -> "Bands":
        """Append silent frames until there are as many as given."""
        missing = num_frames - self.amplitudes.shape[-2]
        return replace(self, amplitudes=F.pad(self.amplitudes, (0, 0, 0, missing)))

    def _hop(self) -> int:
        """Return the distance between frames, or refuse if the synthesizer does not say it."""
        if self.hop_length is None:
            raise UsageError(
                "The noise of this model cannot be moved in time, because its noise synth does not "
                "say how many samples its frames are apart; give the class a `hop_length`."
            )
        return self.hop_length


def align_bands(values: Sequence[Bands]) -> List[Bands]:
    """Let values describe the same number of samples with the same number of frames.

    Each number is the largest one of all.
    """
    length = max(x.num_samples for x in values)
    fitted = [x if x.num_samples == length else x.retime(length) for x in values]
    # An encoder may give more frames than the sound has.
    counts = {x.amplitudes.shape[-2] for x in fitted}
    frames, hop = max(counts), fitted[0].hop_length
    if len(counts) > 1 and hop is not None:
        frames = max(frames, -(-length // hop))
    return [x.lengthen(frames) for x in fitted]
