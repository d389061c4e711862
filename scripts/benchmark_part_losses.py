"""Compares the stems of trained models with the parts that are measured in one recording.

    drumblender fit -c cfg/kick_parts.yaml
    drumblender fit -c cfg/kick_parts.yaml --model.init_args.part_losses null
    python scripts/benchmark_part_losses.py logs/drumblender/version_*/checkpoints/last.ckpt

Each line is a model. MSS is the multi-resolution STFT loss of the whole sound. The distance of the
noise is that of its levels in dB. The transient is compared by MSS and by its signal-to-distortion
ratio (SDR), the tones by SDR. Figures are means over several drawings of the noise. The first line
is what the measured parts would give if only the noise were drawn again.
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
from drumblender.signal.auditory import noise_levels, noise_of_levels
from drumblender.tasks.checkpoint import load_model

KICK = Path(__file__).parents[1] / "audio/one-shots/drum/kick/drum_bass_soft.flac"
DRAWINGS = 10
HEADINGS = ("", "MSS", "noise, dB", "transient, MSS", "transient, SDR dB", "tones, SDR dB")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoints", nargs="+", metavar="CHECKPOINT")
    parser.add_argument("--recording", default=KICK, help="default: the kick of the configurations")
    options = parser.parse_args()
    models = {path: load_model(path) for path in options.checkpoints}
    rows = [HEADINGS]
    for path, model in models.items():
        rate, length = model.analysis.sample_rate, model.num_samples
        audio = read_one_shot(Path(options.recording), rate, length)
        measured = separate(audio[None], AnalysisSettings(rate, 64, method="separating"))
        if len(rows) == 1:
            rows.append(row("measured", audio, measured, rate, drawn_again(measured, rate)))
        rows.append(row(path, audio, measured, rate, played(model, audio)))
    print(align(rows))


def drawn_again(measured, rate):
    """Function that gives the measured parts, with noise that a generator draws."""
    # Averaged levels are those of the noise, and not of the chance by which it fluctuated.
    levels = noise_levels(measured.noise, rate, smooth=4)

    def play(generator):
        noise = noise_of_levels(levels, measured.noise.shape[-1], rate, generator)
        parts = {"modal": measured.tones, "noise": noise, "transient": measured.transient}
        return {name: part[:, None] for name, part in parts.items()}

    return play


def played(model, audio):
    """Function that gives the stems of a model, with noise that a generator draws."""
    modes = Modes(CQTModalAnalysis(model.analysis)(audio)[None], len(audio))
    parameters = model.network.encode(audio[None, None], modes)
    return lambda generator: model.network.synthesize(parameters, len(audio), generator)


@torch.no_grad()
def row(name, audio, measured, rate, play):
    """A line of the table: distances of the whole sound and of its parts."""
    levels = noise_levels(measured.noise, rate)
    mss, noise_distance = MultiResolutionSTFTLoss(), NoiseLevelLoss(rate)
    figures = []
    for seed in range(DRAWINGS):
        stems = play(torch.Generator().manual_seed(seed))
        figures.append(
            (
                mss(mix(stems), audio[None, None]),
                noise_distance(stems["noise"], levels),
                mss(stems["transient"], measured.transient[None]),
                sdr(stems["transient"], measured.transient),
                sdr(stems["modal"], measured.tones),
            )
        )
    return (str(name), *(f"{value:.3g}" for value in torch.tensor(figures).mean(0).tolist()))


def sdr(signal, truth):
    """Signal-to-distortion ratio of a signal (1, 1, N), in dB."""
    return 10 * (truth.square().sum() / (signal[:, 0] - truth).square().sum()).log10()


if __name__ == "__main__":
    main()
