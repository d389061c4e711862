"""Where samples of a kit begin and end: at once, and not before they have decayed."""

from typing import Tuple

import numpy as np

USUAL_TAIL = -60.0  # dB below the loudest moment
_BEGUN = -50.0  # dB below the peak; what is softer in front counts as silence
_BEFORE_S = 0.002
_FRAME_S = 0.01
_DECAYED = -40.0
_FADE, _SHORTEST_FADE_S, _LONGEST_FADE_S = 0.1, 0.005, 0.1


def start_of(samples: np.ndarray, sample_rate: int) -> int:
    """Return the sample that a sound begins with: 2 ms before it exceeds -50 dB of its peak.

    Shape:
        - samples: (N,) or (N, channels)

    >>> start_of(np.concatenate([np.zeros(1000), np.ones(10)]), 48_000)
    904
    """
    envelope = np.abs(samples).reshape(len(samples), -1).max(1)
    first = int(np.argmax(envelope >= 10 ** (_BEGUN / 20) * envelope.max()))
    return max(0, first - round(_BEFORE_S * sample_rate))


def trimmed(
    samples: np.ndarray, sample_rate: int, start: int, tail: float = USUAL_TAIL
) -> Tuple[np.ndarray, bool]:
    """Cut a sound where it begins and where it has decayed, and fade both ends.

    It has decayed when its root mean square in 10 ms stays below a level. The last tenth of what is
    left is faded, 5 ms at least and 100 ms at most.

    Args:
        samples: the sound.
        sample_rate: in Hz.
        start: sample that it begins with. What was cut in front of it is faded in.
        tail: level below that of the loudest 10 ms, in dB.

    Returns:
        The sound, and whether it was softer than -40 dB in the end, as if nothing was cut off.

    Shape:
        - samples: (N,) or (N, channels)
        - Output: (n,) or (n, channels)

    >>> decay = np.exp(-np.arange(48_000) / 1000)
    >>> sound, decayed = trimmed(decay, 48_000, 0)
    >>> len(sound), float(sound[-1]), decayed
    (7680, 0.0, True)
    """
    kept = samples[start:].astype(np.float32)
    frame = max(1, round(_FRAME_S * sample_rate))
    count = -(-len(kept) // frame)
    padded = np.zeros((count * frame, *kept.shape[1:]), np.float64)
    padded[: len(kept)] = kept
    power = np.square(padded).reshape(count, frame, -1).mean(1).max(1)
    loud = np.flatnonzero(power > 10 ** (tail / 10) * power.max())
    end = min(len(kept), (int(loud[-1]) + 2) * frame if len(loud) else frame)
    ending = power[-2:].min() if count > 1 else power[-1]  # the last frame may be a sample long
    decayed = bool(ending < 10 ** (_DECAYED / 10) * power.max())
    kept = kept[:end].copy()
    length = round(
        min(max(_FADE * end, _SHORTEST_FADE_S * sample_rate), _LONGEST_FADE_S * sample_rate)
    )
    _fade(kept[::-1], min(end, length))
    if start:
        _fade(kept, min(end, round(_BEFORE_S * sample_rate)))
    return kept, decayed


def _fade(samples: np.ndarray, length: int) -> None:
    """Let samples rise from zero along half a cosine, in place."""
    if length > 1:
        rise = (0.5 - 0.5 * np.cos(np.linspace(0, np.pi, length))).astype(np.float32)
        samples[:length] *= rise.reshape(-1, *[1] * (samples.ndim - 1))
