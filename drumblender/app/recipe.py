"""Recipes, which say how a sound is made of the drums of a session."""

import math
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Tuple

from drumblender.errors import UsageError
from drumblender.sound import Changes, Sound, mix
from drumblender.sound.controls import CONTROLS

SLOTS = 4  # one for each corner of the pad
_NAMES = "ABCD"
_LARGEST_SEED = 2**31


@dataclass(frozen=True)
class Recipe:
    """How a sound is made of drums: mixed, with parts of some of them, and changed.

    Attributes:
        weights: weight of the drum in each slot.
        parts: pairs of the name of a part and the slot of the drum that it is taken from. Other
            parts are mixed.
        changes: values of controls.
        muted: names of parts that are silent.
        seed: seed of what is drawn by chance.
    """

    weights: Tuple[float, ...]
    parts: Tuple[Tuple[str, int], ...] = ()
    changes: Changes = field(default_factory=Changes)
    muted: Tuple[str, ...] = ()
    seed: int = 0

    @classmethod
    def of(cls, mapping: Any) -> "Recipe":
        """Return the recipe that the page describes.

        Args:
            mapping: ``weights`` as a list, ``parts`` as a mapping from names of parts to slots,
                ``changes`` as in :meth:`~drumblender.sound.Changes.of`, ``muted`` as a list of
                parts, and ``seed``. Only the weights have to be there.

        Raises:
            UsageError: if something of it does not fit.

        >>> Recipe.of({"weights": [1, 0, 0, 0], "changes": {"pitch": 2}}).changes.as_mapping()
        {'pitch': 2.0}
        """
        if not isinstance(mapping, dict):
            raise UsageError("A recipe is a mapping with `weights`; reload the page.")
        weights, parts = mapping.get("weights", []), mapping.get("parts", {})
        changes, muted = mapping.get("changes", {}), mapping.get("muted", [])
        seed = mapping.get("seed", 0)
        fits = (
            isinstance(weights, list)
            and len(weights) == SLOTS
            and all(_is_number(weight) and 0 <= weight <= 1e6 for weight in weights)
            and isinstance(parts, dict)
            and all(_is_slot(slot) for slot in parts.values())
            and isinstance(changes, dict)
            and isinstance(muted, list)
            and all(isinstance(name, str) for name in muted)
            and isinstance(seed, int)
            and 0 <= seed < _LARGEST_SEED
        )
        if not fits:
            raise UsageError(
                f"A recipe has {SLOTS} weights from 0 on, parts from slots 0 to {SLOTS - 1}, a "
                "mapping of changes, a list of muted parts and a seed; reload the page."
            )
        return cls(
            tuple(float(weight) for weight in weights),
            tuple(sorted(parts.items())),
            Changes.of(changes, "The controls"),
            tuple(sorted(set(muted))),
            seed,
        )

    @property
    def preset(self) -> Changes:
        """The changes as a preset. The level of parts that are muted is -inf."""
        known = {control.name for control in CONTROLS}
        muted = {f"{part}_gain": -math.inf for part in self.muted if f"{part}_gain" in known}
        return Changes.of(muted).over(self.changes)

    def mixed(self, drums: Mapping[int, Sound]) -> Sound:
        """Mix the drums, without parts and changes.

        Raises:
            UsageError: if there is no drum of any weight.
            DrumblenderError: if the drums cannot be mixed.
        """
        heard = [slot for slot in sorted(drums) if self.weights[slot] > 0]
        if not heard:
            raise UsageError("There is no drum here; drop one on the page.")
        return mix([drums[slot] for slot in heard], [self.weights[slot] for slot in heard])

    def finished(self, mixed: Sound, drums: Mapping[int, Sound]) -> Sound:
        """Give a mixed sound its parts of other drums, and change it.

        Raises:
            UsageError: if a part or a drum is not there, or if a value does not fit.
            DrumblenderError: if a part does not fit the sound.
        """
        sound = mixed
        for part, slot in self.parts:
            if slot not in drums:
                raise UsageError(f"There is no drum {_NAMES[slot]} to take the {part} part from.")
            sound = sound.with_part(part, drums[slot])
        sound = self.changes.apply(sound.with_seed(self.seed), self.seed)
        for part in self.muted:
            sound.need(part)
        return sound.with_gain(**dict.fromkeys(self.muted, -math.inf))


def describe_controls(parts: Tuple[str, ...]) -> List[Dict[str, Any]]:
    """Describe the controls for the page, from their one table.

    Args:
        parts: parts that the model makes. Controls that need another one are left out.
    """
    found = []
    for control in CONTROLS:
        if control.part is not None and control.part not in parts:
            continue
        slider = control.slider
        found.append(
            {
                "name": control.name,
                "help": control.help,
                "unit": control.unit,
                "range": control.range,
                "lowest": finite(control.lowest),
                "highest": control.highest,
                "neutral": control.neutral,
                "is_random": control.is_random,
                "is_gain_of": control.name[: -len("_gain")]
                if control.name.endswith("_gain")
                else None,
                "slider": {
                    "lowest": slider.lowest,
                    "highest": slider.highest,
                    "step": slider.step,
                    "symbol": slider.symbol,
                    "is_logarithmic": slider.is_logarithmic,
                },
                "switches": [
                    {"name": f"{control.name}_{switch.name}", "help": switch.help}
                    for switch in control.switches
                    if switch.part in parts
                ],
            }
        )
    return found


def finite(value: float) -> Optional[float]:
    """Return a number as JSON can hold it, which has no infinity: None then."""
    return value if math.isfinite(value) else None


def _is_number(value: Any) -> bool:
    """Return whether a value is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_slot(value: Any) -> bool:
    """Return whether a value is the index of a slot."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < SLOTS
