import io
import json
import os
import re

import pytest
import yaml

from drumblender.commands.dataset import main
from drumblender.config import load_config
from drumblender.data.library.scan import find_sounds


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
    assert text.count('"instrument": "unknown"') == 1
    text = text.replace('"instrument": "unknown"', '"instrument": "kick"')
    metadata.write_text(text, encoding="utf-8")
    project.write_sound(raw / "Acoustic" / "new snare.wav", 300.0)
    command = ["own/drums.yaml", "--preprocess", "--num_workers", "1"]
    assert main(command) == 0
    items = json.loads((project.folder / "own/dataset/drums/metadata.json").read_text()).values()
    found = sorted((i["sample_pack_key"], i["type"], i["instrument"]) for i in items)
    assert found == [
        ("Acoustic", "acoustic", "kick"),
        ("Acoustic", "acoustic", "snare"),
        ("Acoustic", "acoustic", "snare"),
        ("Acoustic", "acoustic", "snare"),
        ("Mine", "unknown", "cymbals"),
        ("TR-808", "electronic", "hihat"),
        ("TR-808", "electronic", "kick"),
        ("TR-808", "electronic", "tom"),
        ("raw", "unknown", "clap"),
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
        pytest.skip("platform: a file system without such names")
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


def test_the_configuration_says_all_that_the_shipped_one_says(project, repository):
    project.write_sound(project.folder / "raw" / "kick.wav")
    main(["own.yaml", "--init", "raw"])

    shipped = load_config(repository / "cfg" / "data" / "base.yaml")
    own = load_config("own.yaml")

    places = {"data_dir", "data_dir_unprocessed", "raw_meta_file"}
    assert own["class_path"] == shipped["class_path"]
    assert own["init_args"].keys() == shipped["init_args"].keys() | places
    for name in shipped["init_args"].keys() - places:
        assert own["init_args"][name] == shipped["init_args"][name]


def test_configuration_metadata_and_sounds_work_elsewhere_when_they_moved(
    project, monkeypatch, capsys
):
    for index in range(3):
        project.write_sound(project.folder / "home" / "sounds" / f"kick {index}.wav", 100.0 + index)
    (project.folder / "cwd").mkdir()
    monkeypatch.chdir(project.folder / "cwd")
    assert main(["../home/own.yaml", "--init", "../home/sounds"]) == 0
    hint = capsys.readouterr().out.splitlines()[-1]
    (project.folder / "home").rename(project.folder / "new home")
    monkeypatch.chdir("/")

    path = project.folder / "new home" / "own.yaml"
    assert main([str(path), "--preprocess", "--verify", "--num_workers", "1"]) == 0

    assert hint.endswith("drumblender-dataset ../home/own.yaml --preprocess")
    assert (path.parent / "dataset" / "own" / "metadata.json").exists()
    assert main([str(path), "--preprocess", "--num_workers", "1"]) == 0
    assert "0 done, 3 reused" in capsys.readouterr().out
    # The YAML names the folders without the way to them.
    assert str(project.folder) not in path.read_text()


@pytest.mark.parametrize(
    ("config", "folder", "said", "dataset"),
    [
        ("a/own.yaml", "a/raw", "${config_dir}/raw", "${config_dir}/dataset/own"),
        ("a/own.yaml", "raw", "${config_dir}/../raw", "${config_dir}/dataset/own"),
        ("a/b/own.yaml", "raw", "{here}/raw", "${config_dir}/dataset/own"),
        ("a/own.yaml", "a", "${config_dir}", "${config_dir}/../dataset/own"),
        ("a/b/own.yaml", "a", "${config_dir}/..", "{here}/dataset/own"),
        ("own.yaml", "linked", "${config_dir}/linked", "${config_dir}/dataset/own"),
    ],
)
def test_folders_below_and_beside_are_named_relative_to_the_file(
    project, config, folder, said, dataset
):
    project.write_sound(project.folder / "far" / "away" / "kick.wav")
    (project.folder / "linked").symlink_to(project.folder / "far" / "away")
    for name in ("a/raw", "raw", "a"):
        project.write_sound(project.folder / name / "kick.wav")

    assert main([config, "--init", folder]) == 0

    here = str(project.folder.resolve())
    args = yaml.safe_load((project.folder / config).read_text())["init_args"]
    assert args["data_dir_unprocessed"] == said.replace("{here}", here)
    assert args["data_dir"] == dataset.replace("{here}", here)
    assert main([config, "--preprocess", "--num_workers", "1"]) == 0


def types(project):
    """Pack -> the types of its sounds, after a look at the metadata that was written."""
    found = {}
    for sound in find_sounds(project.folder / "raw", project.folder / "own.json"):
        found.setdefault(sound.sample_pack_key, set()).add(sound.type)
    return found


def test_what_names_do_not_say_is_asked_for_and_can_be_said(project, capsys):
    for pack in ("TR-808", "Ludwig", "Zebra", "A = B"):
        for index in range(3):
            project.write_sound(project.folder / "raw" / pack / f"kick {index}.wav", 90.0 + index)

    assert main(["own.yaml", "--init", "raw"]) == 0
    found = {"TR-808": {"electronic"}, "Ludwig": {"acoustic"}}
    assert types(project) == {**found, "Zebra": {"unknown"}, "A = B": {"unknown"}}
    said = capsys.readouterr().out
    assert "names of 6 sounds do not say whether they are acoustic or electronic (A = B, Z" in said
    assert "drumblender-dataset own.yaml --init raw --force --type 'A = B=electronic'" in said
    assert main(["own.yaml", "--preprocess", "--num_workers", "1"]) == 0
    said = capsys.readouterr().out
    assert (
        "6 sounds are of unknown type, and no filter by sample_types takes them: those of A = B, Z"
        in said
    )

    again = ["own.yaml", "--init", "raw", "--force"]
    assert main([*again, "--type", "A = B=electronic", "--type", "acoustic"]) == 0
    said = {pack: {"acoustic"} for pack in ("TR-808", "Ludwig", "Zebra")}
    assert types(project) == {**said, "A = B": {"electronic"}}
    assert "do not say" not in capsys.readouterr().out
    assert main(["own.yaml", "--preprocess", "--num_workers", "1"]) == 0
    assert "unknown type" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--init", "raw", "--type", "acustic"], "--type acustic says no type; give acoustic or"),
        (["--init", "raw", "--type", "Zebra=electric"], "--type Zebra=electric says no type"),
        (["--init", "raw", "--type", "zebra=acoustic"], "no pack 'zebra'; did you mean 'Zebra'?"),
        (["--init", "raw", "--type", "Xyz=acoustic"], "no pack 'Xyz'; it has Ox, Zebra"),
        (["--preprocess", "--type", "acoustic"], "--type belongs to --init; add --init FOLDER"),
    ],
)
def test_a_type_that_cannot_be_is_a_usage_error(project, capsys, args, message):
    for pack in ("Zebra", "Ox"):
        project.write_sound(project.folder / "raw" / pack / "kick.wav")

    assert main(["own.yaml", *args]) == 2

    assert message in capsys.readouterr().err
    assert not (project.folder / "own.yaml").exists()
