"""Sounds as files of parts, and back: which tensors and entries of a ``.drum`` file mean what.

What is stored is what a :class:`~drumblender.sound.sound.Sound` is, so that a sound that is read
renders the same samples, also after the same edits. The page ``docs/libraries/drum-files.md``
describes every tensor and entry for those who write a reader.
"""

import json
import math
from pathlib import Path
from typing import Any, Dict, Optional, Sequence, Tuple, Union

import torch

import drumblender
from drumblender.errors import DrumblenderError, UsageError
from drumblender.parameters import Modes, Timeline, map_tensors
from drumblender.parameters.timeline import UNIT
from drumblender.pretrained.names import known_models
from drumblender.sound.drum_file import (
    LONGEST,
    LONGEST_TEXT,
    RATES,
    Content,
    Damaged,
    Entries,
    check_drum_name,
    read_content,
    read_facts,
    write_content,
)
from drumblender.sound.engine import Engine, channels_of
from drumblender.sound.sound import Sound
from drumblender.sound.stored_parts import (
    Arrays,
    Facts,
    opened_outline,
    opened_part,
    stored_outline,
    stored_part,
)
from drumblender.tasks.parts import ModalPart, Part

PathLike = Union[str, Path]
_MOST_CHANNELS, _MOST_ONSETS, _MOST_EDITS = 8, 10_000, 1_000
# What playing parameters that do not fit a part raises.
_UNFIT = (RuntimeError, ValueError, TypeError, AttributeError, IndexError, DrumblenderError)


def save_sound(sound: Sound, path: PathLike) -> None:
    """Write a sound to a file of parts, in one step. The same sound gives the same bytes.

    Args:
        sound: the sound.
        path: file to write. Its name ends in ``.drum``.

    Raises:
        UsageError: if the name ends in anything else, or if a part has parameters of a kind that
            such files do not hold.
        DrumblenderError: if the disk refuses the file.
    """
    check_drum_name(path)
    tensors: Arrays = {}
    parts: Facts = {}
    for name, value in sound.parameters.items():
        parts[name], arrays = stored_part(name, value)
        tensors.update({f"{name}.{key}": array for key, array in arrays.items()})
    time = sound.timeline
    timeline: Facts = {
        "sample_rate": time.sample_rate,
        "lead": time.lead,
        "described": time.described,
        "seconds": time.seconds,
        "onsets": list(time.onsets),
        "outline": None,
    }
    if time.outline is not None:
        timeline["outline"], arrays = stored_outline(time.outline)
        tensors.update({f"outline.{key}": array for key, array in arrays.items()})
    settings = sound.engine.analysis
    facts: Facts = {
        "software": f"drumblender {drumblender.__version__}",
        "voice": sound.engine.identity,
        "analysis": sound.analysis or f"{settings.method} {settings.version}",
        "name": sound.name[:LONGEST_TEXT],
        "sample_rate": sound.sample_rate,
        "channels": sound.channels,
        "seed": sound.seed,
        "gains": dict(sound.gains),
        "brightness": sound.brightness,
        "timeline": timeline,
        "parts": parts,
        "edits": [{k: _plain(x) for k, x in edit.items()} for edit in sound.edits[-_MOST_EDITS:]],
    }
    plain = json.loads(json.dumps(facts, default=lambda number: number.item()))
    content = Content(Path(path), Entries(Path(path), plain), tensors)
    try:
        _sound_of(content, sound.engine)  # whatever is written can be read
    except Damaged as error:
        raise DrumblenderError(
            f"{path} is not written, because it {error.reason}; cut the sound, or write a WAV file."
        ) from error
    write_content(content)


def open_sound(path: PathLike, engine: Engine, name: Optional[str] = None) -> Sound:
    """Read a sound from a file of parts.

    Args:
        path: the file.
        engine: engine of the voice that shall play it.
        name: name for messages and titles. None stands for the one in the file.

    Raises:
        DrumblenderError: if the file is missing or damaged, if it is another kind of file or of a
            newer format, or if the sound was made by another voice.
    """
    return _sound_of(read_content(path), engine, name)


def _sound_of(content: Content, engine: Engine, name: Optional[str] = None) -> Sound:
    """Make the sound of what a file holds, all of which is checked."""
    facts = content.facts
    _check_voice(facts, engine)
    channels = facts.integer("channels", 1, _MOST_CHANNELS)
    rate = facts.integer("sample_rate", *RATES)
    timeline = _opened_timeline(content, channels, rate)
    gains = facts.inside("gains")
    sound = Sound(
        engine=engine,
        parameters=_opened_parts(content, engine, channels, timeline.played),
        timeline=timeline,
        sample_rate=rate,
        seed=facts.integer("seed", 0, 2**63 - 1),
        gains={part: gains.number(part, -1e30, 1e30) for part in engine.parts},
        brightness=facts.number("brightness", -1000, 1000),
        name=name or facts.text("name"),
        analysis=facts.text("analysis") or "unknown",
        edits=tuple(edit for edit in facts.listed("edits", _MOST_EDITS) if isinstance(edit, dict)),
    )
    if channels_of(sound.parameters) != channels:
        raise Damaged(content.path, f"has not {channels} channels, as it says")
    return sound


