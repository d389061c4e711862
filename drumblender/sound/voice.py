"""Voices, which are models that are ready to take recordings apart."""

import functools
import secrets
from dataclasses import replace
from pathlib import Path
from typing import List, Optional, Sequence, Tuple, Union

import numpy as np
import torch
from torch import Tensor

from drumblender.analysis import AnalysisSettings
from drumblender.errors import UsageError
from drumblender.files.paths import is_drum
from drumblender.pretrained.names import find_model
from drumblender.sound.engine import PRECISIONS, Engine
from drumblender.sound.recording import Recording, prepare
from drumblender.sound.sound import Sound
from drumblender.sound.streaming import Prepared, Stream
from drumblender.tasks.checkpoint import TrainedModel, load_model

PathLike = Union[str, Path]


def load(
    config: Optional[PathLike] = None,
    checkpoint: Optional[PathLike] = None,
    device: str = "auto",
    precision: str = PRECISIONS[0],
    force: bool = False,
) -> "Voice":
    """Load a model to take sounds apart with.

    ``load()`` gives the voice that needs no training, because its parts are measured. It takes
    recordings as they are, at any sample rate and with all channels. A sound that is not changed is
    then the recording itself. ``load("drums")`` and ``load("owner/model")`` give models by their
    names (:mod:`drumblender.pretrained.names`).

    Args:
        config: configuration file. If it is the only argument, it may be the checkpoint, a model
            file, or the name of a model.
        checkpoint: checkpoint of the model. If it carries its configuration, it suffices alone.
        device: name of the device, such as "cpu" or "cuda". "auto" stands for a GPU if there is
            one, and for the CPU otherwise.
        precision: "32-true", or "bf16-mixed" for convolutions in 16 bits as in training. The latter
            is faster on devices that compute with 16 bits.
        force: whether a model that was trained on one recording takes other recordings as well,
            although it gives them the noise and the attack of that one.

    Raises:
        UsageError: if the configuration is missing or broken, or if there is no such name, device
            or precision.
        DrumblenderError: if the checkpoint is missing, is broken or does not fit, or if the hub
            does not give the model.
    """
    asked_for = checkpoint or config
    if config is not None and checkpoint is None:
        config = find_model(config)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise UsageError(f"There is no device {device} here; take cpu, or auto.") from None
    model = replace(load_model(config, checkpoint, device), asked_for=asked_for)
    return Voice(model, device, precision, force)


def open_sound(path: PathLike, device: str = "auto") -> Sound:
    """Open a file of parts (``.drum``) with the voice that made it.

    Sounds that are opened here belong to one voice if it is the same one, so that they can be
    blended. :meth:`Voice.open` opens a file for a voice that is there already.

    Args:
        path: the file.
        device: as in :func:`load`.

    Raises:
        UsageError: if the sound needs a model that is not on this machine.
        DrumblenderError: if the file is missing or damaged, or of another kind.
    """
    from drumblender.sound.storing import model_of

    return _voice(model_of([Path(path)])[1], device).open(path)


@functools.lru_cache(maxsize=4)
def _voice(model: Optional[Path], device: str) -> "Voice":
    """Return a voice, which is kept for sounds that are opened later."""
    return load(model, device=device)


