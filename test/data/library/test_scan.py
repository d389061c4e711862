import json
import os
import sys
import tempfile
from pathlib import Path

import pytest

from drumblender.data.library.scan import find_sounds, pack_folders, read_library
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
    assert sounds["Kit A/kick.wav"].type == "unknown"


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


def problems(folder):
    """name -> why it is no sound; empty for those that may be one"""
    return {sound.name: sound.problem for sound in find_sounds(folder, "meta.json")}


def test_every_folder_is_read_once_whatever_links_lead_to_it(tmp_path):
    raw = tmp_path / "up" / "raw"
    touch(raw, "kit/kick.wav", "other/snare.wav")
    touch(tmp_path, "up/beside.wav", "elsewhere/tom.wav")
    links = {"kit/again": "kit", "kit/up": ".", "a link": "other", "all": "..", "root": "/"}
    for link, target in links.items():
        (raw / link).symlink_to((raw / target).resolve())
    (raw / "else").symlink_to(tmp_path / "elsewhere")
    (raw / "kit" / "loop").symlink_to("loop")

    found = problems(raw)

    assert found.pop("kit/loop")
    assert found == {
        "a link": "is a link to other, which is read there",
        "all": "is a link to a folder above it",
        "else/tom.wav": "",
        "kit/again": "is a link to a folder above it",
        "kit/kick.wav": "",
        "kit/up": "is a link to a folder above it",
        "other/snare.wav": "",
        "root": "is a link to a folder above it",
    }


def test_what_is_no_regular_file_is_reported_and_never_opened(tmp_path):
    touch(tmp_path, "kit/kick.wav")
    os.mkfifo(tmp_path / "kit" / "fifo.wav")
    os.mkfifo(tmp_path / "drumkit.xml")
    os.mkfifo(tmp_path / "kit.sfz")
    (tmp_path / "nowhere.wav").symlink_to("/nowhere/x.wav")
    (tmp_path / "folder").symlink_to("/nowhere")

    assert problems(tmp_path) == {
        "drumkit.xml": "is no regular file",
        "folder": "is a link to a file that is not there",
        "kit.sfz": "is no regular file",
        "kit/fifo.wav": "is no regular file",
        "kit/kick.wav": "",
        "nowhere.wav": "is a link to a file that is not there",
    }


