"""The model: an ordered set of parts and a wiring.

Apart from training (:mod:`drumblender.tasks.drumblender`), so that who makes sound with a trained
model does not wait for the import of Lightning.

Two steps with two names: :meth:`Blender.encode` turns recordings into the parameters of their
parts, and :meth:`Blender.synthesize` turns parameters into what each part contributes to the sound.
Blending is then nothing special: take the parameters of each part from another recording.
"""

from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from torch import Tensor, nn

from drumblender.errors import UsageError
from drumblender.parameters import Modes, Rest
from drumblender.signal import mix
from drumblender.synths import ModalSynth
from drumblender.tasks.heard import Heard, output_of
from drumblender.tasks.parts import (
    Generators,
    ModalPart,
    NoisePart,
    Part,
    Player,
    TransientPart,
)
from drumblender.tasks.wiring import Wiring, published_wiring

# What each part contributes to a sound, (B, 1, N) by name. The sound is the sum.
Stems = Dict[str, Tensor]
# Arguments of DrumBlender that only training and testing need.
TRAINING_ARGUMENTS = (
    "loss_fn",
    "part_losses",
    "test_metrics",
    "float32_matmul_precision",
    "compile",
    "activation_checkpointing",
)


class Blender(nn.Module):
    """Sinusoids, noise and transient, predicted from a recording and put together again.

    The published keywords describe up to three parts: modes, noise, and a transient network. With
    modal signal m, noise n and transient network T, the sound is

    ==========================  ===================  ============
    transient_takes_noise       transient_parallel   y
    ==========================  ===================  ============
    false                       false                T(m) + n
    true                        false                T(m + n)
    false                       true                 m + n + T(m)
    true                        true                 m + n + T(m + n)
    ==========================  ===================  ============

    and m + n where there is no transient network. Shier et al., Forum Acusticum 2023. Other parts
    and other wirings are given as ``parts`` and ``wiring``.

    Args:
        modal_synth: modal parameters (B, 3, M, F), N -> (B, 1, N). None for a model without modes,
            which has other ``parts``.
        noise_synth: band amplitudes (B, frames, bands), N -> (B, 1, N). It need not take N, and
            may take the ``torch.Generator`` that noise is drawn from as ``generator=``. See
            :class:`~drumblender.tasks.parts.NoisePart`.
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
        parts: more parts, after those that the keywords above describe.
        wiring: how the parts become a sound; None for the wiring that ``transient_parallel`` and
            ``transient_takes_noise`` describe.

    Shape:
        - audio: (B, 1, N)
        - params: (B, 3, M, F), rows frequency (rad/sample), amplitude, phase
        - Output of ``forward``: (B, 1, N)

    Raises:
        UsageError: for a wiring that cannot work.
    """

    def __init__(
        self,
        modal_synth: Optional[nn.Module],
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
        parts: Optional[Sequence[Part]] = None,
        wiring: Optional[Wiring] = None,
    ):
        super().__init__()
        if (noise_synth is None) != (noise_autoencoder is None):
            raise UsageError("Model: noise_synth and noise_autoencoder need each other; give both.")
        if transient_synth is None and transient_autoencoder is not None:
            raise UsageError(
                "Model: transient_autoencoder has no transient_synth to control; give one."
            )
        if wiring is not None and (transient_parallel or transient_takes_noise):
            raise UsageError(
                "Model: transient_parallel and transient_takes_noise describe a wiring, too; give "
                "them or `wiring`."
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
        self.modal_autoencoder_accepts_audio = modal_autoencoder_accepts_audio
        self.noise_autoencoder_accepts_audio = noise_autoencoder_accepts_audio
        self.transient_autoencoder_accepts_audio = transient_autoencoder_accepts_audio
        self._more_parts = tuple(parts or ())
        weighted = {p.name: p for p in self._more_parts if isinstance(p, nn.Module)}
        if weighted:  # without, checkpoints have the keys that published ones have
            self.more = nn.ModuleDict(weighted)
        self.wiring = wiring or published_wiring(transient_parallel, transient_takes_noise)
        names = [part.name for part in self.parts]
        if not names:
            raise UsageError("Model: there is no part; give a modal_synth, or parts.")
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise UsageError(f"Model: two parts are called {twice[0]!r}; give each its own name.")
        if any(part.on_signal for part in self.parts):
            self.wiring.check(names)
        # What checkpoints carry so that they load without a configuration file.
        self.configuration: Optional[Dict[str, Any]] = None

    @property
    def parts(self) -> Tuple[Part, ...]:
        """The parts, in order.

        Those of the published keywords are made of the modules that the model has at the moment, so
        that exchanging a module has its effect.
        """
        found: List[Part] = []
        if self.modal_synth is not None:
            takes_audio = self.modal_autoencoder_accepts_audio
            found.append(ModalPart(self.modal_synth, self.modal_autoencoder, takes_audio))
        if self.noise_synth is not None and self.noise_autoencoder is not None:
            takes_audio = self.noise_autoencoder_accepts_audio
            found.append(NoisePart(self.noise_synth, self.noise_autoencoder, takes_audio))
        if self.transient_synth is not None:
            takes_audio = self.transient_autoencoder_accepts_audio
            found.append(
                TransientPart(self.transient_synth, self.transient_autoencoder, takes_audio)
            )
        return (*found, *self._more_parts)

    def encode(
        self, audio: Tensor, modes: Modes, padded_to: int = 0, rest: Optional[Rest] = None
    ) -> Dict[str, Any]:
        """Describe recordings by the parameters of each part.

        Args:
            audio: samples.
            modes: what the analysis measured, with the batch as first axis.
            padded_to: number of samples that networks hear: those of training, where ``audio`` is
                shorter.
            rest: what a separating analysis leaves without the modes; parts that are measured need
                it.

        Shape:
            - audio: (B, 1, N)
            - modes.values: (B, 3, M, F)
            - rest.transient, rest.noise: (B, N)
        """
        heard = Heard(audio, modes, padded_to=padded_to, rest=rest)
        if self.encoder is not None:
            heard = replace(heard, embedding=output_of(heard.through(self.encoder)))
        return {part.name: part.encode(heard) for part in self.parts}

    def synthesize(
        self, parameters: Mapping[str, Any], num_samples: int, generator: Generators = None
    ) -> Stems:
        """Make sound of parameters.

        Args:
            parameters: from :meth:`encode`, of one recording or of several.
            num_samples: length N of the output.
            generator: where the noise is drawn from; the global one when None. With one for each
                sound, their noise does not depend on what else is in the batch. A noise synth that
                takes none (:attr:`is_repeatable`) draws as it likes.

        Returns:
            What each part contributes, by name; the sum is the sound.

        Shape:
            - Output: (B, 1, N) each
        """
        players = {
            part.name: Player(part, parameters[part.name], num_samples, generator)
            for part in self.parts
        }
        return self.wiring.connect(players)

    @property
    def is_measured(self) -> bool:
        """Whether all parts are measured, and none was trained."""
        return all(part.is_measured for part in self.parts)

    @property
    def is_repeatable(self) -> bool:
        """Whether the generator that :meth:`synthesize` is given decides all of the sound."""
        return all(part.is_repeatable for part in self.parts)

    def forward(self, audio: Tensor, params: Tensor) -> Tensor:
        num_samples = audio.shape[-1]
        return mix(self.synthesize(self.encode(audio, Modes(params, num_samples)), num_samples))

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
        measures = ("loss_fn.", "part_losses.", "test_metrics.")
        own = {k: v for k, v in self.state_dict().items() if k.startswith(measures)}
        return {**{k: v for k, v in state_dict.items() if not k.startswith(measures)}, **own}
