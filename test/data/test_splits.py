import pytest
from hypothesis import given
from hypothesis import strategies as st

from drumblender.data.splits import SPLITS, select, split
from drumblender.errors import UsageError

# 12 packs of 5 to 16 sounds, half of them electronic; instruments in turn.
METADATA = {
    f"{pack}-{index}": {
        "type": ("acoustic", "electronic")[pack % 2],
        "sample_pack_key": f"pack {pack}",
        "instrument": ("kick", "snare", "tom")[index % 3],
    }
    for pack in range(12)
    for index in range(5 + pack)
}


def sizes(parts):
    return [len(parts[name]) for name in SPLITS]


@pytest.mark.parametrize("strategy", ["random", "sample_pack"])
def test_splits_hold_every_sound_once(strategy):
    parts = split(METADATA, list(METADATA), strategy, seed=3)

    assert sorted(key for part in parts.values() for key in part) == sorted(METADATA)


def test_random_splits_are_80_10_10():
    metadata = {str(index): {} for index in range(200)}

    assert sizes(split(metadata, list(metadata), "random", seed=3)) == [160, 20, 20]


def test_pack_splits_share_no_pack_and_come_close_to_80_10_10():
    for seed in range(20):
        parts = split(METADATA, list(METADATA), "sample_pack", seed)

        packs = [{METADATA[key]["sample_pack_key"] for key in parts[name]} for name in SPLITS]
        assert not packs[0] & packs[1]
        assert not packs[0] & packs[2]
        assert not packs[1] & packs[2]
        shares = [size / len(METADATA) for size in sizes(parts)]
        assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.06)


def test_pack_splits_give_every_split_sounds_of_both_types():
    parts = split(METADATA, list(METADATA), "sample_pack", seed=3)

    for part in parts.values():
        assert {METADATA[key]["type"] for key in part} == {"acoustic", "electronic"}


def test_a_pack_of_both_types_stays_in_one_split():
    metadata = {
        f"{pack}-{index}": {"type": ("acoustic", "electronic")[index % 2], "sample_pack_key": pack}
        for pack in "abcdef"
        for index in range(4)
    }

    parts = split(metadata, list(metadata), "sample_pack", seed=0)

    homes = {key[0]: name for name, part in parts.items() for key in part}
    assert all(homes[key[0]] == name for name, part in parts.items() for key in part)


