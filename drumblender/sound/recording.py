"""Recordings that are read and analyzed, which can be done without a model."""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Optional, Union

import numpy as np
import torch
from torch import Tensor

from drumblender.analysis import AnalysisSettings, CQTModalAnalysis, separate_channels
from drumblender.analysis.separate.onsets import first_sample
from drumblender.errors import DrumblenderError, UsageError
from drumblender.files.reading import read_channels
from drumblender.files.segments import SEGMENT_S, segments
from drumblender.parameters import Modes, Rest
from drumblender.parameters.outline import Outline
from drumblender.parameters.timeline import UNIT, Timeline
from drumblender.signal import fit_length, resample, trim_leading_silence

PathLike = Union[str, Path]
# What a 16-bit file cannot hold; sounds end there, and what follows is not computed.
_INAUDIBLE = 2.0**-16
# What is below this level counts as silence in front, in dB; in a quiet recording, what is so far
# below its peak.
_SILENCE, _BEGUN = -60.0, -40.0
# The separating analysis needs bands of 1500 Hz.
_LOWEST_RATE = 4000


class TooLong(DrumblenderError):
    """An error that says that a recording is longer than the one segment that is allowed."""


@dataclass(frozen=True, eq=False)
class Recording:
    """A recording that is prepared for a model.

    Attributes:
        audio: samples at the model's rate, without silence in front and padded at the end. If the
            recording is taken as it is, they keep its rate and its beginning.
        modes: modes that the analysis measured in the audio and in silence that follows it.
        timeline: when the recording happens.
        samples: samples as they were recorded.
        sample_rate: sample rate of the recording, in Hz.
        name: name for messages and titles.
        silent: whether the recording is never louder than the threshold of
            :func:`~drumblender.signal.trim_leading_silence`. If it is taken as it is, whether all
            its samples are zero.
        begins: whether what was recorded begins here. It does not if this is a later segment of a
            longer recording.
        ends: whether what was recorded ends here.
        rest: transient and noise that a separating analysis measured. None if the recording is not
            taken as it is.

    Shape:
        - audio: (C, L)
        - modes.values: (C, 3, M, F)
        - samples: (N, C)
        - rest.transient, rest.noise: (C, L)
    """

    audio: Tensor
    modes: Modes
    timeline: Timeline
    samples: np.ndarray
    sample_rate: int
    name: str
    silent: bool = False
    begins: bool = True
    ends: bool = True
    rest: Optional[Rest] = None

    @property
    def outlined(self) -> Timeline:
        """The timeline with an outline, which says how the recording begins and ends."""
        # Of the samples as recorded, because a resampler rings before a step.
        recorded = torch.from_numpy(self.samples.T.copy())
        outline = Outline.of(recorded, self.sample_rate, self.begins, self.ends)
        outline = outline.resample(self.timeline.sample_rate).delay(-self.timeline.lead)
        return replace(self.timeline, outline=outline)


