"""What a separating analysis leaves of each sound without its modes: a file beside the features.

The file is made of a sound and of its feature file. It can thus be added to a dataset that has
features already.
"""

import functools
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Dict, Mapping, Tuple

import torch

from drumblender.analysis.separate import without_tones
from drumblender.data.build.growing import GrowingDataset
from drumblender.data.build.journal import joint_stamp
from drumblender.data.build.recipe import Outcome, Recipe, attempt, reuse, saved, stored_audio
from drumblender.data.reader import load_features
from drumblender.files.parallel import Workers
from drumblender.signal.auditory import noise_levels

SUFFIX = ".rest"


def measure_rest(
    growing: GrowingDataset, features: Mapping[str, Outcome], workers: Workers
) -> Dict[str, Outcome]:
    """Make the files of a dataset, with progress.

    Args:
        growing: the dataset.
        features: key -> feature file that was made.
        workers: the processes that make the files.

    Returns:
        Key -> outcome, where there is a file.
    """
    recipes = []
    for key, made in features.items():
        name = str(PurePosixPath(made.recipe.name).with_suffix(SUFFIX))
        origin = joint_stamp(made.recipe.origin, growing.journal[made.recipe.name].stamp)
        recipe = growing.recipe(key, name, made.recipe.source, origin)
        recipes.append(replace(recipe, features=growing.folder / made.recipe.name))
    return growing.run(functools.partial(workers.map, make_rest), recipes, "Noise and transient")


def make_rest(recipe: Recipe) -> Outcome:
    """Make the file of one sound."""
    return reuse(recipe) or attempt(recipe, lambda: _rest_bytes(recipe))


def _rest_bytes(recipe: Recipe) -> Tuple[bytes, float]:
    """Return the content of a file, which is never cut."""
    assert recipe.features is not None
    rate = recipe.settings.sample_rate
    modal = load_features(recipe.features)[None]
    transient, noise = without_tones(stored_audio(recipe)[None], modal, rate)
    found = {"noise": noise_levels(noise, rate)[0], "transient": transient[0]}
    # Louder than this is nothing but an error of whoever recorded it.
    most = torch.finfo(torch.float16).max
    stored = {name: x.clamp(-most, most).half() for name, x in found.items()}
    heard = stored["transient"].nonzero()
    end = int(heard[-1]) + 1 if len(heard) else 0
    return saved({**stored, "transient": stored["transient"][:end].clone()}), 0.0
