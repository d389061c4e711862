"""Tensors that do not fit a program are refused by one sentence."""

import numpy as np
import pytest

from drumblender.errors import UsageError
from drumblender.export.manifest import HOW, controls
from drumblender.export.ports import Port, as_json, fitting, from_json
from drumblender.sound.controls import CONTROLS

PORTS = (
    Port("audio", ("batch", 1, "samples"), "Audio."),
    Port("modes", ("batch", 3, "modes", "frames"), "Modes."),
)
SIZES = {
    "batch": (1, 4, 1),
    "samples": (512, 5120, 512),
    "modes": (1, 64, 1),
    "frames": (1, 100, 1),
}
GOOD = {"audio": np.zeros((2, 1, 1024)), "modes": np.zeros((2, 3, 5, 9))}


def test_tensors_that_fit_become_float32():
    found = fitting("encode", PORTS, SIZES, GOOD)
    assert {name: x.dtype for name, x in found.items()} == dict.fromkeys(GOOD, np.float32)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"audoi": np.zeros(1)}, "encode has no input 'audoi'.*audio"),
        ({"audio": np.zeros((2, 1024))}, r"shape \(2, 1024\); give \(batch, 1, samples\)"),
        ({"audio": np.zeros((2, 2, 1024))}, r"give \(batch, 1, samples\)"),
        ({"audio": np.zeros((2, 1, 1000))}, "give 512 to 5120 samples, a multiple of 512"),
        ({"audio": np.zeros((2, 1, 10240))}, "give 512 to 5120 samples"),
        ({"audio": np.zeros((3, 1, 1024))}, "give as many batch as audio has, 3"),
        ({"audio": np.full((2, 1, 1024), np.nan)}, "no finite number"),
    ],
)
def test_what_does_not_fit_is_refused(changed, message):
    with pytest.raises(UsageError, match=message):
        fitting("encode", PORTS, SIZES, {**GOOD, **changed})


def test_a_missing_input_is_named_with_its_meaning():
    with pytest.raises(UsageError, match="encode needs the input 'modes': Modes"):
        fitting("encode", PORTS, SIZES, {"audio": GOOD["audio"]})


def test_a_manifest_gives_ports_back():
    assert from_json(as_json(PORTS)) == PORTS


def test_a_manifest_says_of_every_control_what_the_table_says_and_how_a_host_does_it():
    assert [said["name"] for said in controls()] == [c.name for c in CONTROLS] == list(HOW)
    for said, control in zip(controls(), CONTROLS):
        assert float(said["lowest"]) == control.lowest
        assert (said["unit"], said["highest"]) == (control.unit, control.highest)
