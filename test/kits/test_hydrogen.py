"""Hydrogen's kits are read as Hydrogen plays them, and no more is written than it loads."""

import gzip
import io
import math
import shutil
import tarfile
from pathlib import Path

import pytest
import strategies
from hydrogen_song import h2cli, needs_hydrogen
from hypothesis import given
from small_drums import drum, write_drums

from drumblender.errors import DrumblenderError
from drumblender.kits import hydrogen
from drumblender.kits.kit import Drum, Hit, Kit, Layer

XML = """<?xml version="1.0" encoding="UTF-8"?>
<drumkit_info xmlns="http://www.hydrogen-music.org/drumkit"><name>Kit</name><instrumentList>
 <instrument><id>0</id><name>Kick</name><volume>0.5</volume><gain>1</gain><pan>-0.5</pan>
  <applyVelocity>true</applyVelocity><muteGroup>-1</muteGroup><midiOutNote>36</midiOutNote>
  <sampleSelectionAlgo>VELOCITY</sampleSelectionAlgo>
  <instrumentComponent><component_id>0</component_id><gain>2</gain>
   <layer><filename>soft.wav</filename><min>0</min><max>0.5</max><gain>1</gain><pitch>0</pitch></layer>
   <layer><filename>HARD.WAV</filename><min>0.5</min><max>1</max><gain>1</gain><pitch>-2</pitch></layer>
  </instrumentComponent></instrument>
 <instrument><id>1</id><name>Hat</name><pan_L>1</pan_L><pan_R>0.5</pan_R>
  <applyVelocity>false</applyVelocity><muteGroup>3</muteGroup>
  <sampleSelectionAlgo>ROUND_ROBIN</sampleSelectionAlgo>
  <instrumentComponent><component_id>0</component_id><gain>1</gain>
   <layer><filename>one.wav</filename><min>0</min><max>1</max></layer>
   <layer><filename>two.wav</filename><min>0</min><max>1</max></layer>
  </instrumentComponent></instrument>
 <instrument><id>2</id><name>Gone</name><layer><filename>gone.wav</filename></layer></instrument>
</instrumentList></drumkit_info>"""


@pytest.fixture
def folder(tmp_path):
    files = {f"{name}.wav": drum(seconds=0.01) for name in ("soft", "hard", "one", "two")}
    write_drums(tmp_path / "My kit", files)
    (tmp_path / "My kit" / "drumkit.xml").write_text(XML)
    return tmp_path / "My kit"


def test_a_kit_is_read_as_it_is_played(folder, tmp_path):
    kit = hydrogen.read(folder / "drumkit.xml", tmp_path)
    kick, hat = kit.drums
    assert kit.name == "My kit"
    assert (kick.name, kick.note, kick.pan, kick.group) == ("Kick", 36, -0.5, 0)
    assert [(x.low, x.high, x.hits[0].file.name) for x in kick.layers] == [
        (1, 63, "soft.wav"),
        (64, 127, "hard.wav"),
    ]
    gains = [20 * math.log10(0.5 * 2 * velocity / 127) for velocity in (63, 127)]
    assert [layer.hits[0].gain for layer in kick.layers] == pytest.approx(gains)
    assert [layer.hits[0].pitch for layer in kick.layers] == [0, -2]
    assert (hat.note, hat.pan, hat.group, hat.off_by) == (None, -0.5, 4, 4)
    assert [hit.file.name for hit in hat.layers[0].hits] == ["one.wav", "two.wav"]
    assert hat.layers[0].hits[0].gain == 0
    assert len(kit.notes) == 1
    assert "gone.wav" in kit.notes[0]


def test_an_archive_says_the_same(folder, tmp_path):
    archive = Path(shutil.make_archive(str(tmp_path / "x"), "gztar", tmp_path, "My kit"))
    archive = archive.rename(tmp_path / "Other name.h2drumkit")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    kit = hydrogen.read(archive, scratch)
    there = hydrogen.read(folder / "drumkit.xml", tmp_path)
    assert kit.name == "Other name"
    assert [each.layers[0].low for each in kit.drums] == [1, 1]
    for one, other in zip(kit.files, there.files):
        assert one.read_bytes() == other.read_bytes()


def archive_of(path, **members):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_an_archive_without_a_kit_or_with_two_is_refused(tmp_path):
    path = tmp_path / "a.h2drumkit"
    with pytest.raises(DrumblenderError, match=r"a\.h2drumkit holds no kit"):
        hydrogen.read(archive_of(path, **{"x/a.wav": b""}), tmp_path)
    two = {"x/drumkit.xml": XML.encode(), "y/drumkit.xml": XML.encode()}
    with pytest.raises(DrumblenderError, match="holds 2 kits"):
        hydrogen.read(archive_of(path, **two), tmp_path)


@given(strategies.broken(XML.encode()))
def test_any_bytes_are_a_kit_or_a_refusal(tmp_path_factory, content):
    folder = tmp_path_factory.getbasetemp() / "any"
    folder.mkdir(exist_ok=True)
    (folder / "soft.wav").touch()
    (folder / "drumkit.xml").write_bytes(content)
    try:
        kit = hydrogen.read(folder / "drumkit.xml", folder)
    except DrumblenderError:
        return
    for each in kit.drums:
        assert each.note is None or 0 <= each.note <= 127
        assert -1 <= each.pan <= 1
        assert all(math.isfinite(hit.gain) for layer in each.layers for hit in layer.hits)


def kit_of(folder, layers, round_robins):
    ends = [round(127 * (index + 1) / layers) for index in range(layers)]
    made = [
        Layer(low + 1, high, tuple(Hit(folder / f"{high}-{i}.wav") for i in range(round_robins)))
        for low, high in zip([0, *ends], ends)
    ]
    for layer in made:
        write_drums(folder, {hit.file.name: drum(seconds=0.01) for hit in layer.hits})
    return Kit("Grüße & <co>", (Drum('"Kick" <1> é', "kick", 36, tuple(made)),))


@pytest.mark.parametrize(("layers", "round_robins", "kept"), [(4, 4, 4), (5, 4, 3), (20, 2, 1)])
def test_no_more_is_written_than_hydrogen_loads(tmp_path, layers, round_robins, kept):
    kit = hydrogen.fitted(kit_of(tmp_path, layers, round_robins))
    (each,) = kit.drums
    assert sum(len(layer.hits) for layer in each.layers) <= 16
    assert {len(layer.hits) for layer in each.layers} == {kept}
    assert (each.layers[0].low, each.layers[-1].high) == (1, 127)


@needs_hydrogen
def test_hydrogen_finds_what_is_written_valid(tmp_path):
    path = tmp_path / "kit.h2drumkit"
    hydrogen.write(path, kit_of(tmp_path / "samples", 4, 3))
    assert "is valid" in h2cli(tmp_path / "home", "-c", path)


def test_the_same_kit_gives_the_same_bytes(tmp_path):
    kit = kit_of(tmp_path / "samples", 2, 1)
    for name in ("a", "b"):
        hydrogen.write(tmp_path / name, kit)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert gzip.decompress((tmp_path / "a").read_bytes())
