"""The command itself, on real files."""

import functools
import http.server
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from serving import serving

from drumblender.commands.dataset import main
from drumblender.data.build.journal import read_journal

SCRIPT = "import sys; from drumblender.commands.dataset import main; sys.exit(main())"
COMMAND = [sys.executable, "-c", SCRIPT]
KITS = Path("/usr/share/hydrogen/data/drumkits")


def finished_files(project):
    return len(read_journal(project.data_dir.with_name("drums.partial")))


def test_preprocessing_says_what_it_did(project, capsys):
    project.fill(packs=1, sounds=10)
    (project.folder / "raw" / "pack 0" / "notes.txt").write_text("hello")

    assert main([str(project.config), "--preprocess", "--num_workers", "1"]) == 0

    output = capsys.readouterr()
    assert "skipped pack 0/notes.txt: is broken or no audio" in output.out
    assert "dataset/drums: 10 done, 0 reused, 1 skipped" in output.out
    assert "10 sounds (train 8, val 1, test 1)" in output.out
    assert "sounds/s" in output.err


def test_without_an_action_the_dataset_is_prepared_of_what_is_there(project, capsys):
    project.fill(packs=1, sounds=1)

    assert main([str(project.config)]) == 0
    assert "1 sounds (train 1, val 1, test 1)" in capsys.readouterr().out
    assert main([str(project.config)]) == 0
    assert "done" not in capsys.readouterr().out


def test_the_data_section_of_an_experiment_will_do(project, capsys):
    project.fill(packs=1, sounds=3)
    (project.folder / "experiment.yaml").write_text("data: data.yaml\nseed_everything: 1\n")

    assert main(["experiment.yaml", "--preprocess"]) == 0


@pytest.mark.slow
def test_a_run_that_is_killed_and_interrupted_goes_on_with_the_same_result(project, announcing):
    # So many that the last are far from done when the first are counted, on any machine.
    project.fill(packs=2, sounds=60)
    arguments = (project.config, "--preprocess", "--num_workers", "2")
    for how in (signal.SIGKILL, signal.SIGINT):
        # More than there were before: this process is at work.
        enough = max(125, finished_files(project))
        command = announcing("drumblender.commands.dataset", *arguments, cwd=project.folder)
        command.wait_for_steps(enough + 1)
        # Ctrl-C in a terminal reaches every process; workers notice by themselves that the
        # process that started them was killed.
        process = command.process
        (os.killpg if how == signal.SIGINT else os.kill)(process.pid, how)
        _, error = command.end()
        assert not project.data_dir.exists()
    assert process.returncode == 130
    assert "the same command goes on from here" in error
    assert "Traceback" not in error
    done = finished_files(project)

    assert main([*map(str, arguments[:-1]), "1"]) == 0
    continued = project.files()
    assert enough < done < len(continued) == 240
    project.configure(data_dir="dataset/alone")
    assert main([*map(str, arguments[:-1]), "1"]) == 0
    assert project.files(project.folder / "dataset" / "alone") == continued


def test_shards_are_made_anywhere_and_merged(project, capsys):
    project.fill(packs=1, sounds=7)
    for k in (1, 2, 3):
        assert main([str(project.config), "--preprocess", "--shard", f"{k}/3"]) == 0
    assert not project.data_dir.exists()

    assert main([str(project.config), "--merge", "--verify"]) == 0

    assert len(project.metadata()) == 7
    assert "7 sounds" in capsys.readouterr().out


def test_verify_lists_all_that_is_wrong(project, write_sound, capsys):
    project.fill(packs=1, sounds=6)
    assert main([str(project.config), "--verify"]) == 0
    items = [project.metadata()[key] for key in sorted(project.metadata())]
    files = [project.data_dir / item["filename"] for item in items]
    files[0].unlink()
    write_sound(files[1], 440.0, seconds=0.1)
    files[2].write_bytes(files[3].read_bytes())
    content = bytearray(files[4].read_bytes())
    content[58:] = bytes(len(content) - 58)
    files[4].write_bytes(content)
    feature = project.data_dir / items[5]["feature_file"]
    feature.write_bytes(feature.read_bytes()[:-50])
    capsys.readouterr()

    assert main([str(project.config), "--verify"]) == 1

    errors = capsys.readouterr().err
    assert f"{project.data_dir.name}" in errors
    for index, problem in (
        (0, "is missing or broken"),
        (1, "has num_samples 800"),
        (2, "has changed since it was made"),
        (4, "is silent"),
    ):
        assert f"{files[index].name} {problem}" in errors
    assert f"{feature.name} is missing or broken" in errors
    assert "error: 5 problems in dataset/drums" in errors


