"""Any bytes are regions or a problem, and every region is read as it was meant."""

import string

import strategies
from hypothesis import example, given
from hypothesis import strategies as st

from drumblender.data.library.sfz import read_sfz, sfz_regions

KIT = b"""// A kit
#define $KICK 36
#include "more.sfz"
<control> default_path=Kit\\ note_offset=0
<global> /* for all */ ampeg_release=1
<group> key=$KICK group_label=Bass drum
<region> sample=Big Kick.wav volume=3
<region> sample=*sine lokey=c#2 hikey=40
"""
MORE = b'<region> sample=hat.wav key=42\n#include "kit.sfz"\n'

NAMES = st.text(f"{string.ascii_letters}0123456789 ._-é大", min_size=1, max_size=12).map(str.strip)


@given(strategies.broken(KIT), strategies.broken(MORE))
@example(b"#include", b"")
@example(KIT, MORE)
def test_any_bytes_are_regions_or_a_refusal(kit, more):
    files = {"kit.sfz": kit, "more.sfz": more}
    try:
        found = read_sfz("kit.sfz", files.__getitem__, lambda path: path if path in files else None)
    except ValueError:
        return
    assert all(region["sample"] for region in found.regions)
    assert found.regions or found.problems or b"<" in kit + more
    assert all("\n" not in problem for problem in found.problems)


@given(
    st.text("ab/\\", max_size=5),
    st.lists(st.tuples(NAMES.filter(bool), st.integers(0, 127), NAMES), max_size=6),
)
def test_what_was_written_is_read(folder, regions):
    text = f"<control> default_path={folder}\n"
    for file, key, label in regions:
        text += f"<group> group_label={label}\n<region> key={key} sample={file}\n"

    found = list(sfz_regions(text))

    assert [region["sample"] for region in found] == [folder + file for file, _, _ in regions]
    assert [int(region["key"]) for region in found] == [key for _, key, _ in regions]
    assert [region["group_label"] for region in found] == [label for _, _, label in regions]
