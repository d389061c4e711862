"""Voices of models that need no training."""

from drumblender.analysis import AnalysisSettings
from drumblender.sound import Voice
from drumblender.synths import ModalSynth
from drumblender.tasks import Blender
from drumblender.tasks.checkpoint import TrainedModel


def voice_of(model):
    """The voice of a model, for sounds of two seconds."""
    return Voice(TrainedModel(model.eval(), AnalysisSettings(), 96_000))


def voice_of_sines():
    """A voice without noise and transient: what it says is what was measured."""
    return voice_of(Blender(ModalSynth()))
