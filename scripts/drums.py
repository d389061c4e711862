"""Drums whose parts are known: the truth that :mod:`benchmark_parts` compares with.

A drum is a description: tones that decay and may glide, bands of noise with their own decays, and a
click. :func:`draw` draws one of a kind, and :func:`render` plays its three parts. An edit or a
blend of descriptions is again a description, so the true result of an edit can be played, too. The
levels of the parts relative to each other are those of recorded drums of the kind.
"""

import zlib
from dataclasses import dataclass, replace
from typing import Callable, Dict, NamedTuple, Tuple

import numpy as np

SAMPLE_RATE = 48000
NUM_SAMPLES = 96000


class Rendered(NamedTuple):
    """The parts of a drum, float64 (NUM_SAMPLES,) each; the drum is their sum."""

    tones: np.ndarray
    noise: np.ndarray
    click: np.ndarray

    @property
    def rest(self) -> np.ndarray:
        """All but the tones."""
        return self.noise + self.click

    @property
    def mix(self) -> np.ndarray:
        return self.tones + self.noise + self.click


@dataclass(frozen=True)
class Drum:
    """A description of a drum.

    Attributes:
        frequency: where each tone ends up, in Hz (K,).
        t60: time in which each tone decays by 60 dB, in seconds (K,).
        amplitude: of each tone at the onset, linear (K,).
        phase: of each tone, in radians (K,).
        glide: octaves above their final frequencies at which tones begin.
        glide_time: time constant of the way down, in seconds.
        noise_band: lower and upper edge of each band of noise, in Hz (B, 2).
        noise_t60: of each band (B,).
        noise_level: RMS of each band at the onset (B,).
        noise_attack: rise time of the noise in seconds.
        bursts: times of further onsets of the noise, in seconds; a clap has some.
        click_level: peak of the click.
        click_time: time constant of its decay, in seconds.
        click_band: edges of its band, in Hz (2,).
        onset: in seconds.
        attack: rise time of the tones, in seconds.
    """

    frequency: np.ndarray
    t60: np.ndarray
    amplitude: np.ndarray
    phase: np.ndarray
    noise_band: np.ndarray
    noise_t60: np.ndarray
    noise_level: np.ndarray
    click_level: float
    click_time: float
    click_band: np.ndarray
    glide: float = 0.0
    glide_time: float = 0.05
    noise_attack: float = 0.001
    bursts: Tuple[float, ...] = ()
    onset: float = 0.002
    attack: float = 0.0005

    def with_pitch(self, semitones: float) -> "Drum":
        """Tones elsewhere, the rest as it is."""
        return replace(self, frequency=self.frequency * 2 ** (semitones / 12))

    def with_decay(self, factor: float) -> "Drum":
        """Tones and noise decay more slowly; the click and all attacks stay."""
        return replace(self, t60=self.t60 * factor, noise_t60=self.noise_t60 * factor)


def between(a: Drum, b: Drum, amount: float) -> Drum:
    """The drum of middle parameters: geometric for frequencies, times and levels.

    Phases lie between those of the two on the shorter way. Both need as many tones and bands; the
    k-th tone of one becomes the k-th of the other.
    """

    def mean(x, y):
        return np.asarray(x) ** (1 - amount) * np.asarray(y) ** amount

    names = ("frequency", "t60", "amplitude", "noise_band", "noise_t60", "noise_level")
    names += ("click_level", "click_time", "click_band", "glide_time", "noise_attack", "attack")
    middle = {name: mean(getattr(a, name), getattr(b, name)) for name in names}
    turn = np.remainder(b.phase - a.phase + np.pi, 2 * np.pi) - np.pi
    middle["phase"] = a.phase + amount * turn
    bursts = tuple((1 - amount) * s + amount * t for s, t in zip(a.bursts, b.bursts))
    lines = {n: (1 - amount) * getattr(a, n) + amount * getattr(b, n) for n in ("glide", "onset")}
    return replace(a, **middle, **lines, bursts=bursts)


