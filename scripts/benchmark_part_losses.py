"""Compares the stems of trained models with the parts that are measured in one recording.

    drumblender fit -c cfg/kick_single_kicktcn.yaml
    drumblender fit -c cfg/kick_parts.yaml
    python scripts/benchmark_part_losses.py logs/drumblender/version_0/checkpoints/last.ckpt \
        logs/drumblender/version_1/checkpoints/last.ckpt

Each line is a model. MSS is the multi-resolution STFT loss of the whole sound. The distance of the
noise is that of its levels in dB, the transient is compared by MSS and by its signal-to-distortion
ratio (SDR), and the tones by SDR. Figures are means over several drawings of the noise.
"""

import argparse
from pathlib import Path

import torch
from auraloss.freq import MultiResolutionSTFTLoss

from drumblender.analysis import AnalysisSettings, CQTModalAnalysis
from drumblender.analysis.separate import separate
from drumblender.data.build.one_shot import read_one_shot
from drumblender.files.text import align
from drumblender.loss import NoiseLevelLoss
from drumblender.parameters import Modes
from drumblender.signal import mix
from drumblender.signal.auditory import noise_levels
from drumblender.tasks.checkpoint import load_model

KICK = Path(__file__).parents[1] / "audio/one-shots/drum/kick/drum_bass_soft.flac"
DRAWINGS = 10
HEADINGS = ("", "MSS", "noise, dB", "transient, MSS", "transient, SDR dB", "tones, SDR dB")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoints", nargs="+", metavar="CHECKPOINT")
    parser.add_argument("--recording", default=KICK, help="default: the kick of the configurations")
    options = parser.parse_args()
    rows = [HEADINGS]
    for checkpoint in options.checkpoints:
        model = load_model(checkpoint)
        audio = read_one_shot(
            Path(options.recording), model.analysis.sample_rate, model.num_samples
        )
        figures = compare(model, audio)
        rows.append((checkpoint, *(f"{figure:.3g}" for figure in figures)))
    print(align(rows))


@torch.no_grad()
def compare(model, audio):
    """Distances of the whole sound and of its parts, for a recording (N,)."""
    settings = AnalysisSettings(model.analysis.sample_rate, 64, method="separating")
    measured = separate(audio[None], settings)
    levels = noise_levels(measured.noise, settings.sample_rate)
    modal = CQTModalAnalysis(model.analysis)(audio)[None]
    sound = audio[None, None]
    parameters = model.network.encode(sound, Modes(modal, len(audio)))
    mss, noise_distance = MultiResolutionSTFTLoss(), NoiseLevelLoss(settings.sample_rate)
    figures = []
    for seed in range(DRAWINGS):
        generator = torch.Generator().manual_seed(seed)
        stems = model.network.synthesize(parameters, len(audio), generator)
        figures.append(
            (
                float(mss(mix(stems), sound)),
                float(noise_distance(stems["noise"], levels)),
                float(mss(stems["transient"], measured.transient[None])),
                sdr(stems["transient"], measured.transient),
                sdr(stems["modal"], measured.tones),
            )
        )
    return torch.tensor(figures).mean(0).tolist()


def sdr(signal, truth):
    """Signal-to-distortion ratio of a signal (1, 1, N), in dB."""
    distortion = (signal[:, 0] - truth).square().sum()
    return float(10 * (truth.square().sum() / distortion.clamp(min=1e-20)).log10())


if __name__ == "__main__":
    main()
