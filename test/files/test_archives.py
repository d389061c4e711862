import functools
import gzip
import io
import os
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

import pytest
import strategies
from hypothesis import assume, given
from hypothesis import strategies as st

from drumblender.data.sources.archive import LocalArchive
from drumblender.data.sources.base import put_in_place
from drumblender.errors import DrumblenderError, UsageError
from drumblender.files import archives


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "dataset"
    (folder / "audio").mkdir(parents=True)
    (folder / "meta.json").write_text("{}")
    (folder / "audio" / "a.wav").write_bytes(os.urandom(1000))
    (folder / "journal").write_text("of this machine")
    return folder


def unpack(archive, data_dir, meta_file, check):
    put_in_place(LocalArchive(archive), data_dir, meta_file, check)


def accept(folder):
    assert (folder / "meta.json").exists()


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


ENDINGS = ("tar.gz", "tar.zst")


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_archive_is_the_same_bytes_for_the_same_files(folder, tmp_path, ending, monkeypatch):
    archives.create_archive(folder, tmp_path / f"a.{ending}", "top", ["journal"])
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o755)
    (folder / "journal").write_text("of another machine")
    monkeypatch.setattr(os, "cpu_count", lambda: 5)  # another machine
    archives.create_archive(folder, tmp_path / f"b.{ending}", "top", ["journal"])

    assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_archive_unpacks_to_what_was_packed(folder, tmp_path, ending):
    assert archives.create_archive(folder, tmp_path / f"a.{ending}", "top") == 3

    unpack(tmp_path / f"a.{ending}", tmp_path / "new", "meta.json", accept)

    assert contents(tmp_path / "new") == contents(folder)


@pytest.mark.parametrize("top", [".", "one", "one/two"])
@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w:bz2", "w"])
def test_with_or_without_top_folders_the_metadata_ends_up_in_place(folder, tmp_path, top, mode):
    with tarfile.open(tmp_path / "a.tar", mode) as archive:
        archive.add(folder, top)

    unpack(tmp_path / "a.tar", tmp_path / "new", "meta.json", accept)

    assert contents(tmp_path / "new") == contents(folder)


def member(name, kind=tarfile.REGTYPE, content=b"{}", link=""):
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = link
    info.size = len(content) if kind == tarfile.REGTYPE else 0
    return info, io.BytesIO(content)


EVIL = {
    "absolute": member("/tmp/drumblender-escaped"),
    "parent": member("../escaped"),
    "deep parent": member("a/../../escaped"),
    "symlink": member("link", tarfile.SYMTYPE, link="/etc"),
    "inner symlink": member("link", tarfile.SYMTYPE, link="meta.json"),
    "hard link": member("link", tarfile.LNKTYPE, link="meta.json"),
    "device": member("null", tarfile.CHRTYPE),
    "pipe": member("pipe", tarfile.FIFOTYPE),
}


@pytest.mark.parametrize("kind", EVIL)
def test_an_archive_that_reaches_outside_is_refused(tmp_path, kind):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        for info, content in (member("meta.json"), EVIL[kind]):
            content.seek(0)
            archive.addfile(info, content)

    with pytest.raises(DrumblenderError, match=r"a\.tar\.gz is unsafe"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "in" / "new", "meta.json", accept)

    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.tar.gz", "in"]


def test_an_archive_that_writes_through_its_own_link_is_refused(tmp_path):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.addfile(*member("way", tarfile.SYMTYPE, link=str(tmp_path)))
        archive.addfile(*member("way/escaped"))

    with pytest.raises(DrumblenderError, match="is a link"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "new", "meta.json", accept)

    assert not (tmp_path / "escaped").exists()


def test_a_bomb_is_refused_before_it_fills_the_disk(tmp_path):
    info = tarfile.TarInfo("meta.json")
    info.size = 1 << 60
    (tmp_path / "a.tar").write_bytes(info.tobuf() + bytes(10240))

    with pytest.raises(DrumblenderError, match=r"unpacks to more than .* free"):
        unpack(tmp_path / "a.tar", tmp_path / "new", "meta.json", accept)

    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_that_fills_the_memory_is_refused(tmp_path, kind):
    info = tarfile.TarInfo("meta.json")
    info.type, info.size = kind, 1 << 32
    with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
        file.write(info.tobuf() + bytes(1 << 20))

    with pytest.raises(DrumblenderError, match=r"damaged .* header of 4294967296 bytes"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "new", "meta.json", accept)


def test_a_bomb_of_empty_files_is_refused(tmp_path, monkeypatch):
    archive = tmp_path / "a.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for index in range(300):
            tar.addfile(*member(str(index), content=b""))
    usage = type("Usage", (), {"free": 1 << 20})
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda path: usage)

    with pytest.raises(DrumblenderError, match=r"unpacks to more than .* free"):
        unpack(archive, tmp_path / "new", "meta.json", accept)