def render(drum: Drum, seed: int) -> Rendered:
    """Play the parts of a drum; the seed is that of its noise and click.

    >>> parts = render(draw("snare", 0), 0)
    >>> parts.tones.shape, bool((parts.mix == parts.tones + parts.rest).all())
    ((96000,), False)
    """
    rng = np.random.default_rng(seed)
    time = np.arange(NUM_SAMPLES) / SAMPLE_RATE - drum.onset
    since = np.maximum(time, 0)
    tones = np.zeros(NUM_SAMPLES)
    start = 2.0**drum.glide - 1
    turns = since + start * drum.glide_time * (1 - np.exp(-since / drum.glide_time))
    rise = _rise(time, drum.attack)
    for hz, t60, amplitude, phase in zip(drum.frequency, drum.t60, drum.amplitude, drum.phase):
        # Above Nyquist there is no tone, at whatever moment of its glide.
        audible = hz * (1 + start * np.exp(-since / drum.glide_time)) < SAMPLE_RATE / 2
        envelope = amplitude * 10 ** (-3 * since / t60) * rise * audible
        tones += envelope * np.sin(2 * np.pi * hz * turns + phase)
    noise = np.zeros(NUM_SAMPLES)
    for band, t60, level in zip(drum.noise_band, drum.noise_t60, drum.noise_level):
        carrier = _filtered(rng.standard_normal(NUM_SAMPLES), band)
        envelope = 10 ** (-3 * since / t60) * _rise(time, drum.noise_attack)
        last = 0.0
        for burst in drum.bursts:  # each falls fast until the next one comes
            begun = np.maximum(time - burst, 0)
            fast = (time >= last) & (time < burst)
            envelope = envelope * np.where(fast, np.exp(-(time - last) / 0.006), 1)
            envelope = np.maximum(envelope, 10 ** (-3 * begun / t60) * _rise(time - burst, 0.0005))
            last = burst
        noise += level * envelope * carrier / carrier.std()
    click = _filtered(rng.standard_normal(NUM_SAMPLES), drum.click_band)
    click *= np.exp(-since / drum.click_time) * _rise(time, 0.0002)
    click *= drum.click_level / max(np.abs(click).max(), 1e-12)
    return Rendered(tones, noise, click)


def _rise(time: np.ndarray, seconds: float) -> np.ndarray:
    """Half a cosine from 0 to 1, which begins at time 0."""
    return 0.5 - 0.5 * np.cos(np.pi * np.clip(time / max(seconds, 1e-9), 0, 1))


def _filtered(x: np.ndarray, band: np.ndarray) -> np.ndarray:
    """Zero-phase band-pass, 12 dB per octave to both sides."""
    hz = np.fft.rfftfreq(len(x), 1 / SAMPLE_RATE)
    hz[0] = 1e-3
    gain = 1 / np.sqrt(1 + (band[0] / hz) ** 4) / np.sqrt(1 + (hz / band[1]) ** 4)
    return np.fft.irfft(np.fft.rfft(x) * gain, len(x))


def draw(kind: str, seed: int) -> Drum:
    """Draw a drum of a kind, one of :data:`KINDS` or :data:`OTHERS`.

    >>> len(draw("cymbal", 3).frequency) >= 30
    True
    """
    rng = np.random.default_rng([zlib.crc32(kind.encode()), seed])
    drum = {**KINDS, **OTHERS}[kind](rng)
    # Half of the recordings are cut at their onset.
    onset = float(rng.uniform(0, 0.006) * rng.integers(0, 2))
    drum = replace(drum, onset=onset, phase=rng.uniform(0, 2 * np.pi, len(drum.phase)))
    # Levels as recorded: the loudest moment between -6 and -1 dB of full scale.
    peak = np.abs(render(drum, seed).mix).max()
    gain = 10 ** (-rng.uniform(1, 6) / 20) / peak
    return replace(
        drum,
        amplitude=drum.amplitude * gain,
        noise_level=drum.noise_level * gain,
        click_level=drum.click_level * gain,
    )


def _between(rng: np.random.Generator, low: float, high: float, size=None):
    """Geometrically uniform."""
    return np.exp(rng.uniform(np.log(low), np.log(high), size))


