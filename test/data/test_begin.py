import io
import json
import os
import re

import pytest

from drumblender.data.raw import find_sounds
from drumblender.dataset_cli import main


def fill(project):
    """A library as people have them: packs in folders, a kit, names that say nothing."""
    raw = project.folder / "raw"
    for name in (
        "Acoustic/Snares/01.wav",
        "Acoustic/Snares/02.wav",
        "Acoustic/BD hard.wav",
        "TR-808/CH 1.wav",
        "TR-808/zzz.wav",
        "TR-808/Ünïcode „Tom“.wav",
        "Kits/Mine/x.wav",
        "clap.wav",
    ):
        project.write_sound(raw / name)
    (raw / "Kits" / "Mine" / "kit.sfz").write_text("<region> sample=x.wav region_label=Ride Bell")
    (raw / "README.txt").write_text("hello")
    return raw


def test_init_writes_what_was_recognized_and_preprocessing_takes_it(project, capsys):
    raw = fill(project)
    recognized = find_sounds(raw, "no metadata")

    assert main(["own/drums.yaml", "--init", "raw"]) == 0

    # A person corrects one instrument, and a file comes later.
    table = capsys.readouterr().out
    metadata = project.folder / "own" / "drums.json"
    assert find_sounds(raw, metadata) == recognized
    text = metadata.read_text(encoding="utf-8")
    assert text.count('"unknown"') == 1
    metadata.write_text(text.replace('"unknown"', '"kick"'), encoding="utf-8")
    project.write_sound(raw / "Acoustic" / "new snare.wav", 300.0)
    command = ["own/drums.yaml", "--preprocess", "--num_workers", "1"]
    assert main(command) == 0
    items = json.loads((project.folder / "dataset/drums/metadata.json").read_text()).values()
    found = sorted((i["sample_pack_key"], i["type"], i["instrument"]) for i in items)
    assert found == [
        ("Acoustic", "acoustic", "kick"),
        ("Acoustic", "acoustic", "snare"),
        ("Acoustic", "acoustic", "snare"),
        ("Acoustic", "acoustic", "snare"),
        ("Mine", "acoustic", "cymbals"),
        ("TR-808", "electronic", "hihat"),
        ("TR-808", "electronic", "kick"),
        ("TR-808", "electronic", "tom"),
        ("raw", "acoustic", "clap"),
    ]
    rows = {re.split(r"  +", line)[0]: line.split() for line in table.splitlines()}
    assert rows["TR-808"] == ["TR-808", "electronic", "1", "1", "1", "3"]
    assert rows["all"][-1] == "8"
    assert "1 further files are no sounds by their names" in table


def test_one_entry_says_it_of_a_folder_that_is_named_after_its_instrument(project):
    fill(project)
    main(["drums.yaml", "--init", "raw"])

    folders = json.loads((project.folder / "drums.json").read_text())["Acoustic"]["folders"]

    assert folders == {
        "Acoustic": {"path": "Acoustic"},
        "Acoustic/BD hard.wav": {"path": "Acoustic/BD hard.wav", "instrument": "kick"},
        "Acoustic/Snares": {"path": "Acoustic/Snares", "instrument": "snare"},
    }


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["data.yaml", "--init", "raw"], "data.yaml is there already; .*--force"),
        (["data.txt", "--init", "raw"], "data.txt has to end in .yaml"),
        (["new.yaml", "--init", "nowhere"], "no raw folder nowhere"),
    ],
)
def test_init_overwrites_nothing_and_needs_a_folder(project, capsys, args, message):
    fill(project)
    before = project.config.read_text()

    assert main(args) in (1, 2)

    assert re.search(message, capsys.readouterr().err)
    assert project.config.read_text() == before
    assert main(["data.yaml", "--init", "raw", "--force"]) == 0


ODD = [
    os.fsdecode(b"latin1_\xe9"),
    "new\nline\ttab\x1b",
    "$a_b$ \\ \"quoted\" 'x' # no: comment",
    "عربي 日本 😀",
    "looks_like.yaml",
]


@pytest.mark.parametrize("odd", ODD)
def test_any_name_is_written_read_shown_and_drawn(project, capsys, monkeypatch, odd):
    raw = project.folder / odd
    try:
        (raw / odd).mkdir(parents=True)
        for index in range(6):
            plain = project.write_sound(project.folder / "plain.wav", 100.0 + 9 * index)
            plain.rename((raw / odd if index % 2 else raw) / f"{odd} kick {index}.wav")
        (raw / odd / f"{odd}.wav").write_bytes(b"no sound")
    except OSError:
        pytest.skip("a file system without such names")
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))  # strict

    assert main(["own.yaml", "--init", odd]) == 0
    json.loads((project.folder / "own.json").read_text(encoding="utf-8"))
    (project.folder / "own.yaml").read_text(encoding="utf-8")
    assert main(["own.yaml", "--preprocess", "--verify", "--stats", "--num_workers", "1"]) == 0

    data_dir = project.folder / "dataset" / "own"
    stored = json.loads((data_dir / "drumblender.json").read_text(encoding="utf-8"))
    assert [name for name, _ in stored["skipped"].values()] == [f"{odd}/{odd}.wav"]
    assert len((data_dir / "skipped.txt").read_text(encoding="utf-8").splitlines()) == 1
    items = json.loads((data_dir / "metadata.json").read_text(encoding="utf-8")).values()
    assert [item["sample_pack_key"] for item in items] == [odd] * 6
    assert {item["instrument"] for item in items} == {"kick"}
    assert data_dir.with_name("own.png").exists()


def test_one_folder_with_sounds_of_two_packs_keeps_both(project):
    """Some of its files belong to a kit, the others do not; its name is an instrument's."""
    raw = project.folder / "raw"
    for name in ("Library/Kicks/a.wav", "Library/Kicks/b.wav", "Library/x.wav"):
        project.write_sound(raw / name)
    (raw / "Library" / "Kicks" / "kit.sfz").write_text("<region> sample=a.wav")
    recognized = find_sounds(raw, "no metadata")
    assert len({sound.sample_pack_key for sound in recognized}) == 2

    assert main(["own.yaml", "--init", "raw"]) == 0

    assert find_sounds(raw, project.folder / "own.json") == recognized


def test_a_folder_of_nothing_usable_says_why_and_not_that_it_is_empty(project, capsys):
    (project.folder / "raw").mkdir()
    (project.folder / "raw" / "kick.wav").symlink_to("/nowhere/kick.wav")
    assert main(["own.yaml", "--init", "raw"]) == 0

    assert main(["own.yaml", "--preprocess"]) == 1

    assert "kick.wav is a link to a file that is not there" in capsys.readouterr().err
