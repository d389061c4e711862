import re

import pytest

from drumblender.commands.dataset import main
from drumblender.data.build import stats
from drumblender.data.build.stats import Summary

METADATA = {
    f"{pack}-{i}": {"type": "acoustic", "sample_pack_key": f"pack ${pack}", "instrument": name}
    for pack in range(30)
    for i, name in enumerate(("snare", "kick", "zither", "unknown"))
}
METADATA["3-1"]["duplicate_of"] = "2-1"
KEYS = list(METADATA)
SUMMARY = Summary(
    "dataset/x",
    METADATA,
    {"train": KEYS[:100], "val": KEYS[100:], "test": []},
    {key: i / 100 for i, key in enumerate(KEYS)},
)


def test_stats_are_shown_and_drawn(project, capsys):
    project.fill(packs=2, sounds=10)

    assert main([str(project.config), "--stats"]) == 0

    output = capsys.readouterr().out
    table = {re.split(r"  +", line.strip())[0]: line.split() for line in output.splitlines()}
    assert table["sounds"][1:] == ["16", "2", "2", "20"]
    assert table["kick"][1:] == ["16", "2", "2", "20"]
    assert table["pack 1"][-1] == "10"
    # Half a second that has decayed to -40 dB.
    assert table["longest (s)"][-1] == "0.50"
    picture = project.data_dir.with_name("drums.png")
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert str(picture.relative_to(project.folder)) in output


def test_a_table_counts_each_split_and_an_empty_one():
    lines = {line.strip().split("  ")[0]: line.split() for line in str(SUMMARY).splitlines()}

    assert lines["sounds"][1:] == ["100", "20", "-", "120"]
    assert lines["copies of others"][-1] == "1"
    assert lines["zither"][1:] == ["25", "5", "-", "30"]
    assert lines["median (s)"][-1] == "0.59"  # between 0.59 and 0.60
    names = [line.split()[0] for line in str(SUMMARY).splitlines()]
    assert names.index("kick") < names.index("snare") < names.index("zither")
    assert names.index("zither") < names.index("unknown") < names.index("packs")
    assert "and 5 more" in str(SUMMARY)


def test_a_picture_shows_all_instruments_and_the_largest_packs():
    figure = stats.plot(SUMMARY)

    left, middle, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == [
        "kick",
        "snare",
        "zither",
        "unknown",
    ]
    assert len(middle.get_yticklabels()) == 25
    drawn = sum(patch.get_width() for patch in left.patches)
    assert drawn == pytest.approx(len(METADATA))
    assert len(right.get_legend().get_texts()) == 3
    figure.canvas.draw()
