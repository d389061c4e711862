"""The benchmark: two tiny runs by its command, and its parts alone."""

import csv
import itertools
import json
import math
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from comparison import measure, page, rows, tables, training

from drumblender.commands.train import main as drumblender
from drumblender.config import load_config
from drumblender.errors import UsageError

pd = pytest.importorskip("pandas")
SCRIPT = Path(__file__).parents[2] / "scripts" / "benchmark.py"
METRICS = {
    "mss": {"class_path": "drumblender.metrics.MultiResolutionSTFTError"},
    "lsd": {
        "class_path": "drumblender.metrics.LogSpectralDistance",
        "init_args": {"n_fft": 256},
    },
    "onset": {"class_path": "drumblender.metrics.SpectralFluxOnsetError"},
}


@pytest.fixture
def tiny(project):
    """Six packs of two sounds each, a configuration that learns a gain per mode, and metrics."""
    project.configure(
        num_samples=8000, sample_rate=16000, dataset_kwargs={"split_strategy": "listed"}
    )
    packs = {}
    names = ["snare", "kick", "tom", "cymbals"]
    for index, split in enumerate(("train", "train", "val", "test", "test", "test")):
        for number in range(2):
            path = project.folder / "raw" / f"pack {index}" / f"{names[(index + number) % 4]}.wav"
            project.write_sound(path, 90.0 + 40 * index + 17 * number, rate=16000)
        kind = ("acoustic", "electronic")[index % 2]
        packs[f"pack {index}"] = {"type": kind, "split": split, "folders": [f"pack {index}"]}
    (project.folder / "raw" / "meta.json").write_text(json.dumps(packs))
    config = {
        "trainer": {"max_steps": 50},
        "model": {
            "class_path": "drumblender.tasks.DrumBlender",
            "init_args": {
                "modal_synth": {"class_path": "drumblender.synths.ModalSynth"},
                "loss_fn": {"class_path": "torch.nn.L1Loss"},
                "modal_autoencoder": {
                    "class_path": "drumblender.models.encoders.ModalAmpParameters",
                    "init_args": {"num_modes": 8},
                },
            },
        },
        "optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.01}},
    }
    (project.folder / "gains.yaml").write_text(yaml.safe_dump(config))
    (project.folder / "metrics.yaml").write_text(yaml.safe_dump(METRICS))
    return project


def arguments(output, *more):
    return ["gains.yaml", "--data", "data.yaml", "--metrics", "metrics.yaml", "--models", "none",
            "--output", output, *more]  # fmt: skip


