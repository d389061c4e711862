"""Carriers, which are the courses that the frequencies of modes take but for an attack.

In the attack of a drum, noise, a click and partials that are too short to be found shake the modes
that are measured. Their frequencies then stray for up to some tens of milliseconds, and their
phases are not those that the tones began with. After it, modes are measured well. So the carrier of
a mode, a glide or a constant frequency, is fitted to what most of its frames agree on, by
iteratively reweighted least squares with the weights of a Cauchy distribution [1]. The phase that
it began with is that of the carrier, which is in step with those frames.

[1] Holland and Welsch, "Robust regression using iteratively reweighted least-squares",
    Communications in Statistics 6(9), 1977.
"""

from typing import NamedTuple, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from drumblender.parameters.glides import Glides, fit_glides

# Number of times that weights are computed.
_ROUNDS = 3
# Number of frames after the onset that say something of a carrier.
_SAYING = 1_500
# Frames that are off by this many medians of what frames are off by have half the weight, and this
# part of the frequency is never much.
_OFF, _CLOSE = 3.0, 0.004


class Carriers(NamedTuple):
    """Carriers of modes, and how the modes go beside them.

    Attributes:
        glides: course of the frequency of each carrier.
        detour: natural logarithm of the frequency as a multiple of that of the carrier.
        weight: how much each frame says of the carrier. The sum over frames is 1, or 0 for a mode
            that is silent after the onset.
        phase: phase that the carrier has at the onset.

    Shape:
        - detour, weight: (M, F)
        - phase: (M,)
    """

    glides: Glides
    detour: Tensor
    weight: Tensor
    phase: Tensor


def fit_carriers(values: Tensor, onset: float, frame: float, settled: float = 0.0) -> Carriers:
    """Fit carriers to modes.

    Args:
        values: frequencies in rad/sample, all above 0, amplitudes, and phases at the onset.
        onset: frame of the onset, perhaps between two.
        frame: distance of frames, in samples.
        settled: number of frames after the onset that do not count at first.

    Shape:
        - values: (3, M, F)
    """
    frequency, amplitude, phase = values.double()
    since = torch.arange(frequency.shape[-1], dtype=torch.float64) - onset
    # A tail that lasts says more of the frequency than a loud attack.
    weight = amplitude.sqrt() * (since >= 0) * (since < _SAYING)
    heard = weight.any(-1, keepdim=True)
    weight = torch.where(heard, weight, amplitude.sqrt())
    # What comes later costs time and changes nothing, unless a mode begins so late.
    count = len(since) if not heard.all() else max(1, min(len(since), int(onset + _SAYING) + 1))
    near = frequency[:, :count], weight[:, :count]
    glides, trust = _agreed(*near, since[:count], settled)
    trust = F.pad(trust, (0, len(since) - count))
    course = (glides.base[:, None] * glides.factor(since)).clamp(min=1e-9)
    off = phase_beside((frequency - course)[:, :count], trust[:, :count], since[:count], frame)
    return Carriers(glides, (frequency / course).log(), trust, phase[:, 0] + off)


def _agreed(
    frequency: Tensor, weight: Tensor, since: Tensor, settled: float
) -> Tuple[Glides, Tensor]:
    """Fit glides to what most frames agree on, and return them with the weights of the frames."""
    onset = -float(since[0])
    glides = fit_glides(frequency, weight, onset, settled)
    trust = weight
    for _ in range(_ROUNDS):
        off = (frequency - glides.base[:, None] * glides.factor(since)).abs()
        usual = _OFF * weighted_median(off, weight)
        usual = torch.maximum(usual, _CLOSE * glides.base.abs()[:, None])
        trust = weight / (1 + (off / usual).square())
        glides = fit_glides(frequency, trust, onset)
    return glides, trust / trust.sum(-1, keepdim=True).clamp(min=1e-30)


def phase_beside(difference: Tensor, weight: Tensor, since: Tensor, frame: float) -> Tensor:
    """Compute how far modes are ahead of their carriers in phase, as the mean over frames.

    Both have the same phase at the onset.

    Args:
        difference: frequencies less those of the carriers, in rad/sample.
        weight: weights of the frames. Their sum is 1.
        since: frames since the onset.
        frame: distance of frames, in samples.

    Shape:
        - difference, weight: (M, F)
        - since: (F,)
        - Output: (M,)
    """
    steps = frame * difference * (since + 0.5).clamp(0, 1)
    return (weight * (steps.cumsum(-1) - 0.5 * steps)).sum(-1)


def weighted_median(x: Tensor, weight: Tensor) -> Tensor:
    """Compute the weighted median along the last axis, (M, F) to (M, 1).

    >>> weighted_median(torch.tensor([[3.0, 1.0, 2.0]]), torch.tensor([[1.0, 1.0, 5.0]]))
    tensor([[2.]])
    """
    ordered, index = x.sort(-1)
    passed = weight.gather(-1, index).cumsum(-1)
    middle = (passed < 0.5 * passed[:, -1:]).sum(-1, keepdim=True)
    return ordered.gather(-1, middle.clamp(max=x.shape[-1] - 1))
