"""Sources of one's own: what surrounds them, and what goes wrong."""

import sys
import types

import pytest
import yaml

from drumblender.commands.dataset import main
from drumblender.data.sources.base import Recordings, Source
from drumblender.errors import DrumblenderError


class Nothing(Source):
    def __str__(self):
        return "my disk"

    def fetch(self, folder):
        (folder / "something else").touch()


class Empty(Nothing):
    def applies(self, target):
        return False

    def remedy(self, target):
        return f"{target.meta_file} on my disk"


class Halting(Recordings):
    def __init__(self, frequency: float = 200.0, fails: bool = False):
        self.frequency, self.fails = frequency, fails

    def fetch(self, folder):
        write = sys.modules["mine"].write_sound
        for index in range(3):
            write(folder / "pack" / f"kick_{index}.wav", self.frequency + index)
        if self.fails:
            raise DrumblenderError("The tape ended; rewind it.")


@pytest.fixture
def mine(monkeypatch, write_sound):
    """A module outside of the package that holds the sources above."""
    module = types.ModuleType("mine")
    for kind in (Nothing, Empty, Halting):
        monkeypatch.setattr(kind, "__module__", "mine")
        setattr(module, kind.__name__, kind)
    module.write_sound = write_sound
    module.NoSource = dict
    monkeypatch.setitem(sys.modules, "mine", module)
    return module


def source(name, **init_args):
    return {"class_path": f"mine.{name}", "init_args": init_args}


def error_of(capsys):
    return capsys.readouterr().err.splitlines()[-1]


def test_recordings_are_fetched_and_preprocessed_and_then_stay(project, mine):
    project.configure(source=source("Halting"))

    assert main(["data.yaml", "--num_workers", "1"]) == 0

    assert len(project.metadata()) == 3
    before = project.files()
    project.configure(source=source("Halting", frequency=300.0))
    assert main(["data.yaml", "--preprocess", "--num_workers", "1"]) == 0
    assert project.files() == before


def test_recordings_that_did_not_all_come_are_fetched_again(project, mine, capsys):
    project.configure(source=source("Halting", fails=True))
    assert main(["data.yaml", "--preprocess"]) == 1
    assert error_of(capsys) == "error: The tape ended; rewind it."
    assert not project.data_dir.exists()

    project.configure(source=source("Halting", frequency=300.0))
    assert main(["data.yaml", "--preprocess", "--num_workers", "1"]) == 0
    assert len(project.metadata()) == 3


def test_a_source_that_gives_another_thing_is_named_and_leaves_nothing(project, mine, capsys):
    project.configure(source=source("Nothing"))

    assert main(["data.yaml"]) == 1

    assert "my disk holds no meta.json, so it is not the source of" in error_of(capsys)
    assert list(project.folder.glob("dataset/*")) == []


def test_a_source_that_has_nothing_says_what_to_put_there(project, mine, capsys):
    project.fill().configure(source=source("Empty"))

    assert main(["data.yaml"]) == 1

    assert error_of(capsys).endswith("nothing to make it of; put meta.json on my disk.")


def test_preprocessing_what_is_preprocessed_is_refused(project, mine, capsys):
    project.configure(source=source("Nothing"))

    assert main(["data.yaml", "--preprocess"]) == 2

    assert "my disk gives whole datasets; leave it out." in error_of(capsys)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (source("Halting", frequenzy=1), "mine.Halting has no option frequenzy; did you mean fre"),
        (source("Missing"), "mine has no Missing"),
        (source("NoSource"), "NoSource"),
        (source("Halting", frequency="high"), "frequency is high; give float"),
    ],
)
def test_a_wrong_source_is_refused_in_one_sentence(project, mine, capsys, wrong, said):
    project.configure(source=wrong)

    assert main(["data.yaml"]) == 2

    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_keywords_of_both_datamodules_are_in_the_saved_configuration(project, mine):
    from jsonargparse import ArgumentParser

    from drumblender.data import AudioDataModule

    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(AudioDataModule, "data")
    given = yaml.safe_load(project.config.read_text())

    saved = parser.parse_object({"data": given}).data.init_args

    assert (saved.n_bins, saved.threshold, saved.num_samples) == (48, -80.0, 4000)
    assert saved.save_modal_audio is False
    assert saved.url is None
