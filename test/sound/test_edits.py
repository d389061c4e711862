"""What holds of every edit of a sound, and of edits one after the other."""

from importlib import import_module

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import drumblender

# Each plays a sound or two.
FEW = settings(max_examples=settings.default.max_examples // 5)
RATE = 16000
ENCODER = {"input_channels": 1, "hidden_channels": 2, "strides": [4, 4]}
FILM = {"film_conditioning": True, "film_embedding_size": 8}
MODEL = {
    "modal_synth": {"class_path": "drumblender.synths.ModalSynth"},
    "noise_synth": {
        "class_path": "drumblender.synths.NoiseGenerator",
        "init_args": {"window_size": 32},
    },
    "transient_synth": {
        "class_path": "drumblender.synths.TransientTCN",
        "init_args": {
            **{"in_channels": 1, "hidden_channels": 4, "out_channels": 1},
            **{"num_layers": 2, "kernel_size": 5, **FILM},
        },
    },
    "noise_autoencoder": {
        "class_path": "drumblender.models.soundstream.SoundStreamEncoder",
        "init_args": {**ENCODER, "output_channels": 17, "transpose_output": True},
    },
    "transient_autoencoder": {
        "class_path": "drumblender.models.soundstream.SoundStreamAttentionEncoder",
        "init_args": {**ENCODER, "output_channels": 8},
    },
}
FLAGS = ("noise_autoencoder_accepts_audio", "transient_autoencoder_accepts_audio")
ANALYSIS = {"sample_rate": RATE, "num_modes": 8, "min_length": 3, "hop_length": 64}
ANALYSIS.update(fmin=40, n_bins=84, bins_per_octave=12, num_samples=RATE)


def instance(described):
    module, _, name = described["class_path"].rpartition(".")
    return getattr(import_module(module), name)(**described.get("init_args", {}))


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A drum taken apart by a small untrained model of all parts, y = T(m) + n."""
    folder = tmp_path_factory.mktemp("edits")
    flags = dict.fromkeys(FLAGS, True)
    torch.manual_seed(0)
    model = instance(
        {
            "class_path": "drumblender.tasks.DrumBlender",
            "init_args": {
                "loss_fn": torch.nn.L1Loss(),
                **{name: instance(part) for name, part in MODEL.items()},
                **flags,
            },
        }
    )
    torch.save({"state_dict": model.state_dict()}, folder / "model.ckpt")
    config = {
        "model": {
            "class_path": "drumblender.tasks.DrumBlender",
            "init_args": {"loss_fn": {"class_path": "torch.nn.L1Loss"}, **MODEL, **flags},
        },
        "data": {"init_args": ANALYSIS},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    t = np.arange(int(0.3 * RATE)) / RATE
    drum = 0.4 * np.exp(-12 * t) * np.sin(2 * np.pi * 180 * t)
    drum += 0.1 * np.exp(-60 * t) * np.random.default_rng(0).standard_normal(len(t))
    voice = drumblender.load(folder / "config.yaml", folder / "model.ckpt", device="cpu")
    sound = voice.decompose(drum, RATE, seed=1)
    assert all(np.abs(stem).max() > 1e-3 for stem in sound.stems().values())
    return sound


def same(one, other, most=1e-5):
    """Whether two sounds have the same parts, up to so much of their peaks."""
    ours, theirs = one.stems(), other.stems()
    assert ours.keys() == theirs.keys()
    for name, stem in ours.items():
        assert len(stem) == len(theirs[name])
        peak = max(np.abs(stem).max(), np.abs(theirs[name]).max(), 1e-6)
        np.testing.assert_allclose(theirs[name], stem, atol=most * peak, rtol=0, err_msg=name)


def amounts(lowest, highest):
    return st.floats(lowest, highest, width=32)


PARTS = ("modal", "noise", "transient")
GAINS = st.fixed_dictionaries({}, optional=dict.fromkeys(["gain", *PARTS], amounts(-40, 20)))
EDITS = st.one_of(
    st.tuples(st.just("with_gain"), GAINS.map(lambda gains: ((), gains))),
    *(
        st.tuples(st.just(name), amounts(*limits).map(lambda amount: ((amount,), {})))
        for name, limits in {
            "with_attack": (0, 4),
            "with_pitch": (-24, 24),
            "with_decay": (0.25, 3),
            "with_brightness": (-6, 6),
        }.items()
    ),
    st.tuples(st.just("with_seed"), st.integers(0, 2**31).map(lambda seed: ((seed,), {}))),
    st.tuples(
        st.just("with_variation"),
        st.tuples(st.tuples(amounts(0, 2), st.integers(0, 9)), st.just({})),
    ),
)


def edited(sound, edits):
    for name, (arguments, options) in edits:
        sound = getattr(sound, name)(*arguments, **options)
    return sound


@pytest.mark.parametrize(
    "edit",
    [
        lambda sound: sound.with_gain(),
        lambda sound: sound.with_gain(0, modal=0, noise=0, transient=0),
        lambda sound: sound.with_attack(1),
        lambda sound: sound.with_pitch(0),
        lambda sound: sound.with_pitch(0, noise=True),
        lambda sound: sound.with_decay(1),
        lambda sound: sound.with_brightness(0),
        lambda sound: sound.with_seed(sound.seed),
        lambda sound: sound.with_modal(sound),
        lambda sound: sound.with_noise(sound),
        lambda sound: sound.with_transient(sound),
        lambda sound: drumblender.blend(sound, sound.with_pitch(3), 0),
    ],
)
@FEW
@given(before=st.lists(EDITS, max_size=2))
def test_an_edit_that_asks_for_nothing_changes_nothing(edit, before, sound):
    sound = edited(sound, before)

    same(sound, edit(sound), 1e-4)


@FEW
@given(st.lists(EDITS, min_size=1, max_size=4))
def test_whatever_is_done_stems_add_up_and_the_first_sound_stays(sound, edits):
    before = sound.render()

    changed = edited(sound, edits)

    stems = changed.stems()
    np.testing.assert_allclose(sum(stems.values()), changed.render(), atol=1e-6, rtol=1e-6)
    for rate in (8000, RATE, 44100):
        assert len(changed.render(rate)) == max(1, round(changed.seconds * rate))
    assert all(np.isfinite(stem).all() for stem in stems.values())
    np.testing.assert_array_equal(sound.render(), before)


@FEW
@given(amounts(0, 24), amounts(0, 24), st.sampled_from([1, -1]))
def test_pitches_add_up(sound, one, other, direction):
    """In one direction: what has gone beyond Nyquist does not come back."""
    one, other = direction * one, direction * other

    same(sound.with_pitch(one).with_pitch(other), sound.with_pitch(one + other), 1e-3)


@FEW
@given(amounts(-12, 0))
def test_pitch_down_and_up_again_is_the_sound(sound, semitones):
    same(sound, sound.with_pitch(semitones).with_pitch(-semitones), 1e-3)


@FEW
@given(amounts(-40, 20), amounts(-40, 20), st.sampled_from(["gain", *PARTS]))
def test_gains_add_up_in_decibels(sound, one, other, what):
    twice = sound.with_gain(**{what: one}).with_gain(**{what: other})

    same(twice, sound.with_gain(**{what: one + other}))
    changed, stems = twice.stems(), sound.stems()
    for name in PARTS:
        factor = 10 ** ((one + other) / 20) if what in ("gain", name) else 1
        np.testing.assert_allclose(changed[name], factor * stems[name], rtol=1e-4, atol=1e-7)


@FEW
@given(amounts(-6, 6), amounts(-6, 6))
def test_slopes_of_brightness_add_up(sound, one, other):
    same(
        sound.with_brightness(one).with_brightness(other), sound.with_brightness(one + other), 1e-4
    )


@FEW
@given(amounts(0, 2), amounts(0, 2))
def test_amounts_of_the_attack_multiply(sound, one, other):
    same(sound.with_attack(one).with_attack(other), sound.with_attack(one * other))
