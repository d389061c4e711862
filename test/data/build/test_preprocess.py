import io
import json
import queue
import shutil
import sys
import threading
import types

import numpy as np
import pytest
import soundfile
import torch

from drumblender.analysis.modal import AnalysisSettings, CQTModalAnalysis
from drumblender.data.build import recipe as recipes
from drumblender.data.build.growing import GrowingDataset
from drumblender.data.build.preprocess import preprocess, preprocess_features
from drumblender.data.build.shards import merge
from drumblender.data.build.verify import verify
from drumblender.data.reader import load_audio, load_features
from drumblender.data.settings import DatasetSettings, read_settings
from drumblender.errors import DrumblenderError, UsageError
from drumblender.files import atomic

ANALYSIS = AnalysisSettings(
    sample_rate=8000, hop_length=100, fmin=50, n_bins=48, bins_per_octave=12, num_modes=8
)
SETTINGS = DatasetSettings(8000, 4000, ANALYSIS)


def run(project, settings=SETTINGS, **options):
    raw_dir = project.folder / "raw"
    return preprocess(raw_dir, project.data_dir, "meta.json", settings, **options)


def test_every_sound_gets_audio_features_and_metadata(project):
    project.fill(packs=2, sounds=2)

    report = run(project)

    assert (report.done, report.reused, report.skipped) == (4, 0, [])
    for item in project.metadata().values():
        audio = load_audio(project.data_dir / item["filename"], 8000, 4000)
        features = load_features(project.data_dir / item["feature_file"])
        assert features.shape == (3, 8, 41)
        assert torch.equal(features, CQTModalAnalysis(ANALYSIS)(audio[0]))
        assert features[1].max() > 0.1
        assert item["type"] == "unknown"
        assert item["instrument"] == "kick"
        assert item["sample_pack_key"] in ("pack 0", "pack 1")


def test_a_dataset_without_analysis_has_audio_only(project):
    project.fill(packs=1, sounds=2)

    run(project, DatasetSettings(8000, 4000))

    assert all("feature_file" not in item for item in project.metadata().values())
    assert len(project.files()) == 2


@pytest.mark.slow
def test_any_number_of_processes_gives_the_same_bytes(project):
    project.fill(packs=4, sounds=17)
    run(project, num_workers=1)
    alone = project.files()
    shutil.rmtree(project.data_dir)

    run(project, num_workers=2)

    assert len(alone) == 2 * 68
    assert project.files() == alone


def test_bad_files_are_skipped_and_listed_with_their_reasons(project):
    project.fill(packs=1, sounds=2)
    raw = project.folder / "raw" / "pack 0"
    (raw / "empty.wav").write_bytes(b"")
    (raw / "Liesmich Größe.txt").write_text("no sound at all")
    content = (raw / "kick_0.wav").read_bytes()
    (raw / "cut.wav").write_bytes(content[:2000])
    (raw / "header.wav").write_bytes(content[:20])

    report = run(project)

    skipped = dict(report.skipped)
    assert report.done == 2
    assert sorted(skipped) == [
        f"pack 0/{name}" for name in ("Liesmich Größe.txt", "cut.wav", "empty.wav", "header.wav")
    ]
    assert skipped["pack 0/empty.wav"] == "is empty"
    assert "truncated" in skipped["pack 0/cut.wav"]
    listed = (project.data_dir / "skipped.txt").read_text(encoding="utf-8")
    assert listed == "".join(f"{name}\t{reason}\n" for name, reason in report.skipped)
    assert all(name in str(report) for name in skipped)
    assert len(project.metadata()) == 2


def test_a_folder_without_one_usable_file_leaves_no_dataset(project):
    (project.folder / "raw").mkdir()
    (project.folder / "raw" / "a.wav").write_bytes(b"")

    with pytest.raises(DrumblenderError, match=r"None of the 1 files .*a.wav is empty"):
        run(project)

    assert not project.data_dir.exists()


