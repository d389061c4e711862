"""The page in a real browser: what a person does is heard in the audio that the page serves."""

import base64
import math
import zipfile

import numpy as np
import pytest
import soundfile
from pages import serving_page

import drumblender
from drumblender import Changes
from drumblender.app.sessions import LEAVING_S
from drumblender.signal import loudness_of
from drumblender.sound.controls import CONTROLS

pytest.importorskip("selenium")
from browser import PATIENCE_S, Keys, Person, chromium, needs_browser

pytestmark = [needs_browser, pytest.mark.slow]

# Short ones, of one and two channels. The first has all parts.
DRUMS = (
    "elec/snare/elec_snare.flac",
    "bd/kick/bd_fat.flac",
    "elec/cymbals/elec_bell.flac",
    "elec/tom/elec_fuzz_tom.flac",
)


@pytest.fixture(scope="module")
def voice():
    return drumblender.load(device="cpu")


@pytest.fixture(scope="module")
def paths(repository):
    return [repository / "audio/one-shots" / name for name in DRUMS]


@pytest.fixture(scope="module")
def sounds(voice, paths):
    return [voice.decompose(path, seed=0) for path in paths]


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def page(voice):
    with serving_page(voice) as (address, sessions):
        yield address, sessions


@pytest.fixture(scope="module")
def driver(downloads):
    with chromium(downloads) as driver:
        yield driver


@pytest.fixture
def person(driver, page, downloads):
    """Somebody new on the page. Whatever they do, nothing is asked of any other host."""
    address, _ = page
    # Of the same origin as the page, and quick to load.
    driver.get(f"{address}static/logo.svg")
    driver.execute_script("sessionStorage.clear()")
    driver.get_log("browser")
    person = Person(driver, address)
    yield person
    own = (address, "data:", f"blob:{address}")
    asked = person.addresses()
    assert asked
    assert [url for url in asked if not url.startswith(own)] == []
    severe = [e["message"] for e in driver.get_log("browser") if e["level"] == "SEVERE"]
    # A refused file is an answer that the browser notes, too.
    assert [message for message in severe if "status of 4" not in message] == []
    for path in downloads.iterdir():
        path.unlink()


def by_hand(sound, **changes):
    """The stems of a sound with other values of controls, as Python makes them."""
    return Changes.of(changes).apply(sound.with_seed(1), 1).stems()


def assert_same(stems, expected):
    assert set(stems) == set(expected)
    for name, samples in expected.items():
        np.testing.assert_allclose(stems[name], samples, atol=2e-6, err_msg=name)


def test_a_drum_is_shown_with_its_modes_and_sounds_as_recorded(person, paths, sounds):
    assert person.find("#empty").is_displayed()
    assert not person.find("#play-all").is_enabled()
    person.choose_drums(paths[0])
    assert not person.find("#empty").is_displayed()
    recorded = sounds[0].recording[:, 0]
    np.testing.assert_allclose(person.samples(), recorded, atol=2e-6)
    assert_same(person.stems(), sounds[0].stems())
    assert person.text(".card.filled .name") == "elec_snare"
    count = "return new Set(document.getElementById(arguments[0]).getContext('2d')"
    count += ".getImageData(40, 0, 300, 60).data).size"
    with_modes = person.run(count, "spectrogram")
    assert with_modes > 50
    assert person.run(count, "waveform") > 3
    picture = "return document.getElementById('spectrogram').toDataURL()"
    before = person.run(picture)
    person.click("#show-modes")
    assert person.run(picture) != before
    for view in ("modal", "noise", "transient"):
        person.find(f"#views input[value={view}] + span").click()
        person.wait(f"document.getElementById('spectrogram').dataset.view === '{view}'")


def spectrum(x):
    return np.abs(np.fft.rfft(x, 2 * len(x)))


def peak_hz(x, rate):
    return spectrum(x).argmax() * rate / (2 * len(x))


def centroid_hz(x, rate):
    power = np.square(spectrum(x))
    return (np.arange(len(power)) * power).sum() / power.sum() * rate / (2 * len(x))


def length_of(x):
    """Samples from the peak of the energy to where it has decayed by 20 dB."""
    energy = np.convolve(np.square(x), np.ones(400) / 400, "same")
    peak = energy.argmax()
    return np.flatnonzero(energy[peak:] > energy.max() / 100)[-1]


