"""Names of files say which of them are hits of one drum."""

from pathlib import Path, PurePosixPath

import pytest

from drumblender.kits.folder import drums_of, read_folder


def found(*names):
    """name -> files of each layer, from soft to hard"""
    drums = drums_of([(PurePosixPath(name), Path(name)) for name in names])
    return {
        each.name: [[hit.file.name for hit in layer.hits] for layer in each.layers]
        for each in drums
    }


@pytest.mark.parametrize(
    ("names", "layers"),
    [
        (["snare_hard.wav", "snare_soft.wav"], [["snare_soft.wav"], ["snare_hard.wav"]]),
        (
            ["Tom ff.wav", "Tom mf.wav", "Tom pp.wav"],
            [["Tom pp.wav"], ["Tom mf.wav"], ["Tom ff.wav"]],
        ),
        (
            ["Kick-Hardest.wav", "Kick-Med.wav", "Kick-Soft.wav", "Kick-Softest.wav"],
            [["Kick-Softest.wav"], ["Kick-Soft.wav"], ["Kick-Med.wav"], ["Kick-Hardest.wav"]],
        ),
        (["k v10.wav", "k v2.wav"], [["k v2.wav"], ["k v10.wav"]]),
        (["k_vel127.wav", "k_vel064.wav"], [["k_vel064.wav"], ["k_vel127.wav"]]),
        (["K rr2.wav", "K rr1.wav"], [["K rr1.wav", "K rr2.wav"]]),
        (
            ["S soft take 1.wav", "S soft take 2.wav", "S hard take 1.wav"],
            [["S soft take 1.wav", "S soft take 2.wav"], ["S hard take 1.wav"]],
        ),
    ],
)
def test_files_whose_names_say_so_are_one_drum(names, layers):
    assert list(found(*names).values()) == [layers]


@pytest.mark.parametrize(
    "names",
    [
        ["Kick 1.wav", "Kick 2.wav"],
        ["a/Snare.wav", "b/Snare.wav"],
        ["soft.wav", "hard.wav"],
        ["Hat open.wav", "Hat closed.wav"],
        ["kick.wav", "kick.flac"],
        ["Hi Tom.wav", "Mid Tom.wav", "Lo Tom.wav"],
    ],
)
def test_others_are_drums_of_their_own(names):
    drums = drums_of([(PurePosixPath(name), Path(name)) for name in names])
    assert [[hit.file for layer in d.layers for hit in layer.hits] for d in drums] == [
        [Path(name)] for name in names
    ]


def test_a_drum_is_recognized_by_its_folder(tmp_path):
    (tmp_path / "Kicks").mkdir()
    (tmp_path / "Kicks" / "01.wav").touch()
    (tmp_path / "notes.txt").touch()
    kit = read_folder(tmp_path)
    assert [each.instrument for each in kit.drums] == ["kick"]
    assert kit.notes == (f"{tmp_path}: 1 files that are no audio left out.",)
