"""Values of controls, ready to be applied to any number of sounds, and kept in files as presets."""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Tuple, Union

import yaml

from drumblender.errors import DrumblenderError, UsageError, did_you_mean
from drumblender.files import atomic
from drumblender.sound.controls import CONTROLS, by_name

if TYPE_CHECKING:
    from drumblender.sound.sound import Sound

PathLike = Union[str, Path]
# Larger files are no presets, and are not read.
_LARGEST = 2**20


@dataclass(frozen=True)
class Changes:
    """Values of controls, which can be applied to any number of sounds.

    In a file, they are a preset: a mapping from names of controls to values, in YAML or JSON. A
    switch is a control's name, an underscore and its own name, and is true or false.

    Attributes:
        values: pairs of the name of a control and its value. A control that is not among them
            changes nothing.
        switches: pairs of the name of a control and the name of a switch that is on.

    >>> Changes((("pitch", 2.0), ("decay", 1.5))).keeps_time
    False
    >>> Changes.of({"pitch": 2, "pitch_noise": True}).as_mapping()
    {'pitch': 2.0, 'pitch_noise': True}
    """

    values: Tuple[Tuple[str, float], ...] = ()
    switches: Tuple[Tuple[str, str], ...] = ()

    @classmethod
    def of(cls, mapping: Mapping[str, Any], where: str = "Changes") -> "Changes":
        """Return the changes that a mapping describes.

        Args:
            mapping: values by the names of controls, and whether switches are on.
            where: name by which an error calls the mapping.

        Raises:
            UsageError: if a name is unknown, or if a value is none or out of range.
        """
        all_switches = _switches()
        known = [*(control.name for control in CONTROLS), *all_switches]
        values, switches = {}, []
        for name, value in mapping.items():
            if name not in known:
                remedy = did_you_mean(str(name), known) or f"; the controls are {', '.join(known)}."
                raise UsageError(f"{where}: there is no control {name!r}{remedy}")
            if name in all_switches:
                if not isinstance(value, bool):
                    raise UsageError(f"{where}: {name} is {value!r}; give true or false.")
                switches += [all_switches[name]] if value else []
            else:
                control = by_name(name)
                number = _number(value)
                if number is None:
                    raise UsageError(f"{where}: {name} is {value!r}; give {control.range}.")
                control.check(number, called=f"{where}: {name}")
                values[name] = number
        return cls(tuple(values.items()), tuple(switches))

    def as_mapping(self) -> Dict[str, Union[float, bool]]:
        """Return the mapping that describes these changes, in the order of the controls."""
        given: Dict[str, Union[float, bool]] = {**dict(self.values)}
        given.update({name: True for name, pair in _switches().items() if pair in self.switches})
        order = [name for c in CONTROLS for name in (c.name, *_switches_of(c.name))]
        return {name: given[name] for name in order if name in given}

    @classmethod
    def read(cls, path: PathLike) -> "Changes":
        """Read a preset, a file in YAML or JSON.

        Raises:
            DrumblenderError: if the file cannot be read.
            UsageError: if it is no mapping, if a name in it is unknown, or if a value does not fit.
        """
        path = Path(path)
        try:
            with path.open("rb") as file:
                text = file.read(_LARGEST + 1).decode()
            if len(text) > _LARGEST:
                raise UsageError(f"{path} is too large for a preset; check the path.")
            content = yaml.safe_load(text)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise DrumblenderError(f"{path} cannot be read ({reason}); check the path.") from error
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise UsageError(
                f"{path} is no preset, because it is neither YAML nor JSON; give a file such as "
                "--save_preset writes."
            ) from error
        if not isinstance(content, dict):
            raise UsageError(
                f"{path} is no preset; it needs one line for each control, such as `pitch: -2`."
            )
        return cls.of(content, str(path))

    def write(self, path: PathLike) -> None:
        """Write a preset, as JSON if the name ends in .json and as YAML otherwise.

        Raises:
            UsageError: as in :func:`check_preset_name`.
            DrumblenderError: if the file cannot be written.
        """
        path = Path(path)
        check_preset_name(path)
        mapping = self.as_mapping()
        if path.suffix.lower() == ".json":
            # JSON has no infinite numbers.
            mapping = {k: str(v) if math.isinf(v) else v for k, v in mapping.items()}  # type: ignore
            text = json.dumps(mapping, indent=2) + "\n"
        else:
            text = yaml.safe_dump(mapping, sort_keys=False)
        atomic.write(path, text.encode())

    def over(self, other: "Changes") -> "Changes":
        """Return these changes, and those of another where these have nothing to say.

        >>> Changes.of({"pitch": 1}).over(Changes.of({"pitch": 5, "decay": 2})).as_mapping()
        {'pitch': 1.0, 'decay': 2.0}
        """
        return Changes.of({**other.as_mapping(), **self.as_mapping()})

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
    def without_chance(self) -> "Changes":
        """These changes without those that draw something by chance."""
        return replace(self, values=tuple(v for v in self.values if not by_name(v[0]).is_random))

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


def check_preset_name(path: PathLike) -> None:
    """Refuse a name under which no preset can be written.

    Raises:
        UsageError: if it does not end in .yaml, .yml or .json, or if it names another file that is
            no preset, such as a configuration.
    """
    path = Path(path)
    if path.suffix.lower() not in (".yaml", ".yml", ".json"):
        raise UsageError(f"{path} names no preset; let the name end in .yaml or .json.")
    if path.exists():
        try:
            Changes.read(path)
        except DrumblenderError as error:
            raise UsageError(
                f"{path} exists and is no preset, so it is not replaced; give another name."
            ) from error


def _switches() -> Dict[str, Tuple[str, str]]:
    """Return the pair of control and switch for the name of each switch in a preset."""
    return {name: pair for c in CONTROLS for name, pair in _switches_of(c.name).items()}


def _switches_of(control: str) -> Dict[str, Tuple[str, str]]:
    """Return the pairs of a control and its switches by their names in a preset."""
    return {f"{control}_{s.name}": (control, s.name) for s in by_name(control).switches}


def _number(value: Any) -> Optional[float]:
    """Return a value as a number, also if it is a number in words, or None if it is none.

    YAML takes 1e3 for a word, and JSON has no other way to write -inf.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return None if math.isnan(number) else number
