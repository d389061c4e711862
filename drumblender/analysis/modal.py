"""The whole modal analysis, from a waveform to the parameters of a bank of sinusoids."""

import math
from typing import Optional

import numpy as np
import torch
from torch import Tensor

from drumblender.analysis.batched import analyze
from drumblender.analysis.cqt import CQT
from drumblender.analysis.fit import fit_modes
from drumblender.analysis.peaks import Peaks, pick_peaks
from drumblender.analysis.selection import choose_modes
from drumblender.analysis.separate import separate
from drumblender.analysis.settings import AnalysisSettings
from drumblender.analysis.tracking import Tracks, track_peaks
from drumblender.signal import exact_products, hz_to_rad


class CQTModalAnalysis:
    """Measures the modal parameters of recordings.

    The rows of the result are frequency in rad/sample, amplitude (not negative) and phase. The most
    energetic mode comes first. Modes that are not there are zero, and so is silence. The result
    lies on the CPU, and :class:`~drumblender.synths.ModalSynth` plays it as it is.

    Args:
        settings: how to measure.
        batched: whether to analyze the sounds of a batch together (:mod:`.batched`), which is fast
            on a GPU. By default they are where the audio is on a GPU. One sound at a time gives
            always the same bytes; sounds together give the same values but for rounding. Without
            ``fit`` in the settings, only the CQT is computed on a GPU.

    Shape:
        - Input: (N,) or (B, N)
        - Output: (3, num_modes, N // hop_length + 1), or the same with a leading B

    Raises:
        UsageError: if the settings ask for frequencies above half the sample rate.

    >>> CQTModalAnalysis(AnalysisSettings())(torch.zeros(24000)).shape
    torch.Size([3, 64, 94])
    """

    def __init__(self, settings: AnalysisSettings, batched: Optional[bool] = None):
        self.settings = settings
        self.batched = batched
        self.cqt = CQT(
            settings.sample_rate,
            settings.hop_length,
            settings.fmin,
            settings.n_bins,
            settings.bins_per_octave,
        )

    @exact_products()
    def __call__(self, audio: Tensor) -> Tensor:
        if audio.dim() == 1:
            return self(audio[None])[0]
        # float64 is missing from Apple's GPUs.
        together = audio.device.type not in ("cpu", "mps") if self.batched is None else self.batched
        if together and self.settings.method == "separating":
            return separate(audio.float(), self.settings).modal.cpu()
        if together and self.settings.fit:
            return analyze(audio.float(), self.cqt, self.settings).cpu()
        # One at a time and by one thread: the same bytes in any batch and with any number of
        # threads, which divide sums differently.
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return torch.stack([self._analyze(x.float()) for x in audio])
        finally:
            torch.set_num_threads(threads)

    def _analyze(self, x: Tensor) -> Tensor:
        """Analyze one sound (N,)."""
        s = self.settings
        if s.method == "separating":
            return separate(x[None], s).modal[0].cpu()
        with torch.no_grad():
            spectrogram = self.cqt.to(x.device)(x[None])[0].cpu().numpy()
        peaks = pick_peaks(spectrogram, s.fmin, s.bins_per_octave, s.threshold)
        tracks = track_peaks(peaks, math.log2(1 + s.diff_threshold / 100), s.min_length)
        parameters = np.zeros((3, s.num_modes, spectrogram.shape[1]), np.float32)
        if len(peaks.frame):
            if s.fit:
                self._fitted(parameters, x.cpu().numpy(), peaks, tracks)
            else:
                self._plain(parameters, peaks, tracks)
        return torch.from_numpy(parameters)

    def _fitted(self, parameters: np.ndarray, x: np.ndarray, peaks: Peaks, tracks: Tracks) -> None:
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

    def _plain(self, parameters: np.ndarray, peaks: Peaks, tracks: Tracks) -> None:
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