def test_an_archive_inside_its_own_dataset_or_of_no_known_kind_is_refused(folder, tmp_path):
    with pytest.raises(UsageError, match="lies inside the dataset"):
        archives.create_archive(folder, folder / "audio" / "a.tar.gz", "top")
    with pytest.raises(UsageError, match=r"has to end in \.tar\.gz or \.tar\.zst"):
        archives.create_archive(folder, tmp_path / "a.zip", "top")


def damaged(content, how):
    return {
        "cut": content[: len(content) // 2],
        "cut at the very end": content[:-4],
        "flipped": content[:-300] + bytes([content[-300] ^ 255]) + content[-299:],
        "empty": b"",
        "text": b"404 not found" * 100,
    }[how]


@pytest.mark.parametrize("how", ["cut", "cut at the very end", "flipped", "empty", "text"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_damaged_archive_leaves_no_dataset(folder, tmp_path, how, ending):
    archive = tmp_path / f"a.{ending}"
    archives.create_archive(folder, archive, "top")
    archive.write_bytes(damaged(archive.read_bytes(), how))

    with pytest.raises(archives.DamagedArchive, match=rf"a\.{ending} is damaged"):
        unpack(archive, tmp_path / "new", "meta.json", accept)

    assert sorted(path.name for path in tmp_path.iterdir()) == [archive.name, "dataset"]


def test_a_folder_that_holds_something_else_is_not_replaced(folder, tmp_path):
    archives.create_archive(folder, tmp_path / "a.tar.gz", "top")

    with pytest.raises(UsageError, match=r"dataset holds files but no other\.json"):
        unpack(tmp_path / "a.tar.gz", folder, "other.json", accept)

    assert (folder / "meta.json").exists()


def test_the_archive_of_something_else_is_refused(folder, tmp_path):
    archives.create_archive(folder, tmp_path / "a.tar.gz", "top")

    with pytest.raises(DrumblenderError, match=r"holds no other\.json"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "new", "other.json", accept)


def test_an_archive_that_is_not_whole_is_not_put_in_place(folder, tmp_path):
    archives.create_archive(folder, tmp_path / "a.tar.gz", "top")

    def refuse(folder):
        raise DrumblenderError("half of it is missing")

    put = functools.partial(unpack, tmp_path / "a.tar.gz", tmp_path / "new", "meta.json")
    with pytest.raises(DrumblenderError, match="half of it"):
        put(refuse)

    assert not (tmp_path / "new").exists()
    put(accept)
    assert (tmp_path / "new").exists()


def packed(mode="w", **files):
    """A tar file of files and of a folder, a link and an empty file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=tarfile.PAX_FORMAT) as tar:
        for info, content in (
            *(member(f"Kit/{name}", content=content) for name, content in files.items()),
            member("Kit", tarfile.DIRTYPE),
            member("Kit/link.wav", tarfile.SYMTYPE, link="a.wav"),
            member(f"Kit/{'long ' * 30}.wav", content=b""),
        ):
            tar.addfile(info, content)
    return buffer.getvalue()


SMALL = {"a.wav": bytes(range(200)), "drumkit.xml": b"<kit/>"}
ARCHIVES = [packed(mode, **SMALL) for mode in ("w", "w:gz", "w:bz2", "w:xz")]


@given(strategies.broken(*ARCHIVES))
def test_any_bytes_are_an_archive_that_stays_in_its_folder_or_a_refusal(content):
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "x.tar").write_bytes(content)
        try:
            archives.extract(root / "x.tar", root / "inside")
        except DrumblenderError:
            pass
        assert {path.name for path in root.iterdir()} <= {"x.tar", "inside"}


@given(strategies.broken(*ARCHIVES))
def test_any_bytes_are_a_kit_or_a_refusal(content):
    problems = {}
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "x.h2drumkit").write_bytes(content)
        try:
            found = dict(
                archives.read_some(
                    Path(name) / "x.h2drumkit", lambda path: path.name == "drumkit.xml", problems
                )
            )
        except DrumblenderError:
            return
        assert all(".." not in path.parts for path in [*found, *problems])
        assert {path.name for path, data in found.items() if data is not None} <= {"drumkit.xml"}


NAMES = st.text("ab é大.-", min_size=1, max_size=6).filter(lambda name: name not in (".", ".."))


@given(
    st.dictionaries(
        st.lists(NAMES, min_size=1, max_size=3).map(lambda parts: PurePosixPath(*parts)),
        st.binary(max_size=2000),
        max_size=6,
    ),
    st.sampled_from(ENDINGS),
)
def test_whatever_files_there_are_come_back_as_they_were(files, ending):
    # No name is both that of a file and that of a folder.
    assume(not any(folder in files for name in files for folder in name.parents))
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "dataset").mkdir()
        for path, content in files.items():
            (root / "dataset" / path).parent.mkdir(parents=True, exist_ok=True)
            (root / "dataset" / path).write_bytes(content)

        count = archives.create_archive(root / "dataset", root / f"a.{ending}", "top")
        archives.extract(root / f"a.{ending}", root / "new")

        assert count == len(files)
        top = root / "new" / "top"
        assert (contents(top) if files else {}) == contents(root / "dataset")
