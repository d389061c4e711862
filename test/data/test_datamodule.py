import shutil

import pytest
import torch
from jsonargparse import ArgumentParser

from drumblender.commands.report import explain
from drumblender.config import load_config
from drumblender.data import AudioDataModule, AudioWithParametersDataset, ModalDataModule
from drumblender.data.sources.archive import write_archive
from drumblender.errors import DrumblenderError, UsageError


def datamodule(config):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(AudioDataModule, "data")
    return parser.instantiate_classes(parser.parse_object({"data": load_config(config)})).data


def test_batches_are_audio_and_parameters(project):
    project.fill(packs=2, sounds=10)
    data = datamodule(project.config)

    data.prepare_data()
    data.setup("fit")
    data.setup("test")

    loaders = [data.train_dataloader(), data.val_dataloader(), data.test_dataloader()]
    assert [len(loader.dataset) for loader in loaders] == [16, 2, 2]
    for loader in loaders:
        for audio, parameters in loader:
            assert audio.shape == (2, 1, 4000)
            assert parameters.shape == (2, 3, 8, 41)


def test_an_audio_datamodule_gives_audio_alone(project):
    project.fill(packs=1, sounds=4).configure("drumblender.data.AudioDataModule")
    data = datamodule(project.config)

    data.prepare_data()
    data.setup()

    assert next(iter(data.train_dataloader())).shape == (2, 1, 4000)


def test_loading_processes_give_the_same_batches(project):
    project.fill(packs=1, sounds=20)
    data = datamodule(project.config)
    data.prepare_data()
    data.setup()
    alone = list(data.val_dataloader())
    data.num_workers = 1

    for (audio, parameters), expected in zip(data.val_dataloader(), alone):
        assert torch.equal(audio, expected[0])
        assert torch.equal(parameters, expected[1])


def test_a_broken_file_in_a_loading_process_is_still_one_sentence(project):
    project.fill(packs=1, sounds=10).configure(num_workers=1)
    data = datamodule(project.config)
    data.prepare_data()
    data.setup("fit")
    broken = data.train_dataset.path(5, "filename")
    broken.write_bytes(b"")

    with pytest.raises(DrumblenderError) as caught:
        list(data.train_dataloader())

    code, sentence = explain(caught.value)
    assert code == 1
    assert sentence.startswith(f"{broken} is missing or broken")


def test_one_batch_needs_no_loading_process_unless_asked(project):
    project.fill(packs=1, sounds=1).configure(num_workers=None)
    data = datamodule(project.config)
    data.prepare_data()
    data.setup()

    assert data.train_dataloader().num_workers == 0


def test_analysis_settings_are_those_of_the_configuration(project):
    settings = datamodule(project.config).target.settings.analysis

    assert (settings.sample_rate, settings.hop_length, settings.n_bins) == (8000, 100, 48)
    assert settings.threshold == -80.0  # the default


def test_published_configurations_describe_a_datamodule(reference):
    config = load_config(reference / "noise_parallel_transient_params.yaml")["data"]
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(AudioDataModule, "data")

    data = parser.instantiate_classes(parser.parse_object({"data": config})).data

    assert isinstance(data, ModalDataModule)
    assert data.target.dataset_class is AudioWithParametersDataset
    assert data.target.settings.analysis.num_modes == 64


def test_preparing_prefers_the_dataset_then_its_archive_then_the_raw_folder(project, capsys):
    project.fill(packs=1, sounds=3).configure(archive="drums.tar.gz")
    data = datamodule(project.config)
    data.prepare_data()
    assert "3 done" in capsys.readouterr().out
    expected = project.files()
    write_archive(data.target, project.folder / "drums.tar.gz")

    data.prepare_data()
    assert capsys.readouterr().out == ""

    shutil.rmtree(project.data_dir)
    data.prepare_data()
    assert capsys.readouterr().out == ""
    assert project.files() == expected


def test_an_archive_that_lacks_a_file_is_refused(project):
    project.fill(packs=1, sounds=3).configure(archive="drums.tar.gz")
    data = datamodule(project.config)
    data.prepare_data()
    next(project.data_dir.glob("audio/*.pt")).unlink()
    write_archive(data.target, project.folder / "drums.tar.gz")
    shutil.rmtree(project.data_dir)

    with pytest.raises(DrumblenderError, match="is missing"):
        data.prepare_data()

    assert not project.data_dir.exists()


def test_a_dataset_of_other_settings_is_refused(project):
    project.fill(packs=1, sounds=3)
    datamodule(project.config).prepare_data()
    project.configure(hop_length=50)
    data = datamodule(project.config)

    for method in (data.prepare_data, data.setup):
        with pytest.raises(UsageError, match=r"hop_length 100 but the configuration says .* 50"):
            method()


def test_an_audio_datamodule_takes_a_dataset_that_has_features(project):
    project.fill(packs=1, sounds=3)
    datamodule(project.config).prepare_data()
    project.configure("drumblender.data.AudioDataModule")
    data = datamodule(project.config)

    data.prepare_data()
    data.setup()

    assert next(iter(data.test_dataloader())).shape == (1, 1, 4000)


def test_a_dataset_without_features_names_the_command_that_adds_them(project):
    project.fill(packs=1, sounds=3).configure("drumblender.data.AudioDataModule")
    datamodule(project.config).prepare_data()
    project.configure()

    with pytest.raises(UsageError, match="--preprocess_features"):
        datamodule(project.config).setup()


@pytest.mark.parametrize(
    ("key", "value"), [("batch_size", 0), ("num_workers", -1), ("num_samples", 0)]
)
def test_impossible_numbers_are_refused(key, value):
    data = ModalDataModule("dataset/drums", **{key: value})

    for method in (data.prepare_data, data.setup):
        with pytest.raises(UsageError, match=f"{key} is {value}; set it to"):
            method()


def test_nothing_to_prepare_from_names_where_to_put_it(project):
    with pytest.raises(DrumblenderError, match=r"no dataset in dataset/drums .* recordings in raw"):
        datamodule(project.config).prepare_data()
