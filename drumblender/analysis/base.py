"""What a modal analysis is, how it is called, and what it has to give.

To add one, derive a class from :class:`Analysis`. A configuration names it under ``method``, by its
class path, and so does ``drumblender-analyze --method``.
"""

import abc
import math
from typing import TYPE_CHECKING, Optional, Tuple, Union

import torch
from torch import Tensor

from drumblender.errors import DrumblenderError
from drumblender.signal import exact_products

if TYPE_CHECKING:
    from drumblender.analysis.settings import AnalysisSettings


class Analysis(abc.ABC):
    """A way to measure the modes of recordings.

    The rows of the result are frequency in rad/sample (0 to pi), amplitude (not negative) and
    phase. :class:`~drumblender.synths.ModalSynth` plays it as it is. The most energetic mode comes
    first. Modes that do not exist are zero. The result lies on the CPU.

    A class writes :meth:`measure`, which gets one sound. Sounds are measured one after the other
    and by one thread each, so that features do not depend on how many there are, or on how many
    processes measure them. A class that is faster with many sounds at once on a GPU writes
    :meth:`measure_together`, too.

    Args:
        settings: settings of the analysis. Every class keeps to their ``sample_rate``,
            ``hop_length`` and ``num_modes``. Further arguments of a class come from
            ``method_kwargs``.

    Attributes:
        version: number or text, of the class. It is stored with datasets. Change it with whatever
            changes the results, so that features of two versions are never mixed.

    Shape:
        - Input: (N,) or (B, N)
        - Output: (3, num_modes, N // hop_length + 1), or the same with a leading B

    Raises:
        DrumblenderError: if a class gives something else.
    """

    version: Union[int, str]

    def __init__(self, settings: "AnalysisSettings"):
        self.settings = settings

    @abc.abstractmethod
    def measure(self, audio: Tensor) -> Tensor:
        """Measure the modes of one sound.

        Args:
            audio: samples, on the device that was asked for (``--device``), which is the CPU unless
                a person says otherwise.

        Shape:
            - audio: (N,), float32
            - Output: (3, num_modes, N // hop_length + 1)
        """

    def measure_together(self, audio: Tensor) -> Tensor:
        """Measure the modes of sounds that lie on a GPU; one after the other, if not overridden.

        Shape:
            - audio: (B, N), float32
            - Output: (B, 3, num_modes, N // hop_length + 1)
        """
        return self._one_by_one(audio)

    @torch.no_grad()
    @exact_products()
    def __call__(self, audio: Tensor, together: Optional[bool] = None) -> Tensor:
        """Measure the modes of one sound or of several.

        Args:
            audio: samples.
            together: whether to measure several sounds at once. By default they are where the audio
                is on a GPU.
        """
        if audio.dim() == 1:
            return self(audio[None], together)[0]
        if together is None:
            # float64 is missing from Apple's GPUs.
            together = audio.device.type not in ("cpu", "mps")
        audio = audio.float()
        if not together:
            return self._one_by_one(audio)
        shape = (len(audio), *self._shape(audio))
        return self._checked(self.measure_together(audio), shape).cpu()

    def _one_by_one(self, audio: Tensor) -> Tensor:
        """Measure the modes of sounds, each by itself."""
        # More threads than one would divide sums differently.
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            shape = self._shape(audio)
            return torch.stack([self._checked(self.measure(x), shape).cpu() for x in audio])
        finally:
            torch.set_num_threads(threads)

    def _shape(self, audio: Tensor) -> Tuple[int, ...]:
        """Return the shape of the modes of one sound."""
        return (3, self.settings.num_modes, audio.shape[-1] // self.settings.hop_length + 1)

    def _checked(self, found: Tensor, shape: Tuple[int, ...]) -> Tensor:
        """Return as float32 what can be played, and refuse the rest; what is no number goes on."""
        name = f"{type(self).__module__}.{type(self).__qualname__}"
        if not isinstance(found, Tensor):
            raise DrumblenderError(
                f"{name} gives no torch.Tensor ({type(found).__name__}); let it return one {shape}."
            )
        if found.shape != shape:
            raise DrumblenderError(
                f"{name} gives a tensor {tuple(found.shape)}; let it return {shape}, which is "
                "(3, num_modes, N // hop_length + 1)."
            )
        found = found.float()
        frequency, amplitude = found[..., 0, :, :], found[..., 1, :, :]
        if frequency.min() < 0 or frequency.max() > math.pi:
            raise DrumblenderError(
                f"{name} gives frequencies outside 0 to pi rad/sample; convert those in Hz with "
                "drumblender.signal.hz_to_rad."
            )
        if amplitude.min() < 0:
            raise DrumblenderError(
                f"{name} gives amplitudes below zero; add pi to the phase instead."
            )
        return found
