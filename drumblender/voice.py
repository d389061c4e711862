"""Take drum sounds apart in Python, change them, blend them, and hear and see the result.

>>> from drumblender.signal import sine
>>> from drumblender.synths import ModalSynth
>>> model = Blender(ModalSynth())  # untrained, sinusoids alone; else drumblender.load("model.ckpt")
>>> model.analysis_settings, model.num_samples = AnalysisSettings(), 96000
>>> voice = Voice(model)
>>> decay = 10 ** -torch.linspace(0, 3, 12000)
>>> low = voice.decompose(sine(100, 12000, 48000) * decay, 48000)  # or a file: "kick.wav"
>>> high = voice.decompose(sine(150, 12000, 48000) * decay, 48000)
>>> low
<Sound sound: 0.25 s at 48000 Hz, ...>
>>> low.with_pitch(-2).with_decay(1.5).with_gain(-6).seconds > low.seconds
True
>>> blend(low, high, 0.5).render().shape
(12000,)
"""

import base64
import contextlib
import math
import random
import secrets
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from html import escape
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional, Sequence, Tuple, Union

import numpy as np
import torch
from torch import Tensor, nn

from drumblender import controls as change
from drumblender.analysis import AnalysisSettings, CQTModalAnalysis
from drumblender.checkpoint import load_model
from drumblender.errors import DrumblenderError, UsageError
from drumblender.files.audio import check_samples, write_samples
from drumblender.files.reading import read_channels
from drumblender.matching import blend_modes
from drumblender.models.components import Pad
from drumblender.models.soundstream import SoundStreamAttentionEncoder, SoundStreamEncoder
from drumblender.signal import fit_length, resample, trim_leading_silence
from drumblender.tasks import Blender, Controls, Parts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PathLike = Union[str, Path]
PARTS = ("modal", "noise", "transient")
PRECISIONS = ("32-true", "bf16-mixed")
# Sounds are padded to a multiple of this many samples, so that many are of one length and can go
# through the model together, and each gives the same whatever goes beside it.
_UNIT = 512
# What a 16-bit file cannot hold; sounds end there, and what follows is not computed.
_INAUDIBLE = 2.0**-16