def model_of(paths: Sequence[Path]) -> Tuple[Optional[Path], Optional[Path]]:
    """Find the first of some files of parts that a model made, and that model.

    Args:
        paths: files of parts.

    Returns:
        The file and the model's file. Both are None if no model made any, because all parts are
        measured.

    Raises:
        DrumblenderError: if a file cannot be read.
        UsageError: if the model is not here.
    """
    for path in paths:
        voice = read_facts(path).inside("voice")
        if voice.text("kind") != "measured":
            found = _known_model(voice.text("name"))
            if found is None:
                raise UsageError(_elsewhere(path, voice.text("name")))
            return path, found
    return None, None


def seconds_of(path: PathLike) -> float:
    """Return how long the sound in a file of parts is, in seconds; 0 if it cannot be read."""
    try:
        return read_facts(path).inside("timeline").number("seconds", 0)
    except DrumblenderError:
        return 0.0


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it, which has no infinity: its name then."""
    return str(value) if isinstance(value, float) and math.isinf(value) else value


def _known_model(name: str) -> Optional[Path]:
    """Find a model on this machine by its name. None is downloaded because of a file."""
    return next((model.path for model in known_models() if model.name == name), None)


def _elsewhere(path: Path, name: str) -> str:
    """Say that a sound needs a model that is not here."""
    return (
        f"{path} was made with the model {name}, which is not among those on this machine; give "
        "it with --model (in Python, drumblender.load(MODEL).open(FILE))."
    )


def _check_voice(facts: Entries, engine: Engine) -> None:
    """Refuse a sound that another voice has made."""
    voice, own = facts.inside("voice"), engine.identity
    kind = voice.text("kind")
    if kind == own["kind"] == "measured":
        return
    if kind == "measured":
        raise DrumblenderError(
            f"{facts.path} was made without a model, and cannot be played by one; name no model "
            "(in Python, drumblender.load())."
        )
    name = voice.text("name")
    if own["kind"] == "measured":
        if _known_model(name) is None:
            raise DrumblenderError(_elsewhere(facts.path, name))
        raise DrumblenderError(
            f"{facts.path} was made with the model {name}; give --model {name} (in Python, "
            f'drumblender.load("{name}")).'
        )
    if voice.text("sha256") != own["sha256"]:
        raise DrumblenderError(
            f"{facts.path} was made with other weights (those of {name}) than this model has; give "
            "the model that it was made with."
        )


def _opened_timeline(content: Content, channels: int, rate: int) -> Timeline:
    """Read when a sound happens."""
    entries = content.facts.inside("timeline")
    own_rate = entries.integer("sample_rate", *RATES)
    seconds = entries.number("seconds", 0, LONGEST)
    described = entries.integer("described", 1, LONGEST)
    lead = entries.integer("lead", -described, LONGEST)
    content.check_room(channels * max(described, abs(lead), seconds * max(rate, own_rate)))
    onsets = entries.listed("onsets", _MOST_ONSETS)
    if not onsets or not all(isinstance(x, (int, float)) and abs(x) <= LONGEST for x in onsets):
        raise Damaged(content.path, "has impossible timeline.onsets in its description")
    outline = None
    if entries.content.get("outline") is not None:
        outline = opened_outline(content, entries.inside("outline"), channels, own_rate)
    return Timeline(own_rate, lead, described, seconds, tuple(map(float, onsets)), outline)


def _opened_parts(content: Content, engine: Engine, channels: int, played: int) -> Dict[str, Any]:
    """Read the parameters of all parts of a model, and no others."""
    names = list(content.facts.inside("parts").content)
    if names != list(engine.parts):
        raise Damaged(
            content.path,
            f"has the parts {', '.join(names)}, and this voice makes {', '.join(engine.parts)}",
            "give the model that it was made with",
        )
    opened = {name: opened_part(content, name, channels) for name in names}
    for name, part in engine.parts.items():
        value = opened[name]
        if isinstance(value, Modes) and value.num_samples < played:
            raise Damaged(content.path, f"has a {name} part that ends before the sound")
        if not _fits(part, value, channels, engine.device):
            raise Damaged(
                content.path,
                f"has a {name} part that does not fit this voice",
                "give the model that it was made with, or save it again",
            )
    return opened


def _fits(part: Part, value: Any, channels: int, device: str) -> bool:
    """Return whether a part can play parameters, of which it tries the first samples."""
    if isinstance(part, ModalPart) or isinstance(value, Modes):
        return isinstance(part, ModalPart) and isinstance(value, Modes)
    generators = [torch.Generator().manual_seed(0) for _ in range(channels)]
    signal = torch.zeros(channels, 1, UNIT, device=device) if part.on_signal else None
    try:
        with torch.inference_mode():
            there = map_tensors(lambda x: x.to(device), value)
            played = part.play(there, UNIT, generators, signal)
    except _UNFIT:
        return False
    return played.shape == (channels, 1, UNIT)
