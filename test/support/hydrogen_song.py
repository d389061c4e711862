"""Plays a kit by Hydrogen's own command line, note by note, to hear what Hydrogen makes of it."""

import os
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import soundfile

NAMESPACE = "{http://www.hydrogen-music.org/drumkit}"
USUAL = Path("/usr/share/hydrogen/data/hydrogen.default.conf")
RATE, SECONDS = 44100, 0.6  # of the output, and of each note: at 400 bpm, the most that it plays
NOTE = {
    "position": 0,
    "leadlag": 0,
    "velocity": 1,
    "pan": 0,
    "pitch": 0,
    "probability": 1,
    "key": "C0",
    "length": -1,
    "instrument": 0,
    "note_off": "false",
}
needs_hydrogen = pytest.mark.skipif(shutil.which("h2cli") is None, reason="apt: needs hydrogen")


def h2cli(home: Path, *arguments) -> str:
    """Run Hydrogen with a user's folder of its own, and return what it says."""
    settings = home / ".hydrogen/hydrogen.conf"
    if not settings.exists():
        settings.parent.mkdir(parents=True)
        # Other drivers look for devices for half a minute, although none is used.
        settings.write_text(USUAL.read_text().replace(">Auto<", ">Fake<"))
    done = subprocess.run(
        ["h2cli", *map(str, arguments)],
        env={**os.environ, "HOME": str(home), "QT_QPA_PLATFORM": "offscreen"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def play(archive: Path, notes, home: Path) -> np.ndarray:
    """Let Hydrogen install a kit, and play notes of it, 0.6 s for each.

    Args:
        archive: the kit.
        notes: pairs of the number of an instrument and a velocity from 0 to 1.
        home: folder for Hydrogen's files.

    Returns:
        What it plays: an array (notes, samples, 2).
    """
    h2cli(home, "-i", archive)
    description = next((home / ".hydrogen/data/drumkits").glob("*/drumkit.xml"))
    song, out = home / "song.h2song", home / "out.wav"
    song.write_text(_song(ElementTree.parse(description).getroot(), notes))
    h2cli(home, "-s", song, "-d", "fake", "-o", out, "-r", RATE, "-b", 32, "-I", 0)
    samples, rate = soundfile.read(out, always_2d=True)
    assert rate == RATE
    length = round(SECONDS * RATE)
    return np.stack([_piece(samples, index * length, length) for index in range(len(notes))])


def _piece(samples: np.ndarray, start: int, length: int) -> np.ndarray:
    piece = samples[start : start + length]
    return np.pad(piece, ((0, length - len(piece)), (0, 0)))


def _song(kit: ElementTree.Element, notes) -> str:
    """Write a song that plays one note of a kit in each of its bars."""
    root = ElementTree.Element("song")
    settings = {
        "version": "1.2.0",
        "bpm": 240 / SECONDS,
        "volume": 1,
        "name": "test",
        "author": "",
        "loopEnabled": "false",
        "patternModeMode": "true",
        "mode": "song",
        "pan_law_type": "RATIO_STRAIGHT_POLYGONAL",
        "humanize_time": 0,
        "humanize_velocity": 0,
        "swing_factor": 0,
    }
    _add(root, settings)
    name = kit.find(f"{NAMESPACE}name").text
    for element in kit.iter():
        element.tag = element.tag.replace(NAMESPACE, "")
    root.append(kit.find("componentList"))
    instruments = kit.find("instrumentList")
    for instrument in instruments:
        _add(instrument, {"drumkit": name, "drumkitLookup": 1})
    root.append(instruments)
    patterns = ElementTree.SubElement(root, "patternList")
    sequence = ElementTree.Element("patternSequence")
    for index, (instrument, velocity) in enumerate(notes):
        pattern = ElementTree.SubElement(patterns, "pattern")
        _add(pattern, {"name": f"p{index}", "category": "", "size": 192, "denominator": 4})
        note = ElementTree.SubElement(ElementTree.SubElement(pattern, "noteList"), "note")
        _add(note, {**NOTE, "velocity": velocity, "instrument": instrument})
        _add(ElementTree.SubElement(sequence, "group"), {"patternID": f"p{index}"})
    ElementTree.SubElement(root, "virtualPatternList")
    root.append(sequence)
    ElementTree.SubElement(root, "BPMTimeLine")
    return ElementTree.tostring(root, encoding="unicode")


def _add(element: ElementTree.Element, texts) -> None:
    for name, text in texts.items():
        ElementTree.SubElement(element, name).text = str(text)