def load(
    config: PathLike,
    checkpoint: Optional[PathLike] = None,
    device: str = "auto",
    precision: str = PRECISIONS[0],
) -> "Voice":
    """Load a trained model to take sounds apart with.

    Args:
        config: configuration file, or the checkpoint when it is the only one.
        checkpoint: of the model; one that carries its configuration suffices alone.
        device: "auto" for a GPU if there is one.
        precision: "32-true" or, as in training, "bf16-mixed": the networks' convolutions in 16
            bits, faster where the device computes with them.

    Raises:
        UsageError: when the configuration is missing or broken, or there is no such device or
            precision.
        DrumblenderError: when the checkpoint is missing, broken or does not fit.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise UsageError(f"There is no device {device} here; take cpu, or auto.") from None
    return Voice(load_model(config, checkpoint, device), device, precision)


@dataclass(frozen=True)
class Recording:
    """A recording prepared for a model: what can be computed without the model.

    Attributes:
        audio: samples (C, L) at the model's rate, from the first sound on, padded.
        modal: modal parameters (C, 3, M, F) of them and ``silence_after`` of the settings.
        lead: samples of silence in front.
        samples: as recorded, (N, C).
        sample_rate: of the recording, in Hz.
        name: what to call it.
        silent: whether it is never louder than the threshold of :func:`trim_leading_silence`.
    """

    audio: Tensor
    modal: Tensor
    lead: int
    samples: np.ndarray
    sample_rate: int
    name: str
    silent: bool = False


class Voice:
    """A trained model: recordings in, sounds out that can be changed.

    Args:
        model: from :func:`~drumblender.checkpoint.load_model`.
        device: where the model is.
        precision: see :func:`load`.

    Attributes:
        sample_rate: of the model, in Hz.
        parts: the parts that it makes, of "modal", "noise" and "transient".
    """

    def __init__(self, model: Blender, device: str = "cpu", precision: str = PRECISIONS[0]):
        if precision not in PRECISIONS:
            raise UsageError(f"Precision {precision} is none; take {' or '.join(PRECISIONS)}.")
        self.model = model
        self.device = device
        self.precision = precision
        self.settings = model.analysis_settings
        self.sample_rate: int = self.settings.sample_rate
        present = (True, model.noise_synth is not None, model.transient_synth is not None)
        self.parts: Tuple[str, ...] = tuple(name for name, is_in in zip(PARTS, present) if is_in)
        # Samples between frames of noise.
        self.noise_hop: int = getattr(model.noise_synth, "window_size", 256) // 2
        # Samples that go through the model at once: on a CPU, more only take memory.
        self._limit = self.sample_rate * (4 if self.device == "cpu" else 60)

    def __repr__(self) -> str:
        return f"<Voice of {', '.join(self.parts)} at {self.sample_rate} Hz on {self.device}>"

    def decompose(
        self,
        source: Union[PathLike, np.ndarray, Tensor],
        sample_rate: Optional[int] = None,
        seed: Optional[int] = None,
        stereo: bool = False,
    ) -> "Sound":
        """Take a recording apart.

        Args:
            source: an audio file, or samples.
            sample_rate: of samples, in Hz; a file says its own.
            seed: of the noise; another one each time when None.
            stereo: keep all channels (up to eight), each taken apart by itself, with the same
                noise in all; otherwise the first one counts.

        Shape:
            - source: (N,) or (N, channels)
        """
        recording = prepare(source, self.settings, sample_rate, stereo)
        return self.decompose_prepared([recording], [seed])[0]

    def decompose_prepared(
        self, recordings: Sequence[Recording], seeds: Sequence[Optional[int]]
    ) -> List["Sound"]:
        """Take recordings apart together; what is of one length goes through the model at once."""
        sounds: List[Optional[Sound]] = [None] * len(recordings)
        sizes = [r.audio.numel() for r in recordings]
        for group in _groups([r.audio.shape[-1] for r in recordings], sizes, self._limit):
            audio = torch.cat([recordings[i].audio for i in group]).to(self.device)
            modal = torch.cat([recordings[i].modal for i in group]).to(self.device)
            with self._playing():
                found = encode_as_in_training(
                    self.model, audio[:, None], modal, self.model.num_samples
                )
            start = 0
            for i in group:
                channels = slice(start, start + len(recordings[i].audio))
                start = channels.stop
                sounds[i] = Sound(
                    voice=self,
                    controls=_map(found, lambda x, rows=channels: x[rows].float().cpu()),
                    num_samples=audio.shape[-1] + self.settings.silence_after,
                    lead=recordings[i].lead,
                    seconds=len(recordings[i].samples) / recordings[i].sample_rate,
                    sample_rate=recordings[i].sample_rate,
                    seed=secrets.randbits(31) if seeds[i] is None else seeds[i],
                    name=recordings[i].name,
                    recording=recordings[i].samples,
                    # What a model makes of silence is no sound of its own.
                    gains=(0.0, 0.0, 0.0) if recordings[i].silent else (1.0, 1.0, 1.0),
                )
        return sounds

    def render(self, sounds: Sequence["Sound"]) -> List[Parts]:
        """The parts of sounds, each (C, 1, N) at the model's rate; equal lengths go together."""
        parts: List[Optional[Parts]] = [None] * len(sounds)
        lengths = [(s.num_heard, s.num_samples) for s in sounds]
        shapes = [
            (*length, *(x.shape[1:] for x in _tensors(s.controls)))
            for s, length in zip(sounds, lengths)
        ]
        sizes = [s.num_heard * s.channels for s in sounds]
        for group in _groups(shapes, sizes, self._limit):
            counts = [len(sounds[i].controls.modal) for i in group]
            # Every channel draws the same noise, and no sound draws from another's.
            seeds = [sounds[i].seed for i, n in zip(group, counts) for _ in range(n)]
            generators = [torch.Generator().manual_seed(seed) for seed in seeds]
            together = [_tensors(sounds[i].controls, keep_none=True) for i in group]
            stacked = [
                None if x[0] is None else torch.cat(x).to(self.device) for x in zip(*together)
            ]
            with self._playing():
                num_heard, num_samples = lengths[group[0]]
                made = self.model.synthesize(Controls(*stacked), num_heard, generators, num_samples)
            start = 0
            for i, count in zip(group, counts):
                rows = slice(start, start + count)
                start = rows.stop
                parts[i] = sounds[i]._finish(_map(made, lambda x, rows=rows: x[rows].float().cpu()))
        return parts

    @contextlib.contextmanager
    def _playing(self) -> Iterator[None]:
        kind, is_mixed = torch.device(self.device).type, self.precision == "bf16-mixed"
        with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=is_mixed):
            yield


