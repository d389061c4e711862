"""Notes are played as a kit says: layers, turns, groups, and a limit of voices."""

import numpy as np
import pytest
from small_models import drum

import drumblender
from drumblender.live.instruments import Instrument, Layer
from drumblender.live.offline import Event, play_events
from drumblender.live.player import Player
from drumblender.sound.streaming import Prepared

RATE = 16000


@pytest.fixture(scope="module")
def hits(tmp_path_factory):
    voice, folder = drumblender.load(device="cpu"), tmp_path_factory.mktemp("hits")
    sounds = [
        voice.decompose(drum(folder / f"{f}.wav", f, 0.3, seed=f), seed=0) for f in (200, 500, 900)
    ]
    return [Prepared.of(sounds[0], sounds[1]), *map(Prepared.of, sounds[1:])]


def tone(samples):
    """Frequency that is loudest, in Hz."""
    power = np.abs(np.fft.rfft(samples[:, 0] * np.hanning(len(samples)), 2**15))
    return power.argmax() * RATE / 2**15


def played(player, *events, block=100):
    return play_events(player, [Event(at / RATE, *more) for at, *more in events], block)


def test_layers_and_turns_and_velocities(hits):
    instrument = Instrument("x", 36, (Layer(60, tuple(hits[:2])), Layer(127, (hits[2],))))
    player = Player([instrument], RATE)
    loud = [played(player, (0, "note", 36, velocity)) for velocity in (60, 60, 60, 30, 127)]
    assert [round(tone(x) / 100) for x in loud] == [2, 5, 2, 5, 9]
    assert np.abs(loud[3]).max() < 0.6 * np.abs(loud[1]).max()
    assert np.array_equal(loud[0], loud[2])


def test_a_note_begins_at_its_sample_whatever_the_block(hits):
    player = Player([Instrument("x", 36, (Layer(127, (hits[2],)),))], RATE)
    made = [played(player, (777, "note", 36, 127), block=b) for b in (64, 500)]
    length = min(map(len, made))
    assert np.array_equal(made[0][:length], made[1][:length])
    assert not made[0][:777].any()


def test_groups_end_each_other_and_the_oldest_note_gives_way(hits):
    opened = Instrument("open", 46, (Layer(127, (hits[0],)),), off_by=1)
    closed = Instrument("closed", 42, (Layer(127, (hits[2],)),), group=1)
    player = Player([opened, closed], RATE)
    player.note(46, 127)
    player.render(400)
    player.note(42, 127)
    assert player.sounding == 2
    player.render(400)
    assert player.sounding == 1
    few = Player([opened], RATE, voices=2)
    for _ in range(4):
        few.note(46, 127)
        few.render(400)
    assert few.sounding == 2
    assert few.load.most == 3  # one of them fades


def test_controllers_move_what_sounds_and_what_comes(hits):
    player = Player([Instrument("x", 36, (Layer(127, (hits[0],)),))], RATE)
    plain = played(player, (0, "note", 36, 100))
    moved = played(player, (0, "note", 36, 100), (1000, "bend", 0, 8191))
    assert not np.array_equal(plain[1400:3000], moved[1400:3000])
    assert tone(moved[1400:4000]) == pytest.approx(200 * 2 ** (2 / 12), rel=0.02)
    player.bend(0)
    player.control(1, 127)
    assert round(tone(played(player, (0, "note", 36, 100))) / 100) == 5
    player.control(1, 0)
    for number in (20, 21, 22):
        player.control(number, 0)
    assert np.abs(played(player, (0, "note", 36, 100))).max() < 1e-3


def test_notes_without_a_drum_are_named_and_all_notes_end_at_once(hits):
    player, told = Player([Instrument("x", 36, (Layer(127, (hits[0],)),))], RATE), []
    play_events(player, [Event(0, "note", 60, 9), Event(5 / RATE, "note", 36, 9)], 64, told.append)
    assert told == ["There is no drum for 60 (keys of MIDI)."]
    player.note(36, 100)
    player.control(123, 0)
    player.render(1000)
    assert player.sounding == 0
