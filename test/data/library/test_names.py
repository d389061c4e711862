from pathlib import Path

import pytest

from drumblender.data.library.names import (
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


# --- Types ---------------------------------------------------------------------------------------

LISTS = Path(__file__).parent / "names"


def packs(name):
    """Lines of a list of names of packs, with the type that each is."""
    text = (LISTS / name).read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines()]


def test_every_drum_machine_of_a_public_collection_is_electronic():
    machines = packs("machines.txt")

    assert len(machines) == 72
    for kind, name in machines:
        assert recognize_type(name, f"{name}/{name.lower()}-sd/Acoustic Snare-01.wav") == kind
        # Folders may be all in lower case, below another one.
        assert recognize_type("samples", f"samples/{name.lower()}-bd/01.wav") == kind


def test_names_that_were_written_down_before_the_tables_get_their_type():
    found = [
        (kind, recognize_type(name, f"{name}/Snare 01.wav")) for kind, name in packs("others.txt")
    ]

    assert len(found) > 240
    assert sum(kind == guess for kind, guess in found) / len(found) > 0.97
    assert not {("acoustic", "electronic"), ("electronic", "acoustic")} & set(found)


@pytest.mark.parametrize(
    "name", ["RolandTR707", "Roland TR-707", "tr_707", "TR707", "rolandtr707", "707", "my TR-707s"]
)
def test_a_machine_is_recognized_however_it_is_written(name):
    assert recognize_type(name, f"{name}/01.wav") == "electronic"
    assert recognize_type("Drums", f"Drums/{name}/01.wav") == "electronic"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Roland/TR-8/Kick.wav", "electronic"),
        ("Yamaha/RX5/Kick.wav", "electronic"),
        ("Korg/X-99/Kick.wav", "electronic"),  # a code beside a maker, of no table
        ("Yamaha/Kick.wav", "unknown"),  # makes both
        ("Yamaha/Maple Custom/Kick.wav", "acoustic"),
        ("Pearl/Kick.wav", "acoustic"),
        ("Pearl/Syncussion/Kick.wav", "electronic"),
        ("Pearl Export/Kick.wav", "acoustic"),
        ("The Black Pearl 1.0/Kick.wav", "acoustic"),
        ("Drum machines/Acoustic/Kick.wav", "acoustic"),  # the inner folder
        ("Acoustic/TR-808/Kick.wav", "electronic"),
        ("Acoustic and electronic/Kick.wav", "unknown"),
        ("Ludwig by Roland/Kick.wav", "unknown"),
        ("Mine/TR707 Kick.wav", "electronic"),
        ("Mine/Kick DMX.wav", "electronic"),
        ("Mine/808_Kick.wav", "electronic"),
        ("Mine/808 kicks/x.wav", "electronic"),
        ("Mine/Ludwig snare.wav", "acoustic"),
        ("Mine/electronic kick.wav", "electronic"),
        ("TR-808/Live at home/Kick.wav", "electronic"),
        ("Ableton Live/Kick.wav", "unknown"),
        ("Mine/Kick.wav", "unknown"),
    ],
)
def test_what_is_said_of_a_type_counts_in_its_order(name, kind):
    assert recognize_type(name.split("/")[0], name) == kind


@pytest.mark.parametrize(
    "name",
    [
        "Mine/kick 808.wav",
        "Mine/Snare_0808.wav",
        "Mine/TR 707.wav",  # one of a thousand
        "Mine/R8.wav",
        "Mine/CR 78.wav",
        "Mine/MT 32 soft.wav",
        "Mine/DX Kick.wav",
        "Vol 808/Kick.wav",
        "Kit 909090/Kick.wav",
        "Indexes/Kick.wav",
        "Bossa Nova/Kick.wav",
        "Bossa 2/Kick.wav",
        "Kawaii 3/Kick.wav",
        "Linnea/Kick.wav",
        "Zoom H4n/Kick.wav",
        "DX/Kick.wav",
        "MT 4/Kick.wav",
        "Korgis barking/Kick.wav",
        "Symphony/Kick.wav",
        "24 bit 48 kHz/Kick.wav",
        "Tempest/Kick.wav",
    ],
)
def test_codes_and_numbers_of_other_things_are_no_machines(name):
    assert recognize_type(name.split("/")[0], name) == "unknown"


@pytest.mark.parametrize(
    ("names", "instrument"),
    [
        ("BD BD01 Bassdrum-01 elkick3 21kick kick64 Kik", "kick"),
        ("SD5 snar23 elecsnar sstk1 stik Rim RS Rimsht XStk fatsnare SNR Snarepop", "snare"),
        ("CH OH Hhc Hho HHC CHH OHat CHat ClHat HatOp longhat hat1a HHClosed", "hihat"),
        ("LT MT HT Tom1 TomL TomA tomm01 LTom sfltom2 eltom3 LoTom HT25", "tom"),
        ("CY CR RD CY0010 crsh1 RDB zChina RideCym CRSH", "cymbals"),
        ("CB Cowb cowb01 Cowbel COW", "cowbell"),
        ("CP Clp HCP Claps HandClap", "clap"),
        (
            "MA CL LC MC HC cnga01 Clav caba01 cbsa1 Tamb tmb Tambourin Shak Marc WB Timbl",
            "percussion",
        ),
        ("Guirro TB Cab CongaL AgogoH Clave915 Triangle Quijada Cabasa Maracas", "percussion"),
    ],
)
def test_names_of_drum_machines_are_recognized(names, instrument):
    for name in names.split():
        assert recognize_instrument(f"Box/{name}.wav", "Box") == instrument, name


@pytest.mark.parametrize("pack", ["CR-78", "RolandMT32", "Roland CR-8000", "Maestro Rhythm King"])
def test_the_code_of_a_machine_is_no_abbreviation(pack):
    assert recognize_instrument(f"{pack}/zzz.wav", pack) == "unknown"
    assert recognize_instrument(f"{pack}/{pack} SD.wav", pack) == "snare"
    assert recognize_instrument("Mine/CR 78.wav", "Mine") == "cymbals"


def test_abbreviations_with_more_meanings_count_where_nothing_else_is():
    assert recognize("CL HH") == "hihat"
    assert recognize("Snarl") == recognize("cab driver") == recognize("Mama") == "unknown"


def test_names_of_any_length_take_little_time():
    for text in ("a " * 9000, "tr " * 9000, "1" * 20_000, "roland " * 3000, "Aa" * 9000):
        recognize_type(text, f"{text}/{text}.wav")
        recognize(text)
