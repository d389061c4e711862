import json
import multiprocessing
import os
import pickle
import warnings

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from drumblender.commands.dataset import main
from drumblender.data import AudioDataModule, AudioDataset, AudioWithParametersDataset, packed
from drumblender.data.packed import PACKED_FILE
from drumblender.errors import DrumblenderError

RATE, NUM_SAMPLES = 8000, 4000


@pytest.fixture
def published(tmp_path, write_sound):
    """A dataset as others have them, of all kinds of WAV files and numbers of modes."""
    metadata = {}
    for index in range(9):
        subtype = ("PCM_16", "PCM_24", "FLOAT")[index % 3]
        write_sound(tmp_path / f"{index}.wav", 100.0 + index, subtype=subtype)
        generator = torch.Generator().manual_seed(index)
        parameters = torch.randn(3, 3 + index % 2, 41, generator=generator)
        torch.save(parameters, tmp_path / f"{index}.pt")
        item = {"type": "acoustic", "sample_pack_key": f"pack {index}", "instrument": "kick"}
        metadata[f"sound {index}"] = {
            **item,
            "filename": f"{index}.wav",
            "feature_file": f"{index}.pt",
        }
    (tmp_path / "meta.json").write_text(json.dumps(metadata))
    return tmp_path


def open_dataset(folder, dataset=AudioWithParametersDataset, **options):
    return dataset(folder, "meta.json", RATE, NUM_SAMPLES, **options)


def pack(folder):
    return packed.write(open_dataset(folder), {})


def same(a, b):
    return all(torch.equal(x, y) and x.dtype == y.dtype for x, y in zip(a, b))


def test_a_pack_holds_the_exact_values_of_the_files(published):
    files = open_dataset(published)
    assert files.packed is None
    pack(published)
    dataset = open_dataset(published)
    assert dataset.packed is not None
    for index in range(9):
        assert same(dataset[index], files[index])


def test_splits_audio_alone_and_a_number_of_modes_come_from_the_pack(published):
    cases = (
        {"split": "train", "seed": 3},
        {"dataset": AudioDataset},
        {"expected_num_modes": 5},
    )
    before = [open_dataset(published, **options) for options in cases]
    pack(published)
    for files, options in zip(before, cases):
        dataset = open_dataset(published, **options)
        assert dataset.packed is not None
        assert dataset.keys == files.keys
        for index in range(len(files)):
            assert same([*dataset[index]], [*files[index]])


def test_other_programs_can_read_a_pack(published):
    """Its format is that of safetensors: length, JSON header, bytes."""
    path = pack(published)
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    begin, end = header["data"]["data_offsets"]
    data = np.frombuffer(content[8 + length :][begin:end], "<f4")
    audio, parameters = open_dataset(published)[0]
    assert np.array_equal(data[:NUM_SAMPLES], audio[0])
    assert np.array_equal(data[NUM_SAMPLES:][: parameters.numel()], parameters.flatten())
    spans = sorted(v["data_offsets"] for k, v in header.items() if k != "__metadata__")
    assert [a for a, _ in spans] == [0, *(b for _, b in spans[:-1])]
    assert spans[-1][1] == len(content) - 8 - length


def test_changing_an_item_changes_no_other_epoch(published):
    pack(published)
    dataset = open_dataset(published)
    expected = dataset[2][0].clone()
    dataset[2][0].mul_(0)
    assert torch.equal(dataset[2][0], expected)


def change_audio(folder):
    data = bytearray((folder / "4.wav").read_bytes())
    data[-10] ^= 1
    (folder / "4.wav").write_bytes(data)


def add_a_sound(folder):
    metadata = json.loads((folder / "meta.json").read_text())
    metadata["sound 9"] = metadata["sound 0"]
    (folder / "meta.json").write_text(json.dumps(metadata))


def swap_files(folder):
    metadata = json.loads((folder / "meta.json").read_text())
    for field in ("filename", "feature_file"):
        a, b = metadata["sound 0"], metadata["sound 2"]
        a[field], b[field] = b[field], a[field]
    (folder / "meta.json").write_text(json.dumps(metadata))


def cut(folder):
    os.truncate(folder / PACKED_FILE, 50000)


def overwrite_header(folder):
    with (folder / PACKED_FILE).open("r+b") as file:
        file.write(b"x" * 100)


def change_header(name, field, value):
    def change(folder):
        content = (folder / PACKED_FILE).read_bytes()
        header = json.loads(content[8:4096])
        header[name][field] = value
        text = json.dumps(header).encode().ljust(4088)
        (folder / PACKED_FILE).write_bytes(content[:8] + text + content[4096:])

    return change


