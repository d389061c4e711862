"""Files of MIDI and recordings of pads, played into a file without any device."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, List, NamedTuple, Optional, Sequence

import numpy as np

from drumblender.errors import DrumblenderError, UsageError
from drumblender.live.player import Player

if TYPE_CHECKING:
    import mido

INSTALL = 'install it with pip install "drumblender[play]"'
# Notes ring out for so many seconds at most after the last event.
_RINGING_S = 30.0


class Event(NamedTuple):
    """Something that happens.

    Attributes:
        time: when it happens, in seconds.
        kind: "note", "control" or "bend".
        number: key or controller.
        value: velocity or value.
    """

    time: float
    kind: str
    number: int
    value: int


def midi_library() -> Any:
    """Return the module that knows MIDI.

    Raises:
        UsageError: if it is not installed.
    """
    try:
        import mido
    except ImportError:
        raise UsageError(f"MIDI needs mido; {INSTALL}.") from None
    return mido


def event_of(message: "mido.Message", time: float) -> Optional[Event]:
    """Return what a message of MIDI says, or None if it says nothing that counts here."""
    if message.type == "note_on":
        return Event(time, "note", message.note, message.velocity)
    if message.type == "control_change":
        return Event(time, "control", message.control, message.value)
    if message.type == "pitchwheel":
        return Event(time, "bend", 0, message.pitch)
    return None


def events_of_file(path: Path) -> List[Event]:
    """Read the events of a file of MIDI.

    Raises:
        UsageError: if mido is not installed.
        DrumblenderError: if it cannot be read or plays nothing.
    """
    midi = midi_library()
    try:
        file = midi.MidiFile(path)
        events, now = [], 0.0
        for message in file:
            now += message.time
            event = event_of(message, now)
            events += [] if event is None else [event]
    except FileNotFoundError:
        raise DrumblenderError(f"{path} does not exist; check the path.") from None
    except (OSError, EOFError, ValueError, KeyError, IndexError) as error:
        raise DrumblenderError(f"{path} is no file of MIDI ({error}); give another one.") from None
    if not any(event.kind == "note" for event in events):
        raise DrumblenderError(f"{path} plays no note; give another file of MIDI.")
    return events


def happen(player: Player, event: Event, wait: int = 0) -> bool:
    """Let an event happen, and return whether there is a drum for it if it is a note."""
    if event.kind == "note":
        return player.note(event.number, event.value, wait)
    if event.kind == "control":
        player.control(event.number, event.value)
    else:
        player.bend(event.value)
    return True


def play_events(
    player: Player, events: Sequence[Event], block: int, tell: Callable[[str], None] = print
) -> np.ndarray:
    """Play events, and return the samples (N, 2) until all notes have rung out."""
    waiting = sorted(
        ((round(event.time * player.sample_rate), event) for event in events),
        key=lambda timed: timed[0],
    )
    unknown = set()
    blocks, position, index = [], 0, 0
    end = (waiting[-1][0] if waiting else 0) + round(_RINGING_S * player.sample_rate)
    while index < len(waiting) or (player.sounding and position < end):
        while index < len(waiting) and waiting[index][0] < position + block:
            at, event = waiting[index]
            if not happen(player, event, at - position):
                unknown.add(event.number)
            index += 1
        blocks.append(player.render(block))
        position += block
    if unknown:
        tell(f"There is no drum for {', '.join(map(str, sorted(unknown)))} (keys of MIDI).")
    return np.concatenate(blocks) if blocks else np.zeros((0, 2), dtype=np.float32)
