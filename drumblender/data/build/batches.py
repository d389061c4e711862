"""Features of many sounds: by processes, or in batches on one device."""

import functools
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Callable, List, Sequence, Union

import torch
from torch import Tensor

from drumblender.analysis.modal import CQTModalAnalysis
from drumblender.data.build.one_shot import Unusable
from drumblender.data.build.recipe import (
    Outcome,
    Outcomes,
    Recipe,
    attempt,
    feature_bytes,
    make_features,
    not_analyzed,
    reuse,
    stored_audio,
)
from drumblender.errors import DrumblenderError, trace
from drumblender.files.parallel import Workers, available_cores

# Sounds that are read at once for a device; the analysis divides them if they are too many.
_BATCH = 256


def feature_maker(workers: Workers, device: str) -> Callable[[Sequence[Recipe]], Outcomes]:
    """Return the function that carries out recipes of feature files.

    Args:
        workers: the processes that measure where the device is the processor.
        device: name of the device.
    """
    if device == "cpu":
        return functools.partial(workers.map, make_features)
    return functools.partial(_make_features_in_batches, device)


def _make_features_in_batches(device: str, recipes: Sequence[Recipe]) -> Outcomes:
    """Measure features in this process, on a device that processes would only fight over.

    Threads read the next batch and write the last one while the device works.
    """
    if not recipes:
        return
    kind = torch.device(device).type
    settings = recipes[0].settings.analysis
    assert settings is not None  # or there would be no features to make
    analysis = CQTModalAnalysis(settings, batched=kind != "mps")
    label = device if kind == "cpu" else kind
    batches = [recipes[i : i + _BATCH] for i in range(0, len(recipes), _BATCH)]
    with ThreadPoolExecutor(available_cores()) as pool:

        def read(batch: Sequence[Recipe]) -> List[Future]:
            """Begin to read the sounds of a batch."""
            return [pool.submit(lambda r: reuse(r) or stored_audio(r), recipe) for recipe in batch]

        ahead = read(batches[0])
        writing: List[Future] = []
        for batch, following in zip(batches, [*batches[1:], []]):
            found = [future.result() for future in ahead]
            ahead = read(following)
            yield from (outcome for outcome in found if isinstance(outcome, Outcome))
            pairs = [(recipe, x) for recipe, x in zip(batch, found) if isinstance(x, Tensor)]
            features = _analyze_together(analysis, device, [x for _, x in pairs])
            yield from (future.result() for future in writing)
            writing = [
                pool.submit(attempt, recipe, functools.partial(feature_bytes, parameters), label)
                for (recipe, _), parameters in zip(pairs, features)
            ]
        yield from (future.result() for future in writing)


def _analyze_together(
    analysis: CQTModalAnalysis, device: str, sounds: List[Tensor]
) -> List[Union[Tensor, Unusable]]:
    """Measure the features of a batch; of a sound that has none, give the reason."""
    if not sounds:
        return []
    try:
        return list(analysis(torch.stack(sounds).to(device)))
    except DrumblenderError:
        raise  # of the analysis: every sound would say the same
    except Exception as error:
        trace(error)
    # Something is wrong with one sound, then the others go on; or with all, then it is the device.
    features: List[Union[Tensor, Unusable]] = []
    for sound in sounds:
        try:
            features.append(analysis(sound.to(device)))
        except Exception as error:
            features.append(not_analyzed(error))
    if len(features) > 1 and not any(isinstance(made, Tensor) for made in features):
        raise DrumblenderError(
            f"--device {device} fails: every sound {features[-1]}; run the same command again, "
            "which goes on where it stopped, or without --device to use the processor."
        )
    return features
