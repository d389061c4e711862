"""Features and sounds are what they were: compared with what scripts/golden.py has made."""

import golden
import numpy as np
import pytest

from drumblender.analysis import AnalysisSettings
from drumblender.analysis.settings import METHODS
from drumblender.fast import accelerate


@pytest.fixture(scope="module")
def features():
    return golden.features()


@pytest.mark.parametrize("method", METHODS)
def test_features_belong_to_this_version_of_the_analysis_and_have_not_moved(method, features):
    expected, actual = (
        {name: value for name, value in found.items() if name.startswith(f"{method}: ")}
        for found in (golden.read("features"), features)
    )
    version = expected.get(f"{method}: version")
    assert version == AnalysisSettings(method=method).version, (
        f"The method {method} is new or of a new version; run `python scripts/golden.py --write`."
    )
    moved = golden.moved("features", actual, expected)
    assert not moved, (
        f"Features have moved (dB relative to what they were): {moved}. If they are meant to, "
        "raise the version of the method's class and run `python scripts/golden.py --write`: "
        "datasets of two analyses must not be mixed."
    )


@pytest.mark.parametrize("accelerated", [False, True], ids=["plain", "fast"])
def test_every_wiring_makes_the_parts_that_it_made(accelerated):
    actual = golden.wirings(lambda model: accelerate(model, accelerated))
    assert not golden.moved("wirings", actual, golden.read("wirings"))


def test_a_sound_and_every_edit_of_it_are_what_they_were():
    assert not golden.moved("edits", golden.edits(), golden.read("edits"))


def test_what_is_missing_new_shorter_or_different_has_moved():
    expected = {"a": np.ones(100), "b": np.ones(100), "c": np.ones(100), "silent": np.zeros(3)}
    actual = {"a": np.ones(100) + 1e-5, "b": np.ones(99), "d": np.ones(1), "silent": np.zeros(3)}
    assert golden.moved("wirings", actual, expected).keys() == {"b", "c", "d"}
    assert golden.moved("wirings", {**expected, "a": np.full(100, 1.001)}, expected)
    assert golden.moved("edits", {**expected, "silent": np.full(3, 1e-9)}, expected)


@pytest.mark.parametrize("kind", ["features", "wirings", "edits"])
def test_golden_values_are_small_files_that_hold_something(kind):
    assert (golden.FOLDER / f"{kind}.npz").stat().st_size < 150_000
    assert all(np.any(value) for value in golden.read(kind).values())