@dataclass(frozen=True, eq=False, repr=False)
class Sound:
    """A sound taken apart. It never changes; ``with_...`` gives another one.

    Attributes:
        voice: the model that took it apart and puts it together.
        controls: what the model makes it of, (C, ...) each; see
            :class:`~drumblender.tasks.Controls`.
        num_samples: that the controls describe, at the model's rate.
        lead: samples of silence in front of them.
        seconds: length of the whole.
        sample_rate: of the recording, in Hz.
        seed: of the noise.
        gains: linear, of the modal, noise and transient part.
        brightness: in dB per octave.
        name: what to call it.
        recording: the samples (N, C) that it was made of, or None.
    """

    voice: Voice
    controls: Controls
    num_samples: int
    lead: int
    seconds: float
    sample_rate: int
    seed: int
    gains: Tuple[float, float, float] = (1.0, 1.0, 1.0)
    brightness: float = 0.0
    name: str = "sound"
    recording: Optional[np.ndarray] = field(default=None)

    def __repr__(self) -> str:
        channels = f", {self.channels} channels" if self.channels > 1 else ""
        return (
            f"<Sound {self.name}: {self.seconds:.2f} s at {self.sample_rate} Hz{channels}, "
            f"{int(self.controls.modal[:, 1].any(-1).sum(-1).max())} modes>"
        )

    @property
    def channels(self) -> int:
        return len(self.controls.modal)

    @property
    def num_recorded(self) -> int:
        """Of its ``num_samples``, those that are not beyond its end."""
        length = math.ceil(self.seconds * self.voice.sample_rate) - self.lead
        return min(self.num_samples, max(1, length))

    @property
    def num_heard(self) -> int:
        """These, rounded up to a unit that many sounds have in common."""
        return min(self.num_samples, _UNIT * math.ceil(self.num_recorded / _UNIT))

    @cached_property
    def parts(self) -> Parts:
        """The parts (C, 1, N) at the model's rate, with gains and brightness; they add up."""
        return self.voice.render([self])[0]

    def stems(self, sample_rate: Optional[int] = None) -> Dict[str, np.ndarray]:
        """What each part contributes, by name; together they are :meth:`render`.

        Args:
            sample_rate: in Hz; the recording's when None.

        Shape:
            - Output: (N,) each, or (N, channels)
        """
        return self.stems_of(self.parts, sample_rate)

    def stems_of(self, parts: Parts, sample_rate: Optional[int] = None) -> Dict[str, np.ndarray]:
        """:meth:`stems`, of parts that :meth:`Voice.render` gave."""
        rate = self.sample_rate if sample_rate is None else sample_rate
        length = max(1, round(self.seconds * rate))
        stems = {}
        for name, part in zip(PARTS, _tensors(parts, keep_none=True)):
            if part is not None:
                x = fit_length(resample(part[:, 0], self.voice.sample_rate, rate), length)
                stems[name] = x[0].numpy() if len(x) == 1 else x.T.contiguous().numpy()
        return stems

    def render(self, sample_rate: Optional[int] = None) -> np.ndarray:
        """Put the sound together.

        Args:
            sample_rate: in Hz; the recording's when None.

        Shape:
            - Output: (N,), or (N, channels) of more than one channel; float32
        """
        return sum(self.stems(sample_rate).values())

    def write(self, path: PathLike, sample_rate: Optional[int] = None, bits: int = 24) -> None:
        """Write the sound to a WAV, FLAC or OGG file; what exceeds full scale is an error."""
        rate = self.sample_rate if sample_rate is None else sample_rate
        samples = self.render(rate)
        check_samples(path, samples)
        peak = float(np.abs(samples).max())
        if peak > 1 and bits != 32:
            raise DrumblenderError(
                f"{path} is not written, because it exceeds full scale; take with_gain("
                f"{-20 * math.log10(peak) - 0.01:.2f}) of the sound, or bits=32 and a WAV file."
            )
        write_samples(path, samples, rate, bits)

    def with_gain(
        self,
        gain: float = 0.0,
        *,
        modal: float = 0.0,
        noise: float = 0.0,
        transient: float = 0.0,
    ) -> "Sound":
        """Louder or softer.

        Args:
            gain: of the whole, in dB.
            modal: of the sinusoids, in dB, on top; -inf mutes.
            noise: of the noise.
            transient: of what the transient network contributes.
        """
        self._need(noise=noise != 0, transient=transient != 0)
        more = (modal, noise, transient)
        gains = tuple(g * 10 ** ((gain + db) / 20) for g, db in zip(self.gains, more))
        return replace(self, gains=gains)

    def with_attack(self, amount: float) -> "Sound":
        """Another amount of transient: 1 as it is, 0 none, 2 twice as much."""
        self._need(transient=amount != 1)
        modal, noise, transient = self.gains
        return replace(self, gains=(modal, noise, transient * amount))

    def with_pitch(self, semitones: float, noise: bool = False) -> "Sound":
        """Move all modes, and with ``noise`` the bands of the noise as well.

        What moves to Nyquist and beyond is silent.
        """
        self._need(noise=noise)
        if semitones == 0:
            return self
        ratio = 2 ** (semitones / 12)
        controls = replace(self.controls, modal=change.shift_modes(self.controls.modal, ratio))
        if noise:
            controls = replace(controls, noise=change.shift_bands(controls.noise, ratio))
        return replace(self, controls=controls)

    def with_decay(self, factor: float) -> "Sound":
        """Envelopes that last longer (above 1) or shorter after their attack.

        Envelopes of modes and noise are stretched in time from the loudest moment on, so that T60
        is multiplied by the factor; so is the length of what follows that moment. Frequencies, and
        with them the speed of a pitch sweep, stay.
        """
        if not (math.isfinite(factor) and factor > 0):
            raise UsageError(f"A decay factor of {factor} is none; give a number above 0.")
        if factor == 1:
            return self
        modal, noise = self.controls.modal, self.controls.noise
        attack = change.attack_time(modal, noise, self.num_samples, self.voice.noise_hop)
        stretch = change.stretch_after(attack, factor)
        length = math.ceil(attack + (self.num_samples - attack) * factor)
        begin = (self.lead + attack) / self.voice.sample_rate
        return replace(
            self._retimed(length, stretch),
            seconds=begin + max(0.0, self.seconds - begin) * factor,
        )

    def with_brightness(self, slope: float) -> "Sound":
        """Tilt the spectrum by ``slope`` dB per octave about 1 kHz, on top of what there is."""
        return replace(self, brightness=self.brightness + slope)

    def with_seed(self, seed: int) -> "Sound":
        """The same with other noise."""
        return replace(self, seed=seed)

    def with_variation(self, amount: float = 1.0, seed: Optional[int] = None) -> "Sound":
        """The same drum, hit once more: small seeded changes of everything, and other noise.

        With an amount of 1, standard deviations are 5 cents of pitch and 4 cents of every mode, 0.5
        dB of level and 1 dB of every mode, 3 % of decay, 0.2 dB per octave of brightness, and 0.5
        dB of noise and transient.
        """
        draw = random.Random(secrets.randbits(64) if seed is None else f"variation {seed}")
        generator = torch.Generator().manual_seed(draw.getrandbits(31))
        modal = self.controls.modal
        wobble = amount * torch.randn(2, 1, modal.shape[2], 1, generator=generator)
        frequency, level, phase = modal.unbind(1)
        modal = torch.stack(
            [frequency * 2 ** (wobble[0] * 4 / 1200), level * 10 ** (wobble[1] / 20), phase],
            dim=1,
        )

        def vary(deviation: float) -> float:
            return amount * deviation * max(-2.5, min(2.5, draw.gauss(0, 1)))

        sound = replace(self, controls=replace(self.controls, modal=modal))
        sound = sound.with_pitch(vary(0.05)).with_decay(math.exp(vary(0.03)))
        sound = sound.with_gain(vary(0.5)).with_brightness(vary(0.2))
        decibels = {name: vary(0.5) for name in ("noise", "transient")}
        decibels = {name: db for name, db in decibels.items() if name in self.voice.parts}
        return sound.with_gain(**decibels).with_seed(draw.getrandbits(31))

    def with_modal(self, other: "Sound") -> "Sound":
        """The sinusoids of another sound in the place of these; as long as the longer one."""
        return self._with_part("modal", other)

    def with_noise(self, other: "Sound") -> "Sound":
        """The noise of another sound in the place of this one."""
        return self._with_part("noise", other)

    def with_transient(self, other: "Sound") -> "Sound":
        """The transient of another sound in the place of this one."""
        return self._with_part("transient", other)

    def _with_part(self, name: str, other: "Sound") -> "Sound":
        self._need(**{name: True})
        one, other = _of_one_length(self, other)
        index = PARTS.index(name)
        gains = (*one.gains[:index], other.gains[index], *one.gains[index + 1 :])
        taken = {name: getattr(other.controls, name)}
        return replace(one, controls=replace(one.controls, **taken), gains=gains)

    def _need(self, **parts: bool) -> None:
        for name, needed in parts.items():
            if needed and name not in self.voice.parts:
                raise UsageError(
                    f"This model makes no {name} part, only {' and '.join(self.voice.parts)}; "
                    "take another model, or leave that part alone."
                )

    def _retimed(
        self, length: int, time_map: change.TimeMap, frames: Optional[int] = None
    ) -> "Sound":
        modal = change.retime_modes(self.controls.modal, self.num_samples, length, time_map, frames)
        noise = self.controls.noise
        if noise is not None:
            hop = self.voice.noise_hop
            noise = change.retime_bands(noise, hop, self.num_samples, length, time_map)
        controls = replace(self.controls, modal=modal, noise=noise)
        return replace(self, controls=controls, num_samples=length)

    def _finish(self, parts: Parts) -> Parts:
        """Gains, brightness, silence in front, length."""
        rate = self.voice.sample_rate
        length = max(1, math.ceil(self.seconds * rate - 1e-6))
        finished = []
        for part, gain in zip(_tensors(parts, keep_none=True), self.gains):
            if part is not None:
                part = torch.cat([part.new_zeros((*part.shape[:-1], self.lead)), part * gain], -1)
                part = change.tilt_filter(fit_length(part, length), rate, self.brightness)
            finished.append(part)
        return Parts(*finished)

    def figure(self) -> "Figure":
        """Waveforms and spectrograms of recording, sound and parts, as a matplotlib figure."""
        from drumblender.plotting import plot_parts

        stems = self.stems()
        signals = [("Output", sum(stems.values()))]
        signals += [(name.capitalize(), stem) for name, stem in stems.items()]
        if self.recording is not None:
            signals.insert(0, ("Input", self.recording))
        mono = [(label, torch.from_numpy(_first_channel(x))) for label, x in signals]
        return plot_parts(mono, self.sample_rate, self.name)

    def _repr_html_(self) -> str:
        """What a notebook shows: a player and a picture."""
        sound, picture = BytesIO(), BytesIO()
        import soundfile

        samples = self.render()
        samples = samples / max(1.0, float(np.abs(samples).max()))
        soundfile.write(sound, samples, self.sample_rate, "PCM_16", format="WAV")
        self.figure().savefig(picture, format="png", dpi=70)
        encoded = [base64.b64encode(x.getvalue()).decode() for x in (sound, picture)]
        return (
            f"<div><code>{escape(repr(self))}</code><br>"
            f'<audio controls src="data:audio/wav;base64,{encoded[0]}"></audio><br>'
            f'<img alt="{escape(self.name)}" src="data:image/png;base64,{encoded[1]}"></div>'
        )


