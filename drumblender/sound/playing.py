"""Playing of sounds, from parameters to what each part contributes at each moment."""

from typing import TYPE_CHECKING, Dict, List, Optional, Sequence

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from drumblender.parameters import Timeline
from drumblender.signal import fit_length, mix, resample, tilt_filter
from drumblender.tasks.blender import Stems

if TYPE_CHECKING:
    from drumblender.sound.sound import Sound


def play(sounds: Sequence["Sound"]) -> List[Stems]:
    """Play sounds of one voice. Those that are alike are played together.

    Returns:
        For each sound, what each part contributes by name, at the sample rate of the sound's
        timeline. Gains, brightness and silence in front are included.

    Shape:
        - each output: (C, 1, N)
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
    """Render sounds of one voice as arrays. Those that are alike are played together.

    Args:
        sounds: the sounds.
        sample_rate: sample rate of the output, in Hz. None stands for that of each recording.
        separate: whether to return each part. Otherwise the parts are mixed first, so that only
            their sum is resampled.
        played: what :func:`play` returned for these sounds, if it was called before.

    Returns:
        For each sound, the samples of each part by name, in float32. Without ``separate`` there is
        only their sum, by the name "sum".

    Shape:
        - each output: (N,), or (N, channels) if there are several channels
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
    """Let stems begin as the recording does, and let them end as softly.

    All stems are multiplied by the same gain, so that they still add up to the sound. The gain does
    not depend on the gains that the sound gives to its parts.

    Args:
        stems: what each part contributes, by name.
        time: timeline of the sound. Stems are only cut at its end if it has no outline.

    Shape:
        - each stem: (C, 1, N)
        - each output: (C, 1, at most N), up to the end of the sound
    """
    stems = {name: stem[..., : time.recorded] for name, stem in stems.items()}
    gain = outline_gain(stems, time)
    return stems if gain is None else {name: stem * gain for name, stem in stems.items()}


def outline_gain(stems: Stems, time: Timeline) -> Optional[Tensor]:
    """Compute the gain by which :func:`begun_and_ended` multiplies stems, or None if it does not.

    Shape:
        - each stem: (C, 1, N), up to the end of the sound
        - Output: (C, 1, N)
    """
    if time.outline is None:
        return None
    total = mix(stems)[:, 0]
    gain = time.outline.gain(total)
    return (gain * time.outline.fade(total * gain))[:, None]
