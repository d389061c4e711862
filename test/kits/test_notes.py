"""Every drum has a key of its own, that of General MIDI if its name says so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drumblender.data.library.names import INSTRUMENTS, general_midi_name, recognize
from drumblender.errors import UsageError
from drumblender.kits.kit import Drum
from drumblender.kits.notes import with_notes


def drum(name, note=None, **more):
    return Drum(name, recognize(name), note, (), **more)


def notes_of(*names):
    return [placed.note for placed in with_notes([drum(name) for name in names])]


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("BD 01", 36),
        ("Kick", 36),
        ("Snare", 38),
        ("SD rim", 37),
        ("Side Stick", 37),
        ("RIMSHOT", 37),
        ("Clap", 39),
        ("CH", 42),
        ("Closed Hi-Hat", 42),
        ("Hat Pedal", 44),
        ("OH", 46),
        ("Hat_Open_2", 46),
        ("Floor Tom", 41),
        ("Low Tom", 45),
        ("Low-Mid Tom", 47),
        ("Hi-Mid Tom", 48),
        ("tom_hi", 50),
        ("Crash 16", 49),
        ("Ride", 51),
        ("Ride Bell", 53),
        ("Splash", 55),
        ("China", 52),
        ("Cowbell", 56),
        ("Tambourine", 54),
        ("Low Conga", 64),
        ("Conga Hi", 63),
        ("Conga mute", 62),
        ("Bongo low", 61),
        ("Maracas", 70),
        ("Claves", 75),
        ("Open Triangle", 81),
        ("Shaker", 82),
    ],
)
def test_a_drum_alone_has_the_key_of_its_name(name, note):
    assert notes_of(name) == [note]


def test_every_drum_of_general_midi_of_an_instrument_gets_its_own_key():
    keys = [key for key in range(35, 88) if key not in (58,)]
    drums = [drum(general_midi_name(key)) for key in keys]
    found = {placed.name: placed.note for placed in with_notes(drums)}
    wrong = {
        name: (key, found[name])
        for key in keys
        for name in [general_midi_name(key)]
        if found[name] != key and recognize(name) != "unknown"
    }
    assert not wrong


@given(st.lists(st.sampled_from([*INSTRUMENTS, "unknown thing", "open hat"]), max_size=128))
def test_no_two_drums_share_a_key(names):
    notes = notes_of(*names)
    assert len(set(notes)) == len(names)
    assert all(0 <= note <= 127 for note in notes)


def test_what_is_more_than_general_midi_has_gets_keys_that_it_gives_to_no_drum():
    notes = notes_of(*["Kick"] * 5, "Low Floor Tom")
    assert notes[:2] == [36, 35]
    assert notes[-1] == 41
    assert all(not general_midi_name(note) for note in notes[2:5])


def test_a_first_choice_counts_more_than_the_second_choice_of_another_drum():
    notes = notes_of("Snare", "Snare", "Electric Snare", "Side Stick")
    assert (notes[0], *notes[2:]) == (38, 40, 37)


def test_a_key_that_fits_is_kept_and_another_one_is_not():
    kept = with_notes([drum("Kick", 35), drum("Snare", 45), drum("thing", 12)])
    assert [placed.note for placed in kept] == [35, 38, 12]


def test_more_drums_than_keys_are_refused():
    with pytest.raises(UsageError, match="128 keys, and these are 129 drums"):
        notes_of(*["Kick"] * 129)


def test_closed_hats_end_open_ones_and_not_the_other_way_round():
    closed, opened, pedal, kick = with_notes(
        [drum(name) for name in ("Hat closed", "Hat open", "Hat pedal", "Kick")]
    )
    assert opened.off_by == closed.group == pedal.group != opened.group
    assert closed.off_by == pedal.off_by == kick.group == kick.off_by == 0


def test_groups_that_a_kit_says_are_kept():
    placed = with_notes([drum("Hat open", group=5, off_by=5), drum("Crash", group=5, off_by=7)])
    assert [(each.group, each.off_by) for each in placed] == [(5, 5), (5, 7)]