def blend(a: Sound, b: Sound, amount: float) -> Sound:
    """A sound between two drums.

    Modes that belong together (:func:`~drumblender.matching.match_modes`) move, frequencies on a
    logarithmic scale and amplitudes in dB; others fade; noise bands, the transient's embedding,
    gains and brightness are interpolated. At 0 and at 1 it is ``a`` and ``b`` themselves. In
    between the noise is drawn as that of ``a``, and the sound is as long as the longer of the two,
    where matched modes of the shorter one ring out.

    Args:
        a: one sound.
        b: another one, taken apart by the same model.
        amount: 0 for ``a`` to 1 for ``b``.

    Raises:
        UsageError: for another amount, or sounds of two models.
    """
    if not 0 <= amount <= 1:
        raise UsageError(f"An amount of {amount} is not between two sounds; give 0 to 1.")
    one, other = _of_one_length(a, b)
    if amount in (0, 1):
        return (a, b)[int(amount)]
    frames = one.controls.modal.shape[-1]
    end_a, end_b = (math.floor(s.num_recorded * frames / one.num_samples) for s in (a, b))
    modals = zip(one.controls.modal, other.controls.modal)
    modal = [blend_modes(x, y, amount, (end_a, end_b)) for x, y in modals]
    rows = max(x.shape[1] for x in modal)
    modal = torch.stack([nn.functional.pad(x, (0, 0, 0, rows - x.shape[1])) for x in modal])

    def between(x: Any, y: Any) -> Any:
        return None if x is None else x + (y - x) * amount

    return replace(
        one,
        controls=Controls(
            modal,
            between(one.controls.noise, other.controls.noise),
            between(one.controls.transient, other.controls.transient),
        ),
        lead=round(between(a.lead, b.lead)),
        gains=tuple(between(x, y) for x, y in zip(a.gains, b.gains)),
        brightness=between(a.brightness, b.brightness),
        name=f"{a.name} - {b.name}, {amount:g}",
        recording=None,
    )


