"""One recording, whatever it is, as a sound of a dataset; or the reason why it cannot be one."""

import math
import re
import stat
import struct
from pathlib import Path
from typing import Tuple

import numpy as np
import soundfile
import torch
from torch import Tensor

from drumblender.signal import fit_length, resample, trim_leading_silence

# Rates beyond these are broken headers.
_SAMPLE_RATES = (1_000, 1_000_000)
# A one-shot starts within this time; what lies behind is never read.
_LONGEST_SILENCE_S = 60


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
    samples, rate = _read_first_channel(path, num_samples / sample_rate)
    if not np.isfinite(samples).all():
        raise Unusable("holds samples that are not numbers (NaN or infinity)")
    audio = resample(torch.from_numpy(samples), rate, sample_rate)
    audio = trim_leading_silence(audio, silence_db)
    if not len(audio):
        raise Unusable(f"is silent (never louder than {silence_db:g} dB)")
    return fit_length(audio, num_samples)


def _read_first_channel(path: Path, seconds: float) -> Tuple[np.ndarray, int]:
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise Unusable("is no regular file")
        with path.open("rb") as file:
            if not file.read(1):
                raise Unusable("is empty")
            file.seek(0)
            # Opened as a stream, so that the content decides about the format and not the name.
            with soundfile.SoundFile(file) as sound:
                return _first_channel(sound, seconds)
    except soundfile.SoundFileError as error:
        reason = str(getattr(error, "error_string", error)).strip().rstrip(".")
        raise Unusable(f"is broken or no audio ({reason or 'unknown format'})") from error
    except TypeError as error:  # a headerless format, which soundfile wants described
        raise Unusable("is raw audio without a header") from error
    except OSError as error:
        raise Unusable(f"cannot be read ({error.strerror})") from error


def _first_channel(sound: soundfile.SoundFile, seconds: float) -> Tuple[np.ndarray, int]:
    rate = sound.samplerate
    if not _SAMPLE_RATES[0] <= rate <= _SAMPLE_RATES[1]:
        raise Unusable(f"has an impossible sample rate ({rate} Hz)")
    if not sound.frames:
        raise Unusable("holds no samples")
    # libsndfile repairs the header of a truncated WAV or AIFF by itself and notes it here.
    cut = re.search(r"^\s*(?:data|SSND)\s*:\s*(\d+) \(should be (\d+)\)", sound.extra_info, re.M)
    # A program that streams writes the length as 0 or as the largest number there is.
    if cut and int(cut[2]) < int(cut[1]) < 0x7FFF0000:
        raise Unusable(f"is truncated ({cut[2]} of {cut[1]} bytes)")
    wanted = min(sound.frames, math.ceil((_LONGEST_SILENCE_S + seconds) * rate))
    blocks = sound.blocks(1 << 16, frames=wanted, always_2d=True, dtype="float32")
    samples = np.concatenate([np.empty(0, np.float32), *(block[:, 0] for block in blocks)])
    if len(samples) < wanted:
        raise Unusable(f"is truncated ({len(samples)} of {sound.frames} samples)")
    return samples, rate


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
