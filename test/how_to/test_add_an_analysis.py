import json

import numpy as np
import pytest
import soundfile

from drumblender.data.reader import load_features


@pytest.fixture
def bell(tmp_path):
    """Three decaying tones, two of them closer than a short spectrum resolves."""
    time = np.arange(24000) / 48000
    tones = ((440, 0.8, 0.5), (451, 0.5, 0.2), (1234, 0.4, 0.1))
    x = sum(a * 10 ** (-3 * time / t60) * np.sin(2 * np.pi * hz * time) for hz, t60, a in tones)
    soundfile.write(tmp_path / "bell.wav", x, 48000, subtype="FLOAT")
    return tmp_path / "bell.wav"


def test_the_analysis_of_the_page_finds_the_modes_of_a_bell(reader, bell):
    reader = reader("add-an-analysis")
    printed = reader.run("analyze", bell, "--method", "esprit.Esprit", "--num_modes", 16)
    assert "451.0 Hz" in printed
    modes = np.load(reader.folder / "modes/bell_modes.npz")
    loudest = modes["amplitude"].max(1).argsort()[::-1][:3]
    np.testing.assert_allclose(np.sort(modes["frequency"][loudest, 0]), [440, 451, 1234], rtol=1e-4)
    first, later = modes["amplitude"][modes["frequency"][:, 0].round() == 1234, [10, 40]]
    elapsed = modes["time"][40] - modes["time"][10]
    assert 20 * np.log10(later / first) == pytest.approx(-60 * elapsed / 0.4, rel=0.01)
    modal, _ = soundfile.read(reader.folder / "modes/bell_modal.wav")
    source, _ = soundfile.read(bell)
    assert np.square(modal - source).sum() < 0.03 * np.square(source).sum()


def test_the_analysis_of_the_page_makes_datasets_that_train_and_sounds(
    reader, library, experiment, bell
):
    reader = reader("add-an-analysis")
    reader.configure("esprit.yaml", library)
    output = reader.run("dataset", "esprit.yaml", "--preprocess", "--num_workers", 1)
    assert "10 done" in output
    stored = json.loads((reader.folder / "dataset/esprit/drumblender.json").read_text())
    assert stored["analysis"]["method"] == "esprit.Esprit"
    assert stored["analysis"]["method_kwargs"] == {"highest": 3000}
    assert stored["analysis_version"] == 1
    (kick,) = (reader.folder / "dataset/esprit/audio").glob("*kick_3*.pt")
    modes = load_features(kick)
    assert modes[0, 0, 0].item() == pytest.approx(2 * np.pi * 180 / 16000, rel=0.01)

    code = (reader.folder / "esprit.py").read_text()
    (reader.folder / "esprit.py").unlink()
    checkpoint = reader.train_on("esprit.yaml", experiment)
    said = reader.run("synth", checkpoint, bell, "out.wav", code=2)
    assert "there is no module esprit" in said
    (reader.folder / "esprit.py").write_text(code)
    reader.run("synth", checkpoint, bell, "out.wav")
    assert soundfile.read(reader.folder / "out.wav")[0].any()

    (reader.folder / "esprit.py").write_text(code.replace("version = 1", "version = 2"))
    said = reader.run("dataset", "esprit.yaml", "--preprocess", "--num_workers", 1, code=2)
    assert "by version 1 of the modal analysis and this is version 2" in said
    reader.run("dataset", "esprit.yaml", "--preprocess_features", "--num_workers", 1)
    output = reader.run("dataset", "esprit.yaml", "--preprocess", "--num_workers", 1)
    assert "10 reused" in output
    assert "10 sounds" in reader.run("dataset", "esprit.yaml", "--verify")


def test_processes_find_the_class_in_the_working_directory(reader, library):
    reader = reader("add-an-analysis")
    reader.configure("esprit.yaml", library)
    raw = reader.folder / "raw"
    for number in range(70):
        (raw / str(number)).mkdir(parents=True)
        (raw / f"{number}/kick.wav").write_bytes(
            (library / f"raw/pack{number % 5}/kick_{number % 10}.wav").read_bytes()
        )
    config = reader.folder / "esprit.yaml"
    config.write_text(config.read_text().replace(str(library / "raw"), str(raw)))
    assert "70 done" in reader.run("dataset", "esprit.yaml", "--preprocess", "--num_workers", 2)
