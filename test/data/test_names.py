import pytest

from drumblender.data.names import (
    GENERAL_MIDI,
    GENERAL_MIDI_FIRST_KEY,
    general_midi_name,
    recognize,
    recognize_instrument,
    recognize_type,
)


@pytest.mark.parametrize(
    ("name", "instrument"),
    [
        ("Kicks/01.wav", "kick"),
        ("x/BD0025.WAV", "kick"),
        ("x/KickHard-3.wav", "kick"),
        ("x/Bass Drum.wav", "kick"),
        ("x/SD_rim.flac", "snare"),
        ("x/sidestick.wav", "snare"),
        ("x/Floor Tom 2.wav", "tom"),
        ("x/HT00.wav", "tom"),
        ("x/HH closed.wav", "hihat"),
        ("x/OpenHat.wav", "hihat"),
        ("x/Ride bell.wav", "cymbals"),
        ("x/crash_L.wav", "cymbals"),
        ("x/Cowbell.wav", "cowbell"),
        ("x/Hand Clap.wav", "clap"),
        ("x/Conga Lo.wav", "percussion"),
        ("Snare/kickish thing/007.wav", "kick"),
        ("Loops/zither.wav", "unknown"),
        ("custom/bottom.wav", "unknown"),
    ],
)
def test_instruments_are_recognized_from_names(name, instrument):
    assert recognize_instrument(name) == instrument


def test_machines_are_electronic():
    assert recognize_type("Roland TR-909", "x.wav") == "electronic"
    assert recognize_type("Ludwig 1965", "room/x.wav") == "acoustic"
    assert recognize_type("Mine", "Mine/808 kicks/x.wav") == "electronic"
    assert recognize_type("Mine", "Mine/808_Kick.wav") == "electronic"
    assert recognize_type("Mine", "Mine/Snare 808.wav") == "acoustic"


@pytest.mark.parametrize(
    ("abbreviations", "instrument"),
    [
        ("bd kd", "kick"),
        ("sn sd rs", "snare"),
        ("hh ch oh chh ohh", "hihat"),
        ("cr rd cy", "cymbals"),
        ("cp", "clap"),
        ("tom lt mt ht", "tom"),
        ("cb", "cowbell"),
        ("perc", "percussion"),
    ],
)
def test_abbreviations_are_recognized_alone_and_with_numbers(abbreviations, instrument):
    for abbreviation in abbreviations.split():
        for name in (abbreviation, f"{abbreviation.upper()}03", f"My_{abbreviation}-2 soft"):
            assert recognize(name) == instrument


def test_a_name_counts_more_than_an_abbreviation_and_the_first_of_those_more_than_others():
    assert recognize("OH Snare") == "snare"
    assert recognize("SD_OH") == "snare"
    assert recognize("Tom CH2") == "tom"
    assert recognize("ride_kd") == "cymbals"


def test_every_drum_of_general_midi_is_recognized():
    # By hand, from the table of the MIDI association: key -> instrument where it is no percussion.
    keys = {
        "kick": (35, 36),
        "snare": (31, 37, 38, 40),
        "clap": (39,),
        "tom": (41, 43, 45, 47, 48, 50),
        "hihat": (42, 44, 46),
        "cymbals": (49, 51, 52, 53, 55, 57, 59),
        "cowbell": (56,),
    }
    expected = {key: instrument for instrument, those in keys.items() for key in those}

    last = GENERAL_MIDI_FIRST_KEY + len(GENERAL_MIDI) - 1
    assert last == 87
    for key in range(GENERAL_MIDI_FIRST_KEY, last + 1):
        assert recognize(general_midi_name(key)) == expected.get(key, "percussion")
    assert general_midi_name(26) == general_midi_name(88) == ""


def test_what_a_kit_says_counts_before_the_name_and_hints_after_the_folder():
    assert recognize_instrument("Kit/CB_03.aiff", "Kit", before=("Crash Left",)) == "cymbals"
    assert recognize_instrument("Kit/CB_03.aiff", "Kit", before=("c#4 - ",)) == "cowbell"
    assert recognize_instrument("Toms/07.wav", "Kit", after=("Bass Drum 1",)) == "tom"
    assert recognize_instrument("Kit/07.wav", "Kit", after=("Bass Drum 1",)) == "kick"
