"""Sounds that are saved as parts: what is opened again is the same sound, or is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from small_models import WIRINGS, drum, write_checkpoint

import drumblender
from drumblender.errors import DrumblenderError, UsageError
from drumblender.sound.storing import model_of, seconds_of

RATE = 48000
BUNDLED = {
    "snare": "elec/snare/elec_snare.flac",
    "cymbal": "elec/cymbals/elec_bell.flac",
    "swash": "perc/percussion/perc_swash.flac",  # stereo
}
EDITS = {
    "unchanged": lambda s: s,
    "pitch": lambda s: s.with_pitch(4, noise=True),
    "decay": lambda s: s.with_decay(1.7),
    "shorter and lower": lambda s: s.with_decay(0.4).with_pitch(-5),
    "variation": lambda s: s.with_variation(1, seed=4),
    "brightness and gains": lambda s: s.with_brightness(2).with_gain(-3, noise=2).with_attack(0.5),
}


@pytest.fixture(scope="module")
def voice():
    return drumblender.load(device="cpu")


@pytest.fixture(scope="module")
def sounds(voice, repository):
    folder = repository / "audio/one-shots"
    return {name: voice.decompose(folder / path, seed=1) for name, path in BUNDLED.items()}


@pytest.fixture
def saved(sounds, tmp_path):
    sounds["snare"].save(tmp_path / "snare.drum")
    return tmp_path / "snare.drum"


def assert_same(one, other):
    one, other = one.stems(), other.stems()
    assert list(one) == list(other)
    for name, stem in one.items():
        np.testing.assert_array_equal(stem, other[name], err_msg=name)


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
@pytest.mark.parametrize("name", BUNDLED)
def test_what_is_opened_renders_the_same_now_and_after_edits(name, edit, voice, sounds, tmp_path):
    sound = edit(sounds[name])
    sound.save(tmp_path / "a.drum")
    opened = voice.open(tmp_path / "a.drum")
    assert_same(opened, sound)
    assert_same(opened.with_pitch(-3).with_decay(1.3), sound.with_pitch(-3).with_decay(1.3))
    opened.save(tmp_path / "b.drum")
    assert (tmp_path / "a.drum").read_bytes() == (tmp_path / "b.drum").read_bytes()


def test_blends_of_what_is_opened_are_the_same_and_can_be_saved(voice, sounds, tmp_path):
    opened = {}
    for name, sound in sounds.items():
        sound.save(tmp_path / f"{name}.drum")
        opened[name] = voice.open(tmp_path / f"{name}.drum")
    one = drumblender.blend(sounds["snare"], sounds["swash"], 0.4)
    other = drumblender.blend(opened["snare"], sounds["swash"], 0.4)
    assert_same(one, other)
    other.with_noise(opened["cymbal"]).save(tmp_path / "blend.drum")
    assert_same(voice.open(tmp_path / "blend.drum"), one.with_noise(sounds["cymbal"]))


@pytest.mark.parametrize(("rate", "channels"), [(4000, 1), (22050, 2), (192000, 6)])
def test_any_rate_and_channels_come_back(rate, channels, voice, tmp_path):
    time = np.arange(rate // 8) / rate
    x = np.exp(-time / 0.05) * np.sin(2 * np.pi * 300 * time)
    sound = voice.decompose(x[:, None] * np.linspace(1, 0.5, channels), rate)
    sound.save(tmp_path / "tone.drum")
    assert_same(voice.open(tmp_path / "tone.drum"), sound)


@pytest.mark.parametrize("x", [np.zeros(4800), np.ones(1), np.linspace(-1, 1, 513)])
def test_silence_and_sounds_of_few_samples_come_back(x, voice, tmp_path):
    sound = voice.decompose(x, RATE)
    sound.save(tmp_path / "short.drum")
    opened = voice.open(tmp_path / "short.drum")
    assert opened.is_silent == sound.is_silent
    assert_same(opened, sound)
    assert_same(opened.with_decay(2), sound.with_decay(2))


@pytest.mark.parametrize("wiring", WIRINGS)
def test_sounds_of_models_come_back(wiring, repository, tmp_path):
    checkpoint = write_checkpoint(tmp_path, repository, wiring)
    voice = drumblender.load(checkpoint, device="cpu")
    sound = voice.decompose(drum(tmp_path / "x.wav", channels=2), seed=3, stereo=True)
    sound = sound.with_pitch(2)
    sound.save(tmp_path / "x.drum")
    again = drumblender.load(tmp_path / "config.yaml", checkpoint, device="cpu")
    assert_same(again.open(tmp_path / "x.drum"), sound)


def test_sounds_of_the_model_that_ships_are_opened_with_it(repository, tmp_path):
    voice = drumblender.load("drums", device="cpu")
    sound = voice.decompose(repository / "audio/one-shots" / BUNDLED["snare"], seed=2)
    sound.save(tmp_path / "x.drum")
    opened = drumblender.open_sound(tmp_path / "x.drum", device="cpu")
    assert_same(opened, sound)
    other = drumblender.open_sound(tmp_path / "x.drum", device="cpu")
    assert_same(drumblender.blend(opened, other, 0.5), drumblender.blend(sound, sound, 0.5))


def test_a_file_is_what_the_page_of_its_form_says(saved, sounds, tmp_path):
    """A reader of NumPy alone, which plays the sum of the parts."""
    with safe_open(saved, "numpy") as file:
        facts = json.loads(file.metadata()["drum"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    assert facts["format"] == 1
    assert facts["voice"] == {"kind": "measured"}
    modes = facts["parts"]["modal"]
    frequency, amplitude, phase = (
        tensors[f"modal.{x}"][0] for x in ("frequency", "amplitude", "phase")
    )
    count, frames = modes["num_samples"], frequency.shape[1]
    centers = (np.arange(frames) + 0.5) * count / frames - 0.5
    signal = np.zeros(count)
    for one, its, start in zip(frequency, amplitude, phase):
        turned = np.interp(np.arange(count), centers, one.astype(float)).cumsum() + start[0]
        signal += np.interp(np.arange(count), centers, its) * np.sin(turned)
    for name in ("noise.waveform", "transient.values"):
        signal[: tensors[name].shape[1]] += tensors[name][0]
    recorded = sounds["snare"].recording[:, 0]
    assert np.abs(signal[: len(recorded)] - recorded).max() < 1e-5
    levels = np.repeat(tensors["outline.level"][0], np.diff(
        [*tensors["outline.begin"], facts["timeline"]["outline"]["num_samples"]]
    ))  # fmt: skip
    np.testing.assert_array_equal(levels, sounds["snare"].timeline.outline.levels[0])


def test_a_file_is_not_larger_than_what_it_has_to_hold(saved, sounds):
    modes = sounds["snare"].parameters["modal"].amplitude.any(-1).sum()
    numbers = 2 * int(modes) * sounds["snare"].parameters["modal"].num_frames
    numbers += len(sounds["snare"].recording) * 1.3
    assert saved.stat().st_size < 4 * numbers


def test_a_file_notes_what_was_done_and_measured(voice, saved, tmp_path):
    opened = voice.open(saved).with_pitch(-2, noise=True)
    assert opened.analysis == f"separating {voice.settings.version}"
    assert opened.name == "elec_snare.flac"
    opened = drumblender.Changes.of({"decay": 1.5, "noise_gain": -np.inf}).apply(opened)
    replace(opened, analysis="separating 3").save(tmp_path / "b.drum")
    again = voice.open(tmp_path / "b.drum", name="mine")
    assert (again.analysis, again.name) == ("separating 3", "mine")
    assert [tuple(edit.values()) for edit in again.edits] == [
        ("pitch", -2, True),
        ("noise_gain", "-inf"),
        ("decay", 1.5),
    ]
    assert_same(again, opened)


def changed(path, facts=None, **tensors):
    """Write a file whose description and tensors are changed."""
    with safe_open(path, "numpy") as file:
        described = json.loads(file.metadata()["drum"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}
    for place, value in (facts or {}).items():
        *outer, last = place.split(".")
        inside = described
        for key in outer:
            inside = inside[key]
        inside[last] = value
    for name, value in tensors.items():
        name = name.replace("__", ".")
        arrays.pop(name)
        if value is not None:
            arrays[name] = value
    path.write_bytes(safetensors.numpy.save(arrays, {"drum": json.dumps(described)}))
    return path


@pytest.mark.parametrize(
    ("facts", "tensors", "said"),
    [
        ({"format": 2}, {}, "was written by a newer Drumblender (format 2); update this one."),
        ({"format": "1"}, {}, "has an impossible format in its description; save it again."),
        ({"seed": -1}, {}, "has an impossible seed in its description"),
        ({"gains": {}}, {}, "has no gains.modal in its description"),
        ({"timeline.seconds": 1e12}, {}, "has an impossible timeline.seconds"),
        ({"timeline.seconds": 1e6}, {}, "describes a sound that is too long to be played"),
        ({"timeline.described": 2**30}, {}, "describes a sound that is too long to be played"),
        ({"timeline.lead": 2**30}, {}, "describes a sound that is too long to be played"),
        ({"timeline.onsets": []}, {}, "has impossible timeline.onsets"),
        ({"timeline.outline.num_samples": 2**30}, {}, "describes a sound that is too long"),
        ({"timeline.outline.num_samples": 10}, {}, "has an outline that does not fit its length"),
        ({"parts.noise.num_samples": 2**30}, {}, "describes a sound that is too long"),
        ({"parts.noise.num_samples": 100}, {}, "holds more of noise.waveform than it says"),
        ({"parts.modal.num_samples": 2**30}, {}, "describes a sound that is too long"),
        ({"parts.modal.num_samples": 100}, {}, "has a modal part that ends before the sound"),
        ({"parts.modal.num_modes": 60_000}, {}, "has an impossible number of modes or frames in"),
        ({"parts.modal.num_modes": 0}, {}, "has an impossible number of modes or frames in modal"),
        ({"parts.transient.shape": [1, 10**9]}, {}, "describes a sound that is too long"),
        ({"parts.noise.kind": "tones"}, {}, "has a noise part of an unknown kind"),
        ({"parts.noise.kind": "nothing"}, {}, "has a noise part that does not fit this voice"),
        ({"parts": {}}, {}, "has the parts , and this voice makes modal, noise, transient"),
        ({"channels": 2}, {}, "holds modal.frequency in the shape"),
        ({"edits": 3}, {}, "has an impossible edits"),
        ({}, {"noise__waveform": None}, "lacks the tensor noise.waveform"),
        ({}, {"modal__amplitude": np.ones((1, 2, 3), np.float32)}, "holds modal.amplitude in the"),
        ({}, {"modal__phase": np.ones((1, 1), np.float32)}, "holds modal.phase in the shape"),
        ({}, {"transient__values": np.ones((1, 9))}, "holds transient.values as float64 and not"),
        ({}, {"noise__waveform": np.full((1, 9), np.nan, np.float32)}, "that are not numbers"),
        ({"voice.kind": "model"}, {}, "has no voice.name in its description"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_right_is_refused_in_a_sentence(facts, tensors, said, voice, saved):
    changed(saved, facts, **tensors)
    with pytest.raises(DrumblenderError) as error:
        voice.open(saved)
    assert str(error.value).startswith(f"{saved} ")
    assert said in str(error.value)


def test_other_files_are_refused_in_a_sentence(voice, saved, tmp_path, repository):
    path = tmp_path / "other.drum"
    cases = [
        (b"", "holds no sound that is taken apart"),
        (b"RIFF" * 100, "holds no sound that is taken apart"),
        ((repository / "drumblender/pretrained/drums/model.safetensors").read_bytes(), "no sound"),
        (saved.read_bytes()[:50], "is truncated"),
        (saved.read_bytes()[:-1], "is truncated or damaged"),
        (saved.read_bytes() + b"x", "is truncated or damaged"),
        (safetensors.numpy.save({}, {"drum": "[" * 100_000}), "has a description that is no JSON"),
        (safetensors.numpy.save({}, {"drum": '{"format": NaN}'}), "that is no JSON"),
    ]
    for content, said in cases:
        path.write_bytes(content)
        with pytest.raises(DrumblenderError, match=said):
            voice.open(path)
        assert seconds_of(path) == 0 or content[:50] == saved.read_bytes()[:50]
    with pytest.raises(DrumblenderError, match="does not exist; check the path"):
        voice.open(tmp_path / "nothing.drum")
    with pytest.raises(DrumblenderError, match="is a folder; give a file"):
        voice.open(tmp_path)
    with pytest.raises(UsageError, match="the name must end in .drum"):
        voice.open(saved).save(tmp_path / "x.wav")


def test_a_sound_that_cannot_be_opened_again_is_not_saved(sounds, tmp_path):
    long = replace(sounds["snare"], timeline=replace(sounds["snare"].timeline, seconds=1e6))
    with pytest.raises(DrumblenderError, match="is not written, because it describes a sound that"):
        long.save(tmp_path / "x.drum")
    assert not list(tmp_path.iterdir())


def test_the_voice_that_made_a_sound_has_to_be_given(voice, saved, repository, tmp_path):
    model = drumblender.load(write_checkpoint(tmp_path, repository, "m + n + T(m)"), device="cpu")
    with pytest.raises(DrumblenderError, match="was made without a model, and cannot be played by"):
        model.open(saved)
    source = drum(tmp_path / "x.wav")
    model.decompose(source).save(tmp_path / "x.drum")
    with pytest.raises(DrumblenderError, match=r"with the model model.ckpt, which is not among"):
        voice.open(tmp_path / "x.drum")
    with pytest.raises(UsageError, match="with the model model.ckpt, which is not among those"):
        drumblender.open_sound(tmp_path / "x.drum")
    changed(tmp_path / "x.drum", {"voice.sha256": "0"})
    with pytest.raises(DrumblenderError, match="was made with other weights"):
        model.open(tmp_path / "x.drum")
    changed(tmp_path / "x.drum", {"voice.name": "drums"})
    with pytest.raises(DrumblenderError, match="was made with the model drums; give --model drums"):
        voice.open(tmp_path / "x.drum")
    assert model_of([saved, tmp_path / "x.drum"])[0] == tmp_path / "x.drum"
    assert model_of([saved]) == (None, None)


def test_a_part_of_another_model_is_refused_before_it_plays(repository, tmp_path):
    voice = drumblender.load(write_checkpoint(tmp_path, repository, "T(m) + n"), device="cpu")
    voice.decompose(drum(tmp_path / "x.wav")).save(tmp_path / "x.drum")
    wide = np.zeros((1, 5), np.float32)
    changed(tmp_path / "x.drum", {"parts.transient.shape": [1, 5]}, transient__values=wide)
    with pytest.raises(DrumblenderError, match="has a transient part that does not fit this voice"):
        voice.open(tmp_path / "x.drum")


# Values of any kind in place of any that a description has.
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=3),
    st.lists(st.integers(-2, 2), max_size=2), st.dictionaries(st.text(max_size=2), st.none()),
)  # fmt: skip


@pytest.fixture(scope="module")
def places(sounds, tmp_path_factory):
    """A file, and the places of all entries in its description."""
    path = tmp_path_factory.mktemp("places") / "snare.drum"
    sounds["snare"].with_decay(1.1).save(path)
    with safe_open(path, "numpy") as file:
        facts = json.loads(file.metadata()["drum"])

    def below(content, prefix=""):
        for key, value in content.items():
            yield prefix + key
            yield from below(value, f"{prefix}{key}.") if isinstance(value, dict) else ()

    return path, list(below(facts))


def played_or_refused(voice, path):
    """The samples of a file, or those of silence if it is refused as it has to be."""
    try:
        return voice.open(path).render()
    except DrumblenderError as refused:
        said = str(refused)
        return [0.0] if said.startswith(f"{path} ") and said.endswith(".") else said


@settings(max_examples=25)
@given(data=st.data())
def test_whatever_a_description_says_is_played_or_refused(data, voice, places):
    path, keys = places
    content = path.read_bytes()
    changed(path, {data.draw(st.sampled_from(keys)): data.draw(VALUES)})
    played = played_or_refused(voice, path)
    path.write_bytes(content)
    assert not isinstance(played, str), played
    assert len(played) <= 2**24


@given(data=st.data())
def test_whatever_bytes_are_damaged_is_played_or_refused(data, voice, places):
    path, _ = places
    content = path.read_bytes()
    place = data.draw(st.integers(0, len(content) - 1) | st.integers(0, 3000))
    damaged = bytearray(content)
    damaged[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(damaged)
    played = played_or_refused(voice, path)
    path.write_bytes(content)
    assert not isinstance(played, str), played
    assert len(played) <= 2**24


def test_read_opens_parts_and_takes_recordings_apart(voice, saved, tmp_path):
    soundfile.write(tmp_path / "x.wav", 0.5 * np.sin(np.arange(4000) / 9), 16000)
    assert voice.read(tmp_path / "x.wav", seed=4).seed == 4
    assert voice.read(saved).seed == 1
    assert voice.read(saved, seed=4).seed == 4
    assert voice.read(saved).name == "snare.drum"
