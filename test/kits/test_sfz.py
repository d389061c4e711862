"""SFZ kits are read as players play them, and what is written is a kit again."""

import math
from pathlib import Path

import pytest
import strategies
from hypothesis import example, given
from small_drums import drum, write_drums

from drumblender.errors import DrumblenderError
from drumblender.kits import sfz
from drumblender.kits.kit import Drum, Hit, Kit, Layer
from drumblender.kits.velocity import level

KIT = """
<control> default_path=Samples/
<global> amp_veltrack=50
<group> key=38 group_label=Snare
<region> lovel=1 hivel=63 sample=soft1.wav seq_length=2 seq_position=1 volume=-3
<region> lovel=1 hivel=63 sample=soft2.wav seq_length=2 seq_position=2
<region> lovel=64 hivel=127 sample=hard.wav pan=-40
<group> lokey=42 hikey=42 pitch_keycenter=42 group=1 sample=closed.wav
<region> hirand=0.5
<region> lorand=0.5 sample=closed2.wav
<group> key=46 group=2 off_by=1 amp_veltrack=0
<region> sample=open.wav tune=50 transpose=-12
<region> trigger=release sample=tail.wav
<group> lokey=47 hikey=50 pitch_keycenter=48 <region> sample=tom.wav
<group> lokey=c5 hikey=c5 <region> sample=high.wav
"""


@pytest.fixture
def path(tmp_path):
    names = "soft1 soft2 hard closed closed2 open tail tom high".split()
    write_drums(tmp_path / "Samples", {f"{name}.wav": drum(seconds=0.01) for name in names})
    path = tmp_path / "kit.sfz"
    path.write_text(KIT)
    return path


def test_a_kit_is_read_as_it_is_played(path):
    kit = sfz.read(path)
    assert kit.notes == ()
    drums = {each.note: each for each in kit.drums}
    assert list(drums) == [38, 42, 46, 48, 72]
    snare = drums[38]
    assert (snare.name, snare.instrument) == ("Snare", "snare")
    assert [(x.low, x.high, [h.file.stem for h in x.hits]) for x in snare.layers] == [
        (1, 63, ["soft1", "soft2"]),
        (64, 127, ["hard"]),
    ]
    # Half of the velocity's own curve, which is the square, at the top of the layer.
    softer = 20 * math.log10(0.5 + 0.5 * (63 / 127) ** 2)
    assert snare.layers[0].hits[0].gain == pytest.approx(softer - 3)
    assert snare.layers[1].hits[0].gain == pytest.approx(0)
    assert [hit.file.stem for hit in drums[42].layers[0].hits] == ["closed", "closed2"]
    assert (drums[46].group, drums[46].off_by, drums[42].group) == (2, 1, 1)
    assert [hit.file.stem for hit in drums[46].layers[0].hits] == ["open"]
    assert drums[46].layers[0].hits[0].pitch == pytest.approx(-11.5)
    assert drums[48].layers[0].hits[0].pitch == 0  # the middle of its keys
    assert drums[72].layers[0].hits[0].pitch == 12  # played far above its own key


def test_samples_may_lie_beside_the_folder_of_the_kit(path):
    (path.parent / "presets").mkdir()
    moved = path.parent / "presets" / "kit.sfz"
    moved.write_text(KIT.replace("Samples/", "../Samples/"))
    assert len(sfz.read(moved).files) == len(sfz.read(path).files) == 8


def test_a_file_that_is_not_there_is_named(path):
    (path.parent / "Samples" / "open.wav").unlink()
    kit = sfz.read(path)
    assert [each.note for each in kit.drums] == [38, 42, 48, 72]
    assert any("open.wav" in note for note in kit.notes)


@given(strategies.broken(KIT.encode()))
@example(b"<region> key=40 sample=x.wav lovel=200 hivel=-5 volume=nan pan=inf seq_length=1e400")
def test_any_bytes_are_a_kit_or_a_refusal(tmp_path_factory, content):
    folder = tmp_path_factory.getbasetemp() / "any"
    folder.mkdir(exist_ok=True)
    (folder / "x.wav").touch()
    (folder / "kit.sfz").write_bytes(content)
    try:
        kit = sfz.read(folder / "kit.sfz")
    except DrumblenderError:
        return
    for each in kit.drums:
        assert 0 <= each.note <= 127
        assert -1 <= each.pan <= 1
        assert all(math.isfinite(hit.gain) for layer in each.layers for hit in layer.hits)


def test_levels_rise_without_steps_from_layer_to_layer(tmp_path):
    layers = (Layer(1, 40, (Hit(tmp_path / "a.wav"),)), Layer(41, 127, (Hit(tmp_path / "b.wav"),)))
    kit = Kit("kit", (Drum("Kick", "kick", 36, layers),))
    sfz.write(tmp_path / "kit.sfz", kit, level)
    regions = [line for line in (tmp_path / "kit.sfz").read_text().splitlines() if "lovel" in line]
    curves = []
    for line in regions:
        pairs = (word.split("=") for word in line.split() if word.startswith("amp_velcurve_"))
        curves.append({int(name.rpartition("_")[2]): float(value) for name, value in pairs})
    for layer, curve in zip(layers, curves):
        assert {layer.low, layer.high} <= curve.keys() <= set(range(layer.low, layer.high + 1))
        for velocity, share in curve.items():
            # Samples have the level of the highest velocity of their layer.
            heard = 20 * math.log10(share) + level(layer.high)
            assert heard == pytest.approx(level(velocity), abs=0.01)


def test_a_name_cannot_become_an_opcode(tmp_path):
    layers = (Layer(1, 127, (Hit(tmp_path / "a.wav"),)),)
    (tmp_path / "a.wav").touch()
    kit = Kit("kit", (Drum("Snare <region> key=5 // $x", "snare", 38, layers),))
    sfz.write(tmp_path / "kit.sfz", kit, level)
    (read,) = sfz.read(tmp_path / "kit.sfz").drums
    assert read.note == 38
    assert read.name.startswith("Snare")
    assert Path(read.layers[0].hits[0].file).name == "a.wav"