def overwrite_index(folder):
    content = (folder / PACKED_FILE).read_bytes()
    begin = json.loads(content[8:4096])["begin"]["data_offsets"]
    damaged = bytearray(content)
    damaged[4096 + begin[0] : 4096 + begin[1]] = b"\x7f" * (begin[1] - begin[0])
    (folder / PACKED_FILE).write_bytes(damaged)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (overwrite_index, "it is broken"),
        (change_header("begin", "dtype", "X"), "it is broken"),
        (change_header("begin", "shape", [1 << 60]), "it is broken"),
        (change_header("names", "shape", [-1]), "it is broken"),
        (change_header("stamp", "shape", {}), "it is broken"),
        (change_header("shape", "data_offsets", [0]), "it is broken"),
        (change_header("__metadata__", "fields", "["), "it is broken"),
        (change_audio, r"4\.wav has changed since"),
        (add_a_sound, "the metadata of sound 9 is newer"),
        (swap_files, "the metadata of sound 0 is newer"),
        (cut, "it is cut"),
        (overwrite_header, "it is broken"),
        (lambda folder: (folder / PACKED_FILE).write_bytes(b""), "it is broken"),
    ],
)
def test_an_outdated_pack_is_not_used_and_the_warning_says_why(published, change, reason):
    pack(published)
    change(published)
    with pytest.warns(UserWarning, match=rf"packed.* is not used, because .*{reason}.* --pack"):
        dataset = open_dataset(published)
    assert dataset.packed is None
    assert dataset[0][0].shape == (1, NUM_SAMPLES)

    if change is not add_a_sound:
        pack(published)
        assert open_dataset(published).packed is not None


def test_an_unused_pack_of_another_rate_leaves_the_error_to_the_files(published):
    pack(published)
    with (
        pytest.warns(UserWarning, match="has sample_rate 8000"),
        pytest.raises(DrumblenderError, match=r"0\.wav has sample_rate 8000 .* says 44100"),
    ):
        AudioDataset(published, "meta.json", 44100, NUM_SAMPLES)


def test_new_labels_do_not_outdate_a_pack(published):
    pack(published)
    metadata = json.loads((published / "meta.json").read_text())
    metadata["sound 0"]["instrument"] = "snare"
    (published / "meta.json").write_text(json.dumps(metadata))
    assert open_dataset(published, instruments=["snare"]).packed is not None


def test_files_that_were_packed_may_go(published):
    expected = open_dataset(published)[7]
    pack(published)
    for path in (*published.glob("*.wav"), *published.glob("*.pt")):
        path.unlink()
    assert same(open_dataset(published)[7], expected)


def test_damaged_data_is_found_by_verifying(published):
    path = pack(published)
    assert packed.verify(open_dataset(published)) == []
    with path.open("r+b") as file:
        file.seek(4096 + 4 * 1000)
        file.write(b"\x12")
    assert packed.verify(open_dataset(published)) == [
        f"{path} is damaged where sound 0 is; {packed._REMEDY}."
    ]


def test_a_pack_that_is_cut_while_in_use_is_an_error_not_a_crash(published):
    path = pack(published)
    dataset = open_dataset(published)
    os.truncate(path, 10000)
    with pytest.raises(DrumblenderError, match="was cut while in use"):
        dataset[8]


def test_a_broken_file_is_named_and_leaves_no_pack(published):
    dataset = open_dataset(published)
    (published / "5.pt").write_bytes(b"")
    with pytest.raises(DrumblenderError, match=r"5\.pt is missing or broken"):
        packed.write(dataset, {})
    assert not list(published.glob("packed*"))


def test_a_stop_leaves_the_pack_that_was_there(published, monkeypatch):
    path = pack(published)
    before = path.read_bytes()
    dataset = open_dataset(published)
    load = AudioWithParametersDataset.load

    def interrupt(self, index, field):
        if index == 5:
            raise KeyboardInterrupt
        return load(self, index, field)

    monkeypatch.setattr(AudioWithParametersDataset, "load", interrupt)
    with pytest.raises(KeyboardInterrupt):
        packed.write(dataset, {})
    assert path.read_bytes() == before
    assert [p.name for p in published.glob("packed*")] == [PACKED_FILE]


def test_what_a_killed_run_left_does_no_harm(published):
    (published / f"{PACKED_FILE}.tmp").write_bytes(b"half" * 100000)
    expected = open_dataset(published)[0]
    pack(published)
    assert same(open_dataset(published)[0], expected)
    assert [p.name for p in published.glob("packed*")] == [PACKED_FILE]