def test_a_second_run_reuses_what_has_not_changed(project, write_sound):
    project.fill(packs=1, sounds=4)
    run(project)
    before = project.files()
    raw = project.folder / "raw" / "pack 0"
    write_sound(raw / "kick_0.wav", 300.0, seconds=0.4)
    (raw / "kick_1.wav").unlink()
    write_sound(raw / "new.wav", 250.0)

    report = run(project)

    after = project.files()
    assert (report.done, report.reused) == (2, 2)
    assert len(after) == 8
    changed = {name for name in after if after[name] != before.get(name)}
    assert {name[:13] for name in changed} == {"pack_0-kick_0", "pack_0-new-" + name_digits(after)}
    assert not any("kick_1" in name for name in after)
    assert not list(project.folder.glob("dataset/*.*"))


def name_digits(files):
    (name,) = {name.split(".")[0] for name in files if "-new-" in name}
    return name.split("-new-")[1][:2]


def test_a_stopped_run_goes_on_and_trusts_only_whole_files(project):
    project.fill(packs=1, sounds=6)
    run(project)
    whole = project.files()
    # What a run leaves behind that was killed: the folder under its other name, a cut journal.
    partial = project.data_dir.with_name("drums.partial")
    project.data_dir.rename(partial)
    (partial / "meta.json").unlink()
    names = sorted(whole)
    (partial / "audio" / names[0]).write_bytes(whole[names[0]][:-100])
    (partial / "audio" / names[3]).write_bytes(bytes(len(whole[names[3]])))
    (partial / "audio" / names[5]).unlink()
    (partial / "audio" / (names[7] + ".tmp")).write_bytes(b"half")
    journal = partial / "journal.jsonl"
    journal.write_text(journal.read_text()[:-40])

    report = run(project)

    assert (report.done, report.reused) == (4, 2)
    assert project.files() == whole
    assert not partial.exists()


def test_a_partial_folder_without_settings_is_begun_anew(project):
    project.fill(packs=1, sounds=1)
    partial = project.data_dir.with_name("drums.partial")
    (partial / "audio").mkdir(parents=True)
    (partial / "audio" / "stray.wav").write_bytes(b"?")

    assert run(project).done == 1
    assert len(project.files()) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (DatasetSettings(16000, 4000, ANALYSIS), "sample_rate 8000 .* says sample_rate 16000"),
        (DatasetSettings(8000, 2000, ANALYSIS), "num_samples 4000 .* says num_samples 2000"),
        (
            DatasetSettings(8000, 4000, AnalysisSettings(**{**vars(ANALYSIS), "hop_length": 50})),
            "hop_length 100 .* says hop_length 50",
        ),
        (DatasetSettings(8000, 4000), "has modal features, which .* would remove"),
    ],
)
def test_a_dataset_of_other_settings_is_refused_by_name(project, settings, message):
    project.fill(packs=1, sounds=1)
    run(project)
    before = project.files()

    with pytest.raises(UsageError, match=message):
        run(project, settings)

    assert project.files() == before


FOREIGN = """
import torch
from drumblender.analysis import Analysis


class Silence(Analysis):
    version = 1

    def __init__(self, settings, frames: int = 0):
        super().__init__(settings)
        self.frames = frames

    def measure(self, audio):
        s = self.settings
        frames = self.frames or len(audio) // s.hop_length + 1
        return torch.zeros(3, s.num_modes, frames)
"""


@pytest.fixture
def by_silence(tmp_path, monkeypatch):
    """Settings of a dataset whose analysis is a class of a module in the working directory."""
    (tmp_path / "silence_of_a_test.py").write_text(FOREIGN)
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(version=1, **kwargs):
        monkeypatch.setattr("silence_of_a_test.Silence.version", version)
        method = {"method": "silence_of_a_test.Silence", "method_kwargs": kwargs}
        return DatasetSettings(8000, 4000, AnalysisSettings(**{**vars(ANALYSIS), **method}))

    return make