def prepare(
    source: Union[PathLike, np.ndarray, Tensor],
    settings: AnalysisSettings,
    sample_rate: Optional[int] = None,
    stereo: bool = False,
    name: Optional[str] = None,
) -> Recording:
    """Read and analyze a recording: what can be done in another process than the model's.

    Args:
        source: an audio file, or samples (N,) or (N, channels).
        settings: of the analysis.
        sample_rate: of samples, in Hz.
        stereo: keep all channels.
        name: what to call it; a file has its own.
    """
    if isinstance(source, (str, Path)):
        samples, sample_rate = read_channels(source)
        name = name or Path(source).name
    else:
        if sample_rate is None:
            raise UsageError("Samples need their sample_rate; give it, in Hz.")
        samples = np.asarray(source, dtype=np.float32)
        samples = samples[:, None] if samples.ndim == 1 else samples
        if samples.ndim != 2 or not len(samples) or not np.isfinite(samples).all():
            raise DrumblenderError(
                f"Samples of shape {tuple(np.shape(source))} are no recording; give finite numbers "
                "(N,) or (N, channels)."
            )
    name = name or "sound"
    if not 1_000 <= sample_rate <= 1_000_000:
        raise DrumblenderError(
            f"{name} has an impossible sample rate ({sample_rate} Hz); export it again."
        )
    if not stereo:
        samples = samples[:, :1]
    elif samples.shape[1] > 8:
        raise DrumblenderError(f"{name} has {samples.shape[1]} channels; give eight at most.")
    audio = resample(torch.from_numpy(samples.T.copy()), sample_rate, settings.sample_rate)
    # As in training: from the first sound on.
    sounding = max(trim_leading_silence(x).shape[-1] for x in audio)
    lead = audio.shape[-1] - sounding if sounding else 0
    audio = audio[:, lead:]
    heard = torch.nonzero(audio.abs().amax(0) > _INAUDIBLE)
    end = int(heard[-1]) + 1 if len(heard) else 1
    audio = fit_length(audio, _UNIT * math.ceil(end / _UNIT))
    modal = _analysis(settings)(fit_length(audio, audio.shape[-1] + settings.silence_after))
    return Recording(audio, modal, lead, samples, int(sample_rate), name, silent=not sounding)


