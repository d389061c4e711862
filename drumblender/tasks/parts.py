"""The protocol of a part of a sound, and the three parts of the method.

A part turns recordings into parameters (:meth:`Part.encode`) and parameters into sound
(:meth:`Part.play`). It also knows what edits do to its parameters. A model is an ordered set of
parts and a wiring (:mod:`drumblender.tasks.wiring`), so that a new part is one class.

The parameters of a part are None, a tensor, or a frozen dataclass with tensors. The first axis of
each tensor is the batch, so that sounds can be put together and taken out of a batch.
"""

import inspect
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, Optional, Sequence, Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from drumblender.parameters import Bands, Modes, map_tensors, weighted_sum
from drumblender.parameters.bands import align_bands
from drumblender.parameters.between import mix_modes
from drumblender.parameters.modes import align_modes
from drumblender.parameters.time_maps import TimeMap
from drumblender.signal import fit_length
from drumblender.streaming.base import Blocks
from drumblender.streaming.network import blocks_of_network
from drumblender.streaming.noise import blocks_of_noise
from drumblender.streaming.sinusoids import Sinusoids
from drumblender.synths import ModalSynth
from drumblender.synths.white import WhiteNoise
from drumblender.tasks.heard import Heard, output_of, predict

# What noise comes from: one generator, one for each item of the batch, the global one, or white
# noise (B, R, N) of the kind that a part's ``white`` says.
Generators = Union[torch.Generator, Sequence[torch.Generator], Tensor, None]


class Part(ABC):
    """A part of a sound. Subclasses with weights are ``torch.nn.Module`` as well.

    Attributes:
        name: name by which wirings, stems and edits know it.
        on_signal: whether it is played on the signal of other parts, as a transient network is.
        follows_pitch: whether a change of pitch always moves it. Other parts move on request.
        is_measured: whether it is measured, and needs no training. If all parts of a model are
            measured, it takes recordings as they are, at any sample rate, from their first sample
            on and with all channels.
        white: kind of white noise that the part can take instead of drawing it. None if it takes
            none.
    """

    name: str
    on_signal: bool = False
    follows_pitch: bool = False
    is_measured: bool = False
    white: Optional[WhiteNoise] = None

    @abstractmethod
    def encode(self, heard: Heard) -> Any:
        """Describe recordings by parameters, or raise a UsageError if something is missing."""

    @abstractmethod
    def play(
        self,
        parameters: Any,
        num_samples: int,
        generator: Generators = None,
        signal: Optional[Tensor] = None,
    ) -> Tensor:
        """Turn parameters into sound.

        Args:
            parameters: parameters from :meth:`encode`, perhaps edited.
            num_samples: length N of the output.
            generator: source of what is drawn by chance, or white noise (B, R, N) of the kind
                ``white``. None stands for the global generator.
            signal: signal that the part is played on. None unless ``on_signal`` is true.

        Shape:
            - signal: (B, 1, N)
            - Output: (B, 1, N)
        """

    def blocks(
        self,
        values: Sequence[Any],
        knots: Sequence[float],
        num_samples: int,
        generators: Sequence[torch.Generator],
    ) -> Optional[Blocks]:
        """Return what plays in blocks, with the same samples as :meth:`play` gives.

        None stands for a part that is played as a whole before its first block is heard.

        Args:
            values: parameters of the sounds between which the sound may move, all of one length.
            knots: place of each sound, from 0 to 1. There is one sound if it does not move.
            num_samples: number of samples.
            generators: source of what is drawn by chance for each channel.
        """
        return None

    @property
    def is_repeatable(self) -> bool:
        """Whether generators in the same state give the same sound."""
        return True

    def peak(self, parameters: Any) -> Optional[float]:
        """Find the sample at which the energy peaks, or return None if the part does not know."""
        return None

    def transpose(self, parameters: Any, ratio: float, moment: float = 0.0) -> Any:
        """Multiply all frequencies by a ratio.

        Args:
            parameters: parameters of this part.
            ratio: 2 is an octave.
            moment: the sample at which phases stay as they are, which is that of the onset.
        """
        return parameters

    def retime(self, parameters: Any, num_samples: int, time_map: TimeMap) -> Any:
        """Move envelopes in time.

        Args:
            parameters: parameters of this part.
            num_samples: number of samples that the result describes.
            time_map: map from samples of the result to samples of ``parameters``.
        """
        return parameters

    def vary(self, parameters: Any, amount: float, generator: torch.Generator) -> Any:
        """Draw small deviations, as between two hits of one drum.

        Args:
            parameters: parameters of this part.
            amount: 1 is usual, and 0 changes nothing.
            generator: source of the deviations.
        """
        return parameters

    def delay(self, parameters: Any, num_samples: int) -> Any:
        """Put a number of silent samples in front. Measured parts must do this."""
        return parameters

    def resample(self, parameters: Any, old: int, new: int) -> Any:
        """Describe the same sound at a new sample rate, in Hz. Measured parts must do this."""
        return parameters

    def align(self, values: Sequence[Any]) -> Sequence[Any]:
        """Let the parameters of sounds describe the same number of samples and frames."""
        return values

    def mix(
        self,
        values: Sequence[Any],
        weights: Sequence[float],
        ends: Sequence[int],
        moment: float = 0.0,
    ) -> Any:
        """Compute parameters that lie between those of sounds that are aligned.

        Args:
            values: parameters of each sound.
            weights: weight of each sound. They are above 0, and their sum is 1.
            ends: number of samples that the recording of each sound lasts.
            moment: the sample at which phases are compared, which is that of the onset.
        """
        return map_tensors(lambda *tensors: weighted_sum(tensors, weights), *values)


