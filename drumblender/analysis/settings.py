"""Settings of the modal analysis, and the names of its methods."""

import json
import math
from dataclasses import dataclass, field, replace
from typing import Any, Dict, Optional, Union

from drumblender.errors import UsageError, did_you_mean

# Name -> class. The version of a class is raised with any change that moves its results by more
# than rounding.
METHODS = {
    "coverage": "drumblender.analysis.tracked.Coverage",
    "plain": "drumblender.analysis.tracked.Plain",
    "separating": "drumblender.analysis.separate.method.Separating",
}


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
            num_modes and threshold concern it. The class path of an
            :class:`~drumblender.analysis.Analysis`, such as "my_module.MyAnalysis", is a method,
            too.
        method_kwargs: further arguments of such a class.

    Raises:
        UsageError: if there is no such method, if ``fit`` is False for another method than "plain",
            or if ``method_kwargs`` are for a method that takes none.
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
    method_kwargs: Optional[Dict[str, Any]] = field(default=None, hash=False)

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            _check_class_path(self.method)
        if not self.fit and self.method not in ("coverage", "plain"):
            raise UsageError(f"fit: false means method: plain, not {self.method}; leave out one.")
        # Both ways to say the same are stored.
        plain = not self.fit or self.method == "plain"
        object.__setattr__(self, "fit", not plain)
        object.__setattr__(self, "method", "plain" if plain else self.method)
        object.__setattr__(self, "method_kwargs", self._stored_kwargs())

    def _stored_kwargs(self) -> Optional[Dict[str, Any]]:
        """Return the further arguments as datasets store them; None where there are none."""
        if not self.method_kwargs:
            return None
        if self.method in METHODS:
            raise UsageError(
                f"method_kwargs are for a class of your own, and {self.method} is none; leave them "
                "out."
            )
        try:
            return json.loads(json.dumps(dict(self.method_kwargs)))
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"method_kwargs cannot be stored with datasets ({error}); give numbers, texts and "
                "lists of them by name."
            ) from None

    def at_rate(self, sample_rate: int) -> "AnalysisSettings":
        """The same for another sample rate, with frames about as far apart in time.

        >>> AnalysisSettings(hop_length=64, method="separating").at_rate(96_000).hop_length
        128
        """
        ratio = sample_rate / self.sample_rate
        hop_length = max(1, 2 ** round(math.log2(self.hop_length * ratio)))
        return replace(self, sample_rate=sample_rate, hop_length=hop_length)

    @property
    def version(self) -> Union[int, str]:
        """Version of the method, by which features of two versions are never mixed."""
        from drumblender.analysis.methods import class_of

        return class_of(self.method).version

    @property
    def silence_after(self) -> int:
        """Number of samples of silence to put behind a recording that is analyzed whole.

        The CQT continues a signal by reflection, and the bands of the fit are circular. Without
        silence, the beginning of a recording would disturb its end: a mode that is nearly gone
        would rise again or lose its pitch.
        """
        return 8 * self.hop_length


def _check_class_path(method: str) -> None:
    """Refuse what is no class path, whether there is such a class or not."""
    names = method.split(".") if isinstance(method, str) else []
    if len(names) < 2 or not all(name.isidentifier() for name in names):
        known = ", ".join(METHODS)
        advice = did_you_mean(str(method), METHODS)
        raise UsageError(
            f"There is no method {method}{advice}"
            if advice
            else f"There is no method {method}; take {known}, or the class path of an analysis of "
            "your own, such as my_module.MyAnalysis."
        )
