"""The wiring of the three parts: audio and modal parameters to controls, controls to parts.

Apart from training (:mod:`drumblender.tasks.drumblender`), so that who makes sound with a trained
model does not wait for the import of Lightning.

Two steps with two names: :meth:`Blender.encode` turns recordings into controls, and
:meth:`Blender.synthesize` turns controls into the parts of the sound. Blending is then nothing
special: take each control from another recording.
"""

import inspect
from dataclasses import dataclass
from typing import Any, Dict, Optional, Sequence, Union

import torch
from torch import Tensor, nn

from drumblender.errors import UsageError
from drumblender.signal import fit_length
from drumblender.synths import ModalSynth

# Arguments of DrumBlender that only training and testing need.
TRAINING_ARGUMENTS = (
    "loss_fn",
    "test_metrics",
    "float32_matmul_precision",
    "compile",
    "activation_checkpointing",
)


@dataclass(frozen=True)
class Controls:
    """What describes a sound; every field can come from another recording.

    Attributes:
        modal: modal parameters (B, 3, M, F).
        noise: band amplitudes (B, frames, bands), or None without a noise part.
        transient: embedding (B, E), or None without one.
    """

    modal: Tensor
    noise: Optional[Tensor] = None
    transient: Optional[Tensor] = None


@dataclass(frozen=True)
class Parts:
    """The parts of a sound, each (B, 1, N); they add up to the whole in every wiring.

    Attributes:
        modal: the sinusoids.
        noise: the filtered noise, or None.
        transient: what the transient network contributes, or None. In the wirings where the network
            transforms its input x into T(x), that is the difference T(x) - x.
    """

    modal: Tensor
    noise: Optional[Tensor] = None
    transient: Optional[Tensor] = None

    @property
    def sum(self) -> Tensor:
        total = self.modal
        for part in (self.noise, self.transient):
            if part is not None:
                total = total + part
        return total


