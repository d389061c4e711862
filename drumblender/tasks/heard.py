"""What a part gets to know of recordings, and how its network takes it in."""

from dataclasses import dataclass
from typing import Any, Optional

import torch
from torch import Tensor, nn

from drumblender.parameters import Modes, Rest
from drumblender.signal import fit_length
from drumblender.signal.plain import is_plain


@dataclass(frozen=True, eq=False)
class Heard:
    """Recordings as a part gets them when it describes them.

    Attributes:
        audio: samples (B, 1, N).
        modes: modes that the analysis measured, (B, 3, M, F) in ``modes.values``.
        embedding: output of the encoder that all parts share, or None if there is none.
        padded_to: number of samples that networks get in training. Silence follows shorter audio up
            to there, because a pooled embedding depends on it.
        rest: what a separating analysis leaves without the modes, or None.
    """

    audio: Tensor
    modes: Modes
    embedding: Optional[Tensor] = None
    padded_to: int = 0
    rest: Optional[Rest] = None

    def through(self, network: nn.Module, *more: Any) -> Tensor:
        """Compute what a network makes of the audio, padded as in training.

        A network may have a method ``forward_padded(audio, num_samples)``. It gives the same
        without computing what the network makes of silence again and again.
        """
        if is_plain():
            length = torch.sym_max(self.audio.shape[-1], self.padded_to)
            return output_of(network(fit_length(self.audio, length), *more))
        if self.audio.shape[-1] >= self.padded_to:
            return output_of(network(self.audio, *more))
        if not more and _has_shortcut(network):
            shortcut: Any = network.forward_padded
            return output_of(shortcut(self.audio, self.padded_to))
        return output_of(network(fit_length(self.audio, self.padded_to), *more))


def predict(encoder: nn.Module, takes_audio: bool, heard: Heard) -> Tensor:
    """Apply an encoder to the audio or to the shared embedding.

    Args:
        encoder: the encoder. If it takes audio and FiLM conditioning, the shared embedding
            modulates it.
        takes_audio: whether it takes the audio. Otherwise it takes the shared embedding, if there
            is one.
        heard: the recordings.
    """
    if takes_audio and getattr(encoder, "film_conditioning", False):
        return heard.through(encoder, heard.embedding)
    if takes_audio or heard.embedding is None:
        return heard.through(encoder)
    return output_of(encoder(heard.embedding))


def output_of(result: Any) -> Tensor:
    """Return the output of an encoder that gives (output, latent), or else what it gives."""
    return result[0] if isinstance(result, (tuple, list)) else result


def _has_shortcut(network: nn.Module) -> bool:
    """Return whether ``forward_padded`` does what the network's ``forward`` does.

    It does not if a subclass has another ``forward``, or if a hook waits for the call.
    """
    if network._forward_hooks or network._forward_pre_hooks:
        return False
    classes = [c for c in type(network).__mro__ if {"forward", "forward_padded"} & set(vars(c))]
    return bool(classes) and "forward_padded" in vars(classes[0])
