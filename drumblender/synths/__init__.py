"""Synthesizers of the three parts: controls to signal."""

from drumblender.synths.modal import ModalSynth, modal_synth
from drumblender.synths.noise import NoiseGenerator
from drumblender.synths.transient import TransientTCN

__all__ = ["ModalSynth", "NoiseGenerator", "TransientTCN", "modal_synth"]
