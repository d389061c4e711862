"""Sounds played: what their parts contribute, from the onset of the recording to its end."""

from typing import TYPE_CHECKING, Dict, List, Optional, Sequence

import numpy as np
import torch.nn.functional as F

from drumblender.signal import fit_length, mix, resample, tilt_filter
from drumblender.sound.timeline import Timeline
from drumblender.tasks.blender import Stems

if TYPE_CHECKING:
    from drumblender.sound.sound import Sound


def play(sounds: Sequence["Sound"]) -> List[Stems]:
    """What the parts contribute to sounds of one model; what is alike is played together.

    Shape:
        - Output: (C, 1, N) each, at the model's rate
    """
    made = sounds[0].engine.synthesize(
        [sound.parameters for sound in sounds],
        [sound.timeline.played for sound in sounds],
        [sound.seed for sound in sounds],
    )
    for sound, stems in zip(sounds, made):
        time = sound.timeline
        for name, stem in begun_and_ended(stems, time).items():
            # A negative lead cuts.
            whole = F.pad(stem * sound.gains[name], (time.lead, 0))
            whole = fit_length(whole, time.total)
            stems[name] = tilt_filter(whole, time.sample_rate, sound.brightness)
    return made


def render(
    sounds: Sequence["Sound"],
    sample_rate: Optional[int] = None,
    separate: bool = True,
    played: Optional[Sequence[Stems]] = None,
) -> List[Dict[str, np.ndarray]]:
    """Stems of sounds of one model as arrays; what is alike is played together.

    Args:
        sounds: to be played.
        sample_rate: in Hz; that of each recording when None.
        separate: whether parts are wanted. Otherwise their sum is all that there is, and it is
            resampled once instead of part by part.
        played: what :func:`play` gave of the sounds, if it was called before.

    Shape:
        - Output: (N,) each, or (N, channels)
    """
    made = play(sounds) if played is None else played
    rendered = []
    for sound, stems in zip(sounds, made):
        stems = stems if separate else {"sum": mix(stems)}
        rate = sound.sample_rate if sample_rate is None else sample_rate
        length = max(1, round(sound.timeline.seconds * rate))
        arrays = {}
        for name, stem in stems.items():
            x = fit_length(resample(stem[:, 0], sound.timeline.sample_rate, rate), length)
            arrays[name] = x[0].numpy() if len(x) == 1 else x.T.contiguous().numpy()
        rendered.append(arrays)
    return rendered


def begun_and_ended(stems: Stems, time: Timeline) -> Stems:
    """Let stems begin as the recording does, and end as softly.

    All are multiplied by the same gain, so that they still add up. It does not depend on how loud a
    part is to be.

    Shape:
        - stems: (C, 1, N) each
        - Output: (C, 1, at most N) each, up to the end of the sound
    """
    stems = {name: stem[..., : time.recorded] for name, stem in stems.items()}
    if time.outline is None:
        return stems
    total = mix(stems)[:, 0]
    gain = time.outline.gain(total)
    gain = gain * time.outline.fade(total * gain)
    return {name: stem * gain[:, None] for name, stem in stems.items()}