def prepare(
    source: Union[PathLike, np.ndarray, Tensor],
    settings: AnalysisSettings,
    sample_rate: Optional[int] = None,
    stereo: bool = False,
    name: Optional[str] = None,
    whole: bool = True,
    as_it_is: bool = False,
) -> Recording:
    """Read and analyze a recording. This needs no model, so that other processes can do it.

    Args:
        source: an audio file, or samples.
        settings: settings of the analysis.
        sample_rate: sample rate of samples, in Hz. A file says its own.
        stereo: whether to keep all channels, up to eight, instead of the first one.
        name: name for messages and titles. By default it is the name of the file.
        whole: whether to take a file of any length. Otherwise it may be one segment long at most
            (:mod:`drumblender.files.segments`).
        as_it_is: whether to keep sample rate, channels and silence in front, for a model whose
            parts are measured (:attr:`~drumblender.tasks.Blender.is_measured`).

    Shape:
        - source: (N,) or (N, channels)

    Raises:
        UsageError: if samples are given without their sample rate.
        TooLong: if a file is longer than one segment, and ``whole`` is false.
        DrumblenderError: if the source cannot be read, or is no recording.
    """
    if isinstance(source, (str, Path)):
        name = name or Path(source).name
        if whole:
            samples, sample_rate = read_channels(source)
        else:
            pieces = list(islice(segments(Path(source)), 2))
            if len(pieces) > 1:
                raise TooLong(f"{source} is longer than {SEGMENT_S:g} s; cut it.")
            samples, sample_rate = pieces[0]
    else:
        if sample_rate is None:
            raise UsageError("Samples need their sample_rate; give it, in Hz.")
        samples = np.asarray(source, dtype=np.float32)
        samples = samples[:, None] if samples.ndim == 1 else samples
        if samples.ndim != 2 or not len(samples) or not np.isfinite(samples).all():
            raise DrumblenderError(
                f"Samples of shape {tuple(np.shape(source))} are no recording; give finite numbers "
                "(N,) or (N, channels)."
            )
    name = name or "sound"
    if not 1_000 <= sample_rate <= 1_000_000:
        raise DrumblenderError(
            f"{name} has an impossible sample rate ({sample_rate} Hz); export it again."
        )
    if not (stereo or as_it_is):
        samples = samples[:, :1]
    elif samples.shape[1] > 8:
        raise DrumblenderError(f"{name} has {samples.shape[1]} channels; give eight at most.")
    if as_it_is:
        return _as_it_is(samples, int(sample_rate), settings, name)
    audio = resample(torch.from_numpy(samples.T.copy()), sample_rate, settings.sample_rate)
    # As in training: from the first sound on.
    sounding = max(trim_leading_silence(x).shape[-1] for x in audio)
    peak = 20 * math.log10(max(float(audio.abs().max()), 1e-9))
    if sounding and peak + _BEGUN < _SILENCE:
        # What datasets cut as silence would be the beginning of a quiet attack.
        sounding = max(trim_leading_silence(x, peak + _BEGUN).shape[-1] for x in audio)
    lead = audio.shape[-1] - sounding if sounding else 0
    audio = audio[:, lead:]
    heard = torch.nonzero(audio.abs().amax(0) > _INAUDIBLE)
    end = int(heard[-1]) + 1 if len(heard) else 1
    audio = fit_length(audio, UNIT * math.ceil(end / UNIT))
    described = audio.shape[-1] + settings.silence_after
    values = _analysis(settings)(fit_length(audio, described))
    onset = float(first_sample(audio.abs().amax(0)))
    return Recording(
        audio=audio,
        modes=Modes(values, described, settings.sample_rate),
        timeline=Timeline(
            settings.sample_rate, lead, described, len(samples) / sample_rate, (onset,)
        ),
        samples=samples,
        sample_rate=int(sample_rate),
        name=name,
        silent=not sounding,
    )


def _as_it_is(
    samples: np.ndarray, sample_rate: int, settings: AnalysisSettings, name: str
) -> Recording:
    """Analyze all channels of a recording together, from its first sample on, at its own rate."""
    if sample_rate < _LOWEST_RATE:
        raise DrumblenderError(
            f"{name} has a sample rate of {sample_rate} Hz, too low to be taken apart; convert it "
            f"to {_LOWEST_RATE} Hz or more."
        )
    settings = settings.at_rate(sample_rate)
    audio = torch.from_numpy(samples.T.copy())
    described = UNIT * math.ceil(len(samples) / UNIT) + settings.silence_after
    parts = separate_channels(fit_length(audio, described), settings)
    # Behind the recording, noise would be what is missing of modes that ring on.
    noise = fit_length(parts.noise[:, : len(samples)], described)
    onsets = parts.onsets[parts.onsets.isfinite()] * sample_rate
    seconds = len(samples) / sample_rate
    return Recording(
        audio=fit_length(audio, described),
        modes=Modes(parts.modal, described, sample_rate),
        timeline=Timeline(sample_rate, 0, described, seconds, tuple(onsets.tolist())),
        samples=samples,
        sample_rate=sample_rate,
        name=name,
        silent=not samples.any(),
        rest=Rest(parts.transient, noise),
    )


@lru_cache(maxsize=2)
def _analysis(settings: AnalysisSettings) -> CQTModalAnalysis:
    """Return an analysis, which is kept because it keeps filters for each length of sounds."""
    return CQTModalAnalysis(settings)