def run(folder, *more):
    command = [sys.executable, str(SCRIPT), *arguments(*more)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_two_runs_agree_and_all_that_they_write_is_there(tiny):
    random = ["measured parts, noise drawn again", "gains"]  # those that draw anything
    for output, more in (("one", []), ("two", ["--no_page", "--only", *random])):
        done = run(tiny.folder, output, "--steps", "3", *more)
        assert done.returncode == 0, done.stderr

    one, two = (read(tiny.folder / output / "results.csv") for output in ("one", "two"))
    assert list(one[0]) == list(tables.COLUMNS)
    drawn = [{**line, "seconds": ""} for line in one if line["configuration"] in random]
    assert drawn == [{**line, "seconds": ""} for line in two]
    named = {line["configuration"] for line in one}
    assert named == {
        "silence", "sinusoids, plain", "sinusoids, coverage", "sinusoids, separating",
        "measured parts, noise drawn again", "measured voice", "gains",
    }  # fmt: skip
    assert len(one) == len(named) * 6 * len(METRICS)
    values = {(x["configuration"], x["item"], x["metric"]): float(x["value"]) for x in one}
    assert max(v for (name, _, _), v in values.items() if name == "measured voice") < 1e-2
    trained = [line for line in one if line["configuration"] == "gains"]
    assert {(line["budget"], line["steps"]) for line in trained} == {("short", "3")}
    assert {line["pack"] for line in one} == {"pack 3", "pack 4", "pack 5"}

    text = (tiny.folder / "one" / "tables.md").read_text()
    assert re.search(r"gains \[SHORT: 3 steps, 0 min\]", text)
    assert "\\toprule" in (tiny.folder / "one" / "types.tex").read_text()
    html = (tiny.folder / "one" / "index.html").read_text()
    files = re.findall(r'src="([^"]+)"', html)
    assert len(files) > 6 * 2 * len(named)
    for file in files:
        assert (tiny.folder / "one" / file).is_file(), file
    assert not re.search(r"https?://", html)


@pytest.mark.slow
def test_figures_are_those_of_drumblender_test(tiny):
    done = run(tiny.folder, "out", "--only", "sinusoids, coverage", "--no_page")
    assert done.returncode == 0, done.stderr
    lines = read(tiny.folder / "out" / "results.csv")
    values = {(line["item"], line["metric"]): float(line["value"]) for line in lines}

    config = tiny.folder / "plain.yaml"
    model = {"modal_synth": {"class_path": "drumblender.synths.ModalSynth"}}
    model.update(loss_fn={"class_path": "torch.nn.L1Loss"}, test_metrics=METRICS)
    config.write_text(
        yaml.safe_dump(
            {"model": {"class_path": "drumblender.tasks.DrumBlender", "init_args": model}}
        )
    )
    where = ["--trainer.logger", "false", "--trainer.default_root_dir", "tested"]
    assert drumblender(["test", "-c", str(config), "--data", "data.yaml", *where]) == 0
    for line in read(tiny.folder / "tested" / "metrics.csv"):
        for metric in METRICS:
            own = values[line["key"], metric]
            assert own == pytest.approx(float(line[metric]), rel=1e-4)


@pytest.mark.slow
def test_a_training_that_is_stopped_goes_on_and_nothing_is_done_twice(tiny):
    command = [sys.executable, str(SCRIPT), *arguments("out", "--only", "gains", "--no_page")]
    process = subprocess.Popen(
        command, cwd=tiny.folder, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True
    )
    for piece in iter(lambda: process.stdout.read(1), ""):
        if piece == "%":  # of the progress bar of the first epoch
            break
    process.send_signal(signal.SIGINT)
    process.communicate()
    stopped = process.returncode

    done = run(tiny.folder, "out", "--only", "gains", "--no_page")
    again = run(tiny.folder, "out", "--only", "gains", "--no_page")

    assert stopped in (0, 130)  # it may have been through before
    assert done.returncode == again.returncode == 0, done.stderr + again.stderr
    folder = tiny.folder / "out" / "rows" / "gains-0"
    assert json.loads((folder / training.RESULT).read_text())["steps"] == 50
    assert {line["budget"] for line in read(tiny.folder / "out" / "results.csv")} == {"full"}
    assert len(measure.read(folder)) == 6
    assert "Epoch" not in again.stderr + again.stdout


@pytest.mark.slow
def test_other_settings_in_the_same_folder_are_refused(tiny):
    assert run(tiny.folder, "out", "--only", "silence", "--no_page").returncode == 0

    (tiny.folder / "metrics.yaml").write_text(yaml.safe_dump({"mss": METRICS["mss"]}))
    done = run(tiny.folder, "out", "--only", "silence", "--no_page")

    assert done.returncode == 2
    assert "was made with other settings; choose another --output" in done.stderr


def test_measuring_goes_on_behind_the_sounds_of_the_journal(tiny, tmp_path):
    data = load_config("data.yaml")
    module = rows.datamodule(data)
    module.prepare_data()
    row = rows.Row("silence", "silence", data)
    played = []

    def play(dataset, index, seed):
        played.append(dataset.keys[index])
        return {"silence": torch.zeros(dataset.num_samples)}

    keys = module.dataset("test").keys
    line = json.dumps({"item": keys[0], "values": {}}) + "\n"
    (tmp_path / measure.JOURNAL).write_text(line + '{"item": "half')

    measure.measure(row, play, {}, tmp_path, 0, {})
    measure.measure(row, play, {}, tmp_path, 0, {})

    assert played == keys[1:]
    assert [entry["item"] for entry in measure.read(tmp_path)] == keys


def test_a_checkpoint_that_a_kill_left_half_written_is_passed_over(tmp_path):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    torch.save({"state_dict": {}}, folder / "running.ckpt")
    whole = (folder / "running.ckpt").read_bytes()
    (folder / "last.ckpt").write_bytes(whole[: len(whole) // 2])

    assert training.newest(tmp_path) == folder / "running.ckpt"


@pytest.mark.parametrize(
    ("own", "budget", "steps", "seconds", "expected"),
    [
        ({"max_steps": 100}, training.Budget(steps=10), 10, 5, "short"),
        ({"max_steps": 100}, training.Budget(steps=200), 100, 5, "full"),
        ({}, training.Budget(steps=10), 10, 5, "short"),
        ({}, training.Budget(steps=10), 7, 5, "full"),  # it stopped early by itself
        ({"max_time": "00:01:00:00"}, training.Budget(minutes=5), 50, 300, "short"),
        ({"max_time": "00:00:05:00"}, training.Budget(minutes=5), 50, 300, "full"),
        ({"max_steps": 100}, training.Budget(), 100, 5, "full"),
    ],
)
def test_a_budget_that_ended_a_training_is_short(own, budget, steps, seconds, expected):
    row = rows.Row("a", "trained", {}, {"trainer": own})

    assert training._is_cut(row, budget, steps, seconds) == expected


def test_the_sounds_are_those_of_the_benchmark_and_the_rest_is_of_the_configuration():
    benchmark = {"class_path": "A", "init_args": {"data_dir": "d", "meta_file": "m"}}
    own = {"class_path": "A", "init_args": {"data_dir": "x", "batch_size": 3, "source": "y"}}

    kept = rows.data_of(benchmark, own)["init_args"]
    other = rows.data_of(benchmark, own, "separating")["init_args"]

    assert kept == {"data_dir": "d", "meta_file": "m", "batch_size": 3}
    assert other["data_dir"] == "d_separating"
    assert (other["method"], other["hop_length"]) == ("separating", 64)
    assert benchmark["init_args"] == {"data_dir": "d", "meta_file": "m"}


def test_analyses_with_other_settings_have_datasets_of_their_own():
    benchmark = {"class_path": "A", "init_args": {"data_dir": "d"}}
    folders = {
        rows.data_of(benchmark, {"init_args": {"num_modes": modes}}, method)["init_args"][
            "data_dir"
        ]
        for modes, method in itertools.product((64, 32), ("plain", "coverage"))
    }

    assert len(folders) == 4


def test_an_interval_is_that_of_a_bootstrap_over_packs():
    rng = np.random.default_rng(1)
    packs = [f"{i}" for i in range(8) for _ in range(i + 2)]
    values = [int(pack) + rng.standard_normal() for pack in packs]
    means = []
    for _ in range(4000):
        drawn = rng.integers(0, 8, 8)
        chosen = [[v for p, v in zip(packs, values) if p == str(i)] for i in drawn]
        means.append(np.mean(np.concatenate(chosen)))

    low, high = tables.interval(packs, values)

    assert low == pytest.approx(np.quantile(means, 0.025), abs=0.25)
    assert high == pytest.approx(np.quantile(means, 0.975), abs=0.25)
    assert low < np.mean(values) < high


def test_an_interval_of_equal_packs_has_no_width_and_few_packs_have_none():
    assert tables.interval(list("aabbcc"), [1, 3, 1, 3, 1, 3]) == (2, 2)
    assert tables.interval(list("aab"), [1, 2, 3]) is None


def entries(name, values, budget="none"):
    for index, value in enumerate(values):
        yield {
            "item": f"i{index}", "pack": f"p{index}", "type": "acoustic", "instrument": "hihat",
            "configuration": name, "seed": 0, "commit": "c", "device": "cpu", "steps": 7,
            "seconds": 120.0, "budget": budget,
            "values": {"mss": value, "lsd": 1.0, "onset": 1.0},
        }  # fmt: skip


def test_a_table_has_means_and_counts_hihats_among_cymbals(tmp_path):
    table = tables.tidy([*entries("a", [1, 2, 6]), *entries("b_c", [0, 0, 0], "short")])

    heading, lines = tables.lines_of(table, "instrument", tables.INSTRUMENTS)
    text = tables.write_tables(table, tmp_path)

    assert heading[:5] == [
        "",
        "MSS, kick (0)",
        "MSS, snare (0)",
        "MSS, tom (0)",
        "MSS, cymbals (3)",
    ]
    assert lines[0][1] == "-"
    assert re.fullmatch(r"3 \(1 to 6\)", lines[0][4])
    assert lines[1][0] == "b_c [SHORT: 7 steps, 2 min]"
    assert "SHORT were trained for a small part" in text
    assert r"b\_c" in (tmp_path / "types.tex").read_text()
    frame = pd.read_csv(tmp_path / "r.csv") if tables.write_csv(table, tmp_path / "r.csv") else None
    assert frame is None
    assert len(pd.read_csv(tmp_path / "r.csv")) == 18


def test_rows_that_are_unknown_or_twice_are_refused():
    row = rows.Row("a", "silence", {})
    with pytest.raises(UsageError, match="is no row; there are a"):
        rows.checked([row], ["b"])
    with pytest.raises(UsageError, match="Two rows are called 'a'"):
        rows.checked([row, row], None)


def test_the_sounds_to_listen_to_are_twenty_of_the_test_split(repository):
    listed = json.loads((repository / "cfg/data/benchmark.json").read_text("utf-8"))
    names = page.CHOSEN.read_text().split()
    stems = {
        re.sub(r"[^A-Za-z0-9]+", "_", Path(entry["path"]).stem).strip("_")[:40]
        for pack in listed.values()
        if pack["split"] == "test"
        for entry in pack["folders"]
    }

    assert len(set(names)) == len(names) == 20
    assert {name.split("-")[1] for name in names} <= stems


@pytest.mark.parametrize("peak", [0.5, 2.0])
def test_a_sound_is_written_as_it_is_up_to_full_scale(tmp_path, peak):
    page._audio(tmp_path / "a.flac", torch.tensor([0.0, peak, -0.25]), 8000)

    written, rate = soundfile.read(tmp_path / "a.flac")
    assert rate == 8000
    assert written == pytest.approx([0, min(peak, 1), -0.25], abs=2e-7)
    assert math.isclose(abs(written).max(), min(peak, 1), abs_tol=2e-7)
