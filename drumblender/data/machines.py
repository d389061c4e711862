"""Who made the instrument that was recorded: drum machines, synthesizers and samplers, and drums.

Names of folders mostly say what was recorded, and not whether that is electronic. These tables know
it. To add a machine, write its name into the line of its maker.

How names are written does not matter: ``TR-707`` in a table is found as TR707, tr_707, RolandTR707
and "Roland TR 707".
"""

import functools
import re
import unicodedata
from dataclasses import dataclass
from typing import List, Pattern, Sequence, Tuple

ACOUSTIC, ELECTRONIC = "acoustic", "electronic"


@dataclass(frozen=True)
class Maker:
    """A maker and its machines; lists are divided by commas.

    Numbers after a name make a machine each (``TR 707 808`` is TR-707 and TR-808), and ``#`` is any
    number.

    Attributes:
        names: how the maker is written.
        alone: machines whose name says enough.
        beside: machines whose name is also a word, or a code for other things, so that it only
            counts beside the maker's.
    """

    names: str
    alone: str = ""
    beside: str = ""


# Makers whose name alone hints at electronic sounds. Beside it any code does: "Korg M1".
_ELECTRONIC_MAKERS = (
    Maker(
        "Roland",
        "TR 330 505 606 626 700 707 727 808 909 6S 8S, CR 68 78 800 5000 8000, CompuRhythm, TB 303,"
        "MC 202 303 307 505 808 909, MV 8000 8800, SP 404 404SX 404MKII 555, DDR 30, JD 800 990,"
        "SPD 8 11 20 30 S SX, HPD 10 15 20, OctaPad, HandSonic, VDrums, V Drums, JV 880 1010 1080"
        "2080, XV 3080 5050 5080, SH 101, Juno 6 60 106, Jupiter 4 6 8, Alpha Juno, JX 3P 8P 10,"
        "MT 32, Sound Canvas, GrooveBox, Rhythm Arranger",
        "TR #, CR #, R #, D #, U #, S #, W #, TD #, SC #, MT #, SH #, JX #, JV #, XP #, MC #, MV #,"
        "DR #, PAD #, PM #, KD #, System 100 100M 700, Aira, Fantom, Juno, Jupiter, Variphrase",
    ),
    Maker(
        "Boss",
        "Dr Rhythm, Doctor Rhythm, DR 110 220 220A 220E 550 660 670 770 880, SP 202 303 505",
        "DR #, Dr Groove, Dr Pad, HC 2, PC 2",
    ),
    Maker(
        "Korg, Keio",
        "MiniPops, Mini Pops, DoncaMatic, Donca Matic, KPR 77, KR 33 55 55B, KRZ, DDD 1 5,"
        "DDM 110 220, Electribe, ESX 1, EMX 1, Volca, WaveStation, WaveDrum, Poly 61 800,"
        "MonoTribe, MonoTron, MiniLogue, Monologue, Kaossilator, MicroSampler",
        "ER #, ES #, EA #, EM #, MS #, M #, T #, S #, X #, N #, SR #, DSS #, DSM #, DS #, DW #,"
        "Rhythm 55, Triton, Trinity, Kronos, Karma, Prologue, Drumlogue, PSS #, MR #",
    ),
    Maker("Casio", "RZ 1, VL Tone, Casiotone", "VL #, SK #, PT #, MT #, CZ #, SA #, FZ #, CTK #"),
    Maker(
        "Akai",
        "MPC #, MPC, MPD #, XR 10, XE 8, S 612 900 950 1100 2800 3000 3200 5000 6000, TomCat,"
        "RhythmWolf",
        "S #, Z #, AX #, Force",
    ),
    Maker("Alesis", "HR 16 16B, SR 16 18, DM 5, QuadraSynth", "D #, DM #, DM Pro, Andromeda"),
    Maker(
        "E-mu, Emu",
        "Drumulator, SP 12 1200, Procussion, Emax, Emulator II III, Emulator 2 3 4, Planet Phatt",
        "Emulator, Modular, Proteus, Orbit, MPC #, E #",
    ),
    Maker("Linn", "LinnDrum, LinDrum, Akai Linn, LM 1 2, Linn 9000, AdrenaLinn", "Drum, 9000"),
    Maker("Oberheim", "DMX, OB 8 X Xa, OBX, OBXa", "DX, Stretch, Xpander, Matrix, Prommer"),
    Maker(
        "Sequential Circuits, Dave Smith, DSI",
        "DrumTraks, DrumTracks, Studio 440, SixTrak, Six Trak, MultiTrak, Prophet 5 6 8 10 12 600"
        "2000 3000 VS, Mopho, Evolver",
        "Tom, Traks, Tempest, Prophet, Tetra",
    ),
    Maker(
        "Simmons",
        "SDS #, SDSV, SDS V EPB, ClapTrap, Clap Trap, SilconMallet, Silicon Mallet",
        "MTM, MTX 9, SD #",
    ),
    Maker("Kawai", "R 50E, XD 5", "R #, K #, ACR #, Q #"),
    Maker("Ace Tone, Acetone", "RhythmAce, Rhythm Ace", "FR #, Rhythm Producer"),
    Maker("Univox", "MicroRhythmer, Micro Rhythmer", "SR #, Rhythm"),
    Maker("Vermona", "DRM 1", "ER 9"),
    Maker("MFB, Fricke", "Tanzbär, Tanzbaer, Tanzmaus, MFB #", "Nanozwerg, Kult"),
    Maker("JoMoX", "XBase, AirBase, MBase, ModBase, AlphaBase", "Alpha Base"),
    Maker("Clavia", "Nord Drum 2 3, Nord Drum, Nord Lead, Nord Modular, Nord Rack"),
    Maker("Dynacord", "Percuter, ADD One, Rhythm Stick", "Boomer"),
    Maker("Sakata", "DPM 48"),
    Maker("Amdek", "RMK 100, PCK 100"),
    Maker("PAiA", "", "Drum"),
    Maker("Multivox", "", "FR #, MX #"),
    Maker("SoundMaster, SoundMasters", "Memory Rhythm", "SR 88, R 88, Stix"),
    Maker("MXR", "", "Model 185, Drum Computer"),
    Maker("Mattel", "Synsonics"),
    Maker("Electro Harmonix, EHX", "SpaceDrum, Space Drum, DRM 15 16 32", "Crash Pad, Rhythm 12"),
    Maker(
        "Elektron",
        "MachineDrum, Machine Drum, Rytm, DigiTakt, DigiTone, OctaTrack, SynTakt, MonoMachine,"
        "Model Samples, Model Cycles, Analog Four, SPS 1",
        "Model",
    ),
    Maker("Arturia", "DrumBrute, MicroBrute, MiniBrute, MicroFreak", "Spark"),
    Maker("Novation", "DrumStation, Drum Station, Bass Station, SuperNova", "Circuit, Nova"),
    Maker("Quasimidi", "RaveOLution, Rave O Lution", "Sirius, Technox, Polymorph, 309"),
    Maker("Waldorf", "Microwave XT, Blofeld", "Attack, Wave, Pulse, Q"),
    Maker("Moog", "DFAM, MiniMoog, Mother 32, ConcertMate, ConcertMateMG 1", "Rogue, Sub 37"),
    Maker("Fairlight", "CMI II IIx III, Fairlight CMI"),
    Maker("Synclavier", "", "Drums"),
    Maker("Ensoniq", "ASR 10, EPS 16", "EPS, ASR, Mirage, SQ #, VFX, TS #, ESQ #"),
    Maker("Kurzweil", "", "K #, PC #"),
    Maker("Teenage Engineering", "PocketOperator, Pocket Operator, PO 12 14 16 20 24 28 32 33 35",
          "OP 1 Z, EP 133"),
    Maker("Doepfer", "MS 404", "A #, Dark Energy"),
    Maker("Buchla", "", "Easel"),
    Maker("Erica Synths", "Perkons", "Bassline"),
    Maker("Mutable Instruments", "", "Peaks, Plaits"),
    Maker("Farfisa", "", "Rhythm"),
    Maker("Elka", "Drummer One", "Rhythm"),
    Maker("Lowrey", "", "Golden Harp, Rhythm"),
    Maker("Wurlitzer", "SwingingRhythm, Swinging Rhythm", "SideMan, Side Man"),
    Maker("Wersi", "Wersimatic", "CX 1"),
    Maker("PPG", "", "Wave"),
    Maker("Crumar, Siel, Bontempi, Godwin, Welson, Solton, Formanta, Polivoks", "MDP 40"),
    Maker("Rhythmic Robot, Sonic Potions, Sonic Charge, AudioRealm", "MicroTonic, LXR 02"),
    Maker(
        "Atari, Commodore, Amiga, Nintendo, Sega, Amstrad, Famicom, Sinclair",
        "GameBoy, Game Boy, C 64, NES, SNES, YM 2149 2413 2612 3812, LSDJ, ZX Spectrum, SID Chip,"
        "SID 6581 8580, Sega Genesis, Mega Drive, OPL 2 3",
        "SID, ST",
    ),
)  # fmt: skip

