"""drumblender-play, as a person calls it: MIDI and recordings into files, and no device."""

import mido
import numpy as np
import pytest
import soundfile
from small_models import drum

from drumblender.commands.play import main

RATE = 16000


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kit")
    drum(folder / "kick.wav", 80, 0.2)
    drum(folder / "snare.wav", 300, 0.2, channels=2)
    return folder


def groove(path, notes, *more):
    file = mido.MidiFile(ticks_per_beat=480)
    track = mido.MidiTrack()
    file.tracks.append(track)
    track.extend(more)
    for note, velocity in notes:
        track.append(mido.Message("note_on", note=note, velocity=velocity, time=240))
    file.save(path)
    return path


def test_a_midi_file_is_played_into_a_file(kit, tmp_path, capsys):
    midi = groove(tmp_path / "a.mid", [(36, 100), (38, 127), (36, 40)])
    output = tmp_path / "a.wav"
    assert main([str(kit), "--midi", str(midi), "--output", str(output)]) == 0
    samples, rate = soundfile.read(output)
    assert rate == RATE
    assert samples.shape[1] == 2
    begun = [round(0.25 * n * rate) for n in (1, 2, 3)]
    assert not samples[: begun[0]].any()
    loud = [np.abs(samples[at : at + 4000]).max() for at in begun]
    assert loud[2] < loud[0]
    said = capsys.readouterr().out
    assert "36  kick: 1 layers, 1 hits" in said
    assert "the worst block took" in said


def test_strokes_of_a_recording_play_a_drum(kit, tmp_path, capsys):
    pad = np.zeros(2 * RATE)
    for at in (4000, 12000, 20000):
        pad[at : at + 200] = 0.5 * np.random.default_rng(at).uniform(-1, 1, 200)
    soundfile.write(tmp_path / "pad.wav", pad, RATE)
    paths = ["--strokes", str(tmp_path / "pad.wav"), "--output", str(tmp_path / "b.flac")]
    assert main([str(kit), *paths, "--note", "38", "--toward", str(kit)]) == 0
    assert "3 strokes" in capsys.readouterr().out
    samples, _ = soundfile.read(tmp_path / "b.flac")
    assert not samples[:4000].any()
    assert samples[4300:5000].any()


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ([], 2, "Give a KIT to play"),
        (["drums"], 2, "has no drums of its own"),
        (["KIT", "--midi", "a.mid"], 2, "--output goes with"),
        (["KIT", "--midi", "a", "--strokes", "b", "--output", "c.wav"], 2, "do not go together"),
        (["KIT", "--voices", "0", "--midi", "a", "--output", "c.wav"], 2, "give 1 to 64"),
        (["KIT", "--midi", "none.mid", "--output", "c.wav"], 1, "none.mid does not exist"),
        (["KIT", "--midi", "KIT/kick.wav", "--output", "c.wav"], 1, "is no file of MIDI"),
        (["KIT", "--midi", "a.mid", "--output", "c.wav", "--note", "99"], 2, "plays no drum"),
        (["nowhere", "--midi", "a.mid", "--output", "c.wav"], 1, "nowhere does not exist"),
        (["KIT", "--midi", "a.mid", "--output", "c.mp4"], 2, "c.mp4"),
    ],
)
def test_what_does_not_work_gets_one_sentence(
    kit, capsys, tmp_path, monkeypatch, arguments, code, sentence
):
    monkeypatch.chdir(tmp_path)
    groove("a.mid", [(36, 100)])
    assert main([x.replace("KIT", str(kit)) for x in arguments]) == code
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert sentence in said[0]


def test_without_a_device_there_is_one_sentence(kit, capfd):
    try:
        import sounddevice

        if len(sounddevice.query_devices()):
            pytest.skip("hardware: there is a sound device")
    except (ImportError, OSError):
        pass
    assert main([str(kit), "--seconds", "0.1"]) in (1, 2)
    last = capfd.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert "--midi FILE" in last or "pip install" in last
