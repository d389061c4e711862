"""The server of the page, asked as the page asks it, and as others might."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import requests
import soundfile
from pages import Visitor, read, serving_page
from small_models import drum, write_checkpoint

import drumblender
from drumblender import Changes
from drumblender.app.incoming import LARGEST_RECORDING, NAME, shorten
from drumblender.app.pages import TOKEN


@pytest.fixture(scope="module")
def voice():
    return drumblender.load(device="cpu")


@pytest.fixture(scope="module")
def kick(tmp_path_factory):
    return drum(tmp_path_factory.mktemp("drums") / "kick.wav", 150.0, channels=2)


@pytest.fixture(scope="module")
def page(voice):
    with serving_page(voice) as (address, sessions):
        yield address, sessions


@pytest.fixture
def visitor(page):
    return Visitor(page[0])


def sentence(answer, status):
    assert answer.status_code == status, answer.text
    return answer.json()["error"]


def test_a_drum_is_played_as_it_was_recorded(visitor, kick):
    told = visitor.drop(0, kick, "Kick Ä 1.wav").json()
    assert (told["name"], told["channels"], told["sample_rate"]) == ("Kick Ä 1.wav", 2, 16000)
    recorded = soundfile.read(kick, dtype="float32")[0]
    np.testing.assert_array_equal(
        read(visitor.ask("GET", "drums/0/recording.wav").content), recorded
    )
    made = visitor.make()
    np.testing.assert_allclose(visitor.samples(made["name"]), recorded, atol=1e-6)
    assert visitor.ask("GET", "session").json()["drums"]["0"]["name"] == "Kick Ä 1.wav"
    assert visitor.ask("GET", f"sounds/{made['name']}/picture/modal").json()["modes"]


def test_nothing_of_a_session_is_given_to_another(page, visitor, kick):
    visitor.drop(0, kick)
    name = visitor.make()["name"]
    other = Visitor(page[0])
    assert other.ask("GET", "session").json()["drums"] == {}
    assert "not here" in sentence(other.ask("GET", f"sounds/{name}/whole.wav"), 410)
    assert "no drum" in sentence(other.ask("GET", "drums/0/recording.wav"), 410)
    assert "no drum" in sentence(other.ask("POST", "sounds", json={"weights": [1, 0, 0, 0]}), 422)
    for token in ("", "guessed"):
        answer = visitor.ask("GET", f"sounds/{name}/whole.wav", headers={TOKEN: token})
        assert "reload" in sentence(answer, 410)


def test_a_page_that_is_closed_leaves(page, visitor):
    _, sessions = page
    token = visitor.headers[TOKEN]
    answer = requests.post(f"{page[0]}api/session/leave", data=token, timeout=60)
    assert answer.status_code == 204
    assert sessions.leaving(token)
    assert visitor.ask("GET", "session").status_code == 200
    assert not sessions.leaving(token)


BROKEN = {
    "a text.wav": (b"This is no sound.", "broken or no audio"),
    "empty.wav": (b"", "is empty"),
    "Ö ä.mp3": (b"\xff\xfb" + bytes(50), "Ö ä.mp3"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_is_no_audio_is_refused_by_its_name(visitor, name, tmp_path):
    data, why = BROKEN[name]
    (tmp_path / "file").write_bytes(data)
    said = sentence(visitor.drop(0, tmp_path / "file", name), 422)
    assert name in said
    assert why in said
    assert tempfile.gettempdir() not in said
    assert visitor.ask("GET", "session").json()["drums"] == {}


def test_a_file_that_is_cut_off_is_refused(visitor, kick, tmp_path):
    (tmp_path / "half.wav").write_bytes(kick.read_bytes()[:5000])
    assert "half.wav is truncated" in sentence(visitor.drop(0, tmp_path / "half.wav"), 422)


def test_a_file_that_is_too_long_is_refused(visitor, tmp_path):
    soundfile.write(tmp_path / "long.wav", np.zeros(21 * 8000), 8000)
    assert "long.wav is longer than 20 s" in sentence(visitor.drop(0, tmp_path / "long.wav"), 422)


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files of this process alone."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


def test_a_file_that_is_too_large_is_refused_and_kept_nowhere(visitor, temporary):
    data = (bytes(2**20) for _ in range(LARGEST_RECORDING // 2**20 + 2))
    answer = visitor.ask("PUT", "drums/0", data=data, headers={NAME: "large.wav"})
    assert "large.wav is larger than 100 MB" in sentence(answer, 413)
    assert not list(temporary.iterdir())


def test_no_file_of_a_session_stays_on_the_disk(visitor, kick, temporary):
    assert visitor.drop(0, kick).status_code == 200
    visitor.make(changes={"pitch": 1})
    visitor.ask("POST", "download", json={"recipe": {"weights": [1, 0, 0, 0]}, "stems": True})
    assert not list(temporary.iterdir())


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "sounds", b"{"),
        ("POST", "sounds", b"[" * 100_000),
        ("POST", "sounds", b""),
        ("POST", "sounds", b'{"weights": [1]}'),
        ("POST", "download", b"[]"),
        ("POST", "download", b'{"recipe": {"weights": [1, 0, 0, 0]}, "bits": 8}'),
        ("POST", "takes/1", b"{}"),
        ("POST", "sounds", b" " * (2**20 + 1)),
        ("PUT", "drums/4", b""),
        ("DELETE", "drums/9", None),
    ],
)
def test_a_request_that_does_not_fit_is_answered_with_a_sentence(visitor, method, path, body):
    answer = visitor.ask(method, path, data=body)
    assert answer.status_code in (410, 413, 422)
    assert answer.json()["error"][-1] in ".?"


def test_a_defect_is_told_and_does_not_stop_the_server(visitor, kick, monkeypatch):
    def fail(*_):
        raise ValueError("of the test")

    visitor.drop(0, kick)
    monkeypatch.setattr("drumblender.app.sessions.Session.make", fail)
    said = sentence(visitor.ask("POST", "sounds", json={"weights": [1, 0, 0, 0]}), 500)
    assert said.startswith("ValueError: of the test")
    monkeypatch.undo()
    assert visitor.make()["name"]


def test_a_preset_goes_out_and_comes_back(visitor, tmp_path):
    recipe = {"weights": [1, 0, 0, 0], "changes": {"pitch": -2}, "muted": ["noise"]}
    data = visitor.ask("POST", "preset", json=recipe).content
    (tmp_path / "preset.yaml").write_bytes(data)
    expected = {"noise_gain": -np.inf, "pitch": -2.0}
    assert Changes.read(tmp_path / "preset.yaml").as_mapping() == expected
    told = visitor.ask("PUT", "preset", data=data, headers={NAME: "preset.yaml"}).json()
    assert told == {"changes": {"pitch": -2.0}, "muted": ["noise"]}


@pytest.mark.parametrize("text", ["pitsh: 1", "pitch: 1000", "- 1", "\x00", "{"])
def test_a_preset_that_is_none_is_refused_by_its_name(visitor, text):
    answer = visitor.ask("PUT", "preset", data=text.encode(), headers={NAME: "my.yaml"})
    said = sentence(answer, 422)
    assert said.startswith("my.yaml")
    assert tempfile.gettempdir() not in said


def test_parts_go_out_and_come_back_to_be_changed_again(visitor, kick, tmp_path):
    visitor.drop(0, kick)
    recipe = {"weights": [1, 0, 0, 0], "changes": {"pitch": -2}, "muted": ["noise"]}
    (tmp_path / "x.drum").write_bytes(visitor.ask("POST", "parts", json=recipe).content)
    made = visitor.make(changes={"pitch": -2, "noise_gain": -100})
    expected = visitor.samples(made["name"])
    told = visitor.drop(1, tmp_path / "x.drum", "my kick.drum").json()
    assert (told["name"], told["channels"]) == ("my kick.drum", 2)
    opened = visitor.samples(visitor.make((0, 1, 0, 0))["name"])
    np.testing.assert_allclose(opened, expected, atol=1e-5)
    heard = read(visitor.ask("GET", "drums/1/recording.wav").content)
    np.testing.assert_array_equal(heard, opened)
    (tmp_path / "x.drum").write_bytes(b"no parts")
    said = sentence(visitor.drop(2, tmp_path / "x.drum", "my kick.drum"), 422)
    assert said.startswith("my kick.drum holds no sound that is taken apart")


def test_a_take_is_kept_and_told_how_loud_it_is(visitor, kick):
    visitor.drop(0, kick)
    name = visitor.make()["name"]
    kept = visitor.ask("POST", f"takes/{name}", json={"muted": ["modal"]}).json()
    assert kept["loudness"] < visitor.make()["loudness"]
    for pitch in range(1, 12):
        visitor.make(changes={"pitch": pitch})
    assert visitor.ask("GET", f"sounds/{name}/whole.wav").status_code == 200
    assert visitor.ask("DELETE", f"takes/{name}").status_code == 204


def test_only_files_of_the_page_are_served(page):
    for path in ("../pages.py", "..%2fpages.py", "%2e%2e/pages.py", "/etc/passwd"):
        assert requests.get(f"{page[0]}static/{path}", timeout=60).status_code == 404


def test_the_page_loads_nothing_from_elsewhere(page):
    static = Path(drumblender.__file__).parent / "app" / "static"
    for path in static.iterdir():
        answer = requests.get(f"{page[0]}static/{path.name}", timeout=60)
        assert answer.content == path.read_bytes()
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "//" not in text.replace("// ", "").replace("*//", ""), path
    kind = requests.get(f"{page[0]}static/main.js", timeout=60).headers["content-type"]
    assert "javascript" in kind


@pytest.mark.slow
def test_a_trained_model_works_as_well(tmp_path, repository, kick):
    checkpoint = write_checkpoint(tmp_path, repository, "T(m) + n")
    with serving_page(drumblender.load(checkpoint, device="cpu")) as (address, _):
        visitor = Visitor(address)
        visitor.drop(0, kick)
        made = visitor.make(changes={"pitch": 2, "attack": 0.5}, seed=3)
        assert made["parts"] == ["modal", "noise", "transient"]
        assert made["channels"] == 2
        assert visitor.samples(made["name"]).any()
    checkpoint = write_checkpoint(tmp_path / "modal", repository, "m")
    with serving_page(drumblender.load(checkpoint, device="cpu")) as (address, _):
        about = requests.get(f"{address}api/about", timeout=60).json()
        assert about["parts"] == ["modal"]
        assert "attack" not in json.dumps(about["controls"])


def test_drums_that_are_given_are_there_in_every_session(voice, kick):
    given = [voice.decompose(kick, seed=0)]
    with serving_page(voice, given) as (address, _):
        for _ in range(2):
            assert Visitor(address).make()["channels"] == 2


def test_a_server_that_others_reach_asks_for_its_password(voice):
    with serving_page(voice, host="0.0.0.0", password="sesame") as (address, _):
        assert requests.get(address, timeout=60).status_code == 401
        assert requests.get(address, auth=("", "open"), timeout=60).status_code == 401
        assert requests.get(address, auth=("", "sesame"), timeout=60).status_code == 200


def test_names_of_files_are_short_and_without_folders():
    assert shorten("C:\\kits\\snare.wav") == "snare.wav"
    assert shorten("a\x00b\n.wav") == "ab.wav"
    assert len(shorten("x" * 500 + ".wav")) <= 100
    assert shorten("x" * 500 + ".wav").endswith(".wav")
