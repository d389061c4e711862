"""The kit between two kits, and the kit that takes its noise from another one."""

import math

import numpy as np
import pytest
import soundfile
import torch

import drumblender
from drumblender.commands.kit import main
from drumblender.kits.build import build_kit
from drumblender.kits.kit import Drum, Hit, Layer
from drumblender.kits.layers import take_apart
from drumblender.kits.pairs import combine, level_apart, pair_drums
from drumblender.kits.settings import KitRequest, Other, Shape
from drumblender.signal import loudness

RATE = 44_100


def drum(hz, hiss, seed=0, level=0.4, seconds=0.5):
    """A tone that decays, and noise above 2 kHz of a level beside it."""
    time = np.arange(int(seconds * RATE)) / RATE
    noise = np.fft.rfft(np.random.default_rng(seed).standard_normal(len(time)))
    noise[: round(2000 * seconds)] = 0
    noise = np.fft.irfft(noise, len(time)) * np.exp(-time / 0.04)
    tone = np.exp(-time / 0.08) * np.sin(2 * np.pi * hz * time)
    return level * (tone + hiss * noise)


def write_kit(folder, **drums):
    folder.mkdir(parents=True)
    for name, samples in drums.items():
        soundfile.write(folder / f"{name.replace('_', ' ')}.wav", samples, RATE)
    return folder


def heard(samples):
    """The frequency of the tone, the share of the noise in the energy, and the loudness."""
    samples = samples if samples.ndim == 1 else samples[:, 0]
    spectrum = np.abs(np.fft.rfft(samples, 8 * RATE)) ** 2
    share = spectrum[8 * 2000 :].sum() / spectrum.sum()
    loud = loudness(torch.from_numpy(samples[None].copy()), RATE)
    return spectrum.argmax() / 8, share, loud


def named(instrument, *names, note=None):
    return [Drum(name, instrument, note, ()) for name in names]


@pytest.mark.parametrize(
    ("drums", "others", "expected"),
    [
        # Names say which hi-hat is which, whatever their order.
        (named("hihat", "Closed", "Open"), named("hihat", "HH Open", "HH Cl"), [1, 0]),
        # What only says its instrument goes in order, and what is left has no partner.
        (named("snare", "Snare 1", "Snare 2", "Snare 3"), named("snare", "A", "B"), [0, 1, None]),
        (named("tom", "Tom 1", "Tom 2", "Tom 3"), named("tom", "low", "high", "mid"), [1, 2, 0]),
        (named("tom", "Floor", "Rack"), named("tom", "T1", "T2"), [1, 0]),
        # Other instruments are no partners, and unknown ones need the same name.
        (named("kick", "X"), named("snare", "X"), [None]),
        (named("unknown", "Zap", "Boing"), named("unknown", "boing", "Plop"), [None, 0]),
        (named("snare", "Main", "Ghost"), named("snare", "ghost", "main"), [1, 0]),
    ],
)
def test_drums_go_together_by_instrument_name_and_order(drums, others, expected):
    assert pair_drums(drums, others) == expected


@pytest.fixture(scope="module")
def kits(tmp_path_factory):
    """Two kits of a kick and a snare, of which the second one is softer as a whole."""
    top = tmp_path_factory.mktemp("pairs")
    one = write_kit(top / "one", Kick=drum(100, 0.0), Snare=drum(200, 0.5, 1), Cowbell=drum(900, 0))
    other = write_kit(
        top / "other",
        BD=drum(144, 0.0, 2, level=0.1),
        SD=drum(338, 0.1, 3, level=0.1),
        Clap=drum(500, 1.0, 4, level=0.1),
    )
    return one, other


