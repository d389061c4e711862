import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drumblender.config import compose, load_config, merge
from drumblender.errors import UsageError


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_an_overlay_changes_what_it_names_and_keeps_the_rest(tmp_path):
    write(tmp_path / "base.yaml", "a: {x: 1, y: 2}\nlist: [1, 2]")
    overlay = write(tmp_path / "sub/over.yaml", "base: ../base.yaml\na: {y: 3}\nlist: [4]")
    assert load_config(overlay) == {"a": {"x": 1, "y": 3}, "list": [4]}


def test_several_bases_apply_in_order(tmp_path):
    write(tmp_path / "one.yaml", "a: 1\nb: 1")
    write(tmp_path / "two.yaml", "b: 2")
    overlay = write(tmp_path / "over.yaml", "base: [one.yaml, two.yaml]\nc: 3")
    assert load_config(overlay) == {"a": 1, "b": 2, "c": 3}


def test_a_file_name_stands_for_its_content_from_any_working_directory(tmp_path, monkeypatch):
    write(tmp_path / "cfg/loss/mss.yaml", "class_path: some.Loss")
    config = write(tmp_path / "cfg/main.yaml", "loss: loss/mss.yaml\nall: [loss/mss.yaml]")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    loss = {"class_path": "some.Loss"}
    assert load_config("../cfg/main.yaml") == {"loss": loss, "all": [loss]} == load_config(config)


def test_a_file_named_in_an_overlay_replaces_what_the_base_says_there(tmp_path):
    write(tmp_path / "private.yaml", "class_path: Data\ninit_args: {archive: private}")
    write(tmp_path / "mine.yaml", "class_path: Data\ninit_args: {folder: mine}")
    write(tmp_path / "base.yaml", "data: private.yaml\nx: {data: private.yaml}")
    named = write(tmp_path / "a.yaml", "base: base.yaml\ndata: mine.yaml")
    mine = {"class_path": "Data", "init_args": {"folder": "mine"}}
    assert load_config(named)["data"] == mine
    nested = write(tmp_path / "b.yaml", "base: base.yaml\nx: {data: {base: mine.yaml}}")
    assert load_config(nested)["x"]["data"] == mine
    changed = write(tmp_path / "c.yaml", "base: base.yaml\ndata: {init_args: {batch_size: 2}}")
    assert load_config(changed)["data"]["init_args"] == {"archive": "private", "batch_size": 2}


def test_config_dir_is_the_folder_of_the_file_that_says_so(tmp_path):
    write(tmp_path / "a/data.yaml", "folder: ${config_dir}/../audio\nother: dataset/x")
    config = write(tmp_path / "b/main.yaml", "base: ../a/data.yaml")
    assert load_config(config) == {"folder": f"{tmp_path}/a/../audio", "other": "dataset/x"}


def test_numbers_without_a_dot_are_numbers(tmp_path):
    config = write(tmp_path / "c.yaml", "lr: 1e-4\neps: 1.0e-08\nname: 1e-4x")
    assert load_config(config) == {"lr": 1e-4, "eps": 1e-8, "name": "1e-4x"}


def test_another_class_does_not_inherit_arguments():
    base = {"class_path": "A", "init_args": {"x": 1}}
    assert merge(base, {"class_path": "B"}) == {"class_path": "B"}
    assert merge(base, {"class_path": "A", "init_args": {"y": 2}})["init_args"] == {"x": 1, "y": 2}


def test_a_section_file_replaces_the_whole_section(tmp_path):
    main = write(
        tmp_path / "main.yaml", "seed: 1\ndata: {init_args: {archive: old, batch_size: 2}}"
    )
    data = write(tmp_path / "data.yaml", "init_args: {batch_size: 3}")
    assert compose([main], data=data) == {"seed": 1, "data": {"init_args": {"batch_size": 3}}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "not valid YAML"),
        ("just text", "`key: value`"),
        ("base: absent.yaml", "absent.yaml .* does not exist"),
        ("a: absent.yaml", "absent.yaml .* does not exist"),
        ("base: c.yaml", "includes itself"),
    ],
)
def test_a_broken_file_is_named_with_a_remedy(tmp_path, text, message):
    with pytest.raises(UsageError, match=message) as error:
        load_config(write(tmp_path / "c.yaml", text))
    assert "c.yaml" in str(error.value)
    assert "\n" not in str(error.value)


LEAVES = st.one_of(st.none(), st.integers(), st.text(max_size=3), st.lists(st.integers()))
# Whatever a file may say: a key holds a mapping here and a number there.
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.dictionaries(st.sampled_from(["a", "b", "class_path"]), inner)
)
# Overlays that exchange no class: a key that is a mapping is one in each of them.
ALIKE = st.recursive(
    st.fixed_dictionaries({}, optional={"x": LEAVES, "y": LEAVES}),
    lambda inner: st.one_of(
        st.fixed_dictionaries({}, optional={"x": LEAVES, "section": inner}),
        st.fixed_dictionaries({"class_path": st.just("A")}, optional={"init_args": inner}).map(
            lambda node: {"part": node}
        ),
    ),
    max_leaves=4,
)


@given(ANYTHING, ANYTHING)
def test_merging_changes_neither_of_both_and_does_the_same_again(base, overlay):
    before = copy.deepcopy((base, overlay))

    merged = merge(base, overlay)

    assert (base, overlay) == before
    assert merge(merged, overlay) == merged
    assert merge(overlay, overlay) == overlay


@given(ANYTHING)
def test_nothing_on_top_changes_nothing(base):
    assert merge(base, {}) == (base if isinstance(base, dict) else {})
    assert merge({}, base) == base
    assert merge(None, base) == base


@given(st.dictionaries(st.sampled_from("abc"), LEAVES), ANYTHING, ANYTHING)
def test_the_last_word_on_a_key_is_the_overlays(overlay, base, other):
    merged = merge({"here": base, "there": other}, {"here": overlay})

    assert merged["there"] == other
    assert {key: merged["here"][key] for key in overlay} == overlay


@given(ALIKE, ALIKE, ALIKE)
def test_overlays_can_be_merged_with_each_other_first(one, two, three):
    assert merge(merge(one, two), three) == merge(one, merge(two, three))
