"""Values of controls, ready to be applied to any number of sounds."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Dict, Optional, Tuple

from drumblender.sound.controls import CONTROLS, by_name

if TYPE_CHECKING:
    from drumblender.sound.sound import Sound


@dataclass(frozen=True)
class Changes:
    """Values of controls, to be applied to any number of sounds.

    Attributes:
        values: (name of a control, value). A control that is not among them stays as it is.
        switches: (name of a control, name of a switch) of the switches that are on.

    >>> Changes((("pitch", 2.0), ("decay", 1.5))).keeps_time
    False
    """

    values: Tuple[Tuple[str, float], ...] = ()
    switches: Tuple[Tuple[str, str], ...] = ()

    def apply(self, sound: "Sound", seed: Optional[int] = None) -> "Sound":
        """Change a sound, in the order of the table.

        Args:
            sound: which does not change itself.
            seed: of what is drawn by chance.
        """
        given = dict(self.values)
        for control in CONTROLS:
            if control.name in given:
                more: Dict[str, Any] = {
                    switch: True for name, switch in self.switches if name == control.name
                }
                if control.is_random:
                    more["seed"] = seed
                sound = control.apply(sound, given[control.name], **more)
        return sound

    @property
    def are_random(self) -> bool:
        """Whether anything is drawn by chance."""
        return any(by_name(name).is_random for name, _ in self.values)

    def randomized(self) -> "Changes":
        """The same, and what is drawn by chance as much as usual where nobody says how much."""
        if self.are_random:
            return self
        usual = tuple(
            (control.name, control.usual)
            for control in CONTROLS
            if control.is_random and control.usual is not None
        )
        return replace(self, values=(*self.values, *usual))

    @property
    def keeps_time(self) -> bool:
        """Whether sounds stay as long as they are."""
        given = dict(self.values)
        return all(
            control.keeps_time or control.is_neutral(given.get(control.name))
            for control in CONTROLS
        )

    @property
    def needs(self) -> Dict[str, str]:
        """The part that a model must have, for each option that is not neutral."""
        given, found = dict(self.values), {}
        for control in CONTROLS:
            if control.part is not None and not control.is_neutral(given.get(control.name)):
                found[f"--{control.name}"] = control.part
            for switch in control.switches:
                if (control.name, switch.name) in self.switches:
                    found[f"--{control.name}_{switch.name}"] = switch.part
        return found