def test_verify_notices_features_of_another_sound(project, capsys):
    project.fill(packs=1, sounds=2)
    assert main([str(project.config)]) == 0
    one, other = (project.data_dir / item["feature_file"] for item in project.metadata().values())
    journal = project.data_dir / "journal.jsonl"
    text = journal.read_text()
    swap = {one.name: other.name, other.name: one.name}
    journal.write_text(
        "".join(
            line.replace(name, swap[name]) + "\n"
            for line in text.splitlines()
            for name in [next((name for name in swap if name in line), one.name)]
        )
    )
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)

    assert main([str(project.config), "--verify"]) == 1
    assert f"{one.name} was measured on another sound" in capsys.readouterr().err


def test_features_alone_are_measured_again(project):
    project.fill(packs=1, sounds=3)
    assert main([str(project.config)]) == 0
    project.configure(num_modes=4)
    assert main([str(project.config)]) == 2

    assert main([str(project.config), "--preprocess_features", "--verify"]) == 0

    stored = json.loads((project.data_dir / "drumblender.json").read_text())
    assert stored["analysis"]["num_modes"] == 4


def test_an_archive_can_be_written_and_used(project):
    project.fill(packs=1, sounds=3).configure(archive="drums.tar.gz")
    assert main([str(project.config), "--archive", "drums.tar.gz"]) == 0
    expected = project.files()
    project.data_dir.rename(project.folder / "away")
    (project.folder / "raw").rename(project.folder / "raw away")

    assert main([str(project.config), "--verify"]) == 0
    assert project.files() == expected


def test_a_dataset_travels_through_the_object_store(project, store, capsys):
    project.fill(packs=1, sounds=3).configure(url=store.url, bucket="drums", archive="v1.tar.gz")
    assert main([str(project.config), "--archive", "v1.tar.gz", "--upload", "v1.tar.gz"]) == 0
    assert "Uploaded v1.tar.gz to drums." in capsys.readouterr().out
    expected = project.files()
    project.data_dir.rename(project.folder / "away")
    (project.folder / "raw").rename(project.folder / "raw away")
    (project.folder / "v1.tar.gz").unlink()

    assert main([str(project.config), "--verify"]) == 0

    assert project.files() == expected
    output = capsys.readouterr()
    assert "a-secret-key" not in output.out + output.err


def test_an_upload_that_would_be_refused_is_refused_before_anything_is_made(
    project, store, client, capsys
):
    project.fill(packs=1, sounds=3).configure(url=store.url, bucket="drums")
    client.put_object(Bucket="drums", Key="v1.tar.gz", Body=b"there")
    command = [str(project.config), "--preprocess", "--archive", "v1.tar.gz"]

    assert main([*command, "--upload", "v1.tar.gz"]) == 2
    assert "drums already has v1.tar.gz; give the archive another name" in capsys.readouterr().err
    assert main([*command, "--upload", "v2.tar.gz"]) == 2
    assert "v2.tar.gz is not there to upload; write it first" in capsys.readouterr().err
    assert not project.data_dir.exists()
    assert not (project.folder / "v1.tar.gz").exists()

    assert main([*command, "--num_workers", "1", "--upload", "v1.tar.gz", "--force"]) == 0
    assert client.head_object(Bucket="drums", Key="v1.tar.gz")["ContentLength"] > 1000


def test_a_public_archive_is_downloaded_without_credentials(project):
    project.fill(packs=1, sounds=3)
    assert main([str(project.config), "--archive", "served/v1.tar.gz"]) == 0
    expected = project.files()
    project.data_dir.rename(project.folder / "away")
    (project.folder / "raw").rename(project.folder / "raw away")
    handler = functools.partial(
        http.server.SimpleHTTPRequestHandler, directory=str(project.folder / "served")
    )
    with serving(handler) as address:
        project.configure(archive="v1.tar.gz", archive_url=f"{address}/v1.tar.gz")

        assert main([str(project.config)]) == 0

    assert project.files() == expected


def test_the_kits_of_debian_are_a_dataset(repository, project):
    """Of the kits' names; the kits themselves are not here."""
    kits = json.loads((repository / "cfg" / "data" / "hydrogen.json").read_text())
    xml = "<k><instrument><name>Crash</name><filename>1.wav</filename></instrument></k>"
    for index, kit in enumerate(kits):
        folder = project.folder / "kits" / kit
        project.write_sound(folder / "1.wav", 100.0 + 10 * index)
        (folder / "drumkit.xml").write_text(xml)
    config = {
        "base": str(repository / "cfg" / "data" / "hydrogen.yaml"),
        "init_args": {"data_dir_unprocessed": "kits", "data_dir": "dataset/drums"},
    }
    (project.folder / "mine.yaml").write_text(yaml.safe_dump(config))

    assert main(["mine.yaml", "--preprocess", "--num_workers", "1"]) == 0

    items = json.loads((project.data_dir / "hydrogen.json").read_text()).values()
    assert {item["sample_pack_key"]: item["type"] for item in items} == {
        kit: content["type"] for kit, content in kits.items()
    }
    assert {item["instrument"] for item in items} == {"cymbals"}