@pytest.mark.skipif(sys.platform == "darwin", reason="platform: names are UTF-8")
def test_names_in_any_encoding_are_found_and_described(tmp_path):
    names = [b"latin1_\xe9_kick.wav", b"pack\xff/snare\xfe.wav", "caf\u00e9 tom.wav".encode()]
    for name in names:
        path = os.path.join(os.fsencode(tmp_path), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb"):
            pass

    sounds = find_sounds(tmp_path, "meta.json")

    assert {os.fsencode(sound.name) for sound in sounds} == set(names)
    assert {sound.instrument for sound in sounds} == {"kick", "snare", "tom"}
    assert all(sound.key.isascii() for sound in sounds)


@pytest.mark.skipif(sys.platform == "darwin", reason="platform: file systems fold names")
def test_names_that_differ_in_the_composition_of_an_accent_are_two_sounds(tmp_path):
    composed, decomposed = "caf\u00e9.wav", "cafe\u0301.wav"
    touch(tmp_path / "one", f"kit/{composed}")
    touch(tmp_path / "two", f"kit/{decomposed}")
    touch(tmp_path / "both", f"kit/{composed}", f"kit/{decomposed}")

    one, two, both = (
        {sound.name: sound.key for sound in find_sounds(tmp_path / name, "meta.json")}
        for name in ("one", "two", "both")
    )

    assert list(one.values()) == list(two.values())  # a copy on another system is the same sound
    assert len(set(both.values())) == 2
    assert both[f"kit/{composed}"] == one[f"kit/{composed}"]


def test_what_the_metadata_does_not_name_is_listed(tmp_path):
    touch(tmp_path, "a.wav", "new.wav", "kit/b.wav", "kit/c.wav", "notes.txt", "drumkit.xml")
    touch(tmp_path, "meta.yaml", ".hidden", "folder/kit.sfz", "folder/d.wav")
    (tmp_path / "folder" / "kit.sfz").write_text("<region> sample=d.wav")
    (tmp_path / "dangling.wav").symlink_to("/nowhere/x.wav")
    folders = ["a.wav", "kit", "kit/../kit/b.wav"]
    (tmp_path / "meta.json").write_text(json.dumps({"P": {"folders": folders}}))

    left_out = read_library(tmp_path, "meta.json").left_out

    assert [name for name, _ in left_out] == [
        "dangling.wav",
        "folder/d.wav",
        "new.wav",
        "drumkit.xml",
        "notes.txt",
    ]
    assert dict(left_out)["new.wav"] == "is not in the metadata"
    assert dict(left_out)["dangling.wav"] == "is a link to a file that is not there"
    assert "is no kit that can be read" in dict(left_out)["drumkit.xml"]
    assert read_library(tmp_path, "other.json").left_out == []


def test_one_file_that_the_metadata_names_and_is_gone_stops_nothing(tmp_path):
    touch(tmp_path, "a.wav", "Kit.h2drumkit")
    folders = ["a.wav", "gone.wav", "Kit.h2drumkit/Toms"]
    (tmp_path / "meta.json").write_text(json.dumps({"P": {"folders": folders}}))

    found = problems(tmp_path)

    assert found.pop("a.wav") == ""
    assert sorted(found) == ["Kit.h2drumkit/Toms", "gone.wav"]
    assert all("is not there, but" in problem for problem in found.values())


def test_metadata_may_name_by_a_link_what_is_there_by_its_own_name(tmp_path):
    raw = tmp_path / "raw"
    touch(raw, "kit/kick.wav")
    (raw / "same").symlink_to("kit")
    (raw / "up").symlink_to("..")

    assert pack_folders(raw) == {"kit": ["kit"], "same": [], "up": []}
    folders = {"A": {"folders": ["kit"]}, "B": {"folders": ["same"]}, "C": {"folders": ["up"]}}
    (raw / "meta.json").write_text(json.dumps(folders))
    assert problems(raw) == {
        "kit/kick.wav": "",
        "same/kick.wav": "",
        "up": "is a link to a folder above it",
    }


@pytest.mark.skipif(sys.platform == "darwin", reason="platform: file systems fold names")
def test_no_two_sounds_share_a_key(tmp_path):
    # Of one identity: a pack and a name are joined by a line end.
    touch(tmp_path, "a\nb.wav", "b.wav", "E\u0301.wav", "\u00c9.wav")
    packs = {
        "P": {"folders": ["a\nb.wav", "\u00c9.wav", "E\u0301.wav"]},
        "P\na": {"folders": ["b.wav"]},
    }
    (tmp_path / "meta.json").write_text(json.dumps(packs))

    sounds = find_sounds(tmp_path, "meta.json")

    assert len({sound.key for sound in sounds}) == len(sounds) == 4


@pytest.fixture
def another_user(tmp_path):
    """Not the one who may read everything."""
    if os.getuid() != 0:
        yield
        return
    inside = [
        folder for folder in tmp_path.parents if Path(tempfile.gettempdir()) in folder.parents
    ]
    for folder in (tmp_path, *inside):
        folder.chmod(0o755)
    os.seteuid(65534)
    yield
    os.seteuid(0)


def test_what_may_not_be_read_is_reported(tmp_path, request):
    paths = ("a/kick.wav", "b/snare.wav", "c/kit.sfz", "d/Kit.h2drumkit")
    touch(tmp_path / "raw", *paths)
    for path in ("b", *paths[2:]):
        (tmp_path / "raw" / path).chmod(0)
    request.getfixturevalue("another_user")

    found = problems(tmp_path / "raw")

    assert found["a/kick.wav"] == ""
    assert found["b"] == "cannot be read (Permission denied)"
    assert "Permission denied" in found["c/kit.sfz"]
    assert "Permission denied" in found["d/Kit.h2drumkit"]


def test_a_raw_folder_that_may_not_be_read_is_an_error(tmp_path, request):
    touch(tmp_path / "raw", "a/kick.wav")
    (tmp_path / "raw").chmod(0o311)
    request.getfixturevalue("another_user")

    with pytest.raises(DrumblenderError, match=r"raw cannot be read \(Permission denied\); check"):
        find_sounds(tmp_path / "raw", "meta.json")


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