def level(x):
    return 10 * math.log10(np.square(x).sum())


def band(x, rate, low, high):
    frequencies = np.arange(len(x) + 1) * rate / (2 * len(x))
    inside = (frequencies >= low) & (frequencies < high)
    return 10 * math.log10(np.square(spectrum(x)[inside]).sum())


def is_louder(part, decibels):
    """A check that a part changes its level, and that others do not."""

    def check(before, after, rate):
        assert level(after[part]) - level(before[part]) == pytest.approx(decibels, abs=0.01)
        for other in set(before) - {part}:
            np.testing.assert_allclose(after[other], before[other], atol=2e-6)

    return check


def has_other_pitch(before, after, rate):
    ratio = peak_hz(after["modal"], rate) / peak_hz(before["modal"], rate)
    assert 12 * math.log2(ratio) == pytest.approx(7, abs=0.3)


def has_other_decay(before, after, rate):
    for part in ("modal", "noise"):
        assert length_of(after[part]) / length_of(before[part]) == pytest.approx(2, rel=0.3), part


def is_brighter(before, after, rate):
    def tilt(x):
        return band(x, rate, 3800, 4200) - band(x, rate, 237.5, 262.5)

    whole = [sum(stems.values()) for stems in (before, after)]
    assert tilt(whole[1]) - tilt(whole[0]) == pytest.approx(4 * 3, abs=0.5)


def is_a_variation(before, after, rate):
    shorter = min(len(stems["modal"]) for stems in (before, after))
    one, other = (stems["modal"][:shorter] for stems in (before, after))
    difference = level(other - one) - level(one)
    assert -60 < difference < 0


CHECKS = {
    "modal_gain": ("-6", is_louder("modal", -6)),
    "noise_gain": ("-12", is_louder("noise", -12)),
    "transient_gain": ("3.5", is_louder("transient", 3.5)),
    "pitch": ("7", has_other_pitch),
    "decay": ("2", has_other_decay),
    "brightness": ("3", is_brighter),
    "attack": ("2", is_louder("transient", 20 * math.log10(2))),
    "humanize": ("1", is_a_variation),
}


def test_every_control_moves_what_it_says_and_goes_back(person, paths, sounds):
    assert set(CHECKS) == {control.name for control in CONTROLS}
    person.find("#play-changes").click()
    person.choose_drums(paths[0])
    recorded, rate = person.stems(), sounds[0].sample_rate
    before, changes = recorded, {}
    for name, (value, check) in CHECKS.items():
        person.set(name, value)
        after = person.stems()
        check(before, after, rate)
        changes[name] = float(value)
        assert_same(after, by_hand(sounds[0], **changes))
        before = after
    del changes["pitch"]
    person.click(".slider:has([data-control=pitch]) button[aria-label^=Reset]")
    assert_same(person.stems(), by_hand(sounds[0], **changes))
    person.click("#reset-all")
    assert_same(person.stems(), recorded)


def test_switches_and_the_dice_do_what_they_say(person, paths, sounds):
    person.choose_drums(paths[0])
    person.set("pitch", "12")
    without = centroid_hz(person.samples("noise"), sounds[0].sample_rate)
    person.click("[data-switch=pitch_noise]")
    moved = centroid_hz(person.samples("noise"), sounds[0].sample_rate)
    assert moved > 1.2 * without
    assert_same(person.stems(), by_hand(sounds[0], pitch=12, pitch_noise=True))
    person.click("#reset-all")
    person.set("humanize", "1")
    one = person.samples()
    person.click("button[aria-label='Draw humanize anew']")
    other = person.samples()
    shorter = min(len(one), len(other))
    assert np.abs(one[:shorter] - other[:shorter]).max() > 1e-3


def test_a_slider_moves_by_keys_and_a_value_out_of_range_is_refused(person, paths, sounds):
    person.choose_drums(paths[0])
    person.press(*[Keys.ARROW_RIGHT] * 3, on="[data-control=pitch]")
    assert person.value("pitch") == "0.3"
    assert_same(person.stems(), by_hand(sounds[0], pitch=0.3))
    person.press(Keys.HOME, on="[data-control=decay]")
    assert float(person.value("decay")) == pytest.approx(0.1, rel=0.02)
    person.set("pitch", "1000")
    assert "pitch is 1000; give semitones from -96 to 96" in person.wait_for_error()
    assert person.value("pitch") == "0.3"
    person.press(Keys.CONTROL, "z")
    assert person.value("decay") == "1"
    person.press(Keys.CONTROL, Keys.SHIFT, "z")
    assert float(person.value("decay")) == pytest.approx(0.1, rel=0.02)