@pytest.mark.slow
@pytest.mark.skipif(
    not (KITS / "GMRockKit").is_dir() or not (KITS / "Audiophob").is_dir(),
    reason="apt: needs hydrogen-data and hydrogen-drumkits",
)
def test_the_kits_of_debian_have_as_many_sounds_as_is_said(repository, project):
    (project.folder / "mine.yaml").write_text(
        yaml.safe_dump(
            {
                "class_path": "drumblender.data.AudioDataModule",
                "init_args": {
                    "data_dir": "dataset/drums",
                    "data_dir_unprocessed": str(KITS),
                    "meta_file": "hydrogen.json",
                    "raw_meta_file": str(repository / "cfg" / "data" / "hydrogen.json"),
                },
            }
        )
    )

    assert main(["mine.yaml", "--preprocess", "--num_workers", "1"]) == 0

    items = json.loads((project.data_dir / "hydrogen.json").read_text()).values()
    page = (repository / "docs" / "train" / "index.md").read_text()
    said = re.search(r"(\d+) sounds of (\d+) free drum kits", page)
    assert len(items) == pytest.approx(int(said[1]), rel=0.05)  # releases may differ a little
    assert len({item["sample_pack_key"] for item in items}) == int(said[2])


def test_help_is_quick():
    begin = time.monotonic()
    result = subprocess.run(
        [sys.executable, "-X", "importtime", *COMMAND[1:], "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )

    assert "--preprocess_features" in result.stdout
    assert "torch" not in result.stderr
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["nowhere.yaml"], 2, "nowhere.yaml does not exist"),
        (["data.yaml"], 1, "no dataset in dataset/drums"),
        (["data.yaml", "--preprocess"], 1, "no raw folder raw"),
        (["data.yaml", "--preprocess_features"], 1, "no dataset at dataset/drums/meta.json"),
        (["data.yaml", "--merge"], 2, "there are shards of 0 divisions"),
        (["data.yaml", "--preprocess", "--shard", "4/3"], 2, "--shard 4/3"),
        (["data.yaml", "--shard", "1/3"], 2, "add --preprocess"),
        (["data.yaml", "--preprocess", "--shard", "1/3", "--merge"], 2, "--merge"),
        (["data.yaml", "--upload", "x.tar.gz"], 2, "set url and bucket"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(project, capsys, args, code, message):
    assert main(args) == code

    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert message in error


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_bin": 3}, "no option n_bin; did you mean n_bins?"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": "many"}, "batch_size"),
        ({"dataset_class": "drumblender.data.NoSuchDataset"}, "NoSuchDataset"),
        ({"num_workers": -2}, "num_workers is -2"),
    ],
)
def test_a_wrong_configuration_is_one_sentence_that_names_the_key(project, capsys, change, message):
    project.fill(packs=1, sounds=1).configure(**change)

    assert main([str(project.config)]) == 2

    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert message in error


def test_zero_workers_are_refused(project, capsys):
    project.fill(packs=1, sounds=1)

    assert main([str(project.config), "--preprocess", "--num_workers", "0"]) == 2
    assert "--num_workers is 0" in capsys.readouterr().err


def test_debug_shows_where_an_error_comes_from(project):
    with pytest.raises(Exception, match="no dataset"):
        main([str(project.config), "--debug"])


def test_every_dataset_of_the_repository_is_described(repository, project, capsys):
    for path in sorted((repository / "cfg" / "data").rglob("*.yaml")):
        content = yaml.safe_load(path.read_text())
        assert len(content) <= 2, path
        assert main([str(path), "--preprocess", "--shard", "1"]) == 2  # reads nothing yet
    capsys.readouterr()


def test_the_bundled_kick_is_a_dataset_from_any_directory(repository, project, capsys):
    config = repository / "cfg" / "data" / "singles" / "kick_single.yaml"

    assert main([str(config), "--verify"]) == 0
    assert "1 sounds (train 1, val 1, test 1)" in capsys.readouterr().out
    assert (project.folder / "dataset" / "kick_single" / "kick_single.json").exists()
