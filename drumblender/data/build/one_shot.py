"""A recording as a sound of a dataset, or the reason why it cannot be one."""

import math
from pathlib import Path
from typing import Tuple

import numpy as np
import torch
from torch import Tensor

from drumblender.files.reading import Unreadable, open_recording
from drumblender.signal import fit_length, resample, trim_leading_silence

# The sound has to start within this time. What comes later than it may last is never read.
LONGEST_S = 60


class Unusable(Exception):
    """The error of a recording that cannot become part of a dataset. The message is the reason."""


def read_one_shot(
    path: Path, sample_rate: int, num_samples: int, silence_db: float = -60.0
) -> Tensor:
    """Read a recording as a sound of a dataset.

    The first channel is resampled, cut before its first sound, and cut or zero-padded to length.

    Args:
        path: any file that libsndfile reads.
        sample_rate: sample rate of the sound, in Hz.
        num_samples: length of the sound, in samples.
        silence_db: level in dB relative to full scale. The sound begins with the first frame whose
            RMS is above it.

    Shape:
        - Output: (num_samples,), float32

    Raises:
        Unusable: if the recording is broken, silent or no audio.
    """
    return read_with_length(path, sample_rate, num_samples, silence_db)[0]


def read_with_length(
    path: Path, sample_rate: int, num_samples: int, silence_db: float = -60.0
) -> Tuple[Tensor, float]:
    """Read a recording as :func:`read_one_shot` does, and tell how long it is if it had to be cut.

    Returns:
        The sound, and the seconds that the recording goes on for. They are 0 if nothing but silence
            was cut away, and at most as many as are read.

    Raises:
        Unusable: if the recording is broken, silent or no audio.
    """
    samples, rate = _read_first_channel(path, num_samples / sample_rate)
    audio = resample(torch.from_numpy(samples), rate, sample_rate)
    audio = trim_leading_silence(audio, silence_db)
    if not len(audio):
        raise Unusable(f"is silent (never louder than {silence_db:g} dB)")
    cut = len(trim_leading_silence(audio[num_samples:], silence_db)) > 0
    return fit_length(audio, num_samples), len(audio) / sample_rate if cut else 0.0


def _read_first_channel(path: Path, seconds: float) -> Tuple[np.ndarray, int]:
    """Read the first channel, as far as a sound of some seconds can reach that starts late."""
    try:
        with open_recording(path) as file:
            frames = math.ceil((LONGEST_S + seconds) * file.sample_rate)
            blocks = [block[:, 0].copy() for block in file.blocks(frames=frames)]
            return np.concatenate(blocks), file.sample_rate
    except Unreadable as error:
        raise Unusable(error.reason) from error
