"""Drums of instruments, made of sounds that are taken apart."""

from typing import Any, Sequence

import torch
import torch.nn.functional as F

from drumblender.errors import UsageError
from drumblender.export.instrument.drum import Course, Drum, Sinusoids
from drumblender.export.instrument.instrument import DECAY, Instrument
from drumblender.export.instrument.network import Shaper
from drumblender.export.instrument.noise import Noise
from drumblender.parameters import Modes, RecordedNoise
from drumblender.parameters.modes import hold_frequencies, turned_until
from drumblender.signal import at_least_float32
from drumblender.signal.auditory import band_shares, level_hop
from drumblender.sound import Sound
from drumblender.sound.controls import KNOWN_PARTS
from drumblender.sound.takes import Take
from drumblender.streaming.network import Shaping
from drumblender.streaming.noise import Frames
from drumblender.streaming.waves import Waves
from drumblender.synths import ModalSynth
from drumblender.tasks.wiring import Parallel, Series

# Number of samples of white noise for what recorded noise lacks. It begins again where it ends.
_WHITE = 2**16
# What is softer than this in front of a drum, relative to its peak, is left out (-60 dB).
_FAINT = 1e-3
# A drum begins so many seconds before it is louder than that.
_BEFORE_S = 0.001


def instrument_of(sounds: Sequence[Sound]) -> Instrument:
    """Make an instrument of sounds.

    Args:
        sounds: sounds of one voice, at one sample rate. Those of one channel get as many channels
            as the others have.

    Raises:
        UsageError: if a sound has parts, a wiring or an edit that instruments do not know.
    """
    channels = max(sound.channels for sound in sounds)
    rate = sounds[0].timeline.sample_rate
    return Instrument([drum_of(sound) for sound in sounds], channels, rate).eval()


@torch.inference_mode(False)
@torch.no_grad()
def drum_of(sound: Sound) -> Drum:
    """Make a drum of a sound.

    Raises:
        UsageError: if it has parts, a wiring or an edit that instruments do not know.
    """
    _check(sound)
    timeline, wiring = sound.timeline, sound.engine.model.network.wiring
    take = Take.of([sound], [0.0], timeline.lead)
    names = list(take.blocks)
    fed = wiring.inputs if take.on_signal else ()
    gains = [take.gains[name][0] if name in names else 0.0 for name in KNOWN_PARTS]
    drum = Drum(
        _sinusoids(sound),
        _noise(sound, take.blocks.get("noise")),
        _shaper(sound, take.blocks.get("transient")),
        ("modal" in fed, "noise" in fed),
        bool(take.on_signal) and isinstance(wiring, Series),
        _course(sound, take),
        torch.tensor(gains),
    )
    still = torch.zeros(take.heard), torch.ones(3, take.heard)
    stems, _ = drum.advance(drum.begin(0, 1.0, 1.0, 1.0, 1.0, 0), take.heard, *still)
    whole = stems.sum(1).abs().amax(0)
    loud = (whole > _FAINT * whole.max()).nonzero()
    first = int(loud[0]) if len(loud) else 0
    start = max(0, -timeline.lead, first - round(_BEFORE_S * timeline.sample_rate))
    if start:
        drum.settle(start)
    return drum


def _check(sound: Sound) -> None:
    """Refuse what instruments do not know."""
    wiring = sound.engine.model.network.wiring
    unknown = [name for name in sound.engine.parts if name not in KNOWN_PARTS]
    if unknown:
        raise UsageError(
            f"Export: an instrument has the parts {', '.join(KNOWN_PARTS)}, and this model has "
            f"{unknown[0]}; export a model without it."
        )
    if type(wiring) not in (Series, Parallel):
        raise UsageError(
            f"Export: an instrument does not know the wiring {type(wiring).__name__}, only Series "
            "and Parallel; export a model with one of them."
        )
    modal = sound.engine.parts.get("modal")
    if type(getattr(modal, "synth", None)) is not ModalSynth:
        raise UsageError(
            "Export: an instrument plays sinusoids as ModalSynth does, and this model has another "
            "synthesizer of them, or none; export a model with ModalSynth."
        )
    if sound.brightness:
        raise UsageError(
            f"Export: {sound.name} was made brighter or darker, which an instrument cannot do; "
            "write the sound as audio, and export that file."
        )