class Voice:
    """A model that turns recordings into sounds that can be changed.

    Args:
        model: model from :func:`~drumblender.tasks.checkpoint.load_model`.
        device: name of the device that the model is on.
        precision: as in :func:`load`.
        force: as in :func:`load`.

    Attributes:
        engine: engine that runs the model.
        sample_rate: sample rate of the model, in Hz. It is None if parts are measured, because they
            have the sample rate of each recording.
        parts: names of the parts that the model makes.
        settings: settings of the analysis.
        is_repeatable: whether the same seed always gives the same sound.

    Raises:
        UsageError: if there is no such precision.
    """

    def __init__(
        self,
        model: TrainedModel,
        device: str = "cpu",
        precision: str = PRECISIONS[0],
        force: bool = False,
    ):
        self.engine = Engine(model, device, precision)
        self._only = None if force else model.recording
        rate = None if self.engine.is_measured else self.engine.sample_rate
        self.sample_rate: Optional[int] = rate
        self.settings: AnalysisSettings = self.engine.analysis
        self.parts: Tuple[str, ...] = tuple(self.engine.parts)
        self.is_repeatable: bool = model.network.is_repeatable

    def __repr__(self) -> str:
        device = self.engine.device
        rate = "any rate" if self.sample_rate is None else f"{self.sample_rate} Hz"
        return f"<Voice of {', '.join(self.parts)} at {rate} on {device}>"

    def prepare(
        self,
        source: Union[PathLike, np.ndarray, Tensor],
        sample_rate: Optional[int] = None,
        stereo: bool = False,
        name: Optional[str] = None,
        whole: bool = True,
    ) -> Recording:
        """Read and analyze a recording with the settings of this voice.

        Arguments and errors are those of :func:`~drumblender.sound.recording.prepare`.
        """
        as_it_is = self.engine.is_measured
        return prepare(source, self.settings, sample_rate, stereo, name, whole, as_it_is)

    def decompose(
        self,
        source: Union[PathLike, np.ndarray, Tensor],
        sample_rate: Optional[int] = None,
        seed: Optional[int] = None,
        stereo: bool = False,
        whole: bool = True,
    ) -> Sound:
        """Take a recording apart.

        Args:
            source: an audio file, or samples.
            sample_rate: sample rate of samples, in Hz. A file says its own.
            seed: seed of the noise. None stands for another one each time.
            stereo: whether to keep all channels, up to eight, instead of the first one. Each is
                taken apart by itself, and all have the same noise. A voice whose parts are measured
                always keeps all channels, and takes them apart together.
            whole: whether to take a file of any length, as in
                :func:`~drumblender.sound.recording.prepare`.

        Shape:
            - source: (N,) or (N, channels)

        Raises:
            UsageError: if samples are given without their sample rate, or if the model was trained
                on one recording and this is another one.
            TooLong: if a file is longer than one segment, and ``whole`` is false.
            DrumblenderError: if the source cannot be read, or is no recording.
        """
        recording = self.prepare(source, sample_rate, stereo, whole=whole)
        return self.decompose_prepared([recording], [seed])[0]

    def open(self, path: PathLike, name: Optional[str] = None) -> Sound:
        """Open a file of parts (``.drum``), which :meth:`Sound.save` wrote.

        Args:
            path: the file.
            name: name for messages and titles. By default it is the one in the file.

        Raises:
            DrumblenderError: if the file is missing, is damaged, is another kind of file or of a
                newer format, or if another voice has made the sound.
        """
        from drumblender.sound.storing import open_sound

        return open_sound(path, self.engine, name)

    def read(
        self,
        path: PathLike,
        seed: Optional[int] = None,
        stereo: bool = False,
        whole: bool = True,
        name: Optional[str] = None,
    ) -> Sound:
        """Open a file of parts (``.drum``), or take the recording in any other file apart.

        Args:
            path: the file.
            seed: seed of the noise. None stands for another one each time, and for that of a file
                of parts.
            stereo: as in :meth:`decompose`. A file of parts always keeps its channels.
            whole: as in :meth:`decompose`.
            name: name for messages and titles. By default it is that of the file.

        Raises:
            DrumblenderError: as in :meth:`decompose` and :meth:`open`.
        """
        named = Path(name or path)
        if not is_drum(named):
            recording = self.prepare(path, None, stereo, named.name, whole)
            return self.decompose_prepared([recording], [seed])[0]
        opened = self.open(path, named.name)
        return opened if seed is None else opened.with_seed(seed)

    def decompose_prepared(
        self, recordings: Sequence[Recording], seeds: Sequence[Optional[int]]
    ) -> List[Sound]:
        """Take recordings apart. Those of one length go through the model together.

        Args:
            recordings: recordings from :meth:`prepare`.
            seeds: seed of each sound's noise. None stands for another one each time.

        Raises:
            UsageError: if the model was trained on one recording, and one of these is another one.
        """
        for recording in recordings:
            self._refuse_other(recording)
        described = self.engine.encode(recordings)
        return [
            Sound(
                engine=self.engine,
                parameters=parameters,
                timeline=recording.outlined,
                sample_rate=recording.sample_rate,
                seed=secrets.randbits(31) if seed is None else seed,
                # What a model makes of silence is no sound of its own.
                gains=dict.fromkeys(self.parts, 0.0 if recording.silent else 1.0),
                name=recording.name,
                recording=recording.samples,
            )
            for recording, parameters, seed in zip(recordings, described, seeds)
        ]

    def stream(
        self,
        sound: Sound,
        block_size: int = 128,
        sample_rate: Optional[int] = None,
        toward: Optional[Sound] = None,
    ) -> Stream:
        """Open a stream, which plays a sound block by block while its controls move.

        Args:
            sound: a sound of this voice.
            block_size: number of samples in a block.
            sample_rate: sample rate of the blocks, in Hz. None stands for that of the parts, which
                is ``sound.timeline.sample_rate``.
            toward: another sound of this voice, to which the stream can morph.

        Raises:
            UsageError: if the voice is not on a CPU or computes in 16 bits, if a sound is of
                another voice, or if there is no such block size or sample rate.
            DrumblenderError: if one sound has neither one channel nor as many as the other one.
        """
        if sound.engine is not self.engine:
            raise UsageError(f"{sound.name} is of another voice; stream it with that one.")
        return Stream(Prepared.of(sound, toward), block_size, sample_rate)

    def _refuse_other(self, recording: Recording) -> None:
        """Refuse a recording that is not the only one that the model was trained on."""
        if self._only is None or recording.silent or self._only.is_same(recording.audio[0]):
            return
        raise UsageError(
            f"{recording.name} is not {self._only.name}, the only recording that this model was "
            "trained on and whose noise and attack it would get; name no model, so that its own "
            "parts are measured, or give --force (in Python, load(..., force=True))."
        )
