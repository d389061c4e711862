import json
import os

import pytest
import yaml

from drumblender.files.text import fitting, json_line, printable

NAMES = [
    os.fsdecode(b"latin1_\xe9_kick.wav"),
    "new\nline\ttab \x1b[31m\x85\u2028\u202ereversed",
    "back\\slash \"quoted\" $a_b$ 'x'",
    "e\u0301 \u00e9 日本 😀 👨\u200d👩",
    "null",
    "~",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_json_is_utf_8_and_reads_back(name):
    assert json.loads(json_line({name: name}).encode().decode()) == {name: name}


@pytest.mark.parametrize("name", NAMES)
def test_a_printable_name_is_one_line_of_utf_8(name):
    shown = printable(name)

    assert len(shown.encode().splitlines()) == 1
    assert "\x1b" not in shown
    assert printable(shown) == shown


def test_what_can_be_shown_is_shown_as_it_is():
    for name in ("Größe 日本 😀 👨\u200d👩.wav", "a\\b $x$.wav"):
        assert printable(name) == name


@pytest.mark.parametrize("stem", ["é" * 200, "日" * 90, os.fsdecode(b"\xe9" * 255), "x" * 255])
def test_a_long_name_fits_and_stays_apart_from_others(tmp_path, stem):
    name = fitting(stem, "_residual.wav")

    (tmp_path / (name + ".tmp")).write_text("fits")
    assert name.endswith("_residual.wav")
    assert fitting(stem[:-1] + "y", "_residual.wav") != name
    yaml.safe_load(json_line(name))
