"""The reader of .drum files in JavaScript, in a real browser: it plays what Drumblender plays."""

import base64
import functools
import http.server
import json
import shutil

import numpy as np
import pytest
from serving import serving
from small_models import drum, write_checkpoint

import drumblender
from drumblender.signal.auditory import noise_levels

pytest.importorskip("selenium")
from browser import PATIENCE_S, chromium, needs_browser
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

pytestmark = [needs_browser, pytest.mark.slow]

LOWEST = -80  # dB below the peak
PLAYED = """
const [file, changes, levels, done] = arguments;
const encode = (x) => {
  let text = "";
  for (const byte of new Uint8Array(x.buffer, x.byteOffset, x.byteLength))
    text += String.fromCharCode(byte);
  return btoa(text);
};
(async () => {
  const { Drum } = await import("./drum.js");
  const drum = (await Drum.load(file)).with(changes);
  const stems = Object.entries(drum.stems()).map(([name, rows]) => [name, rows.map(encode)]);
  const context = new OfflineAudioContext(drum.channels, drum.length, drum.sampleRate);
  drum.play(context, levels);
  const heard = await context.startRendering();
  const channels = [...Array(drum.channels).keys()];
  return {
    stems: Object.fromEntries(stems),
    whole: drum.render(levels).map(encode),
    heard: channels.map((c) => encode(heard.getChannelData(c))),
  };
})().then(done, (error) => done({ error: error.message }));
"""


@pytest.fixture(scope="module")
def voice():
    return drumblender.load(device="cpu")


@pytest.fixture(scope="module")
def folder(repository, tmp_path_factory):
    """The player, as the site has it."""
    site = tmp_path_factory.mktemp("site")
    shutil.copytree(repository / "docs/player", site / "player")
    (site / "images").mkdir()
    shutil.copy(repository / "docs/images/logo.svg", site / "images")
    return site / "player"


@pytest.fixture(scope="module")
def address(folder):
    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    with serving(functools.partial(Handler, directory=folder.parent)) as address:
        yield f"{address}/player/index.html"


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("downloads")) as driver:
        yield driver


@pytest.fixture
def page(driver, address):
    driver.get(address)
    wait(driver, "document.body.dataset.ready === ''")
    yield driver
    entries = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked = [e["params"]["request"]["url"] for e in entries if "request" in e["params"]]
    own = address.replace("player/index.html", "")
    assert [url for url in asked if not url.startswith((own, "data:", "blob:"))] == []
    assert [e["message"] for e in driver.get_log("browser") if e["level"] == "SEVERE"] == []


def wait(driver, condition):
    return WebDriverWait(driver, PATIENCE_S, 0.05).until(
        lambda _: driver.execute_script(f"return {condition}"), condition
    )


def played(page, folder, sound, changes=None, levels=None):
    """What the browser makes of a sound: its stems, its sum, and what WebAudio plays of it."""
    name = f"{len(list(folder.iterdir()))}.drum"  # a file of the same name might be in its cache
    sound.save(folder / name)
    made = page.execute_async_script(PLAYED, name, changes or {}, levels or {})
    assert "error" not in made, made

    def decoded(rows):
        return np.stack([np.frombuffer(base64.b64decode(row), np.float32) for row in rows], 1)

    stems = {name: decoded(rows) for name, rows in made["stems"].items()}
    whole, heard = decoded(made["whole"]), decoded(made["heard"])
    assert level(heard, whole) < -120
    return stems, whole


def columns(samples):
    return samples.reshape(len(samples), -1)


def level(samples, expected):
    """The largest difference beside the peak, in dB."""
    return 20 * np.log10(np.abs(samples - columns(expected)).max() / np.abs(expected).max() + 1e-9)


@pytest.mark.parametrize(
    "name", ["drum/tom/drum_tom_mid_hard", "perc/percussion/perc_swash", "bd/kick/bd_fat"]
)
def test_sounds_are_what_drumblender_makes_of_them(name, page, folder, voice, repository):
    sound = voice.decompose(repository / f"audio/one-shots/{name}.flac", seed=1)
    stems, whole = played(page, folder, sound)
    assert level(whole, sound.render()) < LOWEST
    assert level(whole, sound.recording) < LOWEST
    assert level(stems["modal"], sound.stems()["modal"]) < LOWEST
    for semitones in (4, -7):
        stems, whole = played(page, folder, sound, {"pitch": semitones})
        expected = sound.with_pitch(semitones)
        assert level(stems["modal"], expected.stems()["modal"]) < LOWEST
        assert level(whole, expected.render()) < LOWEST
    stems, whole = played(page, folder, sound, {"decay": 0.5}, {"noise": 0.5, "transient": 0})
    expected = sound.with_decay(0.5)
    assert level(stems["modal"], expected.stems()["modal"]) < LOWEST
    quieter = expected.with_gain(noise=20 * np.log10(0.5), transient=-np.inf).render()
    assert level(whole, quieter) < LOWEST


