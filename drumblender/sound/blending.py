"""Blends, which are sounds between two drums."""

from dataclasses import replace

from drumblender.errors import UsageError
from drumblender.sound.sound import Sound, aligned


def blend(a: Sound, b: Sound, amount: float) -> Sound:
    """Make a sound that lies between two drums.

    Modes that belong together (:func:`~drumblender.parameters.matching.match_modes`) move from one
    drum to the other. Their frequencies, decay times and glide times move on a logarithmic scale,
    and their amplitudes move in dB. Other modes fade. Noise bands, the embedding of a transient
    network, gains and brightness are interpolated linearly. Levels and energy of measured noise
    are interpolated in dB, and measured transients are cross-faded so that their energy lies
    between. If the parts are measured, the onsets of the two sounds are put at the same moment
    first.

    At an amount of 0 the blend is ``a`` itself, and at 1 it is ``b`` itself. In between it has the
    higher sample rate of the two, and its noise is drawn by the seed of ``a``. It is as long as the
    longer one of the two. Matched modes and measured noise of the shorter one ring out.

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
    one, other = aligned(a, b)
    if amount in (0, 1):
        return (a, b)[int(amount)]

    def between(x: float, y: float) -> float:
        """Interpolate linearly."""
        return x + (y - x) * amount

    ends = (_end(a, one), _end(b, other))
    onset = one.timeline.onset
    parameters = {
        name: part.blend(one.parameters[name], other.parameters[name], amount, ends, onset)
        for name, part in a.engine.parts.items()
    }
    return replace(
        one,
        parameters=parameters,
        timeline=one.timeline.between(other.timeline, amount, a.engine.is_measured),
        gains={name: between(gain, b.gains[name]) for name, gain in a.gains.items()},
        brightness=between(a.brightness, b.brightness),
        sample_rate=max(a.sample_rate, b.sample_rate),
        name=f"{a.name} - {b.name}, {amount:g}",
        recording=None,
    )


def _end(sound: Sound, aligned_sound: Sound) -> int:
    """Count the described samples of an aligned sound that come before its end."""
    time = sound.timeline.at_rate(aligned_sound.timeline.sample_rate)
    return time.delayed(time.lead - aligned_sound.timeline.lead).recorded
