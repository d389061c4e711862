"""The model, which is an ordered set of parts and a wiring.

Training has its own module (:mod:`drumblender.tasks.drumblender`), so that nobody who makes sound
with a trained model waits for the import of Lightning.

The model works in two steps. :meth:`Blender.encode` turns recordings into the parameters of their
parts, and :meth:`Blender.synthesize` turns parameters into what each part contributes to the sound.
The parameters of the parts may come from several recordings.
"""

from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from torch import Tensor, nn

from drumblender.errors import UsageError
from drumblender.parameters import Modes, Rest
from drumblender.signal import fit_length, mix
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
# Beginnings of the names of what only training and tests have among the weights.
MEASURES = ("loss_fn.", "part_losses.", "test_metrics.")


class Blender(nn.Module):
    """A model that takes sounds apart into sinusoids, noise and transient, and puts them together.

    The published keywords describe up to three parts, which are modes, noise and a transient
    network. With modal signal m, noise n and transient network T, the sound is

    ==========================  ===================  ============
    transient_takes_noise       transient_parallel   y
    ==========================  ===================  ============
    false                       false                T(m) + n
    true                        false                T(m + n)
    false                       true                 m + n + T(m)
    true                        true                 m + n + T(m + n)
    ==========================  ===================  ============

    and m + n where there is no transient network (Shier et al., Forum Acusticum 2023). Other parts
    and other wirings are given as ``parts`` and ``wiring``.

    Args:
        modal_synth: synthesizer that turns modal parameters (B, 3, M, F) and N into sound
            (B, 1, N). None for a model without modes, which has other ``parts``.
        noise_synth: synthesizer that turns band amplitudes (B, frames, bands) and N into sound
            (B, 1, N), as in :class:`~drumblender.tasks.parts.NoisePart`. It need not take N, and it
            may take ``generator=``, a ``torch.Generator`` to draw noise from.
        transient_synth: network that turns a signal (B, 1, N) and an embedding (B, E) or None into
            sound (B, 1, N).
        modal_autoencoder: network that turns its input and modal parameters into modal parameters.
            None keeps what was measured.
        noise_autoencoder: network that turns its input into band amplitudes. A ``noise_synth``
            needs it.
        transient_autoencoder: network that turns its input into an embedding. None stands for no
            embedding.
        encoder: network that turns audio into an embedding, which all autoencoders share that do
            not take audio. If its ``takes_sinusoids`` is true, it gets the sinusoids beside the
            audio. It and the autoencoders may return a tuple (output, latent). The latent
            is then ignored.
        transient_parallel: whether the transient is added to the signal that the network is played
            on, instead of replacing it.
        transient_takes_noise: whether the transient network is played on m + n instead of m.
        modal_autoencoder_accepts_audio: whether the autoencoder takes audio instead of the shared
            embedding. Every autoencoder takes audio if there is no ``encoder``.
        noise_autoencoder_accepts_audio: the same for the autoencoder of noise.
        transient_autoencoder_accepts_audio: the same for the autoencoder of the transient.
        parts: more parts, which come after those that the keywords above describe.
        wiring: wiring that plays the parts. None stands for the one that ``transient_parallel`` and
            ``transient_takes_noise`` describe.

    Attributes:
        configuration: configuration that the model was made from. Checkpoints carry it, so that
            they load without a configuration file. None if it is not known.

    Raises:
        UsageError: if there are no parts, if two have the same name, or if the arguments do not go
            together.
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
        """Parts of the model, in their order.

        The parts that published keywords describe are made each time from the modules that the
        model has, so that a module that is exchanged has its effect.
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
            modes: modes that the analysis measured. Their first axis is the batch.
            padded_to: number of samples that networks got in training. Shorter audio is padded to
                as many before networks get it.
            rest: noise and transient that a separating analysis measured. Only measured parts need
                it.

        Returns:
            The parameters of each part by name.

        Shape:
            - audio: (B, 1, N)
            - modes.values: (B, 3, M, F)
            - rest.transient, rest.noise: (B, N)

        Raises:
            UsageError: if a part needs ``rest`` and it is None.
        """
        heard = Heard(audio, modes, padded_to=padded_to, rest=rest)
        if self.encoder is not None:
            heard = replace(heard, embedding=output_of(self._through_encoder(heard)))
        return {part.name: part.encode(heard) for part in self.parts}

    def _through_encoder(self, heard: Heard) -> Tensor:
        """Compute what the shared encoder makes of recordings, and maybe of their sinusoids."""
        encoder, modes = self.encoder, heard.modes
        assert encoder is not None
        if not getattr(encoder, "takes_sinusoids", False):
            return heard.through(encoder)
        if self.modal_synth is None:
            raise UsageError("Model: the encoder takes sinusoids; give a modal_synth.")
        sinusoids = self.modal_synth(modes.values, modes.num_samples)
        # As long as the modes describe, and not padded as in training: the frames of the modes and
        # those of the encoder are put side by side by their share of the sound.
        return encoder(fit_length(heard.audio, modes.num_samples), sinusoids)

    def synthesize(
        self, parameters: Mapping[str, Any], num_samples: int, generator: Generators = None
    ) -> Stems:
        """Turn parameters into sound.

        Args:
            parameters: parameters of each part by name, from :meth:`encode`. They may come from
                several recordings.
            num_samples: length N of the output.
            generator: source of the noise. None stands for the global generator. If there is one
                for each sound of the batch, the noise of a sound does not depend on the others. A
                noise synth that takes no generator ignores it (:attr:`is_repeatable`).

        Returns:
            What each part contributes, by name. The sum is the sound.

        Shape:
            - each output: (B, 1, N)
        """
        players = {
            part.name: Player(part, parameters[part.name], num_samples, generator)
            for part in self.parts
        }
        return self.wiring.connect(players)

    @property
    def is_measured(self) -> bool:
        """Whether all parts are measured, so that the model needs no training."""
        return all(part.is_measured for part in self.parts)

    @property
    def is_repeatable(self) -> bool:
        """Whether generators in the same state make :meth:`synthesize` give the same sound."""
        return all(part.is_repeatable for part in self.parts)

    def forward(self, audio: Tensor, params: Tensor) -> Tensor:
        """Take recordings apart and put them together again.

        Args:
            audio: samples.
            params: frequency in rad/sample, amplitude and phase of the modes, as rows.

        Shape:
            - audio: (B, 1, N)
            - params: (B, 3, M, F)
            - Output: (B, 1, N)
        """
        num_samples = audio.shape[-1]
        return mix(self.synthesize(self.encode(audio, Modes(params, num_samples)), num_samples))

    def play_as_trained(self, checkpoint: Dict[str, Any]) -> None:
        """Round phases if the checkpoint is a published one, which carries no configuration.

        Its networks were trained on the sound of rounded phases, and its published figures were
        measured with it. A model file says whether it was made of such a checkpoint.
        """
        if isinstance(self.modal_synth, ModalSynth):
            is_published = "configuration" not in checkpoint
            self.modal_synth.round_phase = checkpoint.get("rounded_phase", is_published)

    def adopt(self, state_dict: Dict[str, Tensor]) -> Dict[str, Tensor]:
        """Return the weights of a checkpoint, with the constants of this model's loss and metrics.

        A checkpoint can thus be tested with other metrics than those of its training.
        """
        own = {k: v for k, v in self.state_dict().items() if k.startswith(MEASURES)}
        return {**{k: v for k, v in state_dict.items() if not k.startswith(MEASURES)}, **own}
