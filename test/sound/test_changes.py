"""Presets: the values of controls in a file."""

import json
import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from drumblender import Changes
from drumblender.errors import DrumblenderError, UsageError
from drumblender.sound.controls import CONTROLS

SWITCHES = [f"{control.name}_{switch.name}" for control in CONTROLS for switch in control.switches]


def presets():
    """Return a strategy that draws any mapping of controls and switches to fitting values."""
    values = {
        control.name: st.floats(
            control.lowest if math.isfinite(control.lowest) else -300.0, control.highest
        )
        | st.just(control.lowest)
        for control in CONTROLS
    }
    return st.fixed_dictionaries({}, optional={**values, **dict.fromkeys(SWITCHES, st.just(True))})


@given(preset=presets(), suffix=st.sampled_from([".yaml", ".yml", ".json"]))
def test_a_preset_comes_back_as_it_was_written(preset, suffix, tmp_path_factory):
    path = tmp_path_factory.mktemp("presets") / f"preset{suffix}"
    changes = Changes.of(preset)
    assert changes.as_mapping() == preset
    changes.write(path)
    assert Changes.read(path) == Changes.of(changes.as_mapping())
    assert Changes.read(path).as_mapping() == preset


def test_files_are_plain_yaml_and_json(tmp_path):
    changes = Changes.of({"pitch": -2, "noise_gain": -math.inf, "pitch_noise": True})
    changes.write(tmp_path / "a.yaml")
    changes.write(tmp_path / "a.json")
    written = {"noise_gain": -math.inf, "pitch": -2.0, "pitch_noise": True}
    assert yaml.safe_load((tmp_path / "a.yaml").read_text()) == written
    strict = json.loads((tmp_path / "a.json").read_text(), parse_constant=pytest.fail)
    assert strict == {**written, "noise_gain": "-inf"}


@pytest.mark.parametrize("text", ["pitch: 2\ndecay: 1e-1", '{"pitch": 2, "decay": "0.1"}'])
def test_a_preset_may_be_written_by_hand(text, tmp_path):
    (tmp_path / "hand.yaml").write_text(text)
    assert Changes.read(tmp_path / "hand.yaml").as_mapping() == {"pitch": 2.0, "decay": 0.1}


def test_a_switch_that_is_off_changes_nothing():
    assert Changes.of({"pitch": 1, "pitch_noise": False}) == Changes.of({"pitch": 1})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pitsch: 2", "no control 'pitsch'; did you mean pitch"),
        ("xyz: 2", "no control 'xyz'; the controls are modal_gain"),
        ("1: 2", "no control 1; the controls are"),
        ("pitch: 200", "pitch is 200.0; give semitones from -96 to 96"),
        ("pitch: .nan", "pitch is nan; give semitones"),
        ("pitch: true", "pitch is True; give semitones"),
        ("pitch: [1]", r"pitch is \[1\]; give semitones"),
        ("pitch:", "pitch is None; give semitones"),
        ("pitch_noise: 1", "pitch_noise is 1; give true or false"),
        ("- pitch", "needs one line for each control"),
        ("", "needs one line for each control"),
        ("pitch: [", "neither YAML nor JSON"),
        ("[" * 100_000, "neither YAML nor JSON"),
        ("#" * 2_000_000, "too large for a preset"),
        ("!!python/object:os.system {}", "neither YAML nor JSON"),
    ],
)
def test_what_is_no_preset_is_refused_with_a_sentence(text, words, tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=words) as error:
        Changes.read(path)
    assert str(error.value).startswith(str(path))


def test_files_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "latin.yaml").write_bytes(b"pitch: \xff")
    with pytest.raises(UsageError, match="latin.yaml is no preset"):
        Changes.read(tmp_path / "latin.yaml")
    with pytest.raises(DrumblenderError, match="missing.yaml cannot be read .no such file"):
        Changes.read(tmp_path / "missing.yaml")
    with pytest.raises(DrumblenderError, match="cannot be read .is a directory"):
        Changes.read(tmp_path)


def test_a_preset_replaces_no_other_file(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("model: {class_path: drumblender.tasks.DrumBlender}")
    with pytest.raises(UsageError, match="exists and is no preset"):
        Changes.of({"pitch": 1}).write(config)
    assert config.read_text().startswith("model:")
    with pytest.raises(UsageError, match="let the name end in .yaml or .json"):
        Changes.of({"pitch": 1}).write(tmp_path / "preset.wav")
    Changes.of({"pitch": 1}).write(tmp_path / "new" / "preset.yaml")
    Changes.of({"pitch": 2}).write(tmp_path / "new" / "preset.yaml")
    assert Changes.read(tmp_path / "new" / "preset.yaml").as_mapping() == {"pitch": 2.0}