def _drum(
    rng: np.random.Generator,
    frequency,
    t60,
    levels_db,
    noise,
    rest_db: float,
    click=(0.5, 3.0),
    click_share: float = 0.3,
    click_band=(1500, 12000),
    **more,
) -> Drum:
    """A drum of tones at levels in dB and bands of noise ``(low, high, t60, level)``.

    ``rest_db`` is the energy of noise and click relative to the tones', give or take 2 dB;
    ``click_share`` is the part of it that is the click's; ``click`` are times in ms.
    """
    frequency, t60 = np.atleast_1d(frequency).astype(float), np.atleast_1d(t60).astype(float)
    amplitude = 10 ** (np.atleast_1d(levels_db).astype(float) / 20)
    noise = np.array(noise, float).reshape(-1, 4)
    drum = Drum(
        frequency=frequency,
        t60=t60,
        amplitude=amplitude,
        phase=np.zeros(len(frequency)),
        noise_band=noise[:, :2],
        noise_t60=noise[:, 2],
        noise_level=noise[:, 3],
        click_level=1.0,
        click_time=_between(rng, *click) / 1000,
        click_band=np.array(click_band, float),
        attack=_between(rng, 0.0002, 0.002),
        **more,
    )
    parts = render(drum, 0)
    tones, rough, click_energy = (max(np.square(part).sum(), 1e-12) for part in parts)
    rest = 10 ** ((rest_db + rng.uniform(-2, 2)) / 10) * (tones if len(frequency) else 1.0)
    share = click_share * 2 ** rng.uniform(-1, 1)
    return replace(
        drum,
        noise_level=drum.noise_level * np.sqrt(rest * (1 - share) / rough),
        click_level=float(np.sqrt(rest * share / click_energy)),
    )


def _kick(rng):
    base = _between(rng, 42, 75)
    ratios = np.array([1, rng.uniform(1.5, 1.8), rng.uniform(2.1, 2.7), rng.uniform(3, 4.5)])
    t60 = _between(rng, 0.35, 0.9) * np.array([1, 0.6, 0.45, 0.3]) * _between(rng, 0.8, 1.2, 4)
    levels = np.array([0, -8, -13, -18]) + rng.uniform(-3, 3, 4)
    noise = [[_between(rng, 40, 150), _between(rng, 2500, 8000), _between(rng, 0.06, 0.25), 1]]
    return _drum(rng, base * ratios, t60, levels, noise, -24.5)


def _gliding_kick(rng):
    base = _between(rng, 38, 62)
    count = rng.integers(1, 4)
    ratios = np.array([1, 2.01, 3.03])[:count]
    t60 = _between(rng, 0.6, 1.8) * np.array([1, 0.5, 0.35])[:count]
    levels = np.array([0, -18, -24])[:count] + rng.uniform(-3, 3, count)
    noise = [[_between(rng, 40, 150), _between(rng, 2500, 9000), _between(rng, 0.03, 0.15), 1]]
    glide = {"glide": rng.uniform(0.8, 2.2), "glide_time": _between(rng, 0.012, 0.08)}
    return _drum(rng, base * ratios, t60, levels, noise, -33.5, **glide)


def _snare(rng):
    base = _between(rng, 150, 240)
    ratios = np.array([1, 1.59, 2.14, 2.3, 2.65, 2.92, 3.5]) * _between(rng, 0.97, 1.03, 7)
    t60 = _between(rng, 0.2, 0.5) * _between(rng, 0.5, 1.1, 7)
    levels = -3.5 * np.arange(7) + rng.uniform(-4, 4, 7)
    t60_noise = _between(rng, 0.15, 0.5)
    noise = [
        [_between(rng, 200, 500), _between(rng, 1500, 4000), 0.7 * t60_noise, 1],
        [_between(rng, 1500, 3500), _between(rng, 9000, 16000), t60_noise, _between(rng, 0.7, 2)],
    ]
    return _drum(rng, base * ratios, t60, levels, noise, -6.2)


def _tom(rng):
    base = _between(rng, 75, 190)
    ratios = np.array([1, 1.59, 2.14, 2.3, 2.65]) * _between(rng, 0.97, 1.03, 5)
    t60 = _between(rng, 0.5, 1.4) * np.array([1, 0.8, 0.6, 0.5, 0.4]) * _between(rng, 0.8, 1.2, 5)
    levels = np.array([0, -6, -12, -14, -18]) + rng.uniform(-4, 4, 5)
    noise = [[_between(rng, 100, 300), _between(rng, 2500, 8000), _between(rng, 0.08, 0.3), 1]]
    return _drum(rng, base * ratios, t60, levels, noise, -25.5)


