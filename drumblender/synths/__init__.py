"""Synthesizers of the three parts: controls to signal."""

from drumblender.synths.attack import AttackTCN
from drumblender.synths.modal import ModalSynth, modal_synth
from drumblender.synths.noise import NoiseGenerator
from drumblender.synths.shaped import ShapedNoise
from drumblender.synths.transient import TransientTCN

__all__ = [
    "AttackTCN",
    "ModalSynth",
    "NoiseGenerator",
    "ShapedNoise",
    "TransientTCN",
    "modal_synth",
]
