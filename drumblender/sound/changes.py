"""Values of controls, ready to be applied to any number of sounds."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Dict, Optional, Tuple

from drumblender.sound.controls import CONTROLS, by_name

if TYPE_CHECKING:
    from drumblender.sound.sound import Sound


@dataclass(frozen=True)
class Changes:
    """Values of controls, which can be applied to any number of sounds.

    Attributes:
        values: pairs of the name of a control and its value. A control that is not among them
            changes nothing.
        switches: pairs of the name of a control and the name of a switch that is on.

    >>> Changes((("pitch", 2.0), ("decay", 1.5))).keeps_time
    False
    """

    values: Tuple[Tuple[str, float], ...] = ()
    switches: Tuple[Tuple[str, str], ...] = ()

    def apply(self, sound: "Sound", seed: Optional[int] = None) -> "Sound":
        """Return a changed sound. Controls are applied in the order of their table.

        Args:
            sound: the sound to start from, which stays as it is.
            seed: seed of what is drawn by chance. None stands for another one each time.

        Raises:
            UsageError: if a value is out of range, or if the model lacks a part that is needed.
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
        """Return changes that draw something by chance.

        If these do not, random controls are added, each with its usual value.
        """
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
        """Whether sounds keep their length."""
        given = dict(self.values)
        return all(
            control.keeps_time or control.is_neutral(given.get(control.name))
            for control in CONTROLS
        )

    @property
    def needs(self) -> Dict[str, str]:
        """Names of the parts that a model must have, by the option that needs them."""
        given, found = dict(self.values), {}
        for control in CONTROLS:
            if control.part is not None and not control.is_neutral(given.get(control.name)):
                found[f"--{control.name}"] = control.part
            for switch in control.switches:
                if (control.name, switch.name) in self.switches:
                    found[f"--{control.name}_{switch.name}"] = switch.part
        return found
