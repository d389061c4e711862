import json

import pytest
import soundfile
import torch

from drumblender.data import AudioDataset, AudioWithParametersDataset
from drumblender.errors import DrumblenderError, UsageError

RATE, NUM_SAMPLES = 8000, 4000


@pytest.fixture
def published(tmp_path, write_sound):
    """A dataset as others have them: no files besides metadata, audio and features."""
    metadata = {}
    for index in range(10):
        name = f"sound_{index}"
        write_sound(tmp_path / f"{name}.wav", 100.0 + index, subtype="FLOAT")
        torch.save(torch.full((3, 5 + index % 2, 41), float(index)), tmp_path / f"{name}.pt")
        metadata[name] = {
            "filename": f"{name}.wav",
            "feature_file": f"{name}.pt",
            "type": ("acoustic", "electronic")[index % 2],
            "sample_pack_key": f"pack {index % 5}",
            "instrument": ("kick", "snare")[index // 5],
        }
    (tmp_path / "meta.json").write_text(json.dumps(metadata))
    return tmp_path


def open_dataset(folder, dataset=AudioWithParametersDataset, **options):
    return dataset(folder, "meta.json", RATE, NUM_SAMPLES, **options)


def test_items_are_audio_and_parameters(published):
    dataset = open_dataset(published)
    audio, parameters = dataset[3]

    assert len(dataset) == 10
    assert audio.shape == (1, NUM_SAMPLES)
    assert audio.dtype == parameters.dtype == torch.float32
    expected, _ = soundfile.read(published / "sound_3.wav", dtype="float32")
    assert torch.equal(audio[0], torch.from_numpy(expected))
    assert torch.equal(parameters, torch.full((3, 6, 41), 3.0))


def test_modes_are_padded_with_silence_or_cut_to_the_expected_number(published):
    padded = open_dataset(published, expected_num_modes=9)[2][1]
    cut = open_dataset(published, expected_num_modes=2)[2][1]

    assert padded.shape == (3, 9, 41)
    assert padded[:, :5].eq(2).all()
    assert padded[:, 5:].eq(0).all()
    assert cut.shape == (3, 2, 41)


def test_an_audio_dataset_needs_no_features(published):
    for path in published.glob("*.pt"):
        path.unlink()

    assert open_dataset(published, AudioDataset)[0].shape == (1, NUM_SAMPLES)


def test_splits_and_filters_reach_the_items(published):
    splits = [open_dataset(published, split=name, seed=5) for name in ("train", "val", "test")]
    kicks = open_dataset(published, instruments=["kick"], sample_types=["acoustic"])

    assert [len(split) for split in splits] == [8, 1, 1]
    assert kicks.keys == ["sound_0", "sound_2", "sound_4"]


def test_a_single_sound_is_in_every_split(published):
    metadata = json.loads((published / "meta.json").read_text())
    (published / "meta.json").write_text(json.dumps({"only": metadata["sound_4"]}))

    for name in ("train", "val", "test"):
        assert len(open_dataset(published, split=name)) == 1


def test_an_empty_split_names_the_remedy(published):
    metadata = json.loads((published / "meta.json").read_text())
    two = {key: metadata[key] for key in ("sound_0", "sound_1")}
    (published / "meta.json").write_text(json.dumps(two))

    with pytest.raises(UsageError, match=r"test split .* is empty .* three or more sounds"):
        open_dataset(published, split="test")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((44100, NUM_SAMPLES), r"sound_0.wav has sample_rate 8000 .* says 44100; set sample_rate"),
        ((RATE, 96000), r"sound_0.wav has num_samples 4000 .* says 96000; set num_samples"),
    ],
)
def test_audio_unlike_the_configuration_is_refused(published, options, message):
    with pytest.raises(DrumblenderError, match=message):
        AudioDataset(published, "meta.json", *options)


def test_stereo_is_refused(published, write_sound):
    write_sound(published / "sound_0.wav", channels=2)

    with pytest.raises(DrumblenderError, match=r"sound_0\.wav has 2 channels"):
        open_dataset(published)


@pytest.mark.parametrize("name", ["sound_7.wav", "sound_7.pt"])
def test_a_missing_file_is_named_at_once(published, name):
    (published / name).unlink()

    with pytest.raises(DrumblenderError, match=f"{name} is missing"):
        open_dataset(published)


@pytest.mark.parametrize("name", ["sound_0.wav", "sound_0.pt"])
@pytest.mark.parametrize("content", [b"", b"not what it seems"])
def test_a_broken_file_is_named(published, name, content):
    (published / name).write_bytes(content)

    with pytest.raises(DrumblenderError, match=f"{name} is missing or broken"):
        open_dataset(published)


def test_a_feature_file_that_would_run_code_is_refused(published):
    class Evil:
        def __reduce__(self):
            return (print, ("this must not run",))

    torch.save(Evil(), published / "sound_0.pt")

    with pytest.raises(DrumblenderError, match=r"sound_0.pt is missing or broken"):
        open_dataset(published)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no dataset at"),
        ("{", "not valid JSON"),
        ("[]", "not the metadata of a dataset"),
        ('{"pack": {"type": "acoustic", "folders": ["kick"]}}', "raw metadata"),
        ("{}", "lists no sound"),
    ],
)
def test_broken_metadata_is_an_error(published, content, message):
    path = published / "meta.json"
    path.unlink()
    if content is not None:
        path.write_text(content)

    with pytest.raises(DrumblenderError, match=message):
        open_dataset(published)


def test_metadata_without_features_names_the_command_that_adds_them(published):
    path = published / "meta.json"
    metadata = json.loads(path.read_text())
    del metadata["sound_3"]["feature_file"]
    path.write_text(json.dumps(metadata))

    with pytest.raises(DrumblenderError, match=r"'sound_3'.*--preprocess_features"):
        open_dataset(published)