# Makers whose name alone says nothing: they make other things, too, or share it with them.
_OTHER_MAKERS = (
    Maker(
        "Yamaha",
        "RX 11 15 17 21 21L, RY 8 9 10 20 30, RM 50 1X, DX 7 100 21 27, TX 81Z, PortaSound, SY 77",
        "RX #, RY #, RM #, DX #, TX #, TG #, SY #, DD #, MR #, PTX #, PSR #, PSS #, PSE #, DTX #,"
        "DTX, DTXpress, CS #, VSS #, SU #, QY #, MU #, EX 5, AN 1X, FS 1R, Motif, Reface, A 3000",
    ),
    Maker("Sequential", "", "Traks, Tom, Tempest, Prophet"),
    Maker("Zoom", "RhythmTrak, MRT 3 3B, SampleTrak", "RT #, ST 224, MRT #"),
    Maker("Maestro", "Rhythm King, MRK 1 2 4, Rhythm Jester", "Rhythm"),
    Maker("Hammond", "AutoVari, Auto Vari", "Rhythm"),
    Maker("Thomas", "", "BandMaster, Band Master, Organ, Rhythm"),
    Maker("Hohner", "", "Rhythm #, Rhythm, Automatic Rhythm Player"),
    Maker("Conn", "MinOMatic, Min O Matic", "Rhythm"),
    Maker("Eko", "ComputeRhythm, RhythMaker, RitMaker", "Rhythm, Drum"),
    Maker("Cheetah", "SpecDrum", "MD 8 16, MS 6"),
    Maker("Technics", "", "PCM, DP #, SX #"),
    Maker("Suzuki", "RPM 40", "RPM #"),
    Maker("Behringer", "", "RD #, TD 3"),
    Maker("Coron", "", "DS #, Drum Synce"),
    Maker("JHS", "", "Rhythm, DS #"),
    Maker("GEM, General Music", "", "Drum 15, S 2 3, Rhythm"),
    Maker("Kay", "", "Rhythm, R 8 12"),
    Maker("Whippany, Gulbransen, Seeburg", "Rhythm Prince, Select A Rhythm", "Rhythm, Pacemaker"),
    Maker("Star Instruments, Star", "Synare", "Synare"),
    Maker("Rhodes", "", "Polaris, Chroma, Model 660"),
    Maker("Access", "Access Virus", "Virus"),
    Maker("Arp", "", "2500, 2600, Axxe, Odyssey, Omni, Solina, Quadra, Pro Soloist"),
    Maker("EMS", "VCS 3, Synthi", "AKS"),
    Maker("Serge", "", "Modular"),
    Maker("Soma", "", "Pulsar 23"),
    Maker("D16, Propellerhead", "Drumazon, Nepheton, Nithonat", "ReBirth, ReDrum"),
    Maker("Realistic", "", "MG 1"),
    Maker("XDrum, AJK, Visco, Nasta, Hing Hon", "XDrum, LM 8953, Percusyn, DrumFire, Hit Stix"),
    Maker("Mellotron, Optigan, Orchestron", "Mellotron, Optigan, Orchestron"),
)

