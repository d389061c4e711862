"""Small pure functions on tensors of samples, which all other packages may use."""

from drumblender.signal.bs1770 import loudness, loudness_of
from drumblender.signal.precision import at_least_float32, exact_products, full_precision
from drumblender.signal.resample import resample
from drumblender.signal.samples import fit_length, mix, sine, trim_leading_silence
from drumblender.signal.tilt import tilt_filter
from drumblender.signal.units import hz_to_rad, rad_to_hz

__all__ = [
    "at_least_float32",
    "exact_products",
    "fit_length",
    "full_precision",
    "hz_to_rad",
    "loudness",
    "loudness_of",
    "mix",
    "rad_to_hz",
    "resample",
    "sine",
    "tilt_filter",
    "trim_leading_silence",
]