class Blender(nn.Module):
    """Sinusoids, noise and transient, predicted from a recording and put together again.

    With modal signal m, noise n and transient network T, the sound is

    ==========================  ===================  ============
    transient_takes_noise       transient_parallel   y
    ==========================  ===================  ============
    false                       false                T(m) + n
    true                        false                T(m + n)
    false                       true                 m + n + T(m)
    true                        true                 m + n + T(m + n)
    ==========================  ===================  ============

    and m + n where there is no transient network. Shier et al., Forum Acusticum 2023.

    Args:
        modal_synth: modal parameters (B, 3, M, F), N -> (B, 1, N).
        noise_synth: band amplitudes (B, frames, bands), N -> (B, 1, N). It need not take N, and
            may take the ``torch.Generator`` that noise is drawn from as ``generator=``.
        transient_synth: signal (B, 1, N), embedding (B, E) or None -> (B, 1, N).
        modal_autoencoder: input, modal parameters -> modal parameters; None keeps what was
            measured.
        noise_autoencoder: input -> band amplitudes; needed by ``noise_synth``.
        transient_autoencoder: input -> embedding.
        encoder: audio -> embedding shared by the autoencoders that do not take audio. It and the
            autoencoders may give a tuple (output, latent), too, of which the output counts.
        transient_parallel: add the transient to what it is fed with, instead of replacing it.
        transient_takes_noise: feed the transient network with m + n instead of m.
        modal_autoencoder_accepts_audio: give it audio instead of the shared embedding; without a
            shared encoder every autoencoder gets audio.
        noise_autoencoder_accepts_audio: the same for noise.
        transient_autoencoder_accepts_audio: the same for the transient.

    Shape:
        - audio: (B, 1, N)
        - params: (B, 3, M, F), rows frequency (rad/sample), amplitude, phase
        - Output of ``forward``: (B, 1, N)

    Raises:
        UsageError: for a wiring that cannot work.
    """

    def __init__(
        self,
        modal_synth: nn.Module,
        noise_synth: Optional[nn.Module] = None,
        transient_synth: Optional[nn.Module] = None,
        modal_autoencoder: Optional[nn.Module] = None,
        noise_autoencoder: Optional[nn.Module] = None,
        transient_autoencoder: Optional[nn.Module] = None,
        encoder: Optional[nn.Module] = None,
        transient_parallel: bool = False,
        transient_takes_noise: bool = False,
        modal_autoencoder_accepts_audio: bool = False,
        noise_autoencoder_accepts_audio: bool = False,
        transient_autoencoder_accepts_audio: bool = False,
    ):
        super().__init__()
        if (noise_synth is None) != (noise_autoencoder is None):
            raise UsageError("Model: noise_synth and noise_autoencoder need each other; give both.")
        if transient_synth is None and transient_autoencoder is not None:
            raise UsageError(
                "Model: transient_autoencoder has no transient_synth to control; give one."
            )
        if transient_takes_noise and (noise_synth is None or transient_synth is None):
            raise UsageError(
                "Model: transient_takes_noise needs a noise_synth and a transient_synth."
            )
        self.modal_synth = modal_synth
        self.noise_synth = noise_synth
        self.transient_synth = transient_synth
        self.modal_autoencoder = modal_autoencoder
        self.noise_autoencoder = noise_autoencoder
        self.transient_autoencoder = transient_autoencoder
        self.encoder = encoder
        self.transient_parallel = transient_parallel
        self.transient_takes_noise = transient_takes_noise
        self.modal_autoencoder_accepts_audio = modal_autoencoder_accepts_audio
        self.noise_autoencoder_accepts_audio = noise_autoencoder_accepts_audio
        self.transient_autoencoder_accepts_audio = transient_autoencoder_accepts_audio
        # What checkpoints carry so that they load without a configuration file.
        self.configuration: Optional[Dict[str, Any]] = None

    def encode(self, audio: Tensor, params: Tensor) -> Controls:
        """Predict the controls of recordings.

        Shape:
            - audio: (B, 1, N)
            - params: (B, 3, M, F)
        """
        embedding = None if self.encoder is None else _output(self.encoder(audio))

        def source(accepts_audio: bool) -> Tensor:
            return audio if accepts_audio or embedding is None else embedding

        def predict(net: Optional[nn.Module], accepts_audio: bool) -> Optional[Tensor]:
            if net is None:
                return None
            if accepts_audio and getattr(net, "film_conditioning", False):
                return _output(net(audio, embedding))
            return _output(net(source(accepts_audio)))

        modal = params
        if self.modal_autoencoder is not None:
            audio_or_embedding = source(self.modal_autoencoder_accepts_audio)
            modal = _output(self.modal_autoencoder(audio_or_embedding, params))
        return Controls(
            modal=modal,
            noise=predict(self.noise_autoencoder, self.noise_autoencoder_accepts_audio),
            transient=predict(self.transient_autoencoder, self.transient_autoencoder_accepts_audio),
        )

    def synthesize(
        self,
        controls: Controls,
        num_samples: int,
        generator: Union[torch.Generator, Sequence[torch.Generator], None] = None,
        span: Optional[int] = None,
    ) -> Parts:
        """Make sound of controls.

        Args:
            controls: from :meth:`encode`, of one recording or of several.
            num_samples: length N of the output.
            generator: where the noise is drawn from; the global one when None. With one for each
                sound, their noise does not depend on what else is in the batch. A noise synth that
                takes none (:attr:`repeats_noise`) draws as it likes.
            span: samples that the modal parameters describe, of which the first N are made; N when
                None.
        """
        modal = self.modal_synth(controls.modal, span or num_samples)[..., :num_samples]
        noise = transient = None
        if self.noise_synth is not None:
            if generator is None or isinstance(generator, torch.Generator):
                noise = self._draw_noise(controls.noise, num_samples, generator)
            else:
                rows = zip(controls.noise.split(1), generator)
                noise = torch.cat([self._draw_noise(n, num_samples, g) for n, g in rows])
        if self.transient_synth is not None:
            x = modal + noise if self.transient_takes_noise else modal
            transient = self.transient_synth(x, controls.transient)
            if not self.transient_parallel:
                transient = transient - x
        return Parts(modal, noise, transient)

    @property
    def repeats_noise(self) -> bool:
        """Whether the noise is drawn from the generator that :meth:`synthesize` is given."""
        return self.noise_synth is None or _accepts(self.noise_synth, generator=None)

    def _draw_noise(
        self, bands: Tensor, num_samples: int, generator: Optional[torch.Generator]
    ) -> Tensor:
        synth = self.noise_synth
        chosen = {"generator": generator} if _accepts(synth, generator=None) else {}
        length = (num_samples,) if _accepts(synth, bands, num_samples, **chosen) else ()
        return fit_length(synth(bands, *length, **chosen), num_samples)

    def forward(self, audio: Tensor, params: Tensor) -> Tensor:
        return self.synthesize(self.encode(audio, params), audio.shape[-1]).sum

    def play_as_trained(self, checkpoint: Dict[str, Any]) -> None:
        """Round phases for a published checkpoint, which tells itself by its lack of configuration.

        Its networks were trained on what rounded phases sound like, and its figures are of that.
        """
        if isinstance(self.modal_synth, ModalSynth):
            self.modal_synth.round_phase = "configuration" not in checkpoint

    def adopt(self, state_dict: Dict[str, Tensor]) -> Dict[str, Tensor]:
        """A checkpoint's weights with this model's own loss and metrics, which hold constants only.

        A checkpoint can so be tested with other metrics than it was trained beside.
        """
        measures = ("loss_fn.", "test_metrics.")
        own = {k: v for k, v in self.state_dict().items() if k.startswith(measures)}
        return {**{k: v for k, v in state_dict.items() if not k.startswith(measures)}, **own}


def _output(result: Any) -> Tensor:
    """Of an encoder that gives (output, latent), the output."""
    return result[0] if isinstance(result, (tuple, list)) else result


def _accepts(module: nn.Module, *args: Any, **kwargs: Any) -> bool:
    """Whether a module's forward takes such arguments, maybe among others."""
    try:
        inspect.signature(module.forward).bind_partial(*args, **kwargs)
    except TypeError:
        return False
    return True