def test_features_of_two_versions_or_arguments_of_a_class_do_not_mix(project, by_silence):
    project.fill(packs=1, sounds=2)
    assert run(project, by_silence(frames=41)).done == 2
    assert stored(project)["analysis_version"] == 1
    assert run(project, by_silence(frames=41)).reused == 2

    with pytest.raises(UsageError, match="version 1 of the modal analysis .* this is version new"):
        run(project, by_silence("new", frames=41))
    with pytest.raises(UsageError, match="method_kwargs {'frames': 41} .* says method_kwargs None"):
        run(project, by_silence())
    with pytest.raises(UsageError, match="says method coverage, method_kwargs None"):
        run(project)

    project_features(project, by_silence("new"))
    assert (stored(project)["analysis_version"], stored(project)["analysis"]["method_kwargs"]) == (
        "new",
        None,
    )
    assert run(project, by_silence("new")).reused == 2


def project_features(project, settings):
    return preprocess_features(project.data_dir, "meta.json", settings)


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])
def test_an_analysis_that_gives_no_modes_stops_the_run_and_is_named(project, by_silence, device):
    project.fill(packs=1, sounds=3)
    with pytest.raises(DrumblenderError, match=r"Silence gives .*let it return \(3, 8, 41"):
        run(project, by_silence(frames=3), device=device)


def test_a_run_that_was_begun_with_other_settings_is_refused(project):
    project.fill(packs=1, sounds=1)
    run(project)
    project.data_dir.rename(project.data_dir.with_name("drums.partial"))

    with pytest.raises(UsageError, match=r"drums.partial was begun with num_samples 4000"):
        run(project, DatasetSettings(8000, 2000, ANALYSIS))


def test_a_dataset_inside_its_own_raw_folder_is_refused(project):
    project.fill(packs=1, sounds=1)

    with pytest.raises(UsageError, match="lies inside the raw folder"):
        preprocess(project.folder / "raw", project.folder / "raw" / "out", "meta.json", SETTINGS)


def test_a_sound_that_upsets_the_analysis_does_not_stop_the_others(project, monkeypatch):
    project.fill(packs=1, sounds=3)
    measure = CQTModalAnalysis.__call__

    def upset(self, audio):
        if not hasattr(self, "upset"):
            self.upset = True
            raise IndexError("no peaks")
        return measure(self, audio)

    monkeypatch.setattr(CQTModalAnalysis, "__call__", upset)

    report = run(project, DatasetSettings(8000, 4000, AnalysisSettings(**{**vars(ANALYSIS)})))

    assert report.done == 2
    assert [reason for _, reason in report.skipped] == ["cannot be analyzed (IndexError: no peaks)"]


def test_a_folder_that_holds_something_else_is_not_replaced(project):
    project.fill(packs=1, sounds=1)
    project.data_dir.mkdir(parents=True)
    (project.data_dir / "thesis.tex").write_text("years of work")

    with pytest.raises(UsageError, match="not made here"):
        run(project)

    assert (project.data_dir / "thesis.tex").exists()


def test_a_stop_while_a_dataset_is_replaced_loses_nothing(project):
    project.fill(packs=1, sounds=2)
    run(project)
    before = project.files()
    project.data_dir.rename(project.data_dir.with_name("drums.old"))

    report = run(project)

    assert (report.done, report.reused) == (0, 2)
    assert project.files() == before


