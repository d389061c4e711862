import numpy as np
import pytest
import soundfile


@pytest.fixture
def source(library):
    return library / "raw/pack0/kick_0.wav"


def played(reader, checkpoint, source, *options):
    """What the command writes, its stems by name, and what it says."""
    said = reader.run(
        "synth", checkpoint, source, "out.wav", "--stems", "stems", "--bits", 32, *options
    )
    stems = {path.stem: soundfile.read(path)[0] for path in (reader.folder / "stems").iterdir()}
    whole = soundfile.read(reader.folder / "out.wav")[0]
    np.testing.assert_allclose(sum(stems.values()), whole, atol=1e-6)
    return whole, stems, said


def test_the_noise_synth_of_the_page_trains_and_is_edited(reader, experiment, library, source):
    reader = reader("add-a-synth")
    checkpoint = reader.train("spectral_noise.yaml", experiment, library)
    whole, stems, said = played(reader, checkpoint, source)
    assert set(stems) == {"modal", "noise"}
    assert np.abs(stems["noise"]).max() > 0
    assert "seed" not in said
    longer, _, _ = played(reader, checkpoint, source, "--decay", 1.5)
    assert len(longer) > len(whole)
    _, _, said = played(reader, checkpoint, source, "--seed", 1)
    assert "seed" in said


def test_the_noise_synth_that_takes_a_generator_is_repeated(reader, experiment, library, source):
    reader = reader("add-a-synth")
    checkpoint = reader.train("repeatable_noise.yaml", experiment, library)
    first, _, said = played(reader, checkpoint, source, "--seed", 1)
    again, _, _ = played(reader, checkpoint, source, "--seed", 1)
    other, _, _ = played(reader, checkpoint, source, "--seed", 2)
    assert "seed" not in said
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0


def test_the_transient_synth_of_the_page_trains_and_is_played(reader, experiment, library, source):
    reader = reader("add-a-synth")
    checkpoint = reader.train("attack_filter.yaml", experiment, library)
    _, stems, _ = played(reader, checkpoint, source)
    assert set(stems) == {"modal", "noise", "transient"}
    assert np.abs(stems["transient"]).max() > 0
