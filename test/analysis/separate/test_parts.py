"""The separating analysis against closed forms."""

import math

import numpy as np
import pytest
import soundfile
import torch
from scipy.signal import butter, sosfilt

from drumblender.analysis import AnalysisSettings, CQTModalAnalysis, separate
from drumblender.errors import UsageError
from drumblender.signal.auditory import noise_levels, noise_of_levels
from drumblender.synths import ModalSynth, modal_synth

RATE = 48000
SETTINGS = AnalysisSettings(method="separating", hop_length=64)


def time(seconds=1.0):
    return torch.arange(int(seconds * RATE), dtype=torch.float64) / RATE


def tone(hz, t60, amplitude=0.5, phase=0.0, seconds=1.0):
    t = time(seconds)
    return amplitude * 10 ** (-3 * t / t60) * torch.sin(2 * math.pi * hz * t + phase)


def noise(seed, seconds=1.0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(int(seconds * RATE), generator=generator, dtype=torch.float64)


def sdr(found, true):
    error = (found.double() - true).square().sum()
    return 10 * math.log10(true.square().sum() / error)


def take_apart(*sounds):
    return separate(torch.stack(sounds).float(), SETTINGS)


def frequencies(parts, row=0):
    sounding = parts.modal[row, 1].any(-1)
    return parts.modal[row, 0, sounding][:, 300].double() * RATE / (2 * math.pi)


@pytest.mark.parametrize(("hz", "t60"), [(50, 0.8), (440, 0.3), (3000, 1.0), (9000, 0.15)])
def test_a_damped_sinusoid_is_one_mode_and_all_of_the_sound(hz, t60):
    x = tone(hz, t60, phase=0.7)
    parts = take_apart(x)
    assert sdr(parts.tones[0], x) > 35
    (mode,) = [m for m in range(64) if parts.modal[0, 1, m].max() > 0.005]
    assert parts.modal[0, 0, mode, 3000 // 64].item() * RATE / 2 / math.pi == pytest.approx(
        hz, rel=1e-3
    )


def test_the_synthesizer_plays_the_tones():
    x = tone(200, 0.5) + tone(523, 0.3, 0.2)
    parts = take_apart(x)
    played = ModalSynth()(parts.modal, len(x))[:, 0]
    torch.testing.assert_close(played, parts.tones, atol=1e-5, rtol=0)


def test_tones_are_found_in_louder_noise():
    x = tone(3000, 1.0, 0.1) + tone(5100, 0.8, 0.1)
    hiss = 0.2 * noise(0) * 10 ** (-3 * time() / 0.6)
    assert sdr(x + hiss, x) < 0
    parts = take_apart(x + hiss)
    assert sorted(frequencies(parts).round().tolist()) == [3000, 5100]
    assert sdr(parts.tones[0], x) > 19


def test_noise_has_no_modes():
    t = time()
    sounds = [noise(seed) * 10 ** (-3 * t / (0.1 + 0.1 * seed)) for seed in range(12)]
    parts = take_apart(*sounds)
    assert parts.modal[:, 1].any(-1).sum() <= 1  # one false alarm
    assert (parts.tones.square().sum(1) < 1e-2 * torch.stack(sounds).square().sum(1)).all()


@pytest.mark.parametrize(
    ("low", "high", "order"), [(800, 5000, 4), (176, 748, 4), (1376, 2640, 3), (2269, 3882, 5)]
)
def test_the_edge_of_a_band_of_noise_is_no_mode(low, high, order):
    band = butter(order, [low, high], "band", fs=RATE, output="sos")
    fall = (10 ** (-3 * time() / 0.4)).numpy()
    sounds = [
        torch.from_numpy(sosfilt(band, noise(seed).numpy()) * fall.copy()) for seed in range(6)
    ]
    parts = take_apart(*sounds)
    share = parts.tones.square().sum(1) / torch.stack(sounds).square().sum(1)
    assert (share < 1e-6).sum() >= 5
    assert share.max() < 0.1


@pytest.mark.parametrize(
    "name",
    ["bd/kick/bd_haus", "bd/kick/bd_zum", "drum/kick/drum_bass_soft", "elec/tom/elec_fuzz_tom"],
)
def test_a_recorded_kick_or_tom_is_mostly_tones(name, repository):
    path = repository / f"audio/one-shots/{name}.flac"
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    x = torch.from_numpy(samples[:, :1].T.copy())
    tones = separate(x, SETTINGS.at_rate(rate)).tones
    assert (x - tones).square().sum() < 0.2 * x.square().sum()


def test_an_attack_is_no_glide():
    # The first tone turns by half a cycle at most until the click is over.
    hz = 54.7
    partials = ((1.0, 0.35, 0.8, 1.0), (1.6, 0.33, 0.2, 3.6), (2.3, 0.45, 0.1, 2.4))
    x = sum(tone(hz * ratio, t60, level, phase) for ratio, t60, level, phase in partials)
    x = x * (time() / 0.001).clamp(max=1)
    click = 0.3 * noise(32) * torch.exp(-time() / 0.0006) * (time() < 0.003)
    parts = take_apart(x + click + 0.01 * noise(132) * 10 ** (-3 * time() / 0.2))
    found = parts.modal[0, 0, parts.modal[0, 1].any(-1)].double() * RATE / (2 * math.pi)
    assert (found.amax(1) < 1.1 * found.amin(1)).all()
    assert sdr(parts.tones[0], x) > 20


def test_partials_near_each_other_stay_apart():
    x = tone(400, 1.0) + tone(412, 1.0, phase=1.0)
    parts = take_apart(x)
    assert sdr(parts.tones[0], x) > 30
    assert {400, 412} <= set(frequencies(parts).round().tolist())


@pytest.mark.parametrize(
    ("octaves", "seconds"), [(1.5, 0.03), (0.3, 0.08), (-0.3, 0.05), (1.0, 0.3)]
)
def test_a_glide_is_followed_by_one_mode(octaves, seconds):
    t = time()
    depth = 2**octaves - 1
    psi = t + depth * seconds * (1 - torch.exp(-t / seconds))
    x = 0.5 * 10 ** (-3 * t / 0.8) * torch.sin(2 * math.pi * 60 * psi)
    parts = take_apart(x)
    assert sdr(parts.tones[0], x) > 30
    energy = parts.modal[0, 1].square().sum(-1)
    assert energy[0] > 0.8 * energy.sum()
    true = 60 * (1 + depth * torch.exp(-t / seconds))
    found = parts.modal[0, 0, 0].double() * RATE / (2 * math.pi)
    at = ((torch.arange(len(found)) + 0.5) * len(x) / len(found)).long()
    heard = slice(5, 300)
    torch.testing.assert_close(found[heard], true[at][heard], rtol=0.02, atol=0)


@pytest.mark.parametrize("hz", [90, 154, 260])
@pytest.mark.parametrize(("octaves", "seconds"), [(1.0, 0.11), (0.78, 0.17), (-0.4, 0.1)])
def test_a_long_glide_of_several_partials_is_followed(hz, octaves, seconds):
    # It turns the first partial by ten cycles and more.
    t = time()
    psi = t + (2**octaves - 1) * seconds * (1 - torch.exp(-t / seconds))
    partials = ((1.0, 0.35, 0.8), (1.5, 0.12, 0.56), (2.0, 0.03, 0.4))
    x = sum(
        level * 10 ** (-3 * t / t60) * torch.sin(2 * math.pi * hz * ratio * psi + 0.4)
        for ratio, level, t60 in partials
    )
    parts = take_apart(x + 0.003 * noise(hz) * 10 ** (-3 * t / 0.3))
    assert sdr(parts.tones[0], x) > 20


def test_a_click_is_the_transient_and_no_tone():
    t = time()
    body = tone(180, 0.4)
    click = torch.from_numpy(np.random.default_rng(0).standard_normal(len(t))).diff(
        prepend=torch.zeros(1)
    )
    click = 0.4 * click * torch.exp(-t / 0.001)
    hiss = 0.02 * noise(1) * 10 ** (-3 * t / 0.4)
    parts = take_apart(body + click + hiss)
    assert sdr(parts.transient[0], click) > 5
    assert parts.transient[0, int(0.05 * RATE) :].abs().max() == 0
    assert sdr(parts.noise[0], hiss) > 0
    assert sdr(parts.tones[0], body) > 19


def test_parts_add_up_to_the_recording():
    x = tone(180, 0.4) + 0.1 * noise(3) * 10 ** (-3 * time() / 0.3)
    parts = take_apart(x)
    total = parts.tones + parts.transient + parts.noise
    torch.testing.assert_close(total[0], x.float(), atol=1e-6, rtol=0)


def test_nothing_sounds_before_the_onset():
    lead = torch.zeros(4000, dtype=torch.float64)
    x = torch.cat([lead, tone(180, 0.4, phase=1.5)])
    parts = take_apart(x)
    assert parts.tones[0, : 4000 - 3 * 64].abs().max() == 0
    assert parts.transient[0, : 4000 - 600].abs().max() < 1e-3
    assert sdr(parts.tones[0], x) > 19


def test_a_tone_ends_where_its_recording_is_cut():
    x = tone(180, 2.0)
    x[30000:] = 0
    parts = take_apart(x)
    assert parts.tones[0, 30000 + 128 :].abs().max() == 0
    assert sdr(parts.tones[0], x) > 25


def test_silence_stays_silence():
    parts = take_apart(torch.zeros(RATE, dtype=torch.float64))
    assert not any(part.any() for part in parts[:4])


@pytest.mark.parametrize("num_samples", [1, 63, 500, 5000])
def test_short_sounds_are_taken_apart(num_samples):
    parts = separate(0.1 * noise(0)[None, :num_samples].float(), SETTINGS)
    assert parts.modal.shape == (1, 3, 64, num_samples // 64 + 1)
    assert all(part.isfinite().all() for part in parts[:4])


def test_a_sound_is_the_same_beside_others():
    sounds = [
        tone(50, 0.8) + 0.01 * noise(0) * torch.exp(-time() / 0.05),
        0.2 * noise(1) * torch.exp(-time() / 0.03),
        tone(900, 0.2) + tone(1400, 0.3, 0.2),
        torch.zeros(RATE, dtype=torch.float64),
    ]
    together = take_apart(*sounds)
    for row, x in enumerate(sounds):
        alone = take_apart(x)
        difference = (together.tones[row] - alone.tones[0]).square().sum()
        assert difference <= 1e-4 * alone.tones.square().sum()


def test_the_level_of_a_recording_only_scales_its_parts():
    x = tone(180, 0.4) + 0.1 * noise(3) * 10 ** (-3 * time() / 0.3)
    loud, soft = take_apart(x), take_apart(0.1 * x)
    assert sdr(10 * soft.tones[0], loud.tones[0].double()) > 30


def test_other_sample_rates_find_the_same_frequencies():
    t = torch.arange(16000, dtype=torch.float64) / 16000
    x = 0.5 * torch.exp(-t / 0.1) * torch.sin(2 * math.pi * 440 * t)
    settings = AnalysisSettings(method="separating", hop_length=32, sample_rate=16000)
    parts = separate(x[None].float(), settings)
    assert sdr(parts.tones[0], x) > 30
    assert parts.modal[0, 0, 0, 100].item() * 16000 / 2 / math.pi == pytest.approx(440, rel=1e-3)


def test_the_analysis_of_datasets_takes_the_method_from_its_settings():
    # Without any noise, rounding decides how many modes the error of the first one is.
    x = (tone(180, 0.4) + 0.002 * noise(5) * 10 ** (-3 * time() / 0.3)).float()

    def played(modal):
        # Sums depend on the number of threads, and with them what hardly sounds.
        frequency, amplitude, phase = modal[None].unbind(1)
        return modal_synth(frequency, amplitude, len(x), phase[..., :1])[0, 0]

    modal = played(CQTModalAnalysis(SETTINGS)(x))
    assert modal.abs().max() > 0.1
    batch = CQTModalAnalysis(SETTINGS, batched=True)(torch.stack([x, x]))
    for other in (separate(x[None], SETTINGS).modal[0], batch[1]):
        torch.testing.assert_close(played(other), modal, atol=1e-3, rtol=0)


def test_the_old_word_for_plain_peaks_means_the_same():
    assert AnalysisSettings(fit=False) == AnalysisSettings(method="plain")
    assert AnalysisSettings().method == "coverage"


@pytest.mark.parametrize("wrong", [{"method": "best"}, {"method": "separating", "fit": False}])
def test_settings_that_contradict_are_refused(wrong):
    with pytest.raises(UsageError):
        AnalysisSettings(**wrong)


def test_noise_comes_back_with_its_levels():
    t = time()
    levels = noise_levels((noise(0) * torch.exp(-t / 0.2)).float()[None], RATE)
    made = noise_of_levels(levels, RATE, RATE, torch.Generator().manual_seed(1))
    again = noise_levels(made, RATE)
    loud = levels > 1e-3
    difference = 20 * (again / levels).log10()[loud]
    assert difference.mean().abs() < 1
    assert difference.abs().median() < 2


@pytest.mark.parametrize("hz", [50, 440, 5000])
def test_a_steady_tone_is_one_mode_without_noise_or_transient(hz):
    x = 0.5 * torch.sin(2 * math.pi * hz * time())
    parts = take_apart(x)
    assert sdr(parts.tones[0], x) > 50
    assert parts.onsets.tolist() == [[pytest.approx(0, abs=1e-3)]]
    level = parts.modal[0, 1].amax(-1)
    assert (level > 0.03 * level.max()).sum() == 1


def test_an_impulse_is_only_a_transient():
    x = torch.zeros(RATE, dtype=torch.float64)
    x[1000] = 1
    parts = take_apart(x)
    assert not parts.modal.any()
    torch.testing.assert_close(parts.transient[0], x.float(), atol=1e-4, rtol=0)


def test_an_offset_is_no_tone_and_disturbs_none():
    x = tone(200, 0.8)
    parts = take_apart(0.1 + x)
    assert sdr(parts.tones[0], x) > 30
    assert not take_apart(torch.full((RATE,), 0.5, dtype=torch.float64)).modal.any()


def test_a_shift_in_time_shifts_the_parts():
    x = tone(180, 0.4) + 0.05 * noise(3) * 10 ** (-3 * time() / 0.3)
    shift = 1000
    later = take_apart(torch.cat([torch.zeros(shift), x])[: len(x)])
    first = take_apart(x)
    assert sdr(later.tones[0, shift:], first.tones[0, :-shift].double()) > 25
    assert later.onsets[0, 0] - first.onsets[0, 0] == pytest.approx(shift / RATE, abs=1e-6)


def test_the_same_recording_gives_the_same_parts():
    x = tone(180, 0.4) + 0.05 * noise(3) * 10 ** (-3 * time() / 0.3)
    for one, other in zip(take_apart(x), take_apart(x)):
        assert torch.equal(one, other)


@pytest.mark.parametrize("rate", [8000, 96000])
def test_sources_of_low_and_high_rates_are_taken_apart(rate):
    t = torch.arange(rate, dtype=torch.float64) / rate
    x = 0.5 * torch.exp(-t / 0.2) * torch.sin(2 * math.pi * 440 * t + 0.5)
    settings = AnalysisSettings(method="separating", hop_length=64, sample_rate=rate)
    assert sdr(separate(x[None].float(), settings).tones[0], x) > 45


def test_what_is_measured_can_take_part_in_training():
    parts = take_apart(tone(440, 0.7, seconds=0.25))
    amount = torch.ones(1, requires_grad=True)
    count = parts.tones.shape[1]
    played = modal_synth(parts.modal[:, 0], amount * parts.modal[:, 1], count)[:, 0]
    (played * parts.tones + amount * parts.transient * parts.noise).sum().backward()
    assert amount.grad.isfinite()
