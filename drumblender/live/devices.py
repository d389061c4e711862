"""Sound cards and ports of MIDI, through PortAudio and RtMidi."""

import contextlib
import queue
import time
from typing import Any, Iterator, List, Optional, Union

import numpy as np

from drumblender.errors import DrumblenderError, UsageError
from drumblender.live.offline import INSTALL, Event, event_of, happen, midi_library
from drumblender.live.onsets import Detector, Listening
from drumblender.live.player import Player


def sound_library() -> Any:
    """Return the module that plays sound.

    Raises:
        UsageError: if it is not installed.
        DrumblenderError: if PortAudio is missing.
    """
    try:
        import sounddevice
    except ImportError:
        raise UsageError(f"Playing needs sounddevice; {INSTALL}.") from None
    except OSError:
        raise DrumblenderError(
            "The library PortAudio is missing; install it (on Debian: apt install libportaudio2), "
            "or give --midi FILE and --output FILE.wav, which need no device."
        ) from None
    return sounddevice


def list_devices() -> str:
    """Describe the devices and ports that are there."""
    sound = sound_library()
    ports = "\n".join(f"  {name}" for name in midi_ports()) or "  none"
    return f"Sound:\n{sound.query_devices() or '  none'}\nMIDI:\n{ports}"


def midi_ports() -> List[str]:
    """Return the names of the ports of MIDI that can be listened to."""
    midi = midi_library()
    try:
        return list(midi.get_input_names())
    except ImportError:
        raise UsageError(f"MIDI needs python-rtmidi; {INSTALL}.") from None
    except Exception:  # RtMidi has errors of its own where a system has no MIDI.
        return []


@contextlib.contextmanager
def _listening_to_midi(name: Optional[str], events: "queue.SimpleQueue[Event]") -> Iterator[str]:
    """Put what comes from a port into a queue. The first port is taken if there is no name."""
    midi = midi_library()
    ports = midi_ports()
    chosen = next((port for port in ports if name is None or name in port), None)
    if chosen is None and name is not None:
        known = ", ".join(ports) or "none"
        raise UsageError(f"There is no port of MIDI called {name}, only: {known}; give another.")
    if chosen is None:
        yield "no MIDI"
        return

    def take(message: Any) -> None:
        """Put a message into the queue."""
        event = event_of(message, 0)
        if event is not None:
            events.put(event)

    with midi.open_input(chosen, callback=take):
        yield chosen


def play_live(
    player: Player,
    block: int,
    port: Optional[str],
    device: Optional[Union[int, str]],
    microphone: bool,
    note: int,
    listening: Listening,
    seconds: Optional[float] = None,
) -> None:
    """Play what comes by MIDI, and by a microphone if there is one, until Ctrl-C.

    Args:
        player: the player.
        block: number of samples in a block.
        port: part of the name of a port of MIDI. None takes the first one.
        device: number or part of the name of a device. None takes the system's.
        microphone: whether strokes on the input of the device play a note as well.
        note: that note.
        listening: how strokes are found.
        seconds: how long to play. None stands for until it is interrupted.

    Raises:
        DrumblenderError: if there is no device, or if it fails.
    """
    sound = sound_library()
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    detector = Detector(player.sample_rate, listening)

    def fill(output: np.ndarray, count: int) -> None:
        """Play a block with all that has come."""
        with contextlib.suppress(queue.Empty):
            while True:
                happen(player, events.get_nowait())
        output[:] = player.render(count).clip(-1, 1)

    def both(heard: np.ndarray, output: np.ndarray, count: int, *_: Any) -> None:
        """Listen to a block, and play one."""
        for onset in detector.hear(heard[:, 0]):
            player.note(note, onset.velocity)
        fill(output, count)

    def only_out(output: np.ndarray, count: int, *_: Any) -> None:
        """Play a block."""
        fill(output, count)

    settings = {"samplerate": player.sample_rate, "blocksize": block, "dtype": "float32"}
    settings.update(device=device, latency="low")
    try:
        if microphone:
            stream = sound.Stream(callback=both, channels=(1, 2), **settings)
        else:
            stream = sound.OutputStream(callback=only_out, channels=2, **settings)
    except (sound.PortAudioError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DrumblenderError(
            f"No sound device can be opened ({reason}); see --list_devices, or give --midi FILE "
            "and --output FILE.wav, which need no device."
        ) from None
    with stream, _listening_to_midi(port, events) as chosen:
        latency = np.max(stream.latency) * 1000
        print(f"Playing from {chosen}, {latency:.0f} ms of latency; Ctrl-C ends.", flush=True)
        begun = time.monotonic()
        while seconds is None or time.monotonic() - begun < seconds:
            time.sleep(0.1)
