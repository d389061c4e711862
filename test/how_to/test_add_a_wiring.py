import numpy as np
import pytest
import soundfile


def stems_of(reader, checkpoint, source):
    reader.run("synth", checkpoint, source, "out.wav", "--stems", "stems", "--bits", 32)
    stems = {path.stem: soundfile.read(path)[0] for path in (reader.folder / "stems").iterdir()}
    whole = soundfile.read(reader.folder / "out.wav")[0]
    np.testing.assert_allclose(sum(stems.values()), whole, atol=1e-6)
    return stems


@pytest.fixture
def source(library):
    return library / "raw/pack0/kick_0.wav"


def test_the_wiring_of_the_page_trains_and_limits_the_transient(
    reader, experiment, library, source
):
    reader = reader("add-a-wiring")
    checkpoint = reader.train("attack_only.yaml", experiment, library)
    stems = stems_of(reader, checkpoint, source)
    assert set(stems) == {"modal", "noise", "transient"}
    rate = soundfile.info(source).samplerate
    begin = np.flatnonzero(np.abs(stems["modal"]) > 1e-4)[0]
    end = begin + 2400  # samples of the model, whose rate is that of the file
    assert rate == 16000
    assert np.abs(stems["transient"][:end]).max() > 0
    assert not stems["transient"][end + 512 :].any()


def test_the_part_of_the_page_trains_and_is_played_beside_the_others(
    reader, experiment, library, source
):
    reader = reader("add-a-wiring")
    checkpoint = reader.train("room.yaml", experiment, library)
    stems = stems_of(reader, checkpoint, source)
    assert set(stems) == {"modal", "noise", "room"}
    assert np.abs(stems["room"]).max() > 0