def test_analyzing_in_batches_gives_the_same_features(project):
    project.fill(packs=1, sounds=5)
    run(project)
    one_by_one = project.files()
    shutil.rmtree(project.data_dir)

    run(project, device="cpu:0")  # any device but "cpu" works in batches

    batched = project.files()
    assert batched.keys() == one_by_one.keys()
    for item in project.metadata().values():
        name = item["feature_file"].split("/")[1]
        parameters = torch.load(io.BytesIO(batched[name]), weights_only=True)
        expected = torch.load(io.BytesIO(one_by_one[name]), weights_only=True)
        heard = expected[1] > 1e-3  # a frequency means nothing where the amplitude is zero
        torch.testing.assert_close(parameters[1], expected[1], rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(parameters[0][heard], expected[0][heard], rtol=1e-3, atol=1e-4)


def test_a_sound_that_upsets_a_batch_does_not_stop_the_others(project, monkeypatch):
    project.fill(packs=1, sounds=3)
    measure = CQTModalAnalysis.__call__

    def upset(self, audio):
        if audio.dim() == 2 and len(audio) > 1:
            raise IndexError("no peaks in one of them")
        if not hasattr(self, "upset"):
            self.upset = True
            raise IndexError("no peaks")
        return measure(self, audio)

    monkeypatch.setattr(CQTModalAnalysis, "__call__", upset)

    report = run(project, device="cpu:0")

    assert report.done == 2
    assert [reason for _, reason in report.skipped] == ["cannot be analyzed (IndexError: no peaks)"]


def test_a_device_that_fails_is_not_taken_for_bad_sounds(project, monkeypatch):
    project.fill(packs=1, sounds=3)

    def fail(self, audio):
        raise RuntimeError("illegal access")

    monkeypatch.setattr(CQTModalAnalysis, "__call__", fail)

    with pytest.raises(DrumblenderError, match=r"--device cpu:0 fails: .*illegal access.* goes on"):
        run(project, device="cpu:0")


def test_a_dataset_knows_on_what_its_features_were_measured(project, write_sound):
    project.fill(packs=1, sounds=2)
    assert "measured on" not in str(run(project))
    assert stored(project)["analyzed_on"] == ["cpu"]
    write_sound(project.folder / "raw" / "pack 9" / "new.wav")

    report = run(project, device="cpu:0")

    assert (report.done, report.reused) == (1, 2)
    assert stored(project)["analyzed_on"] == ["cpu", "cpu:0"]
    assert "measured on cpu and cpu:0" in str(report)


def test_shards_of_different_devices_merge_and_say_so(project):
    project.fill(packs=1, sounds=6)
    run(project, shard=(1, 2))
    run(project, shard=(2, 2), device="cpu:0")

    report = merge(project.data_dir, "meta.json", SETTINGS)

    assert "measured on cpu and cpu:0" in str(report)
    assert stored(project)["analyzed_on"] == ["cpu", "cpu:0"]


def test_a_dataset_of_another_method_is_refused_by_name(project):
    project.fill(packs=1, sounds=1)
    run(project)
    other = DatasetSettings(
        8000, 4000, AnalysisSettings(**{**vars(ANALYSIS), "method": "separating"})
    )
    with pytest.raises(UsageError, match="method coverage but the configuration says method separ"):
        run(project, other)


def test_a_dataset_from_before_there_were_methods_is_used(project):
    project.fill(packs=1, sounds=1)
    run(project)
    path = project.data_dir / "drumblender.json"
    stored = json.loads(path.read_text())
    del stored["analysis"]["method"]
    path.write_text(json.dumps(stored))
    assert run(project).reused == 1


def test_features_of_another_version_are_used_but_not_mixed(project):
    project.fill(packs=1, sounds=3)
    run(project)
    path = project.data_dir / "drumblender.json"
    for version in ({"analysis_version": 99}, {}):  # none: made before there were versions
        content = stored(project)
        content.pop("analysis_version")
        path.write_text(json.dumps({**content, **version}))

        with pytest.raises(UsageError, match=r"by version (99|0) .* --preprocess_features"):
            run(project)
        assert verify(project.data_dir, "meta.json", SETTINGS, 1) == []

        report = preprocess_features(project.data_dir, "meta.json", SETTINGS)
        assert (report.done, report.reused) == (3, 0)
        assert run(project).reused == 3


def stored(project):
    return json.loads((project.data_dir / "drumblender.json").read_text())


def test_an_unknown_device_is_an_error(project):
    project.fill(packs=1, sounds=1)

    with pytest.raises(UsageError, match="--device abacus is not on this machine"):
        run(project, device="abacus")


def test_features_are_measured_again_and_the_audio_stays(project):
    project.fill(packs=1, sounds=3)
    run(project)
    (project.data_dir / "NOTES.txt").write_text("mine")
    before = project.files()
    new = DatasetSettings(8000, 4000, AnalysisSettings(**{**vars(ANALYSIS), "num_modes": 4}))

    report = preprocess_features(project.data_dir, "meta.json", new)

    after = project.files()
    assert report.done == 3
    for name in before:
        assert (after[name] == before[name]) == name.endswith(".wav")
    for item in project.metadata().values():
        assert load_features(project.data_dir / item["feature_file"]).shape == (3, 4, 41)
    assert (project.data_dir / "NOTES.txt").read_text() == "mine"
    assert run(project, new).reused == 3


def test_features_are_added_to_a_dataset_from_elsewhere(project, write_sound):
    write_sound(project.data_dir / "wavs" / "a.wav", subtype="PCM_24")
    metadata = {"one": {"filename": "wavs/a.wav", "type": "acoustic", "instrument": "kick"}}
    (project.data_dir / "meta.json").write_text(json.dumps(metadata))

    preprocess_features(project.data_dir, "meta.json", SETTINGS)

    item = project.metadata()["one"]
    assert item == {**metadata["one"], "feature_file": "wavs/a.pt"}
    assert load_features(project.data_dir / "wavs" / "a.pt").shape == (3, 8, 41)


def test_features_of_a_dataset_of_another_rate_are_refused(project):
    project.fill(packs=1, sounds=1)
    run(project)

    with pytest.raises(UsageError, match="sample_rate 8000"):
        preprocess_features(project.data_dir, "meta.json", DatasetSettings(16000, 4000, ANALYSIS))


def make_shards(project, n=3):
    for k in range(1, n + 1):
        run(project, shard=(k, n))


def test_merged_shards_are_the_dataset_of_one_run(project):
    project.fill(packs=2, sounds=5)
    (project.folder / "raw" / "pack 1" / "bad.wav").write_bytes(b"")
    run(project)
    alone, metadata = project.files(), project.metadata()
    skipped = (project.data_dir / "skipped.txt").read_text()
    shutil.rmtree(project.data_dir)
    make_shards(project)
    shutil.rmtree(project.folder / "raw")  # merging may happen where it is not

    report = merge(project.data_dir, "meta.json", SETTINGS)

    assert report.reused == 10
    assert project.files() == alone
    assert project.metadata() == metadata
    assert (project.data_dir / "skipped.txt").read_text() == skipped
    assert [path.name for path in project.data_dir.parent.iterdir()] == ["drums"]


def test_a_shard_is_the_same_whatever_else_is_in_the_library(project, write_sound):
    project.fill(packs=1, sounds=8)
    run(project, shard=(1, 3))
    folder = project.data_dir.with_name("drums.shard-1-of-3")
    before = set(project.files(folder))
    write_sound(project.folder / "raw" / "pack 9" / "new.wav")
    run(project, shard=(1, 3))

    assert before <= set(project.files(folder))


def test_merging_names_the_shards_that_are_missing(project):
    project.fill(packs=1, sounds=4)
    run(project, shard=(2, 3))

    with pytest.raises(DrumblenderError, match=r"lacks 2 of 3 shards; .*--shard 1/3, 3/3"):
        merge(project.data_dir, "meta.json", SETTINGS)
    with pytest.raises(UsageError, match="none"):
        merge(project.data_dir.with_name("other"), "meta.json", SETTINGS)


def test_merging_refuses_a_file_that_was_cut_on_the_way(project):
    project.fill(packs=1, sounds=6)
    make_shards(project)
    path = max(project.data_dir.parent.glob("*.shard-*/audio/*.pt"))
    path.write_bytes(path.read_bytes()[:-1])

    with pytest.raises(DrumblenderError, match=f"missing or damaged, those of {path.stem}"):
        merge(project.data_dir, "meta.json", SETTINGS)

    assert not project.data_dir.exists()


def test_merging_refuses_shards_of_different_libraries(project, write_sound):
    project.fill(packs=1, sounds=6)
    run(project, shard=(1, 2))
    write_sound(project.folder / "raw" / "pack 0" / "late.wav")
    run(project, shard=(2, 2))

    with pytest.raises(DrumblenderError, match="different raw folders"):
        merge(project.data_dir, "meta.json", SETTINGS)


def test_a_dataset_is_prepared_by_one_process_at_a_time(project, monkeypatch):
    folder = project.data_dir
    said, order = queue.Queue(), []
    monkeypatch.setattr(sys, "stderr", types.SimpleNamespace(write=said.put, flush=lambda: None))

    def prepare():
        with atomic.exclusive(folder):
            order.append("the second")

    second = threading.Thread(target=prepare)
    with atomic.exclusive(folder):
        second.start()
        # It says so before it waits, so it has not got in and cannot until the first is out.
        message = said.get(timeout=60)
        order.append("the first")
    second.join(60)

    assert message == f"Waiting for another process that prepares {folder} ..."
    assert order == ["the first", "the second"]
    assert list(folder.parent.iterdir()) == []


def copies(project):
    """Two kicks in packs of their own, and copies of them of other names, formats and channels."""
    project.fill(packs=2, sounds=1)
    raw = project.folder / "raw"
    samples, rate = soundfile.read(raw / "pack 0" / "kick_0.wav")
    soundfile.write(raw / "pack 1" / "zap.flac", samples, rate)
    stereo = np.stack([samples, 0.3 * samples[::-1]], 1)
    soundfile.write(raw / "pack 1" / "wide.aiff", stereo, rate)
    return {("pack_1-wide", "pack_0-kick_0"), ("pack_1-zap", "pack_0-kick_0")}


def found_copies(project):
    return {
        (key.rpartition("-")[0], item["duplicate_of"].rpartition("-")[0])
        for key, item in project.metadata().items()
        if "duplicate_of" in item
    }


def test_sounds_that_are_the_same_are_found_whatever_their_names_and_formats(project):
    expected = copies(project)

    report = run(project)

    assert found_copies(project) == expected
    assert "0 skipped, 2 duplicates" in str(report)
    assert "duplicate pack_1-zap" in str(report)
    assert verify(project.data_dir, "meta.json", SETTINGS) == []
    (project.folder / "raw" / "pack 0" / "kick_0.wav").unlink()
    run(project)
    assert found_copies(project) == {("pack_1-zap", "pack_1-wide")}


def test_merging_finds_copies_in_different_shards(project):
    expected = copies(project)
    make_shards(project)

    merge(project.data_dir, "meta.json", SETTINGS)

    assert found_copies(project) == expected


def test_equal_checksums_do_not_make_sounds_the_same(project, monkeypatch):
    project.fill(packs=1, sounds=3)
    monkeypatch.setattr(recipes.zlib, "crc32", lambda data, value=0: 7)

    assert run(project).duplicates == {}


def test_files_that_the_metadata_does_not_name_are_reported_and_stay_so(project, write_sound):
    project.fill(packs=1, sounds=3)
    names = [f"pack 0/kick_{i}.wav" for i in range(3)]
    raw = project.folder / "raw"
    (raw / "meta.json").write_text(json.dumps({"P": {"folders": names}}))
    for index in range(30):
        (raw / f"new {index:02}.wav").write_bytes(b"")

    shards = [run(project, shard=(k, 2)) for k in (1, 2)]
    merged = merge(project.data_dir, "meta.json", SETTINGS)
    again = preprocess_features(project.data_dir, "meta.json", SETTINGS)

    for report in (*shards, merged, again):
        assert len(report.left_out) == 30
        assert "left out new 00.wav: is not in the metadata" in str(report)
        assert "left out 10 more files: each is not in the metadata" in str(report)
    assert sum(report.done for report in shards) == merged.reused == 3
    listed = (project.data_dir / "skipped.txt").read_text()
    assert listed.count("is not in the metadata") == 30


def test_debugging_shows_where_a_skipped_file_went_wrong(project, monkeypatch, capsys):
    project.fill(packs=1, sounds=2)
    read = recipes.read_with_length

    def fail(path, *args):
        if path.name == "kick_0.wav":
            raise ZeroDivisionError("of a library")
        return read(path, *args)

    monkeypatch.setattr(recipes, "read_with_length", fail)
    report = run(project)
    quiet = capsys.readouterr().err
    shutil.rmtree(project.data_dir)
    monkeypatch.setenv("DRUMBLENDER_DEBUG", "1")
    run(project)

    assert report.skipped == [
        ("pack 0/kick_0.wav", "cannot be used (ZeroDivisionError: of a library)")
    ]
    assert "Traceback" not in quiet
    assert "Traceback" in capsys.readouterr().err


# --- Recordings that are cut ---------------------------------------------------------------------


def test_recordings_that_are_cut_are_told_however_the_dataset_is_made(project, write_sound):
    project.fill(packs=2, sounds=3)
    for index, seconds in enumerate((1.0, 1.5)):
        path = project.folder / "raw" / "pack 0" / f"long {index}.wav"
        write_sound(path, 80.0, seconds=0.2)
        time = np.arange(int(8000 * seconds)) / 8000
        soundfile.write(path, 0.3 * np.sin(2 * np.pi * (80 + index) * time), 8000)
    said = "2 sounds are cut at 0.5 s; the longest, pack_0-long_1-"

    first = run(project)
    assert said in str(first)
    assert "lasts 1.5 s. To keep more of them, raise num_samples" in str(first)
    stored = read_settings(project.data_dir)["cut"]
    assert sorted(stored.values()) == [1.0, 1.5]
    assert all("-long_" in key for key in stored)
    # Reused, measured again without the journal, and merged.
    again = run(project)
    assert (again.reused, again.cut) == (8, first.cut)
    (project.data_dir / "journal.jsonl").unlink()
    assert preprocess_features(project.data_dir, "meta.json", SETTINGS).cut == first.cut
    shutil.rmtree(project.data_dir)
    make_shards(project)
    assert merge(project.data_dir, "meta.json", SETTINGS).cut == first.cut


def test_a_stopped_run_remembers_what_it_cut(project):
    project.fill(packs=1, sounds=2)
    soundfile.write(project.folder / "raw" / "long.wav", np.sin(np.arange(9000)), 8000)
    first = run(project)
    project.data_dir.rename(project.data_dir.with_name("drums.partial"))

    report = run(project)

    assert report.reused == 3
    assert report.cut == first.cut
    assert len(report.cut) == 1


# --- Damage --------------------------------------------------------------------------------------

DAMAGE = {
    "bytes that are no UTF-8": lambda lines: [b"\xff\xfe\xe9", *lines],
    "zeros": lambda lines: [bytes(5000), *lines],
    "half a line": lambda lines: [*lines[:-1], lines[-1][:30]],
    "other types": lambda lines: [b"5", b'"x"', b"[]", b"null", b"{}", b"NaN", *lines],
    "nested": lambda lines: [b"[" * 200_000, *lines],
    "a huge number": lambda lines: [b"9" * 200_000, *lines],
    "a huge line": lambda lines: [b'{"file": "' + b"x" * (3 << 20) + b'"}', *lines],
    "stamps that are numbers": lambda lines: [b'{"file": "x", "of": 5, "is": [1, 2]}', *lines],
    "stamps that are lists": lambda lines: [b'{"file": [], "of": [[], 5], "is": [1, 2]}', *lines],
    "stamps without end": lambda lines: [b'{"file": "x", "of": [1e999, 1], "is": [1, 2]}', *lines],
    "a strange cut": lambda lines: [
        b'{"file": "x", "of": [1, 1], "is": [1, 2], "cut": []}',
        *lines,
    ],
    "nothing": lambda lines: [],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_entries_of_a_journal_that_cannot_be_read_are_as_if_not_there(project, damage):
    project.fill(packs=1, sounds=3)
    run(project)
    whole = project.files()
    path = project.data_dir / "journal.jsonl"
    path.write_bytes(b"\n".join(DAMAGE[damage](path.read_bytes().splitlines())) + b"\n")

    assert verify(project.data_dir, "meta.json", SETTINGS, 1) == []
    report = run(project)

    assert report.done + report.reused == 3
    # What comes after the damage is found.
    assert report.done == {"nothing": 3, "half a line": 1}.get(damage, 0)
    assert project.files() == whole
    assert run(project).reused == 3


def test_a_line_that_was_cut_costs_no_other(project):
    project.fill(packs=1, sounds=4)
    run(project)
    partial = project.data_dir.with_name("drums.partial")
    project.data_dir.rename(partial)
    journal = partial / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])  # and the next line comes right behind it

    started = GrowingDataset(project.data_dir, SETTINGS)
    name = next(iter(started.journal))
    recipe = started.recipe("key", name, partial / name, started.journal[name].of)
    started.run(lambda given: (recipes.take_over(recipe) for recipe in given), [recipe], "Again")

    assert json.loads(journal.read_bytes().splitlines()[-1])["file"] == name


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b"5", b'{"format": 1}', b"\xff{}", bytes(50), b"[" * 100_000,
        b'{"format": 1, "analysis": 5}',
        b'{"format": 1, "analysis": null, "analyzed_on": 5}',
        b'{"format": 1, "analysis": null, "skipped": {"a": 5}}',
        b'{"format": 1, "analysis": null, "library": 5}',
        b'{"format": 1, "analysis": null, "cut": {"a": "b"}}',
    ],
)  # fmt: skip
def test_a_description_that_is_broken_is_named(project, content):
    project.fill(packs=1, sounds=1)
    run(project)
    path = project.data_dir / "drumblender.json"
    path.write_bytes(content)

    with pytest.raises(DrumblenderError, match=f"{path} is broken; remove {path.parent} and"):
        run(project)


@pytest.mark.parametrize("field", ["filename", "feature_file"])
def test_features_are_written_into_the_dataset_only(project, field):
    project.fill(packs=1, sounds=1)
    run(project)
    (item,) = project.metadata().values()
    item[field] = "../../outside.pt"
    (project.data_dir / "meta.json").write_text(json.dumps({"one": item}))

    with pytest.raises(DrumblenderError, match=r"names \.\./\.\./outside.pt, which lies outside"):
        preprocess_features(project.data_dir, "meta.json", SETTINGS)


@pytest.mark.parametrize(
    "content",
    [b"[]", b"5", b"\xff", b'{"a": 5}', b'{"a": {}}', b'{"a": {"filename": 5}}', b"[" * 99999],
)
def test_broken_metadata_of_a_shard_is_named(project, content):
    project.fill(packs=1, sounds=4)
    make_shards(project, 2)
    path = project.data_dir.with_name("drums.shard-2-of-2") / "meta.json"
    path.write_bytes(content)

    with pytest.raises(DrumblenderError, match=f"{path} is missing or broken; make that shard"):
        merge(project.data_dir, "meta.json", SETTINGS)