def test_the_kit_between_two_lies_between_their_drums(kits, tmp_path, capsys):
    one, other = kits
    arguments = ["--blend", str(one), str(other), str(tmp_path / "mid"), "--amount", "0.5"]
    arguments += ["--layers", "1", "--round_robins", "1", "--seed", "1", "--format", "sfz"]
    assert main([*arguments, "--num_workers", "1"]) == 0
    out = capsys.readouterr().out
    assert "Kick goes with BD." in out
    assert "Snare goes with SD." in out
    assert f"because {other} has no drums for them: Cowbell." in out
    assert f"Left out of {other}, because no drums go with them: Clap." in out
    files = {path.name.split()[0]: path for path in (tmp_path / "mid/samples").iterdir()}
    assert sorted(files) == ["36", "38", "56"]
    kick, snare, bell = (heard(soundfile.read(files[key])[0]) for key in ("36", "38", "56"))
    assert kick[0] == pytest.approx(120, rel=0.01)
    assert snare[0] == pytest.approx(260, rel=0.01)
    assert bell[0] == pytest.approx(900, rel=0.01)
    shares = [heard(soundfile.read(kit / name)[0])[1] for kit, name in
              ((one, "Snare.wav"), (other, "SD.wav"))]  # fmt: skip
    assert shares[1] < snare[1] < shares[0]
    # The other kit is brought to the level of this one, so the balance of the drums stays.
    before = [heard(soundfile.read(one / f"{name}.wav")[0])[2] for name in ("Kick", "Cowbell")]
    assert kick[2] - bell[2] == pytest.approx(before[0] - before[1], abs=3)


def test_a_kit_like_another_keeps_its_tones_and_loudness_and_takes_the_noise(kits, tmp_path):
    one, other = kits
    shape = Shape(layers=1, round_robins=1)
    request = KitRequest(seed=1, shape=shape, formats=("sfz",), other=Other(other))
    built = build_kit([one], tmp_path / "like", request, num_workers=1)
    written = {drum.name: heard(soundfile.read(drum.layers[0].hits[0].file)[0])
               for drum in built.kit.drums}  # fmt: skip
    was = {name: heard(soundfile.read(one / f"{name}.wav")[0]) for name in written}
    for name in ("Kick", "Snare"):
        assert written[name][0] == pytest.approx(was[name][0], rel=0.01)
        assert written[name][2] - built.gain == pytest.approx(was[name][2], abs=0.3)
    softer = 10 * math.log10(written["Snare"][1] / was["Snare"][1])
    assert softer == pytest.approx(20 * math.log10(0.1 / 0.5), abs=3)


def test_layers_of_the_richer_kit_are_paired_with_those_that_are_derived(tmp_path):
    folder = write_kit(
        tmp_path / "kit", soft=drum(200, 0.2, level=0.05), hard=drum(210, 0.5), one=drum(288, 0.1)
    )
    voice = drumblender.load(device="cpu")

    def layered(*layers):
        found = tuple(Layer(lo, hi, (Hit(folder / f"{name}.wav"),)) for name, lo, hi in layers)
        return Drum("Snare", "snare", None, found)

    one, other = layered(("one", 1, 127)), layered(("soft", 1, 60), ("hard", 61, 127))
    assert level_apart([(one, other)]) == pytest.approx(0, abs=2.5)
    a, b = (take_apart(x, voice, 1) for x in (one, other))
    for first, second, amount in ((a, b, 0.25), (b, a, 0.75)):
        made = combine(first, second, Other(folder, amount), Shape(), 0.0)
        assert [stroke.velocity for stroke in made] == [60, 127]
        soft, hard = (heard(stroke.sounds[0].render()) for stroke in made)
        assert hard[0] == pytest.approx(288**0.75 * 210**0.25, rel=0.01)
        assert soft[0] == pytest.approx(288**0.75 * 200**0.25, rel=0.01)
        assert soft[2] < hard[2] - 6
    loud = [heard(x.sounds[0].render())[2] for x in (a[0], b[1])]
    assert hard[2] == pytest.approx(0.75 * loud[0] + 0.25 * loud[1], abs=0.2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--blend", "{one}", "{other}"], "needs OUT and no INPUT beside it"),
        (["--blend", "{one}", "{other}", "{out}", "--amount", "2"], "--amount is 2; give 0"),
        (["{one}", "{out}", "--amount", "0.5"], "--amount is of --blend"),
        (["--blend", "{one}", "{other}", "{out}", "--like", "{one}"], "do not go together"),
        (["{one}", "{out}", "--like", "nowhere"], "nowhere does not exist; check the path"),
        (["--blend", "{one}", "{bells}", "{out}"], "has no drum of an instrument that the other"),
        (["{one}", "{other}", "--like", "{other}"], "other holds"),
    ],
)
def test_what_does_not_go_together_is_refused(kits, tmp_path, capsys, arguments, message):
    bells = write_kit(tmp_path / "bells", Triangle=drum(2500, 0))
    places = {"one": kits[0], "other": kits[1], "bells": bells, "out": tmp_path / "out"}
    code = main([x.format(**places) for x in arguments])
    assert code in (1, 2)
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not (tmp_path / "out").exists()