def test_the_same_seed_gives_the_same_splits_on_every_machine():
    metadata = {str(index): {"sample_pack_key": str(index // 2)} for index in range(20)}
    backwards = dict(reversed(metadata.items()))

    # Literals: they must stay as they are in every version of every library.
    for strategy, expected in (
        ("random", {"val": ["13", "5"], "test": ["0", "6"]}),
        ("sample_pack", {"val": ["8", "9"], "test": ["14", "15"]}),
    ):
        for mapping in (metadata, backwards):
            parts = split(mapping, list(mapping), strategy, seed=7)
            assert {name: parts[name] for name in expected} == expected


def test_another_seed_gives_other_splits():
    assert split(METADATA, list(METADATA), "random", 1) != split(
        METADATA, list(METADATA), "random", 2
    )


@pytest.mark.parametrize("strategy", ["random", "sample_pack"])
def test_a_single_sound_is_in_every_split(strategy):
    assert split(METADATA, ["0-0"], strategy, seed=3) == {name: ["0-0"] for name in SPLITS}


def test_filters_take_sounds_of_the_type_and_one_of_the_instruments():
    keys = select(METADATA, sample_types=["acoustic"], instruments=["kick", "tom"])

    assert keys == sorted(
        key
        for key, item in METADATA.items()
        if item["type"] == "acoustic" and item["instrument"] != "snare"
    )


def test_filters_take_the_packs_that_are_named():
    keys = select(METADATA, ["acoustic"], sample_packs=["pack 1", "pack 2", "pack 4"])
    assert {METADATA[key]["sample_pack_key"] for key in keys} == {"pack 2", "pack 4"}
    assert len(keys) == 7 + 9
    with pytest.raises(UsageError, match=r"dataset_kwargs\.sample_packs.*pack 0"):
        select(METADATA, sample_packs=["pack"])


def test_a_filter_that_nothing_passes_names_what_there_is():
    with pytest.raises(UsageError, match=r"instruments.*gong.*kick, snare, tom"):
        select(METADATA, instruments=["gong"])


def test_an_unknown_strategy_is_an_error():
    with pytest.raises(UsageError, match=r"'packs'.*listed, random, sample_pack"):
        split(METADATA, list(METADATA), "packs", seed=3)


def test_listed_splits_are_those_of_the_metadata_whatever_the_seed():
    metadata = {
        "a": {"split": "test"},
        "b": {"split": "train", "duplicate_of": "a"},
        "c": {"split": "val"},
    }

    for seed in (0, 1):
        assert split(metadata, ["c", "a", "b"], "listed", seed) == {
            "train": ["b"],
            "val": ["c"],
            "test": ["a"],
        }
    assert split(metadata, ["a"], "listed", 0) == {"train": [], "val": [], "test": ["a"]}


@pytest.mark.parametrize("item", [{}, {"split": "tests"}])
def test_a_sound_that_is_listed_in_no_split_is_an_error(item):
    with pytest.raises(UsageError, match="the metadata of a says split"):
        split({"a": item}, ["a"], "listed", 0)


@pytest.mark.parametrize("strategy", ["random", "sample_pack"])
def test_sounds_that_are_the_same_are_in_the_same_split(strategy):
    # Each pack has copies of sounds of the pack before it.
    metadata = {key: dict(item) for key, item in METADATA.items()}
    for pack in range(1, 12):
        for index in range(3):
            first = metadata[f"{pack - 1}-{index}"].get("duplicate_of", f"{pack - 1}-{index}")
            metadata[f"{pack}-{index}"]["duplicate_of"] = first

    for seed in range(20):
        parts = split(metadata, list(metadata), strategy, seed)
        homes = {key: name for name, part in parts.items() for key in part}
        assert sorted(homes) == sorted(metadata)
        for key, item in metadata.items():
            assert homes[key] == homes[item.get("duplicate_of", key)]
        assert min(sizes(parts)) > 5


def test_copies_stay_together_when_the_first_is_filtered_out():
    metadata = {f"{i:02}": {"type": "acoustic"} for i in range(30)}
    for key in ("11", "22"):
        metadata[key]["duplicate_of"] = "00"
    keys = [key for key in metadata if key != "00"]

    for seed in range(20):
        parts = split(metadata, keys, "random", seed)
        assert any({"11", "22"} <= set(part) for part in parts.values())


def test_copies_change_nothing_for_the_others():
    metadata = {str(index): {} for index in range(50)}
    before = split(metadata, list(metadata), "random", seed=5)
    metadata["9-copy"] = {"duplicate_of": "9"}

    after = split(metadata, list(metadata), "random", seed=5)

    assert {n: [k for k in part if k != "9-copy"] for n, part in after.items()} == before


def test_a_sound_and_its_copy_are_one_sound_and_in_every_split():
    metadata = {"a": {}, "b": {"duplicate_of": "a"}}

    assert split(metadata, ["b", "a"], "random", 0) == {name: ["a", "b"] for name in SPLITS}


@st.composite
def libraries(draw):
    """Metadata of any library, in which some sounds are the same as another one."""
    names = draw(st.lists(st.text(max_size=8), unique=True, min_size=1, max_size=40))
    metadata = {}
    for name in names:
        metadata[name] = {
            "type": draw(st.sampled_from(["acoustic", "electronic"])),
            "sample_pack_key": draw(st.sampled_from("abcde")),
        }
        if len(metadata) > 1 and draw(st.integers(0, 3)) == 0:
            firsts = [key for key in metadata if "duplicate_of" not in metadata[key]]
            metadata[name]["duplicate_of"] = draw(st.sampled_from([*firsts, "left out"]))
            if metadata[name]["duplicate_of"] == name:
                del metadata[name]["duplicate_of"]
    return metadata


STRATEGIES = st.sampled_from(["random", "sample_pack"])
SEEDS = st.integers(-(2**63), 2**64)


@given(libraries(), STRATEGIES, SEEDS)
def test_every_sound_is_in_one_split_and_the_same_sounds_are_in_the_same(metadata, strategy, seed):
    parts = split(metadata, list(metadata), strategy, seed)

    assert list(parts) == list(SPLITS)
    groups = {str(item.get("duplicate_of", key)) for key, item in metadata.items()}
    everything = sorted(key for part in parts.values() for key in part)
    if len(groups) == 1:  # to be overfitted
        assert everything == sorted(list(metadata) * 3)
        return
    assert everything == sorted(metadata)
    assert parts["train"]
    home = {key: name for name, part in parts.items() for key in part}
    for key, item in metadata.items():
        first = item.get("duplicate_of")
        assert first not in home or home[first] == home[key]
    same = {}
    for key, item in metadata.items():
        same.setdefault(item.get("duplicate_of", key), set()).add(home[key])
    assert all(len(homes) == 1 for homes in same.values())


@given(libraries(), STRATEGIES, SEEDS, st.randoms(use_true_random=False))
def test_splits_do_not_hang_on_the_order_of_anything(metadata, strategy, seed, random):
    keys, items = list(metadata), list(metadata.items())
    random.shuffle(keys)
    random.shuffle(items)

    expected = split(metadata, list(metadata), strategy, seed)

    assert split(dict(items), keys, strategy, seed) == expected


@given(libraries(), SEEDS)
def test_packs_without_the_same_sounds_share_no_split(metadata, seed):
    for item in metadata.values():
        item.pop("duplicate_of", None)

    parts = split(metadata, list(metadata), "sample_pack", seed)

    if len(metadata) > 1:
        packs = [{metadata[key]["sample_pack_key"] for key in part} for part in parts.values()]
        assert sum(map(len, packs)) == len(set().union(*packs))
