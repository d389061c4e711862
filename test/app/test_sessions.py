import numpy as np
import pytest
from small_models import drum

import drumblender
from drumblender.app import sessions as module
from drumblender.app.recipe import Recipe
from drumblender.app.sessions import IDLE_S, LEAVING_S, Gone, Session, Sessions
from drumblender.errors import DrumblenderError


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    path = drum(tmp_path_factory.mktemp("drums") / "drum.wav")
    return drumblender.load(device="cpu").decompose(path, seed=0)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def recipe(pitch=0.0, **more):
    return Recipe.of({"weights": [1, 0, 0, 0], "changes": {"pitch": pitch}, **more})


def test_a_session_is_found_by_its_token_alone():
    sessions = Sessions()
    tokens = {sessions.open() for _ in range(20)}
    assert len(tokens) == 20
    assert min(map(len, tokens)) >= 32
    with pytest.raises(Gone):
        sessions.find("guessed")


def test_drums_of_one_session_are_not_in_another(sound):
    sessions = Sessions()
    one, other = sessions.find(sessions.open()), sessions.find(sessions.open())
    one.put(0, sound)
    assert other.drums == {}


def test_an_idle_session_is_removed_and_one_in_use_is_not(clock):
    sessions = Sessions(clock=clock)
    used, idle = sessions.open(), sessions.open()
    clock.now += IDLE_S - 1
    sessions.find(used)
    clock.now += 2
    assert sessions.remove_idle() == [idle]
    assert sessions.find(used)
    with pytest.raises(Gone, match="idle"):
        sessions.find(idle)


def test_a_session_that_is_left_is_removed_soon_unless_its_page_comes_back(clock):
    sessions = Sessions(clock=clock)
    left, reloaded = sessions.open(), sessions.open()
    for token in (left, reloaded, "unknown"):
        sessions.leave(token)
    sessions.find(reloaded)
    clock.now += LEAVING_S
    assert sessions.remove_idle() == [left]


def test_there_are_no_more_sessions_than_memory_allows(clock):
    sessions = Sessions(clock=clock)
    for _ in range(module.MOST):
        sessions.open()
    with pytest.raises(DrumblenderError, match="close one"):
        sessions.open()
    clock.now += IDLE_S
    assert sessions.open()
    assert len(sessions) == 1


def test_a_sound_is_made_once_and_muting_makes_no_other(sound):
    session = Session([sound])
    name, result = session.make(recipe(2))
    assert session.make(recipe(2, muted=["noise"])) == (name, result)
    assert session.make(recipe(3))[0] != name


def test_another_drum_in_the_same_slot_makes_another_sound(sound):
    session = Session([sound])
    name, result = session.make(recipe())
    session.put(0, sound.with_gain(-6))
    other_name, other = session.make(recipe())
    assert other_name != name
    np.testing.assert_allclose(other.whole, result.whole * 10 ** (-6 / 20), atol=1e-6)


def test_old_sounds_are_forgotten_but_takes_are_not(sound, monkeypatch):
    monkeypatch.setattr(module, "_RESULTS", 3)
    session = Session([sound])
    kept, _ = session.make(recipe())
    session.keep(kept)
    names = [session.make(recipe(pitch))[0] for pitch in range(1, 6)]
    assert session.result(kept)
    assert session.result(names[-1])
    with pytest.raises(Gone, match="not here any more"):
        session.result(names[0])
    session.drop(kept)
    session.make(recipe(7))
    with pytest.raises(Gone):
        session.result(kept)


def test_takes_end_where_memory_ends(sound, monkeypatch):
    session = Session([sound])
    first, result = session.make(recipe(1))
    monkeypatch.setattr(module, "_BYTES", 1.5 * result.size)
    session.keep(first)
    second, _ = session.make(recipe(2))
    with pytest.raises(DrumblenderError, match="remove others"):
        session.keep(second)
    session.drop(first)
    session.keep(second)