@lru_cache(maxsize=2)
def _analysis(settings: AnalysisSettings) -> CQTModalAnalysis:
    """The analysis, which keeps what it computes for a length of sounds."""
    return CQTModalAnalysis(settings)


def encode_as_in_training(
    model: Blender, audio: Tensor, modal: Tensor, num_samples: int
) -> Controls:
    """:meth:`Blender.encode` of sounds as they were in training: zero-padded to ``num_samples``.

    An embedding is pooled over the whole sound, so that a short one without its padding would be
    something that the model never heard. But convolutions see the same in all of the padding: a
    frame of it is computed once, and repeated. Longer sounds stay as they are.

    Shape:
        - audio: (B, 1, N)
        - modal: (B, 3, M, F)
    """
    length = audio.shape[-1]
    if length >= num_samples:
        return model.encode(audio, modal)
    pooled, local = model.transient_autoencoder, model.noise_autoencoder
    known = (
        model.encoder is None
        and model.modal_autoencoder is None
        and (pooled is None or type(pooled) is SoundStreamAttentionEncoder)
        and (local is None or type(local) is SoundStreamEncoder)
        and not any(getattr(net, "film_conditioning", False) for net in (pooled, local))
    )
    if not known:
        return model.encode(fit_length(audio, num_samples), modal)
    noise = transient = None
    if local is not None:
        _, after, hop = _reach(local)
        noise = local(fit_length(audio, min(num_samples, hop * math.ceil((length + after) / hop))))
    if pooled is not None:
        before, after, hop = _reach(pooled.encoder)
        cut = math.ceil((length + before) / hop)  # the first frame that sees nothing but padding
        short = hop * (cut + 1 + math.ceil(after / hop))
        missing, rest = divmod(num_samples - short, hop)
        if missing <= 0 or rest:
            transient = pooled(fit_length(audio, num_samples))
        else:
            frames = pooled.encoder(fit_length(audio, short))
            silence = frames[:, cut : cut + 1].expand(-1, missing, -1)
            frames = torch.cat([frames[:, :cut], silence, frames[:, cut:]], 1)
            transient = pooled.pooling(frames)
    return Controls(modal, noise, transient)


