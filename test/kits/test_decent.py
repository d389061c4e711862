"""Presets of Decent Sampler are read as it plays them."""

import math

import pytest
import strategies
from hypothesis import given
from small_drums import drum, write_drums

from drumblender.errors import DrumblenderError
from drumblender.kits import decent

PRESET = """<?xml version="1.0" encoding="UTF-8"?>
<DecentSampler><ui><tab><label text="x"/></tab></ui>
<groups volume="-6dB" ampVelTrack="0">
 <group name="Snare" volume="0.5" pan="20">
  <sample path="a/soft.wav" rootNote="38" loNote="38" hiNote="38" loVel="0" hiVel="63"
   volume="2dB"/>
  <sample path="a/hard1.wav" rootNote="38" loNote="38" hiNote="38" loVel="64" hiVel="127"
   seqMode="round_robin" seqPosition="2"/>
  <sample path="A\\hard2.wav" rootNote="38" loNote="38" hiNote="38" loVel="64" hiVel="127"
   seqMode="round_robin" seqPosition="1"/>
 </group>
 <group tags="open" silencedByTags="closed, pedal" ampVelTrack="1">
  <sample path="a/open.wav" rootNote="60" loNote="46" hiNote="46" tuning="1"/>
  <sample path="a/tail.wav" rootNote="46" trigger="release"/></group>
 <group tags="closed" enabled="true">
  <sample path="a/closed.wav" rootNote="42" loNote="42" hiNote="42"/>
 </group>
 <group enabled="false"><sample path="a/closed.wav" rootNote="50" loNote="50" hiNote="50"/></group>
</groups></DecentSampler>"""


@pytest.fixture
def path(tmp_path):
    names = "soft hard1 hard2 open tail closed".split()
    write_drums(tmp_path / "a", {f"{name}.wav": drum(seconds=0.01) for name in names})
    (tmp_path / "kit.dspreset").write_text(PRESET)
    return tmp_path / "kit.dspreset"


def test_a_preset_is_read_as_it_is_played(path):
    kit = decent.read(path)
    assert kit.notes == ()
    snare, closed, opened = kit.drums
    assert [each.note for each in kit.drums] == [38, 42, 46]
    assert (snare.name, snare.instrument, snare.pan) == ("Snare", "snare", 0.2)
    soft, hard = snare.layers
    assert (soft.low, soft.high, hard.low, hard.high) == (1, 63, 64, 127)
    assert soft.hits[0].gain == pytest.approx(-6 + 20 * math.log10(0.5) + 2)
    assert [hit.file.stem for hit in hard.hits] == ["hard2", "hard1"]
    assert opened.off_by == closed.group != 0
    assert [hit.file.stem for hit in opened.layers[0].hits] == ["open"]
    assert opened.layers[0].hits[0].pitch == -13  # played below its root, and tuned


@given(strategies.broken(PRESET.encode()))
def test_any_bytes_are_a_preset_or_a_refusal(tmp_path_factory, content):
    folder = tmp_path_factory.getbasetemp() / "any"
    (folder / "a").mkdir(parents=True, exist_ok=True)
    (folder / "a" / "soft.wav").touch()
    (folder / "kit.dspreset").write_bytes(content)
    try:
        kit = decent.read(folder / "kit.dspreset")
    except DrumblenderError:
        return
    for each in kit.drums:
        assert 0 <= each.note <= 127
        assert -1 <= each.pan <= 1
        assert all(math.isfinite(hit.gain) for layer in each.layers for hit in layer.hits)
