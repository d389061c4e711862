"""Drumblender: take drum sounds apart into sinusoids, noise and transient, and blend them.

The method is that of J. Shier, F. Caspe, A. Robertson, M. Sandler, C. Saitis and A. McPherson,
"Differentiable Modelling of Percussive Audio with Transient and Spectral Synthesis",
Forum Acusticum 2023.
"""

__version__ = "0.1.0"
