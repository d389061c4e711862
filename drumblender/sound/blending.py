"""Sounds between two drums."""

from dataclasses import replace

from drumblender.errors import UsageError
from drumblender.sound.sound import Sound, aligned


def blend(a: Sound, b: Sound, amount: float) -> Sound:
    """A sound between two drums.

    Modes that belong together (:func:`~drumblender.parameters.matching.match_modes`) move:
    frequencies, decay times and glide times on a logarithmic scale, amplitudes in dB. Other modes
    fade. Noise bands, the embedding of a transient network, gains and brightness are interpolated.
    Levels of measured noise are interpolated in dB, and measured transients are cross-faded; sounds
    of which they are begin together.

    At 0 and at 1 the blend is ``a`` and ``b`` themselves. In between it has the higher sample rate
    of the two, its noise is drawn as that of ``a``, and it is as long as the longer of the two,
    where matched modes of the shorter one ring out.

    Args:
        a: one sound.
        b: another one, taken apart by the same model.
        amount: 0 for ``a`` to 1 for ``b``.

    Raises:
        UsageError: for another amount, or sounds of two models.
        DrumblenderError: for numbers of channels that do not go together.
    """
    if not 0 <= amount <= 1:
        raise UsageError(f"An amount of {amount} is not between two sounds; give 0 to 1.")
    one, other = aligned(a, b)
    if amount in (0, 1):
        return (a, b)[int(amount)]

    def between(x: float, y: float) -> float:
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
    """Number of described samples that come before the end of a sound that is aligned."""
    time = sound.timeline.at_rate(aligned_sound.timeline.sample_rate)
    return time.delayed(time.lead - aligned_sound.timeline.lead).recorded
