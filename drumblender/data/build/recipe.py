"""Recipes: how one file of a dataset is made, of what, and when it need not be made.

What a file becomes depends on nothing but the file that it is made of, and the settings.
"""

import functools
import io
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Generator, Mapping, Optional, Tuple, Union

import torch
from torch import Tensor

from drumblender.analysis.modal import CQTModalAnalysis
from drumblender.analysis.settings import AnalysisSettings
from drumblender.data.build.journal import Made, Stamp, file_stamp
from drumblender.data.build.one_shot import Unusable, read_with_length
from drumblender.data.reader import load_audio
from drumblender.data.settings import DatasetSettings
from drumblender.errors import DrumblenderError, trace
from drumblender.files import atomic
from drumblender.files.audio import wav_bytes


@dataclass(frozen=True)
class Recipe:
    """How one file of a dataset is made.

    Attributes:
        key: key of the sound.
        source: the file that it is made of.
        origin: stamp by which the content of ``source`` is known.
        folder: the folder in which the dataset grows.
        name: name of the file in ``folder``.
        settings: settings of the dataset.
        before: the folder where the file was made before, and how; None if it never was.
        features: feature file that it is made of as well, if there is one.
    """

    key: str
    source: Path
    origin: Stamp
    folder: Path
    name: str
    settings: DatasetSettings
    before: Optional[Tuple[Path, Made]] = None
    features: Optional[Path] = None


@dataclass(frozen=True)
class Outcome:
    """What came of a recipe: a file, or the reason why there is none.

    Attributes:
        recipe: the recipe.
        stamp: stamp of the file; None where there is none.
        reused: whether the file had been made before.
        reason: why there is no file.
        device: name of the device on which features were measured; empty for other files.
        cut: seconds that the recording goes on for, if it was cut, and 0 if not.
    """

    recipe: Recipe
    stamp: Optional[Stamp] = None
    reused: bool = False
    reason: str = ""
    device: str = ""
    cut: float = 0.0


Outcomes = Generator[Outcome, None, None]


def make_audio(recipe: Recipe) -> Outcome:
    """Make the WAV file of a recording."""
    return reuse(recipe) or attempt(recipe, lambda: _audio_bytes(recipe))


def make_features(recipe: Recipe) -> Outcome:
    """Make the feature file of a WAV file of the dataset, on the processor."""
    return reuse(recipe) or attempt(recipe, lambda: feature_bytes(_analyze(recipe)), "cpu")


def take_over(recipe: Recipe) -> Outcome:
    """Take a file over as it was made before."""
    return reuse(recipe) or Outcome(recipe, reason="is missing or damaged")


def reuse(recipe: Recipe) -> Optional[Outcome]:
    """Take a file over, if it is whole and was made of the same content; else give None."""
    if recipe.before is None:
        return None
    folder, made = recipe.before
    if made.of != recipe.origin or file_stamp(folder / recipe.name) != made.stamp:
        return None
    if folder != recipe.folder:
        atomic.link(folder / recipe.name, recipe.folder / recipe.name)
    return Outcome(recipe, made.stamp, reused=True, cut=made.cut)


def attempt(
    recipe: Recipe, content: Callable[[], Tuple[bytes, float]], device: str = ""
) -> Outcome:
    """Write a file, or say why there is none.

    Args:
        recipe: the recipe of the file.
        content: gives the bytes of the file, and the seconds of a recording that was cut.
        device: name of the device on which features are measured.
    """
    try:
        data, cut = content()
    except Unusable as error:
        return Outcome(recipe, reason=str(error))
    except (MemoryError, DrumblenderError):
        raise  # of this machine or of the dataset, not of one sound
    except Exception as error:  # whatever one strange file does, the others go on
        trace(error)
        return Outcome(recipe, reason=f"cannot be used ({type(error).__name__}: {error})")
    atomic.write(recipe.folder / recipe.name, data)
    return Outcome(recipe, (len(data), zlib.crc32(data)), device=device, cut=cut)


def stored_audio(recipe: Recipe) -> Tensor:
    """Read the WAV file of the dataset that features are measured from, (num_samples,)."""
    return load_audio(recipe.source, recipe.settings.sample_rate, recipe.settings.num_samples)[0]


def not_analyzed(error: Exception) -> Unusable:
    """Return the reason why a sound has no features."""
    trace(error)
    return Unusable(f"cannot be analyzed ({type(error).__name__}: {error})")


@functools.lru_cache(maxsize=1)
def cached_analysis(settings: AnalysisSettings) -> CQTModalAnalysis:
    """Return the analysis, whose filters take longer to make than a sound to analyze."""
    return CQTModalAnalysis(settings)


def feature_bytes(parameters: Union[Tensor, Unusable]) -> Tuple[bytes, float]:
    """Return the content of a feature file, which is never cut, or raise why there is none."""
    if isinstance(parameters, Unusable):
        raise parameters
    if not torch.isfinite(parameters).all():
        raise Unusable("has modal parameters that are not numbers")
    return saved(parameters.float().contiguous().clone()), 0.0


def saved(value: Union[Tensor, Mapping[str, Tensor]]) -> bytes:
    """Return what ``torch.save`` writes."""
    # To a path, it would put the file's name among the bytes.
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def _audio_bytes(recipe: Recipe) -> Tuple[bytes, float]:
    """Return the content of a WAV file, and the seconds of a recording that was cut."""
    s = recipe.settings
    audio, cut = read_with_length(recipe.source, s.sample_rate, s.num_samples, s.silence_db)
    return wav_bytes(audio, s.sample_rate), cut


def _analyze(recipe: Recipe) -> Tensor:
    """Measure the features of one sound."""
    audio = stored_audio(recipe)
    try:
        return cached_analysis(recipe.settings.analysis)(audio)
    except DrumblenderError:
        raise  # of the analysis: every sound would say the same
    except Exception as error:  # whatever one strange sound does, the others go on
        raise not_analyzed(error) from error
