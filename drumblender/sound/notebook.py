"""The pictures and players of sounds that a notebook shows."""

import base64
from functools import reduce
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from drumblender.sound.sound import Sound


def figure_of(sound: "Sound") -> "Figure":
    """Draw waveforms and spectrograms of the recording, the sound and its parts.

    Only the first channel is drawn.
    """
    from drumblender.plotting import plot_parts

    stems = sound.stems()
    signals = [("Output", reduce(np.add, stems.values()))]
    signals += [(name.capitalize(), stem) for name, stem in stems.items()]
    if sound.recording is not None:
        signals.insert(0, ("Input", sound.recording))
    mono = [(label, torch.from_numpy(_first_channel(x))) for label, x in signals]
    return plot_parts(mono, sound.sample_rate, sound.name)


def html_of(sound: "Sound") -> str:
    """Make a player and a picture, in HTML that needs no other file.

    A sound that exceeds full scale is made softer in the player.
    """
    import soundfile

    audio, picture = BytesIO(), BytesIO()
    samples = sound.render()
    samples = samples / max(1.0, float(np.abs(samples).max()))
    soundfile.write(audio, samples, sound.sample_rate, "PCM_16", format="WAV")
    figure_of(sound).savefig(picture, format="png", dpi=70)
    encoded = [base64.b64encode(x.getvalue()).decode() for x in (audio, picture)]
    return (
        f"<div><code>{escape(repr(sound))}</code><br>"
        f'<audio controls src="data:audio/wav;base64,{encoded[0]}"></audio><br>'
        f'<img alt="{escape(sound.name)}" src="data:image/png;base64,{encoded[1]}"></div>'
    )


def _first_channel(x: np.ndarray) -> np.ndarray:
    """Return the first channel (N,) of samples (N,) or (N, C), contiguous as PyTorch needs it."""
    return np.ascontiguousarray(x if x.ndim == 1 else x[:, 0])
