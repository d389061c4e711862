"""Noise and transient of datasets, by the real command and beside the analysis itself."""

import json
import shutil

import pytest
import soundfile
import torch

from drumblender.analysis.separate import separate
from drumblender.analysis.settings import AnalysisSettings
from drumblender.commands.dataset import main
from drumblender.data import AudioWithParametersDataset, AudioWithPartsDataset
from drumblender.errors import DrumblenderError
from drumblender.signal.auditory import noise_levels

RATE, NUM_SAMPLES = 8000, 4000
SEPARATING = AnalysisSettings(RATE, 64, num_modes=8, method="separating")


@pytest.fixture
def snares(project):
    """A folder of tones that decay, each with a click and noise, which are to be separated."""
    project.configure(method="separating", hop_length=64)
    generator = torch.Generator().manual_seed(0)
    time = torch.arange(NUM_SAMPLES) / RATE
    for index in range(4):
        tone = torch.exp(-time / 0.1) * torch.sin(2 * torch.pi * (200 + 60 * index) * time)
        noise = 0.1 * torch.exp(-time / 0.05) * torch.randn(NUM_SAMPLES, generator=generator)
        click = 0.8 * (time < 0.002) * torch.randn(NUM_SAMPLES, generator=generator)
        path = project.folder / "raw" / f"pack {index % 2}" / f"snare_{index}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, (0.4 * tone + noise + click).clamp(-1, 1), RATE)
    return project


def make(project, *arguments):
    assert main([str(project.config), *arguments, "--num_workers", "1"]) == 0


def opened(project, dataset=AudioWithPartsDataset, **options):
    return dataset(project.data_dir, "meta.json", RATE, NUM_SAMPLES, **options)


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in ("noise", "transient"))


def test_items_hold_the_parts_that_the_analysis_separates(snares):
    make(snares, "--preprocess", "--verify")

    for audio, params, measured in opened(snares):
        truth = separate(audio, SEPARATING)
        torch.testing.assert_close(params, truth.modal[0])
        levels = noise_levels(truth.noise, RATE)[0]
        assert measured["noise"].shape == (32, NUM_SAMPLES // 64 + 1)
        torch.testing.assert_close(measured["noise"], levels, rtol=1e-3, atol=1e-6)
        assert measured["transient"].shape == (1, NUM_SAMPLES)
        torch.testing.assert_close(measured["transient"], truth.transient, rtol=1e-3, atol=1e-6)
        assert measured["transient"].abs().max() > 0.1
    assert len(opened(snares, AudioWithParametersDataset)[0]) == 2


def test_the_files_cost_little_beside_features(snares):
    make(snares, "--preprocess")

    sizes = {suffix: 0 for suffix in (".wav", ".pt", ".rest")}
    for path in (snares.data_dir / "audio").iterdir():
        sizes[path.suffix] += path.stat().st_size
    assert 0 < sizes[".rest"] < sizes[".pt"]


@pytest.mark.slow
def test_shards_merge_with_their_parts_into_the_same_dataset(snares):
    make(snares, "--preprocess")
    alone = snares.files()
    shutil.rmtree(snares.data_dir)
    for shard in ("1/2", "2/2"):
        make(snares, "--preprocess", "--shard", shard)
    make(snares, "--merge", "--verify")

    assert snares.files() == alone
    assert len(alone) == 3 * 4


def test_packs_and_archives_hold_the_parts(snares):
    section = {"dataset_class": "drumblender.data.AudioWithPartsDataset"}
    snares.configure(method="separating", hop_length=64, **section)
    make(snares, "--preprocess")
    files = [item[2] for item in opened(snares)]
    make(snares, "--pack", "--verify", "--archive", "drums.tar.gz")

    packed = opened(snares)
    assert packed.packed is not None
    assert all(same(item[2], measured) for item, measured in zip(packed, files))
    assert len(opened(snares, AudioWithParametersDataset)[0]) == 2
    shutil.rmtree(snares.data_dir)
    shutil.rmtree(snares.folder / "raw")
    snares.configure(method="separating", hop_length=64, archive="drums.tar.gz", **section)
    make(snares)
    assert all(same(item[2], measured) for item, measured in zip(opened(snares), files))


def test_a_dataset_from_before_trains_as_ever_and_gets_its_parts_on_request(snares):
    make(snares, "--preprocess")
    made = snares.files()
    metadata = snares.metadata()
    for item in metadata.values():
        (snares.data_dir / item.pop("rest_file")).unlink()
    (snares.data_dir / "meta.json").write_text(json.dumps(metadata))

    make(snares, "--verify")
    assert len(opened(snares, AudioWithParametersDataset)) == 4
    with pytest.raises(DrumblenderError, match=r"no 'rest_file'.*--preprocess_features"):
        opened(snares)
    make(snares, "--preprocess_features", "--verify")
    assert snares.files() == made
    assert len(opened(snares)[0]) == 3


def test_preprocessing_again_adds_parts_and_reuses_them(snares, capsys):
    make(snares, "--preprocess")
    made = snares.files()
    for name in made:
        if name.endswith(".rest"):
            (snares.data_dir / "audio" / name).unlink()
    capsys.readouterr()
    make(snares, "--preprocess")
    assert "4 done, 0 reused" in capsys.readouterr().out
    make(snares, "--preprocess")
    assert "0 done, 4 reused" in capsys.readouterr().out
    assert snares.files() == made


def test_other_methods_keep_no_parts(snares):
    make(snares, "--preprocess")
    snares.configure()
    make(snares, "--preprocess_features", "--verify")

    assert not [name for name in snares.files() if name.endswith(".rest")]
    assert all("rest_file" not in item for item in snares.metadata().values())
    with pytest.raises(DrumblenderError, match="method: separating"):
        opened(snares)


@pytest.mark.parametrize("content", [b"", b"no tensor", {"noise": torch.zeros(32, 5)}])
def test_a_broken_file_is_named(snares, content, capsys):
    make(snares, "--preprocess")
    path = next((snares.data_dir / "audio").glob("*.rest"))
    if isinstance(content, dict):
        torch.save({**content, "transient": torch.zeros(3)}, path)
    else:
        path.write_bytes(content)

    assert main([str(snares.config), "--verify", "--num_workers", "1"]) == 1
    assert str(path.name) in capsys.readouterr().err


def test_what_belongs_to_another_sound_is_found(snares, capsys):
    make(snares, "--preprocess")
    journal = snares.data_dir / "journal.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    for line in lines:
        if line["file"].endswith(".rest"):
            line["of"] = [1, 2]
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))

    assert main([str(snares.config), "--verify", "--num_workers", "1"]) == 1
    assert "is not what" in capsys.readouterr().err