def _metal(rng, count, low, high, t60, rest_db, t60_noise, band):
    frequency = np.sort(_between(rng, low, high, count))
    # Higher partials decay faster.
    times = t60 * (frequency / low) ** -0.25 * _between(rng, 0.6, 1.4, count)
    levels = rng.uniform(-14, 0, count)
    noise = [[*band, t60_noise, 1]]
    return _drum(rng, frequency, times, levels, noise, rest_db, click_share=0.05)


def _closed_hihat(rng):
    t60 = _between(rng, 0.12, 0.3)
    band = (_between(rng, 3000, 6000), _between(rng, 11000, 18000))
    count = rng.integers(5, 10)
    return _metal(rng, count, 2500, 13000, t60 * rng.uniform(1, 1.6), 9, t60, band)


def _open_hihat(rng):
    t60 = _between(rng, 0.5, 1.3)
    band = (_between(rng, 2500, 5000), _between(rng, 11000, 18000))
    count = rng.integers(6, 14)
    return _metal(rng, count, 1800, 12000, t60 * rng.uniform(1, 1.6), 9, t60, band)


def _cymbal(rng):
    t60 = _between(rng, 1.2, 3)
    band = (_between(rng, 1500, 3500), _between(rng, 9000, 16000))
    count = rng.integers(30, 41)
    return _metal(rng, count, 300, 10000, 1.2 * t60, 2.8, _between(rng, 0.6, 1.8), band)


def _clap(rng):
    center = _between(rng, 900, 1600)
    width = _between(rng, 1.4, 3)
    bursts = tuple(np.cumsum(_between(rng, 0.008, 0.013, rng.integers(2, 4))))
    noise = [
        [center / width, center * width, _between(rng, 0.12, 0.4), 1],
        [3000, 9000, _between(rng, 0.08, 0.25), _between(rng, 0.2, 0.6)],
    ]
    return _drum(rng, [], [], [], noise, 0, click_share=0.05, bursts=bursts)


def _cowbell(rng):
    base = _between(rng, 450, 700)
    ratios = np.array([1, rng.uniform(1.45, 1.55), 2.6, 3.4, 4.3, 5.2]) * _between(
        rng, 0.97, 1.03, 6
    )
    t60 = _between(rng, 0.3, 0.9) * np.array([1, 0.9, 0.6, 0.5, 0.5, 0.4])
    levels = np.array([0, -2, -12, -14, -17, -19]) + rng.uniform(-3, 3, 6)
    noise = [[_between(rng, 500, 1500), _between(rng, 5000, 12000), _between(rng, 0.06, 0.25), 1]]
    return _drum(rng, base * ratios, t60, levels, noise, -25.5)


def _wood_block(rng):
    base = _between(rng, 500, 1500)
    ratios = np.array([1, rng.uniform(1.4, 1.9), rng.uniform(2.3, 3.2)])
    t60 = _between(rng, 0.08, 0.25) * np.array([1, 0.7, 0.5])
    levels = np.array([0, -6, -12]) + rng.uniform(-4, 4, 3)
    noise = [[_between(rng, 500, 1500), _between(rng, 5000, 12000), _between(rng, 0.03, 0.1), 1]]
    return _drum(rng, base * ratios, t60, levels, noise, -15, click=(0.3, 1.5), click_share=0.5)


def _conga(rng):
    base = _between(rng, 130, 330)
    ratios = np.array([1, rng.uniform(1.9, 2.1), rng.uniform(2.7, 3.1), 3.7])
    t60 = _between(rng, 0.3, 0.9) * np.array([1, 0.7, 0.5, 0.4])
    levels = np.array([0, -8, -14, -18]) + rng.uniform(-4, 4, 4)
    noise = [[_between(rng, 150, 500), _between(rng, 3000, 8000), _between(rng, 0.05, 0.2), 1]]
    # A struck skin falls in pitch, a bayan is pressed up.
    glide = {
        "glide": float(rng.choice([-0.35, 0.15, 0.3])),
        "glide_time": _between(rng, 0.03, 0.15),
    }
    return _drum(rng, base * ratios, t60, levels, noise, -22, **glide)


