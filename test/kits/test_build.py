"""A kit that is written is what its drums are, in every form, whoever reads it."""

import shutil
import subprocess
import sys
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile
import torch
from hydrogen_song import needs_hydrogen, play
from small_drums import DRUMS, RATE, write_drums

from drumblender.kits.build import build_kit
from drumblender.kits.kit import HIGHEST, LOWEST
from drumblender.kits.reading import read_kit
from drumblender.kits.settings import KitRequest, Shape
from drumblender.kits.velocity import level
from drumblender.signal import loudness

SHAPE = Shape(layers=3, round_robins=2)


def loudness_of(path):
    samples, rate = soundfile.read(path, always_2d=True)
    return loudness(torch.from_numpy(samples.T.copy()), rate)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A kit of all drums: its folder, what was built, and the folder of the drums."""
    top = tmp_path_factory.mktemp("kits")
    drums = write_drums(top / "drums")
    return build_kit([drums], top / "My kit", KitRequest(seed=1, shape=SHAPE), num_workers=1), drums


def drums_of(kit):
    return {drum.name: drum for drum in kit.drums}


def test_every_velocity_plays_one_layer_and_every_drum_has_its_key(built):
    kit = built[0].kit
    assert [(d.note, d.name) for d in kit.drums] == [
        (36, "Kick"),
        (38, "Snare"),
        (42, "Hat closed"),
        (46, "Hat open"),
        (48, "Tom"),
    ]
    for each in kit.drums:
        played = [v for layer in each.layers for v in range(layer.low, layer.high + 1)]
        assert played == list(range(LOWEST, HIGHEST + 1))
        assert all(len(layer.hits) == 2 for layer in each.layers)


def test_the_hardest_hit_is_the_recording_and_one_gain_holds_for_all(built):
    kit, drums = built[0].kit, built[1]
    gain = 10 ** (built[0].gain / 20)
    for name, file in (("Kick", "Kick.wav"), ("Tom", "Tom.wav"), ("Snare", "Snare hard.wav")):
        recorded, _ = soundfile.read(drums / file)
        written, rate = soundfile.read(drums_of(kit)[name].layers[-1].hits[0].file)
        assert rate == RATE
        length = round(0.8 * len(written))  # the last tenth is faded
        error = written[:length] - gain * recorded[:length]
        assert np.abs(error).max() < 1e-3 * np.abs(written).max(), name
    peaks = [np.abs(soundfile.read(file)[0]).max() for file in kit.files]
    assert max(peaks) == pytest.approx(10 ** (-1 / 20), abs=1e-4)


def test_round_robins_are_equally_loud_and_not_the_same(built):
    for each in built[0].kit.drums:
        for layer in each.layers:
            heard = [loudness_of(hit.file) for hit in layer.hits]
            assert max(heard) - min(heard) < 0.05
            first, second = (soundfile.read(hit.file)[0] for hit in layer.hits)
            length = min(len(first), len(second))
            assert np.abs(first[:length] - second[:length]).max() > 1e-3 * np.abs(first).max()


def test_levels_follow_velocity_by_the_curve_and_between_recorded_layers(built):
    kick, snare = (drums_of(built[0].kit)[name] for name in ("Kick", "Snare"))
    heard = {layer.high: loudness_of(layer.hits[0].file) for layer in kick.layers}
    for velocity, loud in heard.items():
        assert loud - heard[HIGHEST] == pytest.approx(level(velocity), abs=0.1)
    recorded = [
        loudness(torch.from_numpy(DRUMS[f"Snare {word}.wav"])[None], RATE)
        for word in ("soft", "hard")
    ]
    soft, _, hard = sorted(loudness_of(layer.hits[0].file) for layer in snare.layers)
    # The softest layer is the soft recording or derived from it.
    assert hard - soft >= recorded[1] - recorded[0] - 0.1
    assert {layer.high for layer in snare.layers} >= {64, 127}


def test_softer_hits_are_darker(built):
    for each in built[0].kit.drums:
        centers = []
        for layer in each.layers:
            samples, rate = soundfile.read(layer.hits[0].file, always_2d=True)
            power = np.abs(np.fft.rfft(samples[:, 0], 1 << 15)) ** 2
            centers.append((power * np.fft.rfftfreq(1 << 15, 1 / rate)).sum() / power.sum())
        assert centers == sorted(centers), each.name


def test_samples_end_softly_when_they_have_decayed(built):
    for file in built[0].kit.files:
        samples, rate = soundfile.read(file, always_2d=True)
        assert np.abs(samples[-round(0.002 * rate) :]).max() < 1e-3 * np.abs(samples).max()


@pytest.mark.parametrize("form", ["sfz", "dspreset", "h2drumkit"])
def test_every_form_reads_back_as_the_kit(built, form, tmp_path):
    kit = built[0].kit
    (path,) = (file for file in built[0].files if file.suffix == f".{form}")
    read = read_kit(path, tmp_path)
    assert read.notes == ()
    for wanted, found in zip(kit.drums, sorted(read.drums, key=lambda each: each.note)):
        assert (found.name, found.note, found.instrument) == (
            wanted.name,
            wanted.note,
            wanted.instrument,
        )
        for one, other in zip(wanted.layers, found.layers):
            assert (one.low, one.high) == (other.low, other.high)
            for mine, its in zip(one.hits, other.hits):
                assert its.gain == pytest.approx(0, abs=0.01)
                assert Path(its.file).read_bytes() == mine.file.read_bytes()
    closed, opened = (drums_of(read)[f"Hat {word}"] for word in ("closed", "open"))
    assert opened.off_by == closed.group != 0


def test_the_folder_can_be_moved_and_holds_samples_once(built, tmp_path):
    folder = built[0].files[0].parent
    moved = tmp_path / "elsewhere"
    shutil.copytree(folder, moved)
    assert len(list(moved.rglob("*.wav"))) == len(built[0].kit.files) == 5 * 3 * 2
    for path in moved.iterdir():
        if path.suffix in (".sfz", ".dspreset"):
            scratch = tmp_path / path.suffix
            files = read_kit(path, scratch).files
            assert sorted(files) == sorted(moved.glob("samples/*.wav"))


def test_the_midi_file_plays_every_sample_once(built):
    (path,) = (file for file in built[0].files if file.suffix == ".mid")
    played = [(m.note, m.velocity) for m in mido.MidiFile(path) if m.type == "note_on"]
    wanted = [
        (each.note, layer.high)
        for each in built[0].kit.drums
        for layer in each.layers
        for _ in layer.hits
    ]
    assert played == wanted
    assert all(m.channel == 9 for m in mido.MidiFile(path) if m.type == "note_on")


@pytest.mark.parametrize("tool", ["sfzlint", "sfz-validate"])
def test_others_find_nothing_wrong_with_the_sfz(built, tool):
    (path,) = (file for file in built[0].files if file.suffix == ".sfz")
    command = shutil.which(tool, path=str(Path(sys.executable).parent))
    done = subprocess.run([command, str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stdout + done.stderr


@pytest.mark.slow
@needs_hydrogen
def test_hydrogen_plays_the_samples(built, tmp_path):
    (archive,) = (file for file in built[0].files if file.suffix == ".h2drumkit")
    kit = built[0].kit
    notes = [
        (index, velocity)
        for index, each in enumerate(kit.drums)
        for velocity in [layer.high for layer in each.layers for _ in layer.hits]
    ]
    heard = play(archive, [(index, v / HIGHEST) for index, v in notes], tmp_path / "home")
    chosen = {}
    for (index, velocity), sound in zip(notes, heard):
        (layer,) = (x for x in kit.drums[index].layers if x.low <= velocity <= x.high)
        files = [soundfile.read(hit.file, always_2d=True)[0] for hit in layer.hits]
        same = [number for number, samples in enumerate(files) if is_played(samples, sound)]
        assert len(same) == 1, (kit.drums[index].name, velocity)
        chosen.setdefault((index, velocity), []).extend(same)
    assert all(sorted(turns) == [0, 1] for turns in chosen.values())


def is_played(samples, sound):
    """Whether a sound is a file, both channels of it, at its own level."""
    difference = sound.copy()
    difference[: len(samples)] -= samples
    return np.abs(difference).max() < 1e-4 * np.abs(samples).max()
