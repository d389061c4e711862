"""What a model was trained on, which matters where that is a single recording.

Such a model has learned one noise and one attack by heart. It would give them to every other drum.
So its checkpoint says which recording it was, by name and by how it sounds.
"""

from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional

import torch
from torch import Tensor

from drumblender.data.dataset import AudioDataset
from drumblender.signal import fit_length
from drumblender.signal.auditory import noise_levels

KEY = "trained_on"  # of checkpoints
LEVELS = "trained_on.levels"  # name of the tensor in model files
# Two recordings are the same if their levels differ less than this in the mean, in dB. Other file
# formats and sample rates, and a beginning that was cut a little earlier, stay below 2 dB; other
# strokes of the same drum are farther away, but for very few.
SAME = 2.0
# Level below which a band does not count, relative to the loudest one.
_FLOOR = 0.01


@dataclass(frozen=True, eq=False)
class OneRecording:
    """The only recording that a model was trained on.

    Attributes:
        name: key of the recording in its dataset.
        levels: levels of its bands (bands, frames), at a peak of 1.
        sample_rate: in Hz.
        num_samples: number of samples that were heard in training.
    """

    name: str
    levels: Tensor
    sample_rate: int
    num_samples: int

    def is_same(self, audio: Tensor) -> bool:
        """Return whether samples (N,) from the first sound on are this recording.

        Its loudness and its file format do not matter.
        """
        levels = _levels(audio, self.sample_rate, self.num_samples)
        floor = _FLOOR * float(torch.maximum(levels, self.levels).max())
        heard = torch.maximum(levels, self.levels) > floor
        ratio = (levels + floor) / (self.levels + floor)
        return float(20 * ratio.log10().abs()[heard].mean()) < SAME


def describe(dataset: AudioDataset) -> Dict[str, Any]:
    """Return what a checkpoint says of the sounds that a model is trained on."""
    # A copy of a sound is no other sound.
    firsts = {dataset.metadata[key].get("duplicate_of", key) for key in dataset.keys}
    if len(firsts) > 1:
        return {"sounds": len(firsts)}
    rate, length = dataset.sample_rate, dataset.num_samples
    levels = _levels(dataset.audio(0)[0], rate, length)
    return {
        "sounds": 1,
        "name": dataset.keys[0],
        "levels": levels,
        "sample_rate": rate,
        "num_samples": length,
    }


def only_recording(checkpoint: Mapping[str, Any]) -> Optional[OneRecording]:
    """Return the recording that a checkpoint was trained on, if it says so and it is the only one.

    Published checkpoints do not say what they were trained on.
    """
    said = checkpoint.get(KEY) or {}
    if said.get("sounds") != 1:
        return None
    fields = ("name", "levels", "sample_rate", "num_samples")
    return OneRecording(*(said[field] for field in fields))


def _levels(audio: Tensor, sample_rate: int, num_samples: int) -> Tensor:
    """Measure the levels of the bands of a sound (N,), at a peak of 1."""
    audio = fit_length(audio, num_samples)
    return noise_levels(audio[None] / audio.abs().max().clamp(min=1e-9), sample_rate)[0]