def _sinusoids(sound: Sound) -> Sinusoids:
    """Take the modes that sound at all, those that end last in front."""
    modes: Modes = sound.parameters["modal"]
    values = at_least_float32(modes.values)
    level = values[:, 1]
    frames = level.shape[-1]
    sounding = level.ne(0).any(0)
    # Amplitudes fall to that of the next frame.
    last = (sounding * torch.arange(1, frames + 1)).amax(-1)
    order = last.argsort(descending=True, stable=True)
    order = order[last[order] > 0]
    values, last = values[:, :, order], last[order]
    ends = ((last + 1.5) * modes.num_samples / frames).long().tolist()
    speed = values[:, 0].double()
    phase = values[:, 2, :, 0] if values.shape[1] > 2 else torch.zeros_like(values[:, 0, :, 0])
    onset = sound.timeline.onset
    turned = turned_until(onset, speed, modes.num_samples) if onset else torch.zeros_like(phase)
    return Sinusoids(
        values[:, 0],
        hold_frequencies(values)[:, 0],
        values[:, 1],
        phase,
        turned,
        ends,
        modes.num_samples,
    )


def _noise(sound: Sound, blocks: Any) -> Noise:
    """Make the noise."""
    length = sound.timeline.played
    if isinstance(blocks, Frames):
        before, after = blocks.window
        size = len(after)
        is_shaped = blocks.weight is not None
        stride = blocks.hop if is_shaped else size
        white = blocks.white
        line = torch.cat([white[:, 0], white[:, 1:, size - stride :].flatten(1)], dim=1)
        return Noise(
            line.clone(),
            stride,
            blocks.filters[0].clone(),
            (torch.ones(size) if before is None else before, after),
            blocks.hop,
            blocks.lead,
            is_shaped,
            length,
        )
    rate = sound.timeline.sample_rate
    hop = level_hop(rate)
    size, window = 4 * hop, torch.hann_window(4 * hop)
    wave = torch.zeros(sound.channels, length)
    if isinstance(blocks, Waves):
        wave = blocks.samples[0][:, 0, :length].float()
    recorded = RecordedNoise(wave, rate)
    continued = recorded.retime(round(DECAY[1] * length), lambda time: time)
    continued = RecordedNoise(continued.waveform, rate)
    own, longer = (x.own_levels.transpose(1, 2) for x in (recorded, continued))
    return Noise(
        F.pad(wave, (size // 2, size)),
        hop,
        own,
        (window, window),
        hop,
        size // 2,
        True,
        length,
        F.pad(continued.waveform, (size // 2, size)),
        (own, longer),
        band_shares(size // 2 + 1, rate, own.shape[2]),
        torch.randn(_WHITE, generator=torch.Generator().manual_seed(0)),
    )


def _shaper(sound: Sound, blocks: Any) -> Shaper:
    """Make the transient."""
    if isinstance(blocks, Shaping):
        return Shaper(blocks.first, torch.zeros(1, 1), blocks.window, blocks.learned)
    wave = torch.zeros(sound.channels, 1)
    if isinstance(blocks, Waves):
        wave = blocks.samples[0][:, 0].float()
    return Shaper(None, wave)


def _course(sound: Sound, take: Take) -> Course:
    """Find out when a drum happens."""
    timeline = sound.timeline
    begins, ends = timeline.strokes(sound.loudest_moment)
    outline = take.outlines[0][:, 0] if take.outlines else torch.ones(sound.channels, 1)
    return Course(begins, ends, take.heard, outline)
