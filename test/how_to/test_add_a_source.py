import shutil

import yaml


def test_recordings_of_the_page_are_unpacked_once_and_preprocessed(
    reader, library, experiment, tmp_path
):
    reader = reader("add-a-source")
    shutil.make_archive(str(tmp_path / "drums"), "zip", library / "raw")
    reader.configure("zipped.yaml", library)

    output = reader.run("dataset", "zipped.yaml", "--preprocess", "--num_workers", "1")

    assert "10 done" in output
    assert len(list((tmp_path / "raw/zipped").rglob("*.wav"))) == 10
    (tmp_path / "drums.zip").unlink()  # the recordings are there by now
    output = reader.run("dataset", "zipped.yaml", "--preprocess", "--num_workers", "1")
    assert "10 reused" in output
    reader.train_on("zipped.yaml", experiment)


def test_the_dataset_of_the_page_is_copied_when_training_needs_it(
    reader, library, experiment, tmp_path
):
    reader = reader("add-a-source")
    content = yaml.safe_load((library / "data.yaml").read_text())
    content["init_args"]["data_dir"] = "slow/drums"
    (tmp_path / "slow.yaml").write_text(yaml.safe_dump(content))
    reader.run("dataset", "slow.yaml", "--preprocess", "--num_workers", "1")
    reader.configure("shared.yaml", library)

    reader.train_on("shared.yaml", experiment)

    assert (tmp_path / "fast/drums/metadata.json").exists()
    assert "10 sounds" in reader.run("dataset", "shared.yaml", "--verify")