def _shaker(rng):
    noise = [
        [_between(rng, 3000, 6000), _between(rng, 9000, 15000), _between(rng, 0.1, 0.3), 1],
        [_between(rng, 6000, 9000), 18000, _between(rng, 0.08, 0.2), _between(rng, 0.3, 0.8)],
    ]
    attack = _between(rng, 0.005, 0.04)
    return _drum(rng, [], [], [], noise, 0, click_share=0.01, noise_attack=attack)


def _rimshot(rng):
    base = _between(rng, 220, 450)
    ratios = np.array([1, 1.61, 2.4, rng.uniform(3.5, 4.5), rng.uniform(6, 8)])
    t60 = _between(rng, 0.08, 0.25) * np.array([1, 0.8, 0.7, 0.5, 0.4])
    levels = np.array([0, -3, -6, -8, -14]) + rng.uniform(-4, 4, 5)
    noise = [[_between(rng, 800, 2000), _between(rng, 8000, 15000), _between(rng, 0.08, 0.25), 1]]
    return _drum(rng, base * ratios, t60, levels, noise, -6, click=(0.3, 1.5), click_share=0.4)


def _long_808(rng):
    base = _between(rng, 36, 58)
    t60 = np.array([_between(rng, 1.8, 4.0), 0.4])
    noise = [[_between(rng, 100, 300), _between(rng, 2000, 6000), _between(rng, 0.02, 0.06), 1]]
    glide = {"glide": rng.uniform(0.2, 1.2), "glide_time": _between(rng, 0.01, 0.04)}
    return _drum(rng, base * np.array([1, 2.0]), t60, [0, -28], noise, -38, **glide)


def _gliding_tom(rng):
    base = _between(rng, 80, 200)
    ratios = np.array([1, 1.5, 2.0])
    t60 = _between(rng, 0.4, 1.0) * np.array([1, 0.7, 0.5])
    levels = np.array([0, -10, -16]) + rng.uniform(-3, 3, 3)
    noise = [[_between(rng, 100, 300), _between(rng, 2500, 8000), _between(rng, 0.05, 0.2), 1]]
    glide = {"glide": rng.uniform(0.3, 1.0), "glide_time": _between(rng, 0.04, 0.2)}
    return _drum(rng, base * ratios, t60, levels, noise, -24, **glide)


def _ride(rng):
    count = rng.integers(14, 22)
    bell = _between(rng, 500, 900) * np.array([1, 1.49, 2.31, 3.4])
    frequency = np.concatenate([bell, np.sort(_between(rng, 1500, 9000, count))])
    t60 = _between(rng, 1.5, 3.0) * (frequency / 500) ** -0.25 * _between(rng, 0.7, 1.3, count + 4)
    levels = np.concatenate([[0, -2, -5, -8], rng.uniform(-24, -10, count)])
    band = (_between(rng, 2500, 4500), _between(rng, 11000, 16000))
    noise = [[*band, _between(rng, 0.5, 1.5), 1]]
    return _drum(rng, frequency, t60, levels, noise, -4, click_share=0.1)


def _claps(rng):
    center = _between(rng, 900, 1600)
    bursts = tuple(np.cumsum(_between(rng, 0.004, 0.016, rng.integers(4, 8))))
    noise = [
        [center / 2, center * 2, _between(rng, 0.15, 0.5), 1],
        [2500, 9000, _between(rng, 0.1, 0.3), _between(rng, 0.2, 0.6)],
    ]
    return _drum(rng, [], [], [], noise, 0, click_share=0.05, bursts=bursts)


def _tambourine(rng):
    frequency = np.sort(_between(rng, 3500, 14000, rng.integers(6, 12)))
    t60 = _between(rng, 0.15, 0.5, len(frequency))
    levels = rng.uniform(-12, 0, len(frequency))
    bursts = tuple(np.cumsum(_between(rng, 0.012, 0.022, 2)))
    noise = [[_between(rng, 4000, 7000), 18000, _between(rng, 0.15, 0.4), 1]]
    return _drum(rng, frequency, t60, levels, noise, 6, click_share=0.05, bursts=bursts)