# Makers of drums and cymbals, some of whom also made electronic ones.
_ACOUSTIC_MAKERS = (
    Maker("Pearl", "Syncussion", "SY 1, DRX 1, DrumX, Drum X, Fightman, PSC #"),
    Maker("Tama", "TechStar, Tech Star", "TS #"),
    Maker("Sonor", "", "MiniMammut, Mini Mammut"),
    Maker(
        "Ludwig, Gretsch, Slingerland, DW, Drum Workshop, Mapex, Premier Drums, Rogers, Camco,"
        "Leedy, Noble and Cooley, Craviotto, Ayotte, Pacific Drums, PDP, Zildjian, Sabian,"
        "Paiste, Meinl, Ufip, Bosphorus, Wuhan, Gon Bops"
    ),
)

_MAKERS = (*_ELECTRONIC_MAKERS, *_OTHER_MAKERS, *_ACOUSTIC_MAKERS)

# Series of drums that are called like nothing else, and other words that say or hint at a type.
_ACOUSTIC_SERIES = (
    "vistalite|supra ?phonic|acrolite|black beauty|radio king|star ?classic|imperial ?star"
    "|broad ?kaster|round badge|keystone badge|(maple|birch|beech|recording|stage|masters) custom"
    "|pearl (export|masters|reference)|premier (resonator|genista|artist|kit|19\\d\\d)"
)
_SAYS_ACOUSTIC = r"acousti\w*|akusti\w*|acusti\w*|unplugged"
_SAYS_ELECTRONIC = (
    r"ele[ck]|ele[ck]tro|ele[ck]troni\w*|electric|elettroni\w*|synth\w*|\w+synths?"
    r"|(drum|beat|rhythm|groove) ?(machine|computer|box)(e?s)?|drum ?synths?|modular|euro ?rack"
    r"|chip ?tunes?|8 bit"
)
_HINTS_ACOUSTIC = (
    r"(?<!ableton )live|(studio|jazz|rock|funk|blues|room|brush|vintage|natural) ?(drum ?)?kits?"
    r"|brush(es|ed)?|maple|birch|bubinga|(mahogany|beech|walnut|oak|poplar|wood(en)?) ?"
    r"(drums?|kits?|snares?|shells?)|orchestra(l)?|room mics?|overheads?"
    r"|\w*djembes?|darbukas?|doumbeks?|cajons?|bodhrans?|tablas?|dunun\w*|taikos?|udus?|pandeiros?"
    r"|salamander|muldjord|drs ?kit|aasimonster|crocell|big rusty|swirly drums|virtuosity drums"
    r"|frame drums?|batucada|latin percussion|afri(can|que)|timpani"
)
_PARTS = r"(drums?|kits?|perc\w*|kicks?|snares?|toms?|hats?|hits?)"
_HINTS_ELECTRONIC = (
    rf"(analog(ue)?|digital|digi|machine) ?{_PARTS}|^(analog(ue)?|digital|machines?)$"
    r"|techno|trance|hard ?style|gabber|edm|dub ?step|synth ?wave|idm|circuit bent"
)

