"""A MIDI file that plays every sample of a kit once."""

from pathlib import Path
from typing import Mapping

import mido

from drumblender.kits.kit import Kit

SUFFIX = ".mid"
_BEAT = 480  # ticks
_BPM = 120
_LENGTH = _BEAT // 4  # of a note; the samples play to their ends
_MOST_BEATS = 8  # of waiting for a drum to ring out
_DRUMS = 9  # channel 10 of General MIDI, counted from 0


def write(path: Path, kit: Kit, seconds: Mapping[int, float]) -> None:
    """Write the file: drum after drum, each from soft to loud with all samples of each layer.

    Args:
        path: file to write.
        kit: the kit.
        seconds: length of the longest sample of each drum, by its key.
    """
    track = mido.MidiTrack()
    track.append(mido.MetaMessage("track_name", name=_plain(kit.name)))
    track.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(_BPM)))
    wait = 0
    for drum in kit.drums:
        track.append(mido.MetaMessage("marker", text=_plain(drum.name), time=wait))
        wait = 0
        for layer in drum.layers:
            for _ in layer.hits:
                played = {"channel": _DRUMS, "note": drum.note}
                track.append(mido.Message("note_on", velocity=layer.high, time=wait, **played))
                track.append(mido.Message("note_off", velocity=0, time=_LENGTH, **played))
                wait = _BEAT - _LENGTH
        assert drum.note is not None  # every drum of a kit that is written has one
        beats = min(_MOST_BEATS, int(seconds[drum.note] * _BPM / 60))
        wait += beats * _BEAT
    file = mido.MidiFile(type=0, ticks_per_beat=_BEAT)
    track.append(mido.MetaMessage("end_of_track", time=wait))
    file.tracks.append(track)
    file.save(path)


def _plain(text: str) -> str:
    """Return a text that MIDI can hold, which is Latin-1."""
    return text.encode("latin-1", "replace").decode("latin-1")
