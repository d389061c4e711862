"""Recordings of a list, and the list of the benchmark."""

import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest
import yaml

from drumblender.commands.dataset import main
from drumblender.data import AudioDataset

KITS = Path("/usr/share/hydrogen/data/drumkits")
INSTRUMENTS = {"kick", "snare", "tom", "cymbals"}


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def listed(project):
    """Sounds in two folders, a list of some of them, and the configuration that reads it."""
    folders = {"kits": "one/kits", "more": "other"}
    packs = {}
    for index, (name, split) in enumerate((("a", "train"), ("b", "val"), ("c", "test"))):
        entries = {}
        for place, folder in folders.items():
            path = project.folder / folder / name / "snare.wav"
            project.write_sound(path, 100.0 + 10 * index + len(place))
            project.write_sound(path.with_name("not listed.wav"), 500.0)
            entries[place] = {"path": f"{place}/{name}/snare.wav", "sha256": sha256(path)}
        packs[name] = {"type": "acoustic", "split": split, "license": "CC0", "folders": entries}
    (project.folder / "list.json").write_text(json.dumps(packs))
    config = {
        "class_path": "drumblender.data.AudioDataModule",
        "init_args": {
            "data_dir": "dataset/listed",
            "data_dir_unprocessed": "raw",
            "meta_file": "list.json",
            "raw_meta_file": "list.json",
            "dataset_kwargs": {"split_strategy": "listed"},
            "source": {
                "class_path": "drumblender.data.sources.listed.ListedRecordings",
                "init_args": {"listing": "list.json", "folders": folders, "advice": "buy them"},
            },
        },
    }
    (project.folder / "listed.yaml").write_text(yaml.safe_dump(config))
    return project


def prepare():
    return main(["listed.yaml", "--preprocess", "--num_workers", "1"])


def test_a_dataset_has_what_is_listed_in_the_splits_that_are_listed(listed):
    assert prepare() == 0

    folder = listed.folder / "dataset" / "listed"
    metadata = json.loads((folder / "list.json").read_text())
    assert {item["license"] for item in metadata.values()} == {"CC0"}
    for split, pack in (("train", "a"), ("val", "b"), ("test", "c")):
        dataset = AudioDataset(folder, "list.json", 48000, 96000, split, split_strategy="listed")
        packs = [metadata[key]["sample_pack_key"] for key in dataset.keys]
        assert packs == [pack, pack]


def test_a_recording_that_is_another_one_is_refused(listed, capsys):
    listed.write_sound(listed.folder / "other" / "b" / "snare.wav", 90.0)

    assert prepare() == 1

    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: other/b/snare.wav has not the sha256 that list.json says, so it is another "
        "recording; buy them."
    )
    assert not (listed.folder / "dataset" / "listed").exists()


def test_a_recording_that_is_missing_is_named(listed, capsys):
    (listed.folder / "one" / "kits" / "a" / "snare.wav").unlink()

    assert prepare() == 1

    assert "one/kits/a/snare.wav, which list.json names, does not exist; buy them." in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize("path", ["elsewhere/a.wav", "kits", "kits/../../a.wav"])
def test_a_path_that_lies_in_none_of_the_folders_is_refused(listed, capsys, path):
    packs = {"a": {"type": "acoustic", "folders": [{"path": path, "sha256": "0" * 64}]}}
    (listed.folder / "list.json").write_text(json.dumps(packs))

    assert prepare() == 1

    assert f"list.json names {path!r}" in capsys.readouterr().err


def test_a_stopped_run_goes_on(listed):
    (listed.folder / "raw" / "kits" / "a").mkdir(parents=True)
    (listed.folder / "raw" / "kits" / "a" / "snare.wav").write_bytes(b"half")

    assert prepare() == 0

    metadata = json.loads((listed.folder / "dataset" / "listed" / "list.json").read_text())
    assert len(metadata) == 6


@pytest.fixture(scope="module")
def benchmark(repository):
    return json.loads((repository / "cfg" / "data" / "benchmark.json").read_text("utf-8"))


def test_the_benchmark_tests_acoustic_and_electronic_packs_of_all_instruments(benchmark):
    for split in ("train", "val", "test"):
        packs = [pack for pack in benchmark.values() if pack["split"] == split]
        assert {pack["type"] for pack in packs} == {"acoustic", "electronic"}
        for kind in ("acoustic", "electronic"):
            there = {e["instrument"] for p in packs if p["type"] == kind for e in p["folders"]}
            assert there >= INSTRUMENTS


def test_the_benchmark_says_how_many_sounds_it_has(benchmark, repository):
    text = (repository / "cfg" / "data" / "benchmark.yaml").read_text()
    counts = Counter()
    for pack in benchmark.values():
        counts[pack["split"]] += len(pack["folders"])

    assert f"{sum(counts.values())} sounds" in text
    assert all(f"({count})" in text for count in counts.values())
    assert 0.2 <= counts["test"] / sum(counts.values()) <= 0.25


def test_the_benchmark_has_no_file_twice_and_a_license_of_each_pack(benchmark):
    entries = [entry for pack in benchmark.values() for entry in pack["folders"]]

    assert len({entry["path"] for entry in entries}) == len(entries)
    assert len({entry["sha256"] for entry in entries}) == len(entries)
    for pack in benchmark.values():
        assert pack["license"]
        assert pack["author"]


def test_the_benchmark_has_every_bundled_recording_as_it_is(benchmark, repository):
    folder = repository / "audio" / "one-shots"
    files = {f"one-shots/{p.relative_to(folder).as_posix()}": p for p in folder.rglob("*.flac")}
    listed = {
        entry["path"]: entry["sha256"]
        for pack in benchmark.values()
        for entry in pack["folders"]
        if entry["path"].startswith("one-shots/")
    }

    assert listed == {name: sha256(path) for name, path in files.items()}


@pytest.mark.slow
@pytest.mark.skipif(
    not (KITS / "GMRockKit").is_dir() or not (KITS / "Audiophob").is_dir(),
    reason="apt: needs hydrogen-data and hydrogen-drumkits",
)
def test_the_benchmark_is_prepared_whole_and_no_copy_is_in_two_splits(
    benchmark, repository, project
):
    config = yaml.safe_load((repository / "cfg" / "data" / "benchmark.yaml").read_text())
    arguments = json.loads(
        json.dumps(config["init_args"]).replace("${config_dir}", str(repository / "cfg" / "data"))
    )
    (project.folder / "mine.yaml").write_text(
        yaml.safe_dump({"class_path": "drumblender.data.AudioDataModule", "init_args": arguments})
    )

    assert main(["mine.yaml", "--preprocess", "--num_workers", "1"]) == 0

    metadata = json.loads((project.folder / "dataset" / "benchmark" / "benchmark.json").read_text())
    assert len(metadata) == sum(len(pack["folders"]) for pack in benchmark.values())
    assert not any("duplicate_of" in item for item in metadata.values())
