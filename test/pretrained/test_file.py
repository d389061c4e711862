import dataclasses
import json
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

from drumblender.errors import DrumblenderError
from drumblender.pretrained.file import (
    Facts,
    is_model_file,
    read_facts,
    read_model,
    size_of,
    write_model,
)

FACTS = Facts(
    name="große Trommel",
    license="cc-by-4.0",
    summary="One line.",
    configuration={"model": {"class_path": "drumblender.tasks.DrumBlender"}, "data": None},
    analysis={"num_modes": 64, "method": "coverage"},
    sample_rate=48_000,
    num_samples=96_000,
    parameters=12,
    training={"global_step": 4, "software": {"version": "0.1.0", "commit": None}},
    trained_on={"sounds": 8},
    metrics={"lsd": 7.5},
)
TENSORS = {
    "a.weight": torch.arange(12.0).reshape(3, 4),
    "b.count": torch.tensor(3),
    "c.half": torch.ones(2, dtype=torch.bfloat16),
}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model.safetensors"
    write_model(path, TENSORS, FACTS)
    return path


def test_what_was_written_is_read(path):
    tensors, facts = read_model(path)
    assert facts == FACTS == read_facts(path)
    assert set(tensors) == set(TENSORS)
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)


def test_safetensors_itself_reads_the_file(path):
    with safe_open(path, "pt") as file:
        assert torch.equal(file.get_tensor("a.weight"), TENSORS["a.weight"])
        said = json.loads(file.metadata()["drumblender"])
    assert said["format"] == 1
    assert said["facts"]["configuration"] == FACTS.configuration


def test_the_same_model_gives_the_same_bytes(path, tmp_path):
    for index in range(3):
        write_model(tmp_path / str(index), dict(reversed(TENSORS.items())), FACTS)
        assert (tmp_path / str(index)).read_bytes() == path.read_bytes()


def test_tensors_that_share_memory_are_stored_as_they_are(tmp_path):
    whole = torch.arange(6.0).reshape(2, 3)
    views = {"whole": whole, "row": whole[1], "turned": whole.T}
    write_model(tmp_path / "a", views, FACTS)
    for name, tensor in read_model(tmp_path / "a")[0].items():
        assert torch.equal(tensor, views[name])


@given(st.data())
def test_a_file_with_any_changed_byte_or_end_is_refused(path, tmp_path_factory, data):
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[place] ^= data.draw(st.integers(1, 255))
    else:
        del content[place:]
    broken = tmp_path_factory.mktemp("broken") / "model.safetensors"
    broken.write_bytes(content)
    try:
        tensors, facts = read_model(broken)
    except DrumblenderError as error:
        return is_one_sentence_about(broken, error)
    # A change of the key hides what the file says, and one of how a letter is written is none.
    assert facts in (None, FACTS)
    if facts is not None:
        assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)


def is_one_sentence_about(path, error):
    assert str(path) in str(error)
    assert ". " not in str(error)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\3\4" * 20, b"\0" * 100, b"\xff" * 100])
def test_a_file_that_is_none_is_refused_with_the_remedy(content, tmp_path):
    (tmp_path / "x.safetensors").write_bytes(content)
    for read in (read_facts, read_model):
        with pytest.raises(DrumblenderError, match=r"x\.safetensors is damaged, or no .* again"):
            read(tmp_path / "x.safetensors")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DrumblenderError, match="absent does not exist; check"):
        read_facts(tmp_path / "absent")


def test_a_newer_format_asks_for_an_update(tmp_path):
    text = json.dumps({"format": 2, "sha256": "", "weights": "elsewhere"})
    save_file({}, tmp_path / "new.safetensors", {"drumblender": text})
    with pytest.raises(DrumblenderError, match="newer Drumblender .format 2.; update"):
        read_model(tmp_path / "new.safetensors")


def test_facts_that_a_later_version_adds_do_not_matter(path, tmp_path, monkeypatch):
    @dataclasses.dataclass(frozen=True)
    class Later(Facts):
        language: str = "en"

    later = Later(**dataclasses.asdict(FACTS))
    write_model(tmp_path / "later", TENSORS, later)
    assert read_model(tmp_path / "later")[1] == FACTS


def test_weights_of_another_program_say_nothing(tmp_path):
    save_file(TENSORS, tmp_path / "other.safetensors", {"format": "pt"})
    tensors, facts = read_model(tmp_path / "other.safetensors")
    assert facts is None
    assert torch.equal(tensors["a.weight"], TENSORS["a.weight"])


def test_model_files_are_known_by_their_name_or_beginning(path, tmp_path):
    (tmp_path / "renamed").write_bytes(path.read_bytes())
    (tmp_path / "text").write_text('model: {"a": 1}\n')
    torch.save({}, tmp_path / "model.ckpt")
    assert is_model_file(tmp_path / "renamed")
    assert is_model_file("absent.safetensors")
    assert not is_model_file(tmp_path / "text")
    assert not is_model_file(tmp_path / "model.ckpt")


def test_sizes_are_readable(tmp_path):
    (tmp_path / "a").write_bytes(bytes(28_200))
    (tmp_path / "b").write_bytes(bytes(1_940_000))
    assert [size_of(tmp_path / name) for name in "ab"] == ["28.2 kB", "1.9 MB"]


@pytest.mark.slow
def test_facts_are_read_without_torch(path):
    code = (
        f"import sys; from drumblender.pretrained import read_facts; read_facts({str(path)!r});"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