def _reach(encoder: SoundStreamEncoder) -> Tuple[int, int, int]:
    """How many samples before and after its own a frame depends on, and samples between frames."""
    before, after, hop, left = 0, 0, 1, 0
    for module in encoder.modules():
        if isinstance(module, Pad):
            left = module.padding[0]
        elif isinstance(module, nn.Conv1d):
            before += left * hop
            after += ((module.kernel_size[0] - 1) * module.dilation[0] - left) * hop
            hop, left = hop * module.stride[0], 0
    return before, after, hop


def _of_one_length(a: Sound, b: Sound) -> Tuple[Sound, Sound]:
    """Two sounds of as many samples and channels as the larger one has."""
    if a.voice is not b.voice:
        raise UsageError("These sounds are of two models; decompose both with the same one.")
    length, channels = max(a.num_samples, b.num_samples), max(a.channels, b.channels)
    if {a.channels, b.channels} - {1, channels}:
        raise UsageError(
            f"These sounds have {a.channels} and {b.channels} channels; give as many, or one."
        )
    seconds = max(a.seconds, b.seconds)

    frames = max((s.num_samples, s.controls.modal.shape[-1]) for s in (a, b))[1]

    def fit(sound: Sound) -> Sound:
        if (sound.num_samples, sound.controls.modal.shape[-1]) != (length, frames):
            sound = sound._retimed(length, lambda t: t, frames)
        if sound.channels < channels:
            wide = _map(sound.controls, lambda x: x.expand(channels, *x.shape[1:]))
            sound = replace(sound, controls=wide)
        return replace(sound, seconds=seconds)

    one, other = fit(a), fit(b)
    hop = a.voice.noise_hop
    if a.controls.noise is not None and one.controls.noise.shape != other.controls.noise.shape:
        # Encoders may give more frames than the sound has.
        frames = max(one.controls.noise.shape[1], other.controls.noise.shape[1])
        frames = max(frames, -(-length // hop))
        one, other = (
            replace(
                s,
                controls=replace(
                    s.controls,
                    noise=nn.functional.pad(
                        s.controls.noise, (0, 0, 0, frames - s.controls.noise.shape[1])
                    ),
                ),
            )
            for s in (one, other)
        )
    return one, other


def _groups(keys: Sequence[Any], sizes: Sequence[int], limit: int) -> List[List[int]]:
    """Indices of equal keys together, as long as their sizes do not exceed a limit together."""
    groups: List[List[int]] = []
    filled: Dict[Any, Tuple[List[int], int]] = {}
    for index, (key, size) in enumerate(zip(keys, sizes)):
        group, total = filled.get(key, ([], 0))
        if not group or total + size > limit:
            group, total = [], 0
            groups.append(group)
        group.append(index)
        filled[key] = (group, total + size)
    return groups


def _tensors(x: Union[Controls, Parts], keep_none: bool = False) -> List[Optional[Tensor]]:
    return [t for t in (x.modal, x.noise, x.transient) if keep_none or t is not None]


def _map(x, function):
    return type(x)(*(None if t is None else function(t) for t in _tensors(x, keep_none=True)))


def _first_channel(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x if x.ndim == 1 else x[:, 0])
