"""Makers of drum machines, synthesizers and samplers, and of drums, with what they made.

Names of folders mostly say which instrument was recorded, and not whether it is electronic. These
tables know that. To add a machine, write its name into the line of its maker.

The way in which names are written does not matter: ``TR-707`` in a table is found as TR707, tr_707,
RolandTR707 and "Roland TR 707".
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Maker:
    """A maker and its machines. Commas divide the lists.

    Numbers after a name make a machine each (``TR 707 808`` is TR-707 and TR-808), and ``#`` is any
    number.

    Attributes:
        names: spellings of the maker's name.
        alone: machines whose name says enough.
        beside: machines whose name is also a word, or a code for other things. They count only
            beside the maker's name.
    """

    names: str
    alone: str = ""
    beside: str = ""


# Makers whose name alone hints at electronic sounds. Beside it any code does: "Korg M1".
ELECTRONIC_MAKERS = (
    Maker(
        "Roland",
        "TR 330 505 606 626 700 707 727 808 909 6S 8S, CR 68 78 800 5000 8000, CompuRhythm, TB 303,"
        "MC 202 303 307 505 808 909, MV 8000 8800, SP 404 404SX 404MKII 555, DDR 30, JD 800 990,"
        "SPD 8 11 20 30 S SX, HPD 10 15 20, OctaPad, HandSonic, VDrums, V Drums, JV 880 1010 1080 "
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
        "DrumTraks, DrumTracks, Studio 440, SixTrak, Six Trak, MultiTrak, Prophet 5 6 8 10 12 600 "
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
OTHER_MAKERS = (
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
ACOUSTIC_MAKERS = (
    Maker("Pearl", "Syncussion", "SY 1, DRX 1, DrumX, Drum X, Fightman, PSC #"),
    Maker("Tama", "TechStar, Tech Star", "TS #"),
    Maker("Sonor", "", "MiniMammut, Mini Mammut"),
    Maker(
        "Ludwig, Gretsch, Slingerland, DW, Drum Workshop, Mapex, Premier Drums, Rogers, Camco,"
        "Leedy, Noble and Cooley, Craviotto, Ayotte, Pacific Drums, PDP, Zildjian, Sabian,"
        "Paiste, Meinl, Ufip, Bosphorus, Wuhan, Gon Bops"
    ),
)

MAKERS = (*ELECTRONIC_MAKERS, *OTHER_MAKERS, *ACOUSTIC_MAKERS)

# Series of drums that are called like nothing else, and other words that say or hint at a type.
ACOUSTIC_SERIES = (
    "vistalite|supra ?phonic|acrolite|black beauty|radio king|star ?classic|imperial ?star"
    "|broad ?kaster|round badge|keystone badge|(maple|birch|beech|recording|stage|masters) custom"
    "|pearl (export|masters|reference)|premier (resonator|genista|artist|kit|19\\d\\d)"
)
SAYS_ACOUSTIC = r"acousti\w*|akusti\w*|acusti\w*|unplugged"
SAYS_ELECTRONIC = (
    r"ele[ck]|ele[ck]tro|ele[ck]troni\w*|electric|elettroni\w*|synth\w*|\w+synths?"
    r"|(drum|beat|rhythm|groove) ?(machine|computer|box)(e?s)?|drum ?synths?|modular|euro ?rack"
    r"|chip ?tunes?|8 bit"
)
HINTS_ACOUSTIC = (
    r"(?<!ableton )live|(studio|jazz|rock|funk|blues|room|brush|vintage|natural) ?(drum ?)?kits?"
    r"|brush(es|ed)?|maple|birch|bubinga|(mahogany|beech|walnut|oak|poplar|wood(en)?) ?"
    r"(drums?|kits?|snares?|shells?)|orchestra(l)?|room mics?|overheads?"
    r"|\w*djembes?|darbukas?|doumbeks?|cajons?|bodhrans?|tablas?|dunun\w*|taikos?|udus?|pandeiros?"
    r"|salamander|muldjord|drs ?kit|aasimonster|crocell|big rusty|swirly drums|virtuosity drums"
    r"|frame drums?|batucada|latin percussion|afri(can|que)|timpani"
)
_PARTS = r"(drums?|kits?|perc\w*|kicks?|snares?|toms?|hats?|hits?)"
HINTS_ELECTRONIC = (
    rf"(analog(ue)?|digital|digi|machine) ?{_PARTS}|^(analog(ue)?|digital|machines?)$"
    r"|techno|trance|hard ?style|gabber|edm|dub ?step|synth ?wave|idm|circuit bent"
)

# Machines that go by their number alone; not where it counts something else.
NUMBERS = (
    r"(?<!vol )(?<!volume )(?<!no )(?<!nr )(?<!number )(?<!part )(?<!v )(?<!disc )(?<!cd )"
    r"(606|626|707|727|808|909)(?! (files|bpm|hz|khz|ms|mb))"
)
