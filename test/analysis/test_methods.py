"""Methods by name, and analyses of others by their class path."""

import pickle

import pytest
import torch

from drumblender.analysis import AnalysisSettings, CQTModalAnalysis
from drumblender.analysis.methods import analysis_of, class_of
from drumblender.errors import UsageError

MODULE = """
import torch
from drumblender.analysis import Analysis


class Level(Analysis):
    version = "2 b"

    def __init__(self, settings, level: float = 0.5, names: tuple = ()):
        super().__init__(settings)
        self.level = level
        self.names = names

    def measure(self, audio):
        s = self.settings
        return torch.full((3, s.num_modes, len(audio) // s.hop_length + 1), self.level)


class Timeless(Analysis):
    def measure(self, audio):
        return audio


class Odd(Timeless):
    version = 1.5


class Closed(Level):
    def __init__(self):
        pass


class Needy(Level):
    def __init__(self, settings, size: int):
        super().__init__(settings)


class Nothing(Analysis):
    version = 1


class Other:
    version = 1


def function(audio):
    return audio
"""


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    (tmp_path / "levels_of_a_test.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))


def level(**kwargs):
    return AnalysisSettings(method="levels_of_a_test.Level", method_kwargs=kwargs)


def test_a_class_path_is_a_method_with_a_version_and_arguments_of_its_own():
    assert level().version == "2 b"
    assert CQTModalAnalysis(level())(torch.zeros(2, 25600)).shape == (2, 3, 64, 101)
    assert (CQTModalAnalysis(level(level=1))(torch.zeros(300)) == 1).all()
    assert isinstance(analysis_of(level(level=1)).level, float)


def test_a_constant_q_transform_is_for_methods_that_work_with_it():
    low = {"sample_rate": 16000}
    assert CQTModalAnalysis(AnalysisSettings(method="levels_of_a_test.Level", **low))
    assert CQTModalAnalysis(AnalysisSettings(method="separating", **low))
    with pytest.raises(UsageError, match="outside 0 to 8000 Hz"):
        CQTModalAnalysis(AnalysisSettings(**low))


def test_settings_with_arguments_are_values():
    given = {"level": 0.2}
    settings = level(**given)
    assert settings == level(level=0.2) != level(level=0.3)
    assert hash(settings) == hash(level(level=0.2))
    assert settings == pickle.loads(pickle.dumps(settings))
    assert level() == AnalysisSettings(method="levels_of_a_test.Level")
    assert level(names=("a", "b")) == level(names=["a", "b"])  # as JSON stores them
    other = AnalysisSettings(method="levels_of_a_test.Level", method_kwargs=given)
    given["level"] = 9
    assert other == settings


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("levels_of_a_test.Levle", r"levels_of_a_test has no Levle; did you mean Level\?$"),
        ("no_such_module.Level", "there is no module no_such_module; install .* PYTHONPATH"),
        ("levels_of_a_test.Other", "Other is no analysis; derive the class from drumblender.analy"),
        ("levels_of_a_test.function", "function is no analysis"),
        ("levels_of_a_test.Nothing", "Nothing has no method measure; write it"),
        ("levels_of_a_test.Timeless", "Timeless has no version; write `version = 1`"),
        ("levels_of_a_test.Odd", "Odd has no version"),
    ],
)
def test_a_class_that_is_not_there_or_no_analysis_is_refused(name, sentence):
    settings = AnalysisSettings(method=name)  # a dataset can be used without the class
    with pytest.raises(UsageError, match=sentence):
        CQTModalAnalysis(settings)
    with pytest.raises(UsageError, match=sentence):
        class_of(name)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("seperating", r"no method seperating; did you mean separating\?$"),
        ("best", "no method best; take coverage, plain, separating, or the class path of"),
        ("my module.Best", "no method my module.Best; take"),
        (".Best", "take coverage"),
        ("", "take coverage"),
        (None, "no method None; take"),
    ],
)
def test_what_is_neither_a_name_nor_a_class_path_is_refused(name, sentence):
    with pytest.raises(UsageError, match=sentence):
        AnalysisSettings(method=name)


@pytest.mark.parametrize(
    ("kwargs", "sentence"),
    [
        ({"levle": 1}, r"levels_of_a_test.Level has no option levle; did you mean level\?$"),
        ({"level": "loud"}, "method_kwargs.level is loud; give float"),
        ({"settings": 1}, "has no option settings; it has level, names"),
    ],
)
def test_arguments_that_the_class_does_not_take_are_refused(kwargs, sentence):
    with pytest.raises(UsageError, match=sentence):
        CQTModalAnalysis(level(**kwargs))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "Closed",
            "Closed cannot be made .too many positional .*; let its __init__ take",
        ),
        ("Needy", "method_kwargs.size"),
    ],
)
def test_a_class_that_cannot_be_made_is_named(name, sentence):
    with pytest.raises(UsageError, match=sentence):
        CQTModalAnalysis(AnalysisSettings(method=f"levels_of_a_test.{name}"))


def test_arguments_that_cannot_be_stored_or_that_nobody_takes_are_refused():
    with pytest.raises(UsageError, match="cannot be stored with datasets"):
        level(level=torch.zeros(1))
    with pytest.raises(UsageError, match="method_kwargs are for a class of your own"):
        AnalysisSettings(method="separating", method_kwargs={"level": 1})
    with pytest.raises(UsageError, match="fit: false means method: plain, not levels_of_a_test"):
        AnalysisSettings(method="levels_of_a_test.Level", fit=False)
