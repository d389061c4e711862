import math

import numpy as np
import pytest
from small_models import drum

import drumblender
from drumblender.app.recipe import SLOTS, Recipe, describe_controls
from drumblender.errors import UsageError
from drumblender.sound.controls import CONTROLS


@pytest.fixture(scope="module")
def drums(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drums")
    voice = drumblender.load(device="cpu")
    return {
        slot: voice.decompose(drum(folder / f"{hertz}.wav", hertz, seed=slot), seed=0)
        for slot, hertz in enumerate((150, 200, 300))
    }


def made(recipe, drums):
    return recipe.finished(recipe.mixed(drums), drums)


def test_a_drum_alone_is_the_recording(drums):
    recipe = Recipe.of({"weights": [0, 1, 0, 0]})
    np.testing.assert_allclose(made(recipe, drums).render(), drums[1].recording[:, 0], atol=1e-6)


def test_a_recipe_makes_what_python_makes(drums):
    recipe = Recipe.of(
        {
            "weights": [0.5, 0.25, 0.25, 0.7],  # of the last one there is no drum
            "parts": {"noise": 1},
            "changes": {"pitch": 3, "humanize": 1, "noise_gain": -6},
            "seed": 7,
        }
    )
    by_hand = drumblender.mix([drums[0], drums[1], drums[2]], [0.5, 0.25, 0.25])
    by_hand = by_hand.with_noise(drums[1]).with_seed(7)
    by_hand = by_hand.with_gain(noise=-6).with_pitch(3).with_variation(1, seed=7)
    np.testing.assert_array_equal(made(recipe, drums).render(), by_hand.render())


def test_a_muted_part_is_silent_and_so_is_it_in_the_preset(drums):
    recipe = Recipe.of({"weights": [1, 0, 0, 0], "muted": ["noise"], "changes": {"decay": 2}})
    stems = made(recipe, drums).stems()
    assert not stems["noise"].any()
    assert stems["modal"].any()
    assert recipe.preset.as_mapping() == {"noise_gain": -math.inf, "decay": 2.0}
    stems_of_preset = recipe.preset.apply(drums[0]).stems()
    np.testing.assert_array_equal(stems_of_preset["modal"], stems["modal"])
    assert not stems_of_preset["noise"].any()


def test_no_drum_makes_no_sound(drums):
    with pytest.raises(UsageError, match="no drum"):
        Recipe.of({"weights": [0, 0, 0, 1]}).mixed(drums)


def test_a_part_of_a_drum_that_is_not_there_is_refused(drums):
    recipe = Recipe.of({"weights": [1, 0, 0, 0], "parts": {"noise": 3}})
    with pytest.raises(UsageError, match="no drum D"):
        made(recipe, drums)


@pytest.mark.parametrize(
    "broken",
    [
        None,
        [],
        {},
        {"weights": [1, 0, 0]},
        {"weights": [1, 0, 0, -1]},
        {"weights": [1, 0, 0, math.nan]},
        {"weights": [1, 0, 0, True]},
        {"weights": "1000"},
        {"weights": [1, 0, 0, 0], "parts": {"noise": SLOTS}},
        {"weights": [1, 0, 0, 0], "parts": ["noise"]},
        {"weights": [1, 0, 0, 0], "changes": [1]},
        {"weights": [1, 0, 0, 0], "changes": {"pitch": 1000}},
        {"weights": [1, 0, 0, 0], "changes": {"pitsh": 1}},
        {"weights": [1, 0, 0, 0], "muted": [1]},
        {"weights": [1, 0, 0, 0], "seed": -1},
        {"weights": [1, 0, 0, 0], "seed": 2.5},
    ],
    ids=str,
)
def test_a_recipe_that_does_not_fit_is_refused_in_a_sentence(broken):
    with pytest.raises(UsageError, match=r"[.?]$"):
        Recipe.of(broken)


def test_every_control_of_the_table_is_described():
    described = describe_controls(("modal", "noise", "transient"))
    assert [one["name"] for one in described] == [control.name for control in CONTROLS]
    assert [one["name"] for one in describe_controls(("modal",))] == [
        control.name for control in CONTROLS if control.part in (None, "modal")
    ]


def test_a_slider_lies_within_the_range_of_its_control_and_holds_what_changes_nothing():
    for control in CONTROLS:
        slider = control.slider
        assert control.lowest <= slider.lowest < slider.highest <= control.highest
        if control.neutral is not None:
            assert slider.lowest <= control.neutral <= slider.highest
            from_lowest = control.neutral - slider.lowest
            if not slider.is_logarithmic:
                steps = from_lowest / slider.step
                assert steps == pytest.approx(round(steps)), control.name
