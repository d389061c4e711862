"""The package needs nothing that Windows lacks: commands run without it (see windows.py)."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DATASET, SYNTH = "drumblender.commands.dataset", "drumblender.commands.synth"


@pytest.mark.slow
def test_windows_can_import_preprocess_train_and_play(library, experiment, tmp_path):
    shutil.copytree(library / "raw", tmp_path / "raw")
    for path in (library / "data.yaml", experiment):
        text = path.read_text().replace(str(library), str(tmp_path))
        (tmp_path / path.name).write_text(text)
    trained = ["experiment.yaml", "logs/**/last.ckpt"]
    commands = [
        [DATASET, ["data.yaml", "--preprocess", "--num_workers", "1"]],
        [DATASET, ["data.yaml", "--pack", "--verify", "--archive", "d.tar.gz"]],
        [
            "drumblender.commands.train",
            ["fit", "-c", "experiment.yaml", "--trainer.max_steps", "1", "--debug"],
        ],
        [SYNTH, [*trained, "raw/pack0/kick_0.wav", "out.wav"]],
        [SYNTH, [*trained, "raw", "out", "--pitch", "2", "--stems", "stems"]],
    ]

    result = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("windows.py")), json.dumps(commands)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert result.returncode == 0, result.stdout + result.stderr
    assert len(list((tmp_path / "dataset" / "audio").glob("*.pt"))) == 10
    assert (tmp_path / "out.wav").stat().st_size > 4096
    assert len(list((tmp_path / "out").rglob("*.wav"))) == 10
    assert not list(tmp_path.rglob("*.lock"))
    assert not list(tmp_path.glob(".drumblender*"))