def _cowbell_with_click(rng):
    base = _between(rng, 500, 650)
    t60 = _between(rng, 0.2, 0.5) * np.array([1, 0.9, 0.4])
    noise = [[_between(rng, 500, 1500), _between(rng, 5000, 12000), _between(rng, 0.04, 0.1), 1]]
    ratios = np.array([1, 1.48, 3.1])
    return _drum(rng, base * ratios, t60, [0, -1, -14], noise, -10, click_share=0.45)


KINDS: Dict[str, Callable[[np.random.Generator], Drum]] = {
    "kick": _kick,
    "gliding kick": _gliding_kick,
    "snare": _snare,
    "tom": _tom,
    "closed hi-hat": _closed_hihat,
    "open hi-hat": _open_hihat,
    "cymbal": _cymbal,
    "clap": _clap,
    "cowbell": _cowbell,
    "wood block": _wood_block,
    "conga": _conga,
    "shaker": _shaker,
}

# Kinds that nothing was tuned on.
OTHERS: Dict[str, Callable[[np.random.Generator], Drum]] = {
    "rimshot": _rimshot,
    "long 808": _long_808,
    "gliding tom": _gliding_tom,
    "ride with bell": _ride,
    "clap of several hands": _claps,
    "tambourine": _tambourine,
    "cowbell with click": _cowbell_with_click,
}


class Hit(NamedTuple):
    """A stroke of a loop: when (s), which drum, how loud, and the seed of its noise."""

    time: float
    drum: Drum
    gain: float
    seed: int


def strokes(name: str, seed: int, seconds: float = 4.0) -> Tuple[Hit, ...]:
    """Draw the strokes of a loop, one of :data:`LOOPS`, in the order of time.

    >>> len(strokes("two notes", 0))
    2
    """
    rng = np.random.default_rng([zlib.crc32(name.encode()), seed])
    drums = {kind: draw(kind, int(rng.integers(2000, 3000))) for kind in KINDS}
    step = rng.uniform(0.11, 0.16)  # a sixteenth
    hits = []

    def hit(time: float, kind: str, gain: float = 1.0) -> None:
        # No stroke is like another one, and none is early by more than some milliseconds.
        played = max(0.0, time + rng.uniform(-0.004, 0.004))
        if played < seconds - 0.03:
            level = gain * 10 ** (rng.uniform(-2, 1) / 20)
            hits.append(Hit(played, drums[kind], level, len(hits)))

    steps = int(seconds / step)
    if name == "two notes":
        first, second = rng.choice(["kick", "snare", "tom", "cowbell", "conga"], 2, replace=False)
        hit(0.01, first)
        hit(rng.uniform(0.2, 0.8), second)
    elif name == "beat":
        for number in range(steps):
            if number % 8 in (0, 5):
                hit(number * step, "kick")
            elif number % 8 == 4:
                hit(number * step, "snare", 0.8)
            elif number % 2 == 0:
                hit(number * step, "closed hi-hat", 0.3)
    elif name == "ghost notes":
        for number in range(steps):
            hit(number * step, "snare", 0.9 if number % 4 == 0 else rng.uniform(0.06, 0.15))
    elif name == "roll":
        count = int(seconds / 0.06)
        for number in range(count):
            hit(number * 0.06, "snare", 0.2 + 0.6 * number / count)
    elif name == "percussion":
        for number in range(steps):
            kind = str(rng.choice(["conga", "wood block", "cowbell", "shaker"]))
            hit(number * step, kind, rng.uniform(0.3, 0.9))
    return tuple(sorted(hits, key=lambda one: one.time))


LOOPS = ("two notes", "beat", "ghost notes", "roll", "percussion")


def render_loop(hits: Tuple[Hit, ...], seconds: float = 4.0) -> Rendered:
    """Play a loop, at most 0.9 loud: all tones, all noise and all clicks of its strokes."""
    length = round(seconds * SAMPLE_RATE)
    parts = np.zeros((3, length))
    for time, drum, gain, seed in hits:
        start = round(time * SAMPLE_RATE)
        count = min(NUM_SAMPLES, length - start)
        for whole, part in zip(parts, render(drum, seed)):
            whole[start : start + count] += gain * part[:count]
    parts *= 0.9 / max(np.abs(parts.sum(0)).max(), 1e-12)
    return Rendered(*parts)