def test_two_drums_are_morphed_and_four_are_blended_on_the_pad(person, paths, sounds):
    person.choose_drums(paths[0])
    assert not person.find_all(".morph")
    person.choose_drums(paths[1])
    expected = drumblender.mix(sounds[:2], [0.5, 0.5]).with_seed(1)
    assert_same(person.stems(), expected.stems())
    person.press(*[Keys.ARROW_RIGHT] * 10, on=".morph input")
    assert person.text(".corner-b .weight") == "60 %"
    expected = drumblender.mix(sounds[:2], [0.4, 0.6]).with_seed(1)
    assert_same(person.stems(), expected.stems())
    person.choose_drums(*paths[2:])
    assert not person.find_all(".morph")
    assert [person.text(f".corner-{x} .weight") for x in "abcd"] == ["25 %"] * 4
    person.press(Keys.SHIFT, Keys.ARROW_RIGHT, on="#pad")
    person.press(Keys.ARROW_UP, on="#pad")
    x, y = 0.6, 0.48
    weights = [(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y]
    shown = [person.text(f".corner-{letter} .weight") for letter in "abcd"]
    assert shown == [f"{100 * weight:.0f} %" for weight in weights]
    assert_same(person.stems(), drumblender.mix(sounds, weights).with_seed(1).stems())
    assert "elec_fuzz_tom.flac 29 %" in person.find("#pad").get_attribute("aria-valuetext")
    person.press(Keys.SHIFT, *[Keys.ARROW_DOWN] * 6, *[Keys.ARROW_LEFT] * 7, on="#pad")
    assert_same(person.stems(), sounds[2].stems())
    person.click("button[aria-label='Remove drum C']")
    assert len(person.find_all(".card.filled")) == 3
    person.press(Keys.HOME, on="#pad")
    expected = drumblender.mix([sounds[0], sounds[1], sounds[3]], [1, 1, 1]).with_seed(1)
    assert_same(person.stems(), expected.stems())


def test_a_part_is_taken_from_another_drum(person, paths, sounds):
    person.choose_drums(*paths[:2])
    person.run("document.querySelector('.morph input').focus()")
    person.press(Keys.HOME, on=".morph input")
    person.select("[data-from=noise]", "B")
    assert_same(person.stems(), sounds[0].with_noise(sounds[1]).with_seed(1).stems())
    person.select("[data-from=noise]", "the blend")
    assert_same(person.stems(), sounds[0].stems())


def saved(downloads, ending):
    """Wait until the browser has saved a file; gives it."""
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(downloads, PATIENCE_S, 0.05).until(
        lambda folder: next(folder.glob(f"*{ending}"), None)
    )


def test_what_is_heard_is_saved(person, paths, sounds, downloads, voice):
    person.choose_drums(paths[0])
    person.set("pitch", "-5")
    person.click("button[aria-label='Mute noise']")
    expected = by_hand(sounds[0], pitch=-5)
    heard = expected["modal"] + expected["transient"]
    person.click("#save-sound")
    samples, rate = soundfile.read(saved(downloads, "elec_snare.wav"))
    assert rate == sounds[0].sample_rate
    gain = max(1, np.abs(heard).max())
    np.testing.assert_allclose(samples, heard / gain, atol=1e-6)
    person.click("#save-stems")
    with zipfile.ZipFile(saved(downloads, ".zip")) as archive:
        names = {"sound.wav", "modal.wav", "transient.wav", "preset.yaml"}
        assert set(archive.namelist()) == names
    person.click("#save-parts")
    opened = voice.open(saved(downloads, "elec_snare.drum")).stems()
    assert not opened.pop("noise").any()
    assert_same(opened, {name: expected[name] for name in opened})
    person.click("#save-preset")
    preset = saved(downloads, ".yaml")
    assert Changes.read(preset).as_mapping() == {"noise_gain": -math.inf, "pitch": -5.0}
    person.click("#reset-all")
    assert person.value("pitch") == "0"
    person.find("#choose-preset").send_keys(str(preset))
    person.wait("document.querySelector('.mute[aria-label=\"Mute noise\"]').ariaPressed === 'true'")
    person.wait_for_sound()
    assert person.value("pitch") == "\N{MINUS SIGN}5"
    assert_same(person.stems(), expected)


def test_takes_are_compared_at_equal_loudness(person, paths, sounds):
    person.choose_drums(paths[0])
    person.press("t")
    person.wait("document.querySelectorAll('.take').length === 2")
    person.set("modal_gain", "-20")
    person.click("#keep")
    person.wait("document.querySelectorAll('.take').length === 3")
    louder, softer = (
        np.asarray(sum(by_hand(sounds[0], modal_gain=decibels).values())) for decibels in (0, -20)
    )
    gains = [float(row.get_attribute("data-gain")) for row in person.find_all(".take")[1:]]
    rate = sounds[0].sample_rate
    heard = [loudness_of(x * 10 ** (gain / 20), rate) for x, gain in zip((louder, softer), gains)]
    assert heard[0] == pytest.approx(heard[1], abs=0.05)
    assert loudness_of(louder, rate) > loudness_of(softer, rate) + 1
    assert max(gains) <= 0
    playing = "document.body.dataset.playing"
    person.press("l")
    person.press("x")
    first = person.wait(playing)
    person.press("x")
    person.wait(f"{playing} && {playing} !== '{first}'")
    person.find("#equal").click()
    assert {row.get_attribute("data-gain") for row in person.find_all(".take")} == {"0"}
    person.click("button[aria-label='Go back to Take 1']")
    assert person.value("modal_gain") == "0"
    person.click("button[aria-label='Remove Take 1']")
    assert len(person.find_all(".take")) == 2


def test_the_space_bar_plays_and_digits_mute(person, paths):
    person.find("#play-changes").click()
    person.choose_drums(paths[0])
    playing = "document.body.dataset.playing"
    assert not person.run(f"return {playing}")
    person.press("l")
    person.press(Keys.SPACE)
    assert person.wait(playing) == "now"
    person.press(Keys.SPACE)
    person.wait(f"{playing} === ''")
    muted = "return document.querySelector('.mute[aria-label=\"Mute noise\"]').ariaPressed"
    person.press("2")
    assert person.run(muted) == "true"
    # A button that the mouse has pressed does not take the space bar for itself.
    person.click("button[aria-label='Mute modal']")
    person.wait("document.activeElement === document.body")
    person.press(Keys.SPACE)
    assert person.wait(playing) == "now"
    person.press(Keys.SPACE, on="button[aria-label='Mute modal']")
    assert person.run(muted.replace("noise", "modal")) == "false"
    solo = "return document.querySelector('.solo[aria-label=\"Solo transient\"]').ariaPressed"
    person.press(Keys.SHIFT + "3")
    assert person.run(solo) == "true"
    person.press("?")
    person.wait("document.getElementById('keys-dialog').open")
    person.press(Keys.ESCAPE)
    person.wait("!document.getElementById('keys-dialog').open")


def test_files_that_are_no_audio_get_a_sentence_and_the_page_goes_on(person, paths, tmp_path):
    (tmp_path / "notes.wav").write_text("This is no sound.")
    (tmp_path / "empty.flac").write_bytes(b"")
    for name, why in (("notes.wav", "no audio"), ("empty.flac", "is empty")):
        person.find("#choose-drums").send_keys(str(tmp_path / name))
        person.wait(f"document.querySelector('#error span').textContent.startsWith('{name}')")
        assert why in person.wait_for_error()
        assert person.find("#empty").is_displayed()
    person.choose_drums(paths[0])
    assert not person.find("#error").is_displayed()
    assert person.samples().any()


def test_files_are_dropped_on_a_corner_and_anywhere(person, paths, sounds):
    content = [base64.b64encode(path.read_bytes()).decode() for path in paths[:2]]
    person.drop(".card[data-slot='3']", **{"on d.flac": content[0]})
    person.wait("document.querySelectorAll('.card.filled').length === 1")
    assert person.text(".corner-d .name") == "on d"
    preset = base64.b64encode(b"pitch: 2\n").decode()
    person.drop("main", **{"anywhere.flac": content[1], "my.yaml": preset})
    person.wait("document.querySelectorAll('.card.filled').length === 2")
    assert person.text(".corner-a .name") == "anywhere"
    person.wait("document.querySelector('[data-control=pitch]').value === '2'")
    person.wait_for_sound()
    expected = drumblender.mix([sounds[1], sounds[0]], [0.5, 0.5]).with_seed(1).with_pitch(2)
    assert_same(person.stems(), expected.stems())


def test_two_people_do_not_hear_each_other(person, paths, sounds, page):
    _, sessions = page
    person.choose_drums(paths[0])
    first = person.driver.current_window_handle
    person.driver.switch_to.new_window("tab")
    try:
        other = Person(person.driver, person.address)
        assert not other.find_all(".card.filled")
        other.choose_drums(paths[1])
        assert_same(other.stems(), sounds[1].stems())
        token = other.run("return sessionStorage.getItem('drumblender-token')")
        assert not sessions.leaving(token)
    finally:
        person.driver.close()
        person.driver.switch_to.window(first)
    assert_same(person.stems(), sounds[0].stems())
    person.press("2")
    # What was closed is removed without anybody's asking.
    person.wait("true")
    assert sessions.leaving(token)
    assert LEAVING_S < 60


def test_a_page_that_is_loaded_anew_goes_on(person, paths, sounds):
    person.choose_drums(*paths[:2])
    person.set("pitch", "3")
    person.press("t")
    person.wait("document.querySelectorAll('.take').length === 2")
    before = person.samples()
    person.come()
    assert len(person.find_all(".card.filled")) == 2
    assert person.value("pitch") == "3"
    np.testing.assert_array_equal(person.samples(), before)
    assert len(person.find_all(".take")) == 2
    person.come_anew()
    assert not person.find_all(".card.filled")


def test_everything_that_can_be_used_has_a_name(person, paths):
    person.choose_drums(*paths)
    person.press("t")
    person.wait("document.querySelectorAll('.take').length === 2")
    nodes = person.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    used = {"button", "slider", "checkbox", "textbox", "combobox", "radio", "image", "dialog"}
    found = [node for node in nodes if node.get("role", {}).get("value") in used]
    assert len(found) > 40
    nameless = [node for node in found if not node.get("name", {}).get("value")]
    # The logo beside the name says nothing more.
    assert [node["role"]["value"] for node in nameless if not node["ignored"]] == []


def luminance(color):
    parts = [int(part) / 255 for part in color[color.index("(") + 1 : -1].split(",")[:3]]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


COLORS = """
const box = document.createElement("div");
document.body.append(box);
const colors = ["--panel", "--sunk", "--accent-soft", "--text", "--soft", "--accent", "--on-accent"]
  .map((name) => {
    box.style.color = `var(${name})`;
    return [name, getComputedStyle(box).color];
  });
box.remove();
return Object.fromEntries(colors);
"""


def test_the_page_is_readable_in_both_themes(person):
    for theme in ("light", "dark"):
        person.set_window(1280, 900, theme=theme)
        check_contrast(person, theme)


def check_contrast(person, theme):
    light = {name: luminance(color) for name, color in person.run(COLORS).items()}
    assert (light["--panel"] > 0.5) == (theme == "light")

    def contrast(a, b):
        high, low = sorted((light[a], light[b]), reverse=True)
        return (high + 0.05) / (low + 0.05)

    pairs = [(text, ground) for text in ("--text", "--soft") for ground in ("--panel", "--sunk")]
    pairs += [("--accent", "--panel"), ("--accent", "--accent-soft"), ("--on-accent", "--accent")]
    assert {pair: contrast(*pair) for pair in pairs if contrast(*pair) < 4.5} == {}


OUTSIDE = """
return [...document.querySelectorAll("main button, main input, main select, main canvas")]
  .filter((one) => one.offsetParent && !one.matches("#views input"))
  .filter((one) => {
    const [box, panel] = [one, one.closest(".panel")].map((x) => x.getBoundingClientRect());
    return box.left < panel.left || box.right > panel.right + 1;
  })
  .map((one) => one.outerHTML.slice(0, 100));
"""


def test_nothing_lies_outside_of_the_window(person, paths):
    person.choose_drums(*paths[:2])
    person.press("t")
    person.wait("document.querySelectorAll('.take').length === 2")
    for width in (400, 800, 1120, 1280, 1920):
        person.set_window(width, 900)
        assert person.run("return document.documentElement.scrollWidth") <= width
        assert person.run(OUTSIDE) == [], width
