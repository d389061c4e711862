import json

import pytest

from drumblender.data.raw import find_sounds
from drumblender.errors import DrumblenderError


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_without_metadata_every_sub_folder_is_a_pack(tmp_path):
    touch(tmp_path / "raw", "Kit A/kick.wav", "Kit A/more/snare.wav", "TR808/tom.wav", "clap.wav")

    sounds = {sound.name: sound for sound in find_sounds(tmp_path / "raw", "meta.json")}

    packs = {name: sound.sample_pack_key for name, sound in sounds.items()}
    assert packs == {
        "Kit A/kick.wav": "Kit A",
        "Kit A/more/snare.wav": "Kit A",
        "TR808/tom.wav": "TR808",
        "clap.wav": "raw",
    }
    assert {sound.instrument for sound in sounds.values()} == {"kick", "snare", "tom", "clap"}
    assert sounds["TR808/tom.wav"].type == "electronic"
    assert sounds["Kit A/kick.wav"].type == "acoustic"


def test_metadata_says_packs_types_and_further_keys(tmp_path):
    touch(tmp_path, "a/x.wav", "b/y.wav", "b/z.wav", "unlisted/w.wav")
    metadata = {
        "First": {"type": "electronic", "folders": ["a"]},
        "Second": {
            "type": "acoustic",
            "folders": {"one": {"path": "b/y.wav", "instrument": "snare", "mic": "close"}},
        },
    }
    (tmp_path / "meta.json").write_text(json.dumps(metadata))

    sounds = {sound.name: sound.metadata() for sound in find_sounds(tmp_path, "meta.json")}

    assert sounds == {
        "a/x.wav": {"type": "electronic", "sample_pack_key": "First", "instrument": "unknown"},
        "b/y.wav": {
            "type": "acoustic",
            "sample_pack_key": "Second",
            "instrument": "snare",
            "mic": "close",
        },
    }


def test_a_file_in_nested_folders_counts_once_and_for_the_inner_one(tmp_path):
    touch(tmp_path, "kit/x.wav", "kit/deep/y.wav")
    folders = {"all": {"path": "kit"}, "deep": {"path": "kit/deep", "instrument": "tom"}}
    (tmp_path / "meta.json").write_text(json.dumps({"P": {"folders": folders}}))

    sounds = {sound.name: sound.instrument for sound in find_sounds(tmp_path, "meta.json")}

    assert sounds == {"kit/x.wav": "unknown", "kit/deep/y.wav": "tom"}


def test_keys_are_unique_plain_and_independent_of_the_other_files(tmp_path):
    names = ["kit/Große Trommel.wav", "kit/Grosse_Trommel.wav", "kit/sub/a.wav", "kit/a.wav"]
    touch(tmp_path, *names)
    before = {sound.name: sound.key for sound in find_sounds(tmp_path, "meta.json")}
    touch(tmp_path, "another/a.wav", "kit/0.wav")
    after = {sound.name: sound.key for sound in find_sounds(tmp_path, "meta.json")}

    assert len(set(after.values())) == 6
    assert all(key.replace("-", "").replace("_", "").isalnum() for key in after.values())
    assert all(key.isascii() for key in after.values())
    assert before.items() <= after.items()


def test_what_operating_systems_leave_behind_is_no_sound(tmp_path):
    touch(tmp_path, "kit/kick.wav", "kit/.DS_Store", "kit/._kick.wav", "__MACOSX/x.wav", ".git/y")

    assert [sound.name for sound in find_sounds(tmp_path, "meta.json")] == ["kit/kick.wav"]


def test_a_link_to_a_folder_above_ends(tmp_path):
    touch(tmp_path, "kit/kick.wav")
    (tmp_path / "kit" / "again").symlink_to(tmp_path / "kit")

    assert len(find_sounds(tmp_path, "meta.json")) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON"),
        ("{}", "lists no sample pack"),
        ('{"P": {"type": "acoustic"}}', "Pack 'P' .* no 'folders'"),
        ('{"P": {"type": "vinyl", "folders": ["a"]}}', "'vinyl'; write acoustic or electronic"),
        ('{"P": {"folders": {"x": {"dir": "a"}}}}', "folder of pack 'P' .* no 'path'"),
        ('{"P": {"folders": ["nowhere"]}}', "nowhere, which .* names in pack 'P'"),
    ],
)
def test_broken_raw_metadata_is_an_error(tmp_path, content, message):
    touch(tmp_path, "a/x.wav")
    (tmp_path / "meta.json").write_text(content)

    with pytest.raises(DrumblenderError, match=message):
        find_sounds(tmp_path, "meta.json")


def test_a_missing_or_empty_raw_folder_is_an_error(tmp_path):
    with pytest.raises(DrumblenderError, match=r"no raw folder .*data_dir_unprocessed"):
        find_sounds(tmp_path / "nowhere", "meta.json")
    with pytest.raises(DrumblenderError, match="holds no files"):
        find_sounds(tmp_path, "meta.json")
