"""Modes from tracks: peaks of a constant-Q transform, followed from frame to frame."""

import abc
import math

import torch
from torch import Tensor

from drumblender.analysis.base import Analysis
from drumblender.analysis.cqt import CQT
from drumblender.analysis.fit import fit_modes
from drumblender.analysis.peaks import Peaks, pick_peaks
from drumblender.analysis.selection import choose_modes
from drumblender.analysis.settings import AnalysisSettings
from drumblender.analysis.tracking import Tracks, on_grid, track_peaks
from drumblender.signal import hz_to_rad

# Of the memory that a device has free, the part that a batch may take.
_MEMORY_PART = 0.5
# On the processor small batches stay in its caches.
_MEMORY_OF_CPU = 2**28


class _Tracked(Analysis):
    """A method that begins with tracks of peaks.

    The values of a sound differ only by rounding, whatever other sounds are measured with it.

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
        return self._measure(audio[None])[0]

    def measure_together(self, audio: Tensor) -> Tensor:
        """Find the tracks of many sounds at once, and make modes of them.

        If the device runs out of memory, the batch is divided.
        """
        at_once = self._sounds_at_once(audio.shape[-1], audio.device)
        while True:
            try:
                return torch.cat([self._measure(part) for part in audio.split(at_once)])
            except torch.OutOfMemoryError:  # others use the device, too
                if min(at_once, len(audio)) == 1:
                    raise
                at_once = min(at_once, len(audio)) // 2

    def _measure(self, audio: Tensor) -> Tensor:
        """Measure sounds that fit into memory together."""
        s = self.settings
        spectrogram = self.cqt.to(audio.device)(audio)
        if audio.device.type == "mps":  # which lacks float64
            spectrogram, audio = spectrogram.cpu(), audio.cpu()
        parameters = audio.new_zeros(len(audio), 3, s.num_modes, spectrogram.shape[-1])
        peaks = pick_peaks(spectrogram, s.fmin, s.bins_per_octave, s.threshold)
        if len(peaks.frame):
            tracks = track_peaks(peaks, math.log2(1 + s.diff_threshold / 100), s.min_length)
            self._fill(parameters, audio, peaks, tracks)
        return parameters

    @abc.abstractmethod
    def _fill(self, parameters: Tensor, audio: Tensor, peaks: Peaks, tracks: Tracks) -> None:
        """Fill in the parameters of the modes of sounds that have peaks."""

    def _sounds_at_once(self, num_samples: int, device: torch.device) -> int:
        """Return how many sounds are measured together, given the memory of the device."""
        memory = _MEMORY_OF_CPU
        if device.type == "cuda":
            # What PyTorch keeps for reuse is free, too.
            kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
            memory = int(_MEMORY_PART * (torch.cuda.mem_get_info(device)[0] + kept))
        return max(1, memory // self._bytes_per_sound(num_samples))

    def _bytes_per_sound(self, num_samples: int) -> int:
        """Estimate the most memory that a sound takes, which is twice what was measured."""
        s = self.settings
        frames = num_samples // s.hop_length + 1
        transform = 64 * num_samples + 24 * s.n_bins * frames
        # Bands overlap by half: together they have twice the samples of the signal, as complex
        # numbers.
        return transform + 4 * 16 * num_samples + 12 * 8 * s.num_modes * frames


class Coverage(_Tracked):
    """Modes that cover all of a sound, noise included, fitted to the waveform."""

    version = 1

    def _fill(self, parameters: Tensor, audio: Tensor, peaks: Peaks, tracks: Tracks) -> None:
        """Fill in the parameters of modes that are fitted to the waveform."""
        s = self.settings
        num_samples, num_frames = audio.shape[-1], parameters.shape[-1]
        frequency, level = choose_modes(peaks, tracks, num_samples, s)
        frame = num_samples / num_frames
        audible = (audio.abs() > 10 ** (s.threshold / 20 - 1)).to(torch.uint8)
        begin = audible.argmax(-1)
        end = num_samples - 1 - audible.flip(-1).argmax(-1)
        first = (begin / frame - 0.5).long().clamp(min=0)
        last = ((end / frame + 0.5).long() + 2).clamp(max=num_frames)
        modes = fit_modes(audio, hz_to_rad(frequency, s.sample_rate), level, first, last)
        loud = (modes.amplitude.amax(-1) > 10 ** (s.threshold / 20)) & (level > 0)
        energy = torch.where(loud, modes.amplitude.square().sum(-1), -1)
        order = energy.argsort(dim=-1, descending=True, stable=True)
        heard = loud.gather(1, order)[..., None]
        phase = modes.phase[..., None].expand_as(modes.omega)
        for row, values in enumerate((modes.omega, modes.amplitude, phase)):
            ordered = values.float().gather(1, order[..., None].expand_as(values))
            parameters[:, row, : heard.shape[1]] = torch.where(heard, ordered, 0)


class Plain(_Tracked):
    """The loudest tracks as modes, with amplitudes and phases read off the transform."""

    version = 1

    def _fill(self, parameters: Tensor, audio: Tensor, peaks: Peaks, tracks: Tracks) -> None:
        """Fill in the parameters of the loudest tracks, as they are."""
        s = self.settings
        if not tracks.most:
            return
        tracked = tracks.number >= 0
        place = (peaks.sound * tracks.most + tracks.number)[tracked]
        energy = peaks.amplitude.new_zeros(peaks.num_sounds * tracks.most)
        energy.index_add_(0, place, peaks.amplitude[tracked].square())
        energy = energy.view(peaks.num_sounds, -1)
        chosen = energy.argsort(dim=1, descending=True, stable=True)[:, : s.num_modes]
        grid = on_grid(peaks, tracks, chosen)
        omega = grid.of(hz_to_rad(peaks.frequency, s.sample_rate))
        amplitude = grid.of(peaks.amplitude)
        phase = grid.of(peaks.phase.double() + torch.pi / 2)
        # The synthesizer sums frequency from the first sample on: outside its track a mode keeps
        # the nearest frequency, at amplitude zero.
        there = (amplitude > 0).to(torch.uint8)
        first = there.argmax(-1, keepdim=True)
        final = there.shape[-1] - 1 - there.flip(-1).argmax(-1, keepdim=True)
        index = torch.arange(there.shape[-1], device=there.device)
        omega = omega.gather(-1, torch.minimum(torch.maximum(index, first), final))
        # It reads the phase of frame 0 only: go back from the track's first frame.
        start = phase.gather(-1, first) - omega[..., :1] * first * s.hop_length
        phase[..., :1] = torch.remainder(start + torch.pi, 2 * torch.pi) - torch.pi
        phase[..., :1] *= there.any(-1, keepdim=True)
        parameters[:, :, : omega.shape[1]] = torch.stack([omega, amplitude, phase], 1).float()
