"""Blends and mixes, which are sounds between two or more drums."""

import math
from dataclasses import replace
from typing import Iterable, List, Sequence, Tuple

from drumblender.errors import UsageError
from drumblender.parameters import mix_timelines
from drumblender.sound.sound import Sound, aligned


def blend(a: Sound, b: Sound, amount: float) -> Sound:
    """Make a sound that lies between two drums, as :func:`mix` does.

    At an amount of 0 the blend is ``a`` itself, and at 1 it is ``b`` itself.

    Args:
        a: the sound at amount 0.
        b: the sound at amount 1, taken apart by the same voice.
        amount: from 0 to 1.

    Raises:
        UsageError: if the amount is out of range, or if the sounds were made by two voices.
        DrumblenderError: if one sound has neither one channel nor as many as the other one.
    """
    if not 0 <= amount <= 1:
        raise UsageError(f"An amount of {amount} is not between two sounds; give 0 to 1.")
    made = mix([a, b], [1 - amount, amount])
    return made if amount in (0, 1) else replace(made, name=f"{a.name} - {b.name}, {amount:g}")


def mix(sounds: Sequence[Sound], weights: Sequence[float]) -> Sound:
    """Make a sound that lies between any number of drums.

    Modes that belong together (:func:`~drumblender.parameters.groups.group_modes`) become one. Its
    frequency, decay time and glide time are the weighted means of theirs on a logarithmic scale,
    and its amplitude is that in dB. Other modes fade. Noise bands, the embedding of a transient
    network, gains and brightness are interpolated linearly. Levels and energy of measured noise
    are interpolated in dB, and measured transients are cross-faded so that their energy lies
    between. If the parts are measured, the onsets of the sounds are put at the same moment first.

    Only the ratios of the weights count. A sound that has all the weight is returned as it is, and
    a sound of weight 0 is as if it were not given. If a weight changes by a little, the sound does,
    too. The order of the sounds makes no difference but for what is drawn by chance, by the seed of
    the first of them, and for the strokes of a loop, which are those of the first one that is
    heard.

    The mix has the highest sample rate of those that are heard, and it is as long as the longest of
    them. Modes that have partners and measured noise of shorter ones ring out.

    Args:
        sounds: one or more sounds, taken apart by the same voice.
        weights: weight of each sound, 0 or more.

    Raises:
        UsageError: if there is not one weight for each sound, if a weight is negative or no number,
            if all are 0, or if the sounds were made by several voices.
        DrumblenderError: if one sound has neither one channel nor as many as another one.
    """
    given, shares = list(sounds), _normalized(weights)
    if len(given) != len(shares):
        raise UsageError(
            f"{len(given)} sounds do not go with {len(shares)} weights; give one weight for each "
            "sound."
        )
    if any(sound.engine is not given[0].engine for sound in given):
        raise UsageError("These sounds are of two models; decompose both with the same one.")
    if 1.0 in shares:
        return given[shares.index(1.0)]
    heard = [sound for sound, share in zip(given, shares) if share > 0]
    shares = [share for share in shares if share > 0]
    placed = aligned(*heard)
    first = placed[0]
    ends = [_end(sound, its) for sound, its in zip(heard, placed)]

    def mean(values: Iterable[float]) -> float:
        """Compute the weighted mean."""
        return math.fsum(share * value for share, value in zip(shares, values))

    onset = mean(x.timeline.onset for x in placed)
    parameters = {
        name: part.mix([x.parameters[name] for x in placed], shares, ends, onset)
        for name, part in first.engine.parts.items()
    }
    is_measured = first.engine.is_measured
    return replace(
        first,
        parameters=parameters,
        timeline=mix_timelines([x.timeline for x in placed], shares, is_measured),
        gains={name: mean(x.gains[name] for x in heard) for name in first.gains},
        brightness=mean(x.brightness for x in heard),
        sample_rate=max(x.sample_rate for x in heard),
        seed=given[0].seed,
        name=", ".join(f"{x.name} {100 * share:.3g} %" for x, share in zip(heard, shares)),
        recording=None,
        edits=(),
    )


def corners(x: float, y: float) -> Tuple[float, float, float, float]:
    """Compute the weights of four sounds that lie at the corners of a square.

    The weights are bilinear: at a corner there is one sound only, on an edge there are two.

    Args:
        x: from 0 on the left to 1 on the right.
        y: from 0 at the bottom to 1 at the top.

    Returns:
        Weights of the sounds at the bottom left, bottom right, top left and top right.

    Raises:
        UsageError: if the point is not in the square.

    >>> corners(0.25, 0.0)
    (0.75, 0.25, 0.0, 0.0)
    """
    if not (0 <= x <= 1 and 0 <= y <= 1):
        raise UsageError(f"The point ({x}, {y}) is not in the square; give 0 to 1 for x and for y.")
    return (1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y


def _normalized(weights: Sequence[float]) -> List[float]:
    """Check weights, and divide them by their sum."""
    checked: List[float] = []
    for given in weights:
        try:
            weight = float(given)
        except (TypeError, ValueError):
            weight = math.nan
        if not 0 <= weight < math.inf:
            raise UsageError(f"A weight of {given} does not work; give a number, 0 or more.")
        checked.append(weight)
    most = max(checked, default=0.0)
    if most == 0:
        raise UsageError("No sound has a weight above 0; give one to at least one sound.")
    total = math.fsum(weight / most for weight in checked)
    return [weight / most / total for weight in checked]


def _end(sound: Sound, aligned_sound: Sound) -> int:
    """Count the described samples of an aligned sound that come before its end."""
    time = sound.timeline.at_rate(aligned_sound.timeline.sample_rate)
    return time.delayed(time.lead - aligned_sound.timeline.lead).recorded
