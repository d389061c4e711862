"""Modes from tracks: peaks of a constant-Q transform, followed from frame to frame."""

import abc
import math

import numpy as np
import torch
from torch import Tensor

from drumblender.analysis.base import Analysis
from drumblender.analysis.batched import analyze
from drumblender.analysis.cqt import CQT
from drumblender.analysis.fit import fit_modes
from drumblender.analysis.peaks import Peaks, pick_peaks
from drumblender.analysis.selection import choose_modes
from drumblender.analysis.settings import AnalysisSettings
from drumblender.analysis.tracking import Tracks, track_peaks
from drumblender.signal import hz_to_rad


class _Tracked(Analysis):
    """A method that begins with tracks of peaks.

    Args:
        settings: settings of the analysis.

    Raises:
        UsageError: if the settings ask for frequencies above half the sample rate.
    """

    def __init__(self, settings: AnalysisSettings):
        super().__init__(settings)
        self.cqt = CQT(
            settings.sample_rate,
            settings.hop_length,
            settings.fmin,
            settings.n_bins,
            settings.bins_per_octave,
        )

    def measure(self, audio: Tensor) -> Tensor:
        """Find the tracks of one sound, and make modes of them."""
        s = self.settings
        spectrogram = self.cqt.to(audio.device)(audio[None])[0].cpu().numpy()
        peaks = pick_peaks(spectrogram, s.fmin, s.bins_per_octave, s.threshold)
        tracks = track_peaks(peaks, math.log2(1 + s.diff_threshold / 100), s.min_length)
        parameters = np.zeros((3, s.num_modes, spectrogram.shape[1]), np.float32)
        if len(peaks.frame):
            self._fill(parameters, audio.cpu().numpy(), peaks, tracks)
        return torch.from_numpy(parameters)

    @abc.abstractmethod
    def _fill(self, parameters: np.ndarray, x: np.ndarray, peaks: Peaks, tracks: Tracks) -> None:
        """Fill in the parameters of the modes of a sound that has peaks."""


class Coverage(_Tracked):
    """Modes that cover all of a sound, noise included, fitted to the waveform."""

    version = 1

    def measure_together(self, audio: Tensor) -> Tensor:
        """Measure the modes of many sounds at once, as :func:`~.batched.analyze` does."""
        return analyze(audio, self.cqt, self.settings)

    def _fill(self, parameters: np.ndarray, x: np.ndarray, peaks: Peaks, tracks: Tracks) -> None:
        """Fill in the parameters of modes that are fitted to the waveform."""
        s = self.settings
        num_frames = parameters.shape[-1]
        # The synthesizer samples envelopes at half-pixel centers: its frames are N / F apart.
        frame = len(x) / num_frames
        frequency, level = choose_modes(
            peaks,
            tracks,
            times=np.arange(num_frames) * s.hop_length / s.sample_rate,
            frame_times=((np.arange(num_frames) + 0.5) * frame - 0.5) / s.sample_rate,
            rate=s.sample_rate / frame,
            resolution=2.5 / s.bins_per_octave,
            count=s.num_modes,
        )
        audible = np.flatnonzero(np.abs(x) > 10 ** (s.threshold / 20 - 1))
        first = max(0, int(audible[0] / frame - 0.5))
        last = min(num_frames, int(audible[-1] / frame + 0.5) + 2)
        modes = fit_modes(x, hz_to_rad(frequency, s.sample_rate), level, first, last)
        loud = np.flatnonzero(modes.amplitude.max(1) > 10 ** (s.threshold / 20))
        order = loud[np.argsort(-np.square(modes.amplitude[loud]).sum(1), kind="stable")]
        rows = slice(len(order))
        parameters[0, rows] = modes.omega[order]
        parameters[1, rows] = modes.amplitude[order]
        parameters[2, rows] = modes.phase[order, None]


class Plain(_Tracked):
    """The loudest tracks as modes, with amplitudes and phases read off the transform."""

    version = 1

    def _fill(self, parameters: np.ndarray, x: np.ndarray, peaks: Peaks, tracks: Tracks) -> None:
        """Fill in the parameters of the loudest tracks, as they are."""
        s = self.settings
        energy = tracks.total(peaks.amplitude**2)
        for row, index in enumerate(np.argsort(-energy, kind="stable")[: s.num_modes]):
            members = tracks[index]
            first = int(peaks.frame[members[0]])
            span = slice(first, first + len(members))
            omega = hz_to_rad(peaks.frequency[members], s.sample_rate)
            # The synthesizer sums frequency from the first sample on: outside its track a mode
            # keeps the nearest frequency, at amplitude zero.
            parameters[0, row] = omega[0]
            parameters[0, row, span.stop :] = omega[-1]
            parameters[0, row, span] = omega
            parameters[1, row, span] = peaks.amplitude[members]
            phase = peaks.phase[members] + np.pi / 2
            parameters[2, row, span] = phase
            # The synthesizer reads the phase of frame 0 only: go back from the track's first frame.
            start = phase[0] - omega[0] * first * s.hop_length
            parameters[2, row, 0] = np.remainder(start + np.pi, 2 * np.pi) - np.pi
