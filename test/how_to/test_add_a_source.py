import shutil

import yaml


def configure(reader, library, name):
    """Give a configuration of the page the settings of a small dataset."""
    wanted = yaml.safe_load((reader.folder / name).read_text())
    small = yaml.safe_load((library / "data.yaml").read_text())["init_args"]
    del small["data_dir_unprocessed"]
    wanted["init_args"] = {**small, **wanted["init_args"]}
    (reader.folder / name).write_text(yaml.safe_dump(wanted))


def train(reader, experiment, name):
    """Train one step on the dataset of a configuration."""
    small = yaml.safe_load(experiment.read_text())
    small["trainer"].update(max_steps=1, limit_val_batches=0)
    small["trainer"]["logger"]["init_args"]["save_dir"] = "logs"
    small["data"] = str(reader.folder / name)
    (reader.folder / "small.yaml").write_text(yaml.safe_dump(small))
    reader.run("train", "fit", "-c", "small.yaml")
    assert list(reader.folder.glob("logs/*/version_0/checkpoints/last.ckpt"))


def test_recordings_of_the_page_are_unpacked_once_and_preprocessed(
    reader, library, experiment, tmp_path
):
    reader = reader("add-a-source")
    shutil.make_archive(str(tmp_path / "drums"), "zip", library / "raw")
    configure(reader, library, "zipped.yaml")

    output = reader.run("dataset", "zipped.yaml", "--preprocess", "--num_workers", "1")

    assert "10 done" in output
    assert len(list((tmp_path / "raw/zipped").rglob("*.wav"))) == 10
    (tmp_path / "drums.zip").unlink()  # the recordings are there by now
    output = reader.run("dataset", "zipped.yaml", "--preprocess", "--num_workers", "1")
    assert "10 reused" in output
    train(reader, experiment, "zipped.yaml")


def test_the_dataset_of_the_page_is_copied_when_training_needs_it(
    reader, library, experiment, tmp_path
):
    reader = reader("add-a-source")
    content = yaml.safe_load((library / "data.yaml").read_text())
    content["init_args"]["data_dir"] = "slow/drums"
    (tmp_path / "slow.yaml").write_text(yaml.safe_dump(content))
    reader.run("dataset", "slow.yaml", "--preprocess", "--num_workers", "1")
    configure(reader, library, "shared.yaml")

    train(reader, experiment, "shared.yaml")

    assert (tmp_path / "fast/drums/metadata.json").exists()
    assert "10 sounds" in reader.run("dataset", "shared.yaml", "--verify")
