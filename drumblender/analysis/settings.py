"""Settings of the modal analysis, and the versions of its methods."""

import math
from dataclasses import dataclass, replace

from drumblender.errors import UsageError

# Stored with datasets, so that features of two versions are never mixed. Raise the one of a method
# with any change that moves its results by more than rounding.
VERSIONS = {"coverage": 1, "plain": 1, "separating": 3}


@dataclass(frozen=True)
class AnalysisSettings:
    """Settings of the modal analysis.

    Attributes:
        sample_rate: sample rate of the audio, in Hz.
        hop_length: distance between frames, in samples.
        fmin: lowest frequency, in Hz.
        n_bins: number of bins of the CQT.
        bins_per_octave: number of bins of the CQT per octave.
        num_modes: largest number of modes.
        min_length: number of frames through which a peak has to be followed to be a track. With
            ``fit``, peaks of no track may still become a mode of constant frequency.
        threshold: level in dB relative to amplitude 1. Peaks and fitted modes at or below it are
            left out.
        diff_threshold: how far the frequency of a track may move from one frame to the next, in
            percent (5 is 84 cents). It is a ratio, because a tolerance in Hz that lets low modes
            glide tears high ones apart: on real kits, plain peak picking has an MSS of 1.85 with
            5 Hz and of 1.55 with 5 percent.
        fit: False is another way to say that ``method`` is "plain".
        method: "coverage" chooses modes so that they cover all of a sound, noise included, and fits
            them to the waveform. "plain" takes the loudest tracks as modes, with amplitudes and
            phases read off the CQT, whose frame f is centered on sample f * hop_length.
            "separating" finds damped sinusoids where a sound is tonal and leaves the rest alone;
            of the other settings only sample_rate, hop_length (64 is a good value for it),
            num_modes and threshold concern it.

    Raises:
        UsageError: if there is no such method, or ``fit`` is False for another method than "plain".
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
    fit: bool = True
    method: str = "coverage"

    def __post_init__(self) -> None:
        if self.method not in VERSIONS:
            raise UsageError(f"There is no method {self.method}; take {', '.join(VERSIONS)}.")
        if not self.fit and self.method == "separating":
            raise UsageError("fit: false means method: plain, not separating; leave out one.")
        # Both ways to say the same are stored.
        plain = not self.fit or self.method == "plain"
        object.__setattr__(self, "fit", not plain)
        object.__setattr__(self, "method", "plain" if plain else self.method)

    def at_rate(self, sample_rate: int) -> "AnalysisSettings":
        """The same for another sample rate, with frames about as far apart in time.

        >>> AnalysisSettings(hop_length=64, method="separating").at_rate(96_000).hop_length
        128
        """
        ratio = sample_rate / self.sample_rate
        hop_length = max(1, 2 ** round(math.log2(self.hop_length * ratio)))
        return replace(self, sample_rate=sample_rate, hop_length=hop_length)

    @property
    def version(self) -> int:
        """Version of the method."""
        return VERSIONS[self.method]

    @property
    def silence_after(self) -> int:
        """Number of samples of silence to put behind a recording that is analyzed whole.

        The CQT continues a signal by reflection, and the bands of the fit are circular. Without
        silence, the beginning of a recording would disturb its end: a mode that is nearly gone
        would rise again or lose its pitch.
        """
        return 8 * self.hop_length
