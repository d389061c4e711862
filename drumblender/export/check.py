"""Comparison of an exported model with the model that it was made of, on real sounds."""

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Dict, List, Sequence, Union

import numpy as np
import torch

from drumblender.errors import DrumblenderError
from drumblender.export.folder import Exported, load
from drumblender.export.programs import white_of
from drumblender.parameters import RecordedNoise, tensors_of
from drumblender.signal import fit_length
from drumblender.sound.recording import Recording
from drumblender.sound.voice import Voice
from drumblender.tasks.checkpoint import TrainedModel

PathLike = Union[str, Path]
# The difference has to be below this level, relative to the peak of the sound.
LIMIT = -90.0
SEMITONES = 5.0


@dataclass(frozen=True)
class Compared:
    """What came of one sound.

    Attributes:
        name: name of the sound.
        difference: largest difference of any part and of the sum, in dB relative to the peak of the
            sum.
        seconds: length of what was played, in seconds.
        pytorch: processor time of PyTorch, in seconds.
        onnx: processor time of ONNX Runtime, in seconds.
    """

    name: str
    difference: float
    seconds: float
    pytorch: float
    onnx: float

    @property
    def is_same(self) -> bool:
        """Whether the difference is below the limit."""
        return self.difference < LIMIT


def check_folder(
    folder: PathLike, model: TrainedModel, recordings: Sequence[PathLike]
) -> List[Compared]:
    """Play recordings in PyTorch and in ONNX Runtime, with the same noise.

    Each recording is played as it is, and once more transposed by five semitones with its noise.
    Both compute with one thread.

    Args:
        folder: folder that ``drumblender export`` wrote.
        model: the model that it was made of.
        recordings: audio files.

    Returns:
        What came of each recording that can be read.

    Raises:
        UsageError: if ONNX Runtime is not installed.
        DrumblenderError: if the folder is damaged, or if no recording can be read.
    """
    exported = load(folder)
    voice = Voice(model)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found, problems = [], []
    try:
        for path in recordings:
            try:
                sounds = _read(voice, Path(path), exported.sample_rate)
            except DrumblenderError as error:
                problems.append(str(error))
                continue
            found.append(compare(exported, voice, sounds))
    finally:
        torch.set_num_threads(threads)
    if not found:
        raise DrumblenderError(problems[0] if problems else "There is no recording to check with.")
    return found


def compare(exported: Exported, voice: Voice, recording: Recording) -> Compared:
    """Play one recording in PyTorch and in ONNX Runtime."""
    network = voice.engine.model.network
    length = recording.modes.num_samples
    audio = fit_length(recording.audio, length)[:, None]
    white = white_of(network).draw(len(audio), length, torch.Generator().manual_seed(0))
    with torch.inference_mode():
        start = time.process_time()
        padded = voice.engine.model.num_samples
        found = network.encode(audio, recording.modes, padded, recording.rest)
        plain = network.synthesize(_wanted(found), length, white)
        pytorch = time.process_time() - start
        edited = _transposed(voice, found, recording.timeline.onset)
        moved = network.synthesize(edited, length, white)
    given = controls_of(exported, recording)
    start = time.process_time()
    made = _chain(exported, given, white.numpy())
    onnx = time.process_time() - start
    names = [port.name for port in exported.manifest.programs["synthesize"].inputs]
    tensors = [x.numpy() for value in edited.values() for x in tensors_of(value)]
    again = exported.synthesize(**dict(zip(names, tensors)), white=white.numpy())
    worst = max(_difference(plain, made), _difference(moved, again))
    seconds = length / exported.sample_rate
    return Compared(recording.name, worst, seconds, pytorch, onnx)


def _read(voice: Voice, path: Path, sample_rate: int) -> Recording:
    """Read and analyze a recording at the sample rate of the programs."""
    if not voice.engine.is_measured:
        return voice.prepare(path)
    from drumblender.files.reading import read_channels
    from drumblender.signal import resample

    samples, rate = read_channels(path)
    audio = resample(torch.from_numpy(samples.T.copy()), rate, sample_rate)
    return voice.prepare(audio.T.numpy(), sample_rate, name=path.name)


def _wanted(parameters: Dict[str, Any]) -> Dict[str, Any]:
    """Let recorded noise have the levels that it has, so that all ways compute the same."""
    return {
        name: replace(value, levels=value.own_levels)
        if isinstance(value, RecordedNoise) and value.levels is None
        else value
        for name, value in parameters.items()
    }


def _transposed(voice: Voice, parameters: Dict[str, Any], onset: float) -> Dict[str, Any]:
    """Transpose modes and noise."""
    ratio = 2 ** (SEMITONES / 12)
    parts = voice.engine.parts
    return {name: parts[name].transpose(value, ratio, onset) for name, value in parameters.items()}


def controls_of(exported: Exported, recording: Recording) -> Dict[str, np.ndarray]:
    """Return what an analyzed recording gives to the programs, by the names of their inputs."""
    modes = recording.modes.values.numpy()
    audio = fit_length(recording.audio, recording.modes.num_samples)[:, None].numpy()
    found = {"audio": audio, "measured_modes": modes}
    if recording.rest is not None:
        found = {
            "modes": modes,
            "recorded_noise": recording.rest.noise.numpy(),
            "recorded_transient": recording.rest.transient.numpy(),
        }
    programs = exported.manifest.programs.values()
    wanted = {port.name for program in programs for port in program.inputs}
    return {name: array for name, array in found.items() if name in wanted}


def _chain(
    exported: Exported, given: Dict[str, np.ndarray], white: np.ndarray
) -> Dict[str, np.ndarray]:
    """Compute all programs behind each other."""
    found = {**given, "white": white}
    for name, program in exported.manifest.programs.items():
        made = exported.run(name, **{port.name: found[port.name] for port in program.inputs})
        found.update(made)
    return made


def _difference(expected: Dict[str, torch.Tensor], made: Dict[str, np.ndarray]) -> float:
    """Compute the largest difference of any part and of the sum, in dB below the peak."""
    pairs = [(stem.numpy(), made[name]) for name, stem in expected.items()]
    sums = sum(a for a, _ in pairs), sum(b for _, b in pairs)
    peak = float(np.abs(sums[0]).max())
    largest = max(float(np.abs(a - b).max()) for a, b in [*pairs, sums])
    if not math.isfinite(largest):
        return math.inf
    if largest == 0 or peak == 0:
        return -math.inf if largest == 0 else math.inf
    return 20 * math.log10(largest / peak)
