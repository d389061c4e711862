"""Whatever a path names, it is read as the kit that a person means."""

import pytest
from small_drums import drum, write_drums

from drumblender.errors import DrumblenderError, UsageError
from drumblender.kits.reading import read_kit, read_kits

TINY = {"kick.wav": drum(seconds=0.01), "hat.wav": drum(seconds=0.01)}
SFZ = "<region> key={} sample={}\n"


def names(kit):
    return [file.name for each in kit.drums for file in [each.layers[0].hits[0].file]]


def test_a_folder_of_drums_a_file_and_a_kit_are_read(tmp_path):
    folder = write_drums(tmp_path / "drums", TINY)
    assert names(read_kit(folder, tmp_path)) == ["hat.wav", "kick.wav"]
    assert names(read_kit(folder / "kick.wav", tmp_path)) == ["kick.wav"]
    (folder / "kit.sfz").write_text(SFZ.format(36, "kick.wav"))
    assert names(read_kit(folder / "kit.sfz", tmp_path)) == ["kick.wav"]
    assert names(read_kit(folder, tmp_path)) == ["kick.wav"]


def test_a_folder_with_two_kits_is_refused_and_one_with_parts_of_a_kit_is_not(tmp_path):
    folder = write_drums(tmp_path / "drums", TINY)
    (folder / "a.sfz").write_text(SFZ.format(36, "kick.wav"))
    (folder / "b.sfz").write_text(SFZ.format(42, "hat.wav"))
    with pytest.raises(UsageError, match=r"several kits \(a.sfz, b.sfz\); name one of them"):
        read_kit(folder, tmp_path)
    (folder / "a.sfz").write_text(SFZ.format(36, "kick.wav") + '#include "b.sfz"\n')
    assert names(read_kit(folder, tmp_path)) == ["kick.wav", "hat.wav"]


def test_a_kit_below_a_folder_counts_only_where_there_is_nothing_else(tmp_path):
    kit = write_drums(tmp_path / "top" / "kit", TINY)
    (kit / "kit.sfz").write_text(SFZ.format(36, "kick.wav"))
    assert names(read_kit(tmp_path / "top", tmp_path)) == ["kick.wav"]
    write_drums(tmp_path / "top", {"snare.wav": drum(seconds=0.01)})
    assert len(names(read_kit(tmp_path / "top", tmp_path))) == 3
    assert names(read_kit(tmp_path / "top", tmp_path, left_out=[kit])) == ["snare.wav"]


def test_several_inputs_become_one_kit_with_groups_of_their_own(tmp_path):
    for name in ("a", "b"):
        folder = write_drums(tmp_path / name, TINY)
        (folder / "kit.sfz").write_text("<group> group=1 off_by=1 " + SFZ.format(42, "hat.wav"))
    files = write_drums(tmp_path / "files", {f"S {w}.wav": drum(seconds=0.01) for w in ("f", "p")})
    paths = [tmp_path / "a", *sorted(files.iterdir()), tmp_path / "b"]
    kit = read_kits(paths, "all", tmp_path / "scratch")
    assert kit.name == "all"
    snare, *hats = kit.drums
    assert len(snare.layers) == 2
    assert len({hat.group for hat in hats} | {hat.off_by for hat in hats}) == 2


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("kit.sfz", "<region> key=36 sample=gone.wav", "is a kit without a drum"),
        ("kit.sfz", "\0", "is no SFZ kit that can be read"),
        ("drumkit.xml", "<a>", "is no Hydrogen kit that can be read"),
        ("kit.h2drumkit", "none", "kit.h2drumkit is damaged"),
        ("kit.dspreset", "<a/>", "is a kit without a drum"),
        ("kit.dspreset", "<a", "is no preset of Decent Sampler that can be read"),
    ],
)
def test_what_is_no_kit_is_refused_by_name(tmp_path, name, content, reason):
    (tmp_path / name).write_text(content)
    with pytest.raises(DrumblenderError, match=reason) as refused:
        read_kit(tmp_path / name, tmp_path)
    assert name in str(refused.value)


def test_what_is_not_there_or_holds_nothing_is_refused(tmp_path):
    with pytest.raises(DrumblenderError, match="does not exist"):
        read_kit(tmp_path / "gone", tmp_path)
    with pytest.raises(DrumblenderError, match="no audio files"):
        read_kit(tmp_path, tmp_path / "scratch")