class ModalPart(Part):
    """Sinusoids whose parameters are measured. A network may correct them.

    Args:
        synth: synthesizer that turns modal parameters (B, 3, M, F) and N into sound (B, 1, N).
        encoder: network that turns its input and modal parameters into modal parameters. None
            keeps what was measured.
        takes_audio: whether the input of the encoder is audio, instead of the shared embedding.
    """

    name = "modal"
    follows_pitch = True

    def __init__(
        self, synth: nn.Module, encoder: Optional[nn.Module] = None, takes_audio: bool = True
    ):
        self.synth = synth
        self.encoder = encoder
        self.takes_audio = takes_audio

    def encode(self, heard: Heard) -> Modes:
        values = heard.modes.values
        if self.encoder is None:
            return heard.modes
        if self.takes_audio or heard.embedding is None:
            return replace(heard.modes, values=heard.through(self.encoder, values))
        return replace(heard.modes, values=output_of(self.encoder(heard.embedding, values)))

    def play(
        self,
        parameters: Modes,
        num_samples: int,
        generator: Generators = None,
        signal: Optional[Tensor] = None,
    ) -> Tensor:
        return self.synth(parameters.values, parameters.num_samples)[..., :num_samples]

    def blocks(
        self,
        values: Sequence[Modes],
        knots: Sequence[float],
        num_samples: int,
        generators: Sequence[torch.Generator],
    ) -> Optional[Blocks]:
        if type(self.synth) is not ModalSynth or not values[0].values.shape[2]:
            return None
        rounded = self.play(values[0], num_samples) if self.synth.round_phase else None
        return Sinusoids(values, knots, num_samples, rounded)

    def peak(self, parameters: Modes) -> Optional[float]:
        return parameters.peak()

    def transpose(self, parameters: Modes, ratio: float, moment: float = 0.0) -> Modes:
        return parameters.transpose(ratio, moment)

    def delay(self, parameters: Modes, num_samples: int) -> Modes:
        return parameters.delay(num_samples)

    def resample(self, parameters: Modes, old: int, new: int) -> Modes:
        return parameters.resample(new)

    def retime(self, parameters: Modes, num_samples: int, time_map: TimeMap) -> Modes:
        return parameters.retime(num_samples, time_map)

    def vary(self, parameters: Modes, amount: float, generator: torch.Generator) -> Modes:
        """Vary each mode, with standard deviations of 4 cents and 1 dB for an amount of 1."""
        frequency, level, phase = parameters.values.unbind(1)
        wobble = amount * torch.randn(2, 1, frequency.shape[1], 1, generator=generator)
        frequency = frequency * 2 ** (wobble[0] * 4 / 1200)
        level = level * 10 ** (wobble[1] / 20)
        return replace(parameters, values=torch.stack([frequency, level, phase], dim=1))

    def align(self, values: Sequence[Modes]) -> Sequence[Modes]:
        return align_modes(values)

    def mix(
        self,
        values: Sequence[Modes],
        weights: Sequence[float],
        ends: Sequence[int],
        moment: float = 0.0,
    ) -> Modes:
        # Each channel by itself.
        channels = zip(*([replace(x, values=row) for row in x.values.unbind(0)] for x in values))
        made = [mix_modes(modes, weights, ends, moment).values for modes in channels]
        rows = max(x.shape[1] for x in made)
        made = [F.pad(x, (0, 0, 0, rows - x.shape[1])) for x in made]
        return replace(values[0], values=torch.stack(made))


