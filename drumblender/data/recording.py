"""One recording, whatever it is, as a sound of a dataset; or the reason why it cannot be one."""

import math
import struct
from pathlib import Path
from typing import Tuple

import numpy as np
import torch
from torch import Tensor

from drumblender.files.reading import Unreadable, open_recording
from drumblender.signal import fit_length, resample, trim_leading_silence

# A one-shot starts within this time; what lies behind is never read.
LONGEST_S = 60


class Unusable(Exception):
    """A recording that cannot become part of a dataset; the message is the reason."""


def read_one_shot(
    path: Path, sample_rate: int, num_samples: int, silence_db: float = -60.0
) -> Tensor:
    """Read a recording as a sound of a dataset.

    First channel, resampled, leading silence cut, cut or zero-padded to length.

    Args:
        path: any file that libsndfile reads.
        sample_rate: to give it, in Hz.
        num_samples: to give it.
        silence_db: frame RMS in dB relative to full scale up to which a beginning is silence.

    Shape:
        - Output: (num_samples,), float32

    Raises:
        Unusable: when it is broken, silent or no audio.
    """
    return read_with_length(path, sample_rate, num_samples, silence_db)[0]


def read_with_length(
    path: Path, sample_rate: int, num_samples: int, silence_db: float = -60.0
) -> Tuple[Tensor, float]:
    """As :func:`read_one_shot`, with the seconds that a recording goes on for if it was cut.

    They are 0 where nothing but silence was cut away, and count no further than what is read.
    """
    samples, rate = _read_first_channel(path, num_samples / sample_rate)
    audio = resample(torch.from_numpy(samples), rate, sample_rate)
    audio = trim_leading_silence(audio, silence_db)
    if not len(audio):
        raise Unusable(f"is silent (never louder than {silence_db:g} dB)")
    cut = len(trim_leading_silence(audio[num_samples:], silence_db)) > 0
    return fit_length(audio, num_samples), len(audio) / sample_rate if cut else 0.0


def _read_first_channel(path: Path, seconds: float) -> Tuple[np.ndarray, int]:
    """The first channel of as much as a sound that starts late enough can need."""
    try:
        with open_recording(path) as file:
            frames = math.ceil((LONGEST_S + seconds) * file.sample_rate)
            blocks = [block[:, 0].copy() for block in file.blocks(frames=frames)]
            return np.concatenate(blocks), file.sample_rate
    except Unreadable as error:
        raise Unusable(error.reason) from error


def wav_bytes(audio: Tensor, sample_rate: int) -> bytes:
    """A mono WAV file of 32-bit floats.

    Floats, because a resampled recording may exceed full scale, which integers would clip. Written
    here, because libsndfile puts the time into the header of a float WAV, and the same sound shall
    give the same bytes.
    """
    data = audio.numpy().astype("<f4").tobytes()
    fmt = struct.pack("<4sIHHIIHHH", b"fmt ", 18, 3, 1, sample_rate, 4 * sample_rate, 4, 32, 0)
    fact = struct.pack("<4sII", b"fact", 4, len(audio))
    chunks = fmt + fact + struct.pack("<4sI", b"data", len(data)) + data
    return struct.pack("<4sI4s", b"RIFF", 4 + len(chunks), b"WAVE") + chunks
