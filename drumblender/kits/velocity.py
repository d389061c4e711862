"""How the sound of a drum follows velocity where no recording says it.

The level is that of R. Dannenberg, "The Interpretation of MIDI Velocity", ICMC 2006: the amplitude
is the square of a line, so that velocity 1 is softer than velocity 127 by a given range. What else
changes goes with the level: a drum that is hit softer is darker, and has less of an attack. By how
much was measured on free kits with layers (``scripts/velocity.py``).
"""

import math
from typing import TYPE_CHECKING, Dict, Tuple

from drumblender.kits.kit import HIGHEST, LOWEST

if TYPE_CHECKING:
    from drumblender.sound.sound import Sound

USUAL_RANGE = 40.0  # dB between the softest and the loudest velocity
# What follows the level, for each dB of it: the tilt of the spectrum in dB per octave, and the
# level of the transient beside the rest in dB. The last row is for what is not named.
FOLLOWING: Dict[str, Tuple[float, float]] = {
    "kick": (0.08, 0.0),
    "snare": (0.03, 0.1),
    "tom": (0.12, 0.3),
    "cymbals": (0.04, 0.0),
    "hihat": (0.03, 0.0),
    "": (0.04, 0.1),
}


def level(velocity: float, range_db: float = USUAL_RANGE) -> float:
    """Return how loud a velocity is beside the highest one, in dB.

    Args:
        velocity: from 1 to 127.
        range_db: level of velocity 127 beside that of velocity 1, in dB.

    >>> [round(level(velocity), 1) for velocity in (1, 32, 64, 96, 127)]
    [-40.0, -19.7, -10.4, -4.3, 0.0]
    """
    softest = 10 ** (-range_db / 40)
    share = (velocity - LOWEST) / (HIGHEST - LOWEST)
    return 40 * math.log10(softest + (1 - softest) * share)


def softer(sound: "Sound", decibels: float, instrument: str = "") -> "Sound":
    """Let a drum sound as if it was hit softer, but as loud as it is.

    Args:
        sound: the drum.
        decibels: level of the softer hit beside this one, in dB, below 0; above 0 it is harder.
        instrument: instrument of the drum, of ``FOLLOWING``.
    """
    if not decibels:
        return sound
    tilt, attack = FOLLOWING.get(instrument, FOLLOWING[""])
    sound = sound.with_brightness(tilt * decibels)
    if attack and "transient" in sound.gains:
        sound = sound.with_attack(10 ** (attack * decibels / 20))
    return sound