def test_a_file_that_is_not_what_was_made_is_refused(published):
    dataset = open_dataset(published)
    with pytest.raises(DrumblenderError, match=r"3\.wav has changed since it was made"):
        packed.write(dataset, {"3.wav": (8044, 1)})


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_loading_processes_read_the_same(published, method):
    expected = [open_dataset(published)[i] for i in range(9)]
    pack(published)
    dataset = open_dataset(published, expected_num_modes=4)
    loader = DataLoader(dataset, num_workers=2, multiprocessing_context=method)
    for (audio, parameters), (x, p) in zip(loader, expected):
        assert torch.equal(audio[0], x)
        assert torch.equal(parameters[0, :, : p.shape[1]], p)


def test_forked_processes_do_not_disturb_each_other(published):
    pack(published)
    dataset = open_dataset(published)
    expected = [dataset[i] for i in range(9)]
    context = multiprocessing.get_context("fork")
    processes = []
    for _ in range(3):
        process = context.Process(target=_check_many_times, args=(dataset, expected))
        process.start()
        processes.append(process)
    _check_many_times(dataset, expected)
    for process in processes:
        process.join()
        assert process.exitcode == 0


def _check_many_times(dataset, expected):
    for i in np.random.default_rng(os.getpid()).integers(0, 9, 300):
        assert same(dataset[i], expected[i])


def test_a_pack_that_was_replaced_is_not_read_by_new_processes(published):
    pack(published)
    content = pickle.dumps(open_dataset(published))
    assert same(pickle.loads(content)[3], open_dataset(published)[3])
    change_audio(published)
    pack(published)
    with pytest.raises(DrumblenderError, match="was replaced while in use"):
        pickle.loads(content)[3]


def test_the_command_packs_verifies_and_does_nothing_twice(project, capsys):
    project.fill(packs=2, sounds=3)

    assert main([str(project.config), "--pack"]) == 0  # makes the dataset first
    output = capsys.readouterr().out
    assert "packed.safetensors: 6 sounds" in output
    path = project.data_dir / PACKED_FILE
    before = path.stat()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert main([str(project.config), "--pack", "--verify"]) == 0
    assert "holds the dataset as it is" in capsys.readouterr().out
    assert path.stat().st_mtime_ns == before.st_mtime_ns


def test_an_updated_dataset_is_packed_again(project, capsys):
    project.fill(packs=2, sounds=3)
    main([str(project.config), "--pack"])
    project.write_sound(project.folder / "raw" / "pack 9" / "snare.wav")

    assert main([str(project.config), "--preprocess", "--pack"]) == 0

    assert "packed.safetensors: 7 sounds" in capsys.readouterr().out


def test_features_measured_again_outdate_the_pack(project, capsys):
    project.fill(packs=1, sounds=3)
    main([str(project.config), "--pack"])
    project.configure(num_modes=4)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert main([str(project.config), "--preprocess_features"]) == 0
    assert main([str(project.config), "--verify"]) == 1
    assert "packed.safetensors is of no use" in capsys.readouterr().err
    assert main([str(project.config), "--pack", "--verify"]) == 0


def test_a_damaged_dataset_is_not_packed(project, capsys):
    project.fill(packs=1, sounds=3)
    main([str(project.config)])
    change = sorted(project.data_dir.glob("audio/*.wav"))[1]
    data = bytearray(change.read_bytes())
    data[-1] ^= 1
    change.write_bytes(data)

    assert main([str(project.config), "--pack"]) == 1

    assert "has changed since it was made" in capsys.readouterr().err
    assert not (project.data_dir / PACKED_FILE).exists()


def test_an_archive_does_not_hold_everything_twice(project):
    import tarfile

    project.fill(packs=1, sounds=3)
    assert main([str(project.config), "--pack", "--archive", "drums.tar.gz"]) == 0
    with tarfile.open("drums.tar.gz") as archive:
        assert not [name for name in archive.getnames() if PACKED_FILE in name]


@pytest.mark.parametrize(
    ("is_packed", "on_gpu", "cores", "workers"),
    [(False, False, 64, 8), (True, True, 64, 4), (True, True, 2, 2), (True, False, 64, 0)],
)
def test_loading_processes_follow_machine_and_pack(
    published, monkeypatch, is_packed, on_gpu, cores, workers
):
    if is_packed:
        pack(published)

    class Long(AudioDataset):
        def __len__(self):
            return 10000

    monkeypatch.setattr("torch.cuda.is_available", lambda: on_gpu)
    monkeypatch.setattr("drumblender.data.loading.available_cores", lambda: cores)
    data = AudioDataModule(str(published), "meta.json", RATE, NUM_SAMPLES, dataset_class=Long)
    data.setup("fit")
    loader = data.val_dataloader()
    assert loader.num_workers == workers
    assert loader.persistent_workers == (workers > 0)
    assert loader.pin_memory == on_gpu