# Machines that go by their number alone; not where it counts something else.
_NUMBERS = (
    r"(?<!vol )(?<!volume )(?<!no )(?<!nr )(?<!number )(?<!part )(?<!v )(?<!disc )(?<!cd )"
    r"(606|626|707|727|808|909)(?! (files|bpm|hz|khz|ms|mb))"
)
# A shorter code in a file's name may be that of an instrument with a running number (CR 78).
_LEAST_LETTERS_OF_A_FILE_CODE = 5


def said(texts: Sequence[str], file: str) -> str:
    """The type that names say: of machines, or in words; empty where they say none.

    Folders count more than the file's name, inner ones more than outer ones.

    Args:
        texts: names of folders, the outer ones first.
        file: name of the file, without its ending.

    >>> said(["Roland", "R-8"], "Acoustic Snare"), said(["Ludwig"], "808 Kick")
    ('electronic', 'electronic')
    """
    folders = [_spoken(text) for text in texts]
    for inner in range(len(folders), 0, -1):
        found = _of_folder(" / ".join(folders[: inner - 1]), folders[inner - 1])
        if found:
            return found
    return _of_file(_spoken(file))


def hinted(texts: Sequence[str], file: str) -> str:
    """The type that names make likely, as :func:`said`; of a file's name, only makers count.

    >>> hinted(["Korg"], "01"), hinted(["Jazz Kit"], "01"), hinted(["My sounds"], "01")
    ('electronic', 'acoustic', '')
    """
    for text in reversed(texts):
        spoken = _spoken(text)
        found = _one(
            acoustic=_hint(ACOUSTIC).search(spoken) or _whole(_HINTS_ACOUSTIC).search(spoken),
            electronic=_hint(ELECTRONIC).search(spoken) or _whole(_HINTS_ELECTRONIC).search(spoken),
        )
        if found:
            return found
    spoken = _spoken(file)
    return _one(
        acoustic=_hint(ACOUSTIC).search(spoken), electronic=_hint(ELECTRONIC).search(spoken)
    )


@functools.lru_cache(maxsize=4096)
def without(text: str) -> str:
    """A name without the makers and machines in it.

    >>> without("rolandtr808-bd"), without("My_BD 01")
    ('bd', 'my bd 01')
    """
    spoken = _spoken(text)
    for pattern in (_glued(), _coded(), _machines(), _named()):
        spoken = pattern.sub(" ", spoken)
    return " ".join(spoken.split())


@functools.lru_cache(maxsize=4096)
def _of_folder(outer: str, text: str) -> str:
    if _machines().search(text) or _whole(_NUMBERS).search(text) or _beside(outer, text):
        return ELECTRONIC
    return _word(text)


def _of_file(text: str) -> str:
    # At the end of a file's name, 808 is its number in a long row.
    if re.match(rf"{_NUMBERS} ", text) or _beside("", text):
        return ELECTRONIC
    found = _machines().search(text)
    code = found[0] if found else ""
    long = len(code.replace(" ", "")) >= _LEAST_LETTERS_OF_A_FILE_CODE or code.isalpha()
    if found and long and not (code == text and text[-1].isdigit()):
        return ELECTRONIC
    return _word(text)