class NoisePart(Part):
    """Noise through a filter bank whose bands a network predicts.

    Args:
        synth: synthesizer that turns band amplitudes (B, K, n_bands) and N into sound (B, 1, N). It
            need not take N. It may take ``generator=``, a ``torch.Generator`` to draw noise from.
            Its attribute ``hop_length`` says how many samples its frames are apart. Without this
            attribute, the noise cannot be moved in time. Its attribute ``white`` is the
            :class:`~drumblender.synths.white.WhiteNoise` that it takes as ``white=``. Without this
            attribute, it cannot be exported.
        encoder: network that turns its input into band amplitudes.
        takes_audio: whether the input of the encoder is audio, instead of the shared embedding.
    """

    name = "noise"

    def __init__(self, synth: nn.Module, encoder: nn.Module, takes_audio: bool = True):
        self.synth = synth
        self.encoder = encoder
        self.takes_audio = takes_audio

        self.white = getattr(synth, "white", None)

    @property
    def is_repeatable(self) -> bool:
        return _accepts(self.synth, generator=None)

    def encode(self, heard: Heard) -> Bands:
        amplitudes = predict(self.encoder, self.takes_audio, heard)
        hop_length = getattr(self.synth, "hop_length", None)
        return Bands(amplitudes, heard.modes.num_samples, hop_length, heard.modes.sample_rate)

    def play(
        self,
        parameters: Bands,
        num_samples: int,
        generator: Generators = None,
        signal: Optional[Tensor] = None,
    ) -> Tensor:
        bands = parameters.amplitudes
        if isinstance(generator, Tensor):
            return self.synth(bands, num_samples, white=generator)
        if generator is None or isinstance(generator, torch.Generator):
            return self._draw(bands, num_samples, generator)
        rows = zip(bands.split(1), generator)
        return torch.cat([self._draw(row, num_samples, own) for row, own in rows])

    def blocks(
        self,
        values: Sequence[Bands],
        knots: Sequence[float],
        num_samples: int,
        generators: Sequence[torch.Generator],
    ) -> Optional[Blocks]:
        bands = [x.amplitudes for x in values]
        return blocks_of_noise(self.synth, bands, knots, num_samples, generators)

    def _draw(
        self, bands: Tensor, num_samples: int, generator: Optional[torch.Generator]
    ) -> Tensor:
        """Let the synthesizer make noise, and give it no more arguments than it takes."""
        chosen = {"generator": generator} if self.is_repeatable else {}
        takes_length = _accepts(self.synth, bands, num_samples, **chosen)
        length = (num_samples,) if takes_length else ()
        return fit_length(self.synth(bands, *length, **chosen), num_samples)

    def peak(self, parameters: Bands) -> Optional[float]:
        return parameters.peak()

    def transpose(self, parameters: Bands, ratio: float, moment: float = 0.0) -> Bands:
        return parameters.transpose(ratio)

    def retime(self, parameters: Bands, num_samples: int, time_map: TimeMap) -> Bands:
        return parameters.retime(num_samples, time_map)

    def align(self, values: Sequence[Bands]) -> Sequence[Bands]:
        return align_bands(values)


class TransientPart(Part):
    """A network that shapes the attack of the signal that it is played on.

    Args:
        synth: network that turns a signal (B, 1, N) and an embedding (B, E) or None into sound
            (B, 1, N).
        encoder: network that turns its input into an embedding. None stands for no embedding.
        takes_audio: whether the input of the encoder is audio, instead of the shared embedding.
    """

    name = "transient"
    on_signal = True

    def __init__(
        self, synth: nn.Module, encoder: Optional[nn.Module] = None, takes_audio: bool = True
    ):
        self.synth = synth
        self.encoder = encoder
        self.takes_audio = takes_audio

    def encode(self, heard: Heard) -> Optional[Tensor]:
        if self.encoder is None:
            return None
        return predict(self.encoder, self.takes_audio, heard)

    def play(
        self,
        parameters: Optional[Tensor],
        num_samples: int,
        generator: Generators = None,
        signal: Optional[Tensor] = None,
    ) -> Tensor:
        return self.synth(signal, parameters)

    def blocks(
        self,
        values: Sequence[Optional[Tensor]],
        knots: Sequence[float],
        num_samples: int,
        generators: Sequence[torch.Generator],
    ) -> Optional[Blocks]:
        return blocks_of_network(self.synth, values, knots)


@dataclass(frozen=True, eq=False)
class Player:
    """A part with its parameters, which a wiring plays by a call.

    Attributes:
        part: the part.
        parameters: parameters of the part.
        num_samples: length N of the output.
        generator: source of what is drawn by chance. None stands for the global generator.
    """

    part: Part
    parameters: Any
    num_samples: int
    generator: Generators = None

    @property
    def on_signal(self) -> bool:
        """Whether the part is played on the signal of other parts."""
        return self.part.on_signal

    def __call__(self, signal: Optional[Tensor] = None) -> Tensor:
        """Play the part, perhaps on a signal, (B, 1, N) to (B, 1, N)."""
        return self.part.play(self.parameters, self.num_samples, self.generator, signal)


def _accepts(module: nn.Module, *args: Any, **kwargs: Any) -> bool:
    """Return whether the forward of a module takes these arguments, perhaps among others."""
    try:
        inspect.signature(module.forward).bind_partial(*args, **kwargs)
    except TypeError:
        return False
    return True
