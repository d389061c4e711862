"""From a waveform to the parameters of a bank of sinusoids: settings and the whole analysis."""

from dataclasses import dataclass
from typing import List

import numpy as np
import torch
from torch import Tensor

from drumblender.analysis.cqt import CQT
from drumblender.analysis.peaks import Peaks, pick_peaks
from drumblender.analysis.tracking import Track, track_peaks
from drumblender.signal import hz_to_rad


@dataclass(frozen=True)
class AnalysisSettings:
    """How modal parameters are measured.

    Attributes:
        sample_rate: of the audio, in Hz.
        hop_length: between frames, in samples.
        fmin: lowest frequency, in Hz.
        n_bins: bins of the CQT.
        bins_per_octave: of the CQT.
        num_modes: modes to keep, the most energetic ones.
        min_length: frames that a track needs to be a mode.
        threshold: level below which a peak is ignored, in dB relative to amplitude 1.
        diff_threshold: how far a track's frequency may move from frame to frame, in bins of the CQT
            (12 / bins_per_octave semitones each).
    """

    sample_rate: int = 48000
    hop_length: int = 256
    fmin: float = 20.0
    n_bins: int = 240
    bins_per_octave: int = 24
    num_modes: int = 64
    min_length: int = 10
    threshold: float = -80.0
    diff_threshold: float = 5.0


class CQTModalAnalysis:
    """Measure modal parameters of audio.

    Args:
        settings: how.

    Shape:
        - Input: (N,) or (B, N)
        - Output: (3, num_modes, N // hop_length + 1) or with a leading B: frequency in rad/sample,
          amplitude, phase; modes that are not there are zero, silence is all zero.

    >>> CQTModalAnalysis(AnalysisSettings())(torch.zeros(24000)).shape
    torch.Size([3, 64, 94])
    """

    def __init__(self, settings: AnalysisSettings):
        self.settings = settings
        self.cqt = CQT(
            settings.sample_rate,
            settings.hop_length,
            settings.fmin,
            settings.n_bins,
            settings.bins_per_octave,
        )

    def __call__(self, audio: Tensor) -> Tensor:
        if audio.dim() == 1:
            return self(audio[None])[0]
        with torch.no_grad():
            # One at a time on the CPU: the numbers must not depend on the company in a batch.
            spectrograms = [self.cqt.to(x.device)(x[None])[0].cpu().numpy() for x in audio]
        return torch.stack([self._modes(s, x.shape[-1]) for x, s in zip(audio, spectrograms)])

    def _modes(self, spectrogram: np.ndarray, num_samples: int) -> Tensor:
        s = self.settings
        peaks = pick_peaks(spectrogram, s.fmin, s.bins_per_octave, s.threshold)
        tracks = track_peaks(
            peaks, spectrogram.shape[1], s.diff_threshold / s.bins_per_octave, s.min_length
        )
        tracks = _loudest(tracks, peaks, s.num_modes)
        parameters = np.zeros((3, s.num_modes, spectrogram.shape[1]), np.float32)
        for row, track in enumerate(tracks):
            span = slice(track.first_frame, track.first_frame + len(track.peaks))
            omega = hz_to_rad(peaks.frequency[track.peaks], s.sample_rate)
            # The synthesizer sums frequency from the first sample on: outside its track a mode
            # keeps the nearest frequency, at amplitude zero.
            parameters[0, row] = omega[0]
            parameters[0, row, span.stop :] = omega[-1]
            parameters[0, row, span] = omega
            parameters[1, row, span] = peaks.amplitude[track.peaks]
            phase = peaks.phase[track.peaks] + np.pi / 2
            parameters[2, row, span] = phase
            # The synthesizer reads the phase of frame 0 only: go back from the track's first frame.
            start = phase[0] - omega[0] * track.first_frame * s.hop_length
            parameters[2, row, 0] = np.remainder(start + np.pi, 2 * np.pi) - np.pi
        return torch.from_numpy(parameters)


def _loudest(tracks: List[Track], peaks: Peaks, count: int) -> List[Track]:
    energy = [-np.square(peaks.amplitude[track.peaks]).sum() for track in tracks]
    return [tracks[i] for i in np.argsort(energy, kind="stable")[:count]]