def _word(text: str) -> str:
    """What is said in words."""
    return _one(
        acoustic=_whole(f"{_SAYS_ACOUSTIC}|{_ACOUSTIC_SERIES}").search(text),
        electronic=_whole(_SAYS_ELECTRONIC).search(text),
    )


def _beside(outer: str, text: str) -> bool:
    """Whether a text names a machine that counts beside its maker, who may be named outside."""
    if _glued().search(text) or _coded().search(text):
        return True
    if not _named().search(f"{outer} {text}"):
        return False
    if _CODE.fullmatch(text) and _hint(ELECTRONIC).search(outer):
        return True
    return any(
        (names.search(text) or names.search(outer)) and machines.search(text)
        for names, machines in _pairs()
    )


_CODE = re.compile(r"[a-z]{1,4} ?\d+( [a-z]{1,3})?")


def _one(acoustic: object, electronic: object) -> str:
    """The type that is there; none where both are."""
    if bool(acoustic) == bool(electronic):
        return ""
    return ACOUSTIC if acoustic else ELECTRONIC


# --- Patterns of the tables ----------------------------------------------------------------------


def _spoken(text: str) -> str:
    """Lower-case runs of letters and of digits, without accents, parted by a space.

    >>> _spoken("RolandTR-707"), _spoken("LinnDrum_kit")
    ('roland tr 707', 'linn drum kit')
    """
    text = unicodedata.normalize("NFKD", text)
    text = "".join(letter for letter in text if not unicodedata.combining(letter))
    text = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", text)
    return " ".join(re.findall(r"[^\W\d_]+|\d+", text.lower()))


def _patterns(names: str) -> List[str]:
    """Patterns of the names in a list.

    >>> _patterns("TR 707 8S, LinnDrum, RX #")
    ['tr ?707', 'tr ?8 ?s', 'linn ?drum', 'rx ?\\\\d+']
    """
    found = []
    for entry in filter(None, map(str.strip, names.split(","))):
        first, *more = entry.split(" ")
        # Words up to the first number are the name, and what follows are its machines.
        while more and not re.match(r"[\d#]|[A-Z]{1,4}$|I+x?$", more[0]):
            first = f"{first} {more.pop(0)}"
        for machine in more or [""]:
            spoken = _spoken(f"{first} {machine}").replace(" ", " ?")
            found.append(f"{spoken} ?\\d+" if machine == "#" else spoken)
    return found


def _any(names: str) -> str:
    return "|".join(sorted(_patterns(names), key=len, reverse=True))


@functools.cache
def _whole(pattern: str) -> Pattern[str]:
    """A pattern that stands for itself in a text, and is no part of a longer word or number."""
    return re.compile(rf"(?<![a-z0-9])(?:{pattern})(?![a-z0-9])")


@functools.cache
def _machines() -> Pattern[str]:
    """Machines whose name says enough, also where the maker's is written together with it."""
    alone = ",".join(maker.alone for maker in _MAKERS if maker.alone)
    return _whole(rf"(?:(?:{_any(_names(_MAKERS))}) ?)?(?:{_any(alone)})s?")


@functools.cache
def _glued() -> Pattern[str]:
    """Machines that count beside their maker, right behind the name."""
    return _whole(
        "|".join(f"(?:{_any(m.names)}) ?(?:{_any(m.beside)})s?" for m in _MAKERS if m.beside)
    )


@functools.cache
def _coded() -> Pattern[str]:
    """A maker of machines and a code, which need not be in the table."""
    names = _any(_names(_ELECTRONIC_MAKERS))
    return _whole(rf"(?:{names}) (?!(?:19|20)\d\d(?!\d))(?:[a-z]{{1,4}} )?\d+")


@functools.cache
def _pairs() -> List[Tuple[Pattern[str], Pattern[str]]]:
    """The names of each maker, and its machines that count beside them."""
    return [
        (_whole(_any(maker.names)), _whole(f"(?:{_any(maker.beside)})s?"))
        for maker in _MAKERS
        if maker.beside
    ]


@functools.cache
def _named() -> Pattern[str]:
    return _whole(_any(_names(_MAKERS)))


@functools.cache
def _hint(kind: str) -> Pattern[str]:
    return _whole(_any(_names(_ACOUSTIC_MAKERS if kind == ACOUSTIC else _ELECTRONIC_MAKERS)))


def _names(makers: Sequence[Maker]) -> str:
    return ",".join(maker.names for maker in makers)