def test_files_of_changed_sounds_are_played_as_changed(page, folder, voice, repository):
    path = repository / "audio/one-shots/elec/snare/elec_snare.flac"
    sound = voice.decompose(path, seed=1).with_gain(-3)
    for changed in (
        sound.with_pitch(-3, noise=True),
        sound.with_brightness(-3).with_attack(0.5),
        sound.with_decay(0.6).with_gain(noise=-2),
        sound.delayed(700),
        sound.at_rate(32000),
    ):
        expected = changed.stems(changed.timeline.sample_rate)
        stems, _ = played(page, folder, changed)
        for name, stem in expected.items():
            assert level(stems[name], stem) < LOWEST


def test_noise_that_is_drawn_has_the_levels_that_it_shall_have(page, folder, voice, repository):
    path = repository / "audio/one-shots/drum/snare/drum_snare_hard.flac"
    sound = voice.decompose(path, seed=1)
    stems, _ = played(page, folder, sound, {"decay": 1.6})
    expected = sound.with_decay(1.6)
    # All parts begin with one gain, which the drawn noise changes a little.
    assert level(stems["modal"], expected.stems()["modal"]) < -50
    made, wanted = (
        noise_levels(expected.parts["modal"].new_tensor(x.reshape(1, -1)), 44100, 8, smooth=8)
        for x in (stems["noise"], expected.stems()["noise"])
    )
    middle = slice(20, 100)  # before the end, where both are nearly silent
    decibels = 20 * (made / wanted)[0, 1:, middle].log10()
    assert decibels.abs().max() < 3
    assert decibels.mean().abs() < 0.3


def test_strokes_of_a_loop_stay_where_they_are(page, folder, voice):
    time = np.arange(16000) / 16000
    hits = [0.05, 0.4, 0.7]
    loop = sum(np.where(time >= t, np.exp(-(time - t).clip(0) / 0.05), 0) for t in hits)
    sound = voice.decompose(0.3 * loop * np.sin(2500 * time), 16000)
    assert len(sound.timeline.onsets) == 3
    stems, whole = played(page, folder, sound, {"decay": 0.7, "pitch": 2})
    expected = sound.with_pitch(2).with_decay(0.7)
    # Half a digit of a frequency in single precision is a phase of 2e-4 after these 16 000 samples,
    # and both interpolate frequencies in time.
    assert level(stems["modal"], expected.stems()["modal"]) < LOWEST + 10
    assert level(whole, expected.render()) < -45  # between strokes, a little noise is drawn


def test_of_a_sound_of_a_model_only_the_sinusoids_are_played(page, folder, repository, tmp_path):
    checkpoint = write_checkpoint(tmp_path, repository, "m + n + T(m)")
    model = drumblender.load(checkpoint, device="cpu")
    sound = model.decompose(drum(tmp_path / "x.wav"), seed=1)
    sound.save(folder / "model.drum")
    made = page.execute_async_script(PLAYED, "model.drum", {}, {})
    assert list(made["stems"]) == ["modal"]
    choose(page, folder / "model.drum")
    wait(page, "document.getElementById('facts').textContent.includes('noise and transient need')")


def choose(page, path):
    page.find_element(By.ID, "file").send_keys(str(path))


def move(page, control, value):
    page.execute_script(
        "const input = document.getElementById(arguments[0]); input.value = arguments[1];"
        "for (const kind of ['input', 'change']) input.dispatchEvent(new Event(kind));",
        control,
        value,
    )


def test_the_page_plays_its_example_and_files_of_the_person(page, folder, voice, tmp_path):
    assert page.find_element(By.ID, "name").text == "drum_tom_mid_hard.flac"
    assert "0.73 s, 44100 Hz, mono" in page.find_element(By.ID, "facts").text
    drawn = "return document.getElementById('waveform').toDataURL()"
    before = page.execute_script(drawn)
    page.find_element(By.ID, "play").click()
    for control, value, shown in (
        ("modal", -40, "mute"),
        ("noise", 6, "+6 dB"),
        ("pitch", -5, "\N{MINUS SIGN}5 st"),
        ("decay", 1, "\N{MULTIPLICATION SIGN} 2.00"),
    ):
        move(page, control, value)
        output = f"document.querySelector('#{control} + output').textContent"
        wait(page, f"{output} === '{shown}'")
        assert page.execute_script(drawn) != before, control
    page.find_element(By.ID, "reset").click()
    assert page.execute_script(drawn) == before
    voice.decompose(drum(tmp_path / "low.wav"), seed=0).save(tmp_path / "low.drum")
    choose(page, tmp_path / "low.drum")
    wait(page, "document.getElementById('name').textContent === 'low.wav'")
    assert page.execute_script(drawn) != before
    content = (tmp_path / "low.drum").read_bytes()
    for data, said in (
        (b"no parts", "This file holds no sound that is taken apart; choose a .drum file."),
        (content[:-1000], "This file is damaged; save it again."),
        (content.replace(b'\\"format\\": 1', b'\\"format\\": 2'), "This file is of a newer form"),
        (content.replace(b"described", b"desgribed"), "This sound is too long to be played here"),
        (content.replace(b"noise.waveform", b"noise.wayeform"), "This file is damaged"),
        (content.replace(b"F32", b"I32"), "This file is damaged"),
    ):
        (tmp_path / "bad.drum").write_bytes(data)
        choose(page, tmp_path / "bad.drum")
        wait(page, f"document.getElementById('problem').textContent.includes('{said}')")
    choose(page, tmp_path / "low.drum")
    wait(page, "document.getElementById('problem').hidden")
