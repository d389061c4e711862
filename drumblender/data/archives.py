"""In and out of archives: the same bytes for the same dataset, and nothing but plain files out.

An archive may come from anywhere. Its members are checked one by one here, and nothing relies on
tarfile's own filters: only regular files with relative paths, no more than the disk can take.
"""

import contextlib
import gzip
import io
import os
import posixpath
import shutil
import sys
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO, Callable, Dict, Iterator, Mapping, Optional, Sequence, Tuple

from drumblender.errors import DrumblenderError, UsageError
from drumblender.files.atomic import in_one_step
from drumblender.files.paths import leads_outside
from drumblender.files.progress import BYTES, progress
from drumblender.files.text import printable

GZIP_NAMES = (".tar.gz", ".tgz")
ZSTD_NAMES = (".tar.zst", ".tzst")

_BLOCK = 1 << 20
# What a file takes on disk at least; a bomb may be made of empty files.
_LEAST_SIZE = 4096
# tarfile reads names and headers at once; nobody needs larger ones.
_LONGEST_READ = 16 << 20
# Of a kit: how many files, and how large it may become (in bytes, or in sizes of the archive).
_MOST_FILES = 100_000
_LEAST_LIMIT = 1 << 30
_MOST_TIMES = 200
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


Problems = Dict[PurePosixPath, str]


class DamagedArchive(DrumblenderError):
    """An archive that is not what it was when it was written, or never was one."""


def create_archive(folder: Path, destination: Path, top: str, leave_out: Sequence[str] = ()) -> int:
    """Write a folder to an archive whose bytes depend on nothing but the files' contents.

    Args:
        folder: to archive.
        destination: the archive, ``.tar.gz`` or ``.tar.zst``.
        top: the one folder in the archive that holds everything.
        leave_out: file names at the top of ``folder`` to leave out.

    Returns:
        How many files it holds.
    """
    check_name(destination)
    if folder.resolve() in destination.resolve().parents:
        raise UsageError(
            f"--archive {destination} lies inside the dataset itself; write it elsewhere."
        )
    paths = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and str(path.relative_to(folder)) not in leave_out
    )
    with (
        in_one_step(destination) as temporary,
        temporary.open("wb") as raw,
        _compressed(raw, destination.name) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        progress(f"Archive {destination.name}", len(paths), " files") as bar,
    ):
        for path in paths:
            member = tarfile.TarInfo(str(PurePosixPath(top, *path.relative_to(folder).parts)))
            member.size = path.stat().st_size
            member.mode = 0o644
            with path.open("rb") as file:
                archive.addfile(member, file)
            bar.update()
    return len(paths)


def check_name(archive: Path) -> None:
    """Refuse a name that says no compression, before hours of work."""
    if not archive.name.endswith((*GZIP_NAMES, *ZSTD_NAMES)):
        raise UsageError(f"--archive {archive} has to end in .tar.gz or .tar.zst.")


def unpack(archive: Path, data_dir: Path, meta_file: str, check: Callable[[Path], None]) -> None:
    """Unpack the archive of a dataset into ``data_dir``, which must not hold anything yet.

    Whether the archive has a top folder or not, ``meta_file`` ends up in ``data_dir`` itself.

    Args:
        archive: tar file, plain or compressed (gzip, Zstandard, bzip2, xz).
        data_dir: where the dataset shall be.
        meta_file: file that marks the folder of the dataset inside the archive.
        check: called with the unpacked folder; raises when that is not a whole dataset.
    """
    if data_dir.exists() and any(data_dir.iterdir()):
        raise UsageError(
            f"{data_dir} holds files but no {meta_file}; correct meta_file, set another data_dir, "
            "or remove that folder."
        )
    temporary = data_dir.with_name(data_dir.name + ".unpack")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        extract(archive, temporary)
        found = sorted(temporary.rglob(meta_file), key=lambda path: len(path.parts))
        if not found:
            raise DrumblenderError(
                f"{archive} holds no {meta_file}, so it is not the archive of this dataset; "
                "correct archive or meta_file in the configuration."
            )
        root = found[0]
        for _ in PurePosixPath(meta_file).parts:
            root = root.parent
        check(root)
        if data_dir.exists():  # an empty folder, which not every system replaces
            data_dir.rmdir()
        root.rename(data_dir)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def extract(archive: Path, folder: Path) -> None:
    """Extract the files of an archive into a new folder.

    Raises:
        DrumblenderError: when the archive is damaged or unsafe, or the disk is full.
    """
    with _explained(archive, folder.parent), _bar(archive) as bar:
        folder.mkdir(parents=True)
        room = _Room(archive, folder)
        for name, size, source, position in _files(archive):
            room.take(size)
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                shutil.copyfileobj(source, file, _BLOCK)
            bar.update(position - bar.n)


def extract_kit(archive: Path, targets: Mapping[PurePosixPath, Path]) -> None:
    """Extract some files of a kit's archive, of two of one name the last one, as tar does.

    Args:
        archive: tar file, plain or compressed.
        targets: name in the archive -> where to write it, in a folder that is there.

    Raises:
        DrumblenderError: when the archive is damaged or unsafe, or the disk is full.
    """
    folder = next(iter(targets.values())).parent
    with _explained(archive, folder), _bar(archive) as bar:
        room = _Room(archive, folder)
        for name, size, source, position in _files(archive, {}):
            if name in targets:
                room.take(size)
                with targets[name].open("wb") as file:
                    shutil.copyfileobj(source, file, _BLOCK)
            bar.update(position - bar.n)


def read_kit(
    archive: Path, wanted: Callable[[PurePosixPath], bool], problems: Problems
) -> Iterator[Tuple[PurePosixPath, Optional[bytes]]]:
    """The names of all files of a kit's archive, with the content of those that are wanted.

    Args:
        archive: tar file, plain or compressed.
        wanted: of a name.
        problems: gets the names of what cannot be used, and why.
    """
    with _explained(archive, archive.parent):
        for name, _, source, _ in _files(archive, problems):
            yield name, source.read(_LONGEST_READ) if wanted(name) else None


def _files(
    archive: Path, problems: Optional[Problems] = None
) -> Iterator[Tuple[PurePosixPath, int, IO[bytes], int]]:
    """Name, size and content of each file, checked, and how far along in the archive it ends.

    Args:
        archive: tar file, plain or compressed.
        problems: gets what is wrong with one file of a kit and makes the others no less safe. An
            archive of ours has no such files, and is refused when this is None.
    """
    with (
        archive.open("rb") as raw,
        _plain(raw) as stream,
        _Bounded(stream) as bounded,
        tarfile.open(fileobj=bounded, mode="r:") as tar,
    ):
        limit = max(_LEAST_LIMIT, _MOST_TIMES * archive.stat().st_size)
        total = count = 0
        while True:
            member = tar.next()
            tar.members.clear()  # which would keep them all
            if member is None:
                break
            if member.size < 0:
                raise _unsafe(archive, member, "has an impossible size")
            count, total = count + 1, total + member.size
            if problems is not None and (count > _MOST_FILES or total > limit):
                raise DamagedArchive(f"{archive} unpacks to more than a kit can be; leave it out.")
            if member.isdir():
                continue
            name = _safe_name(archive, member, is_kit=problems is not None)
            if not member.isreg():
                if problems is None or not _is_link_inside(member, name):
                    raise _unsafe(archive, member, "is a link or a device")
                problems[name] = "is a link in an archive"
                continue
            if problems is not None:
                problems.pop(name, None)  # the last of one name counts
            yield name, member.size, tar.extractfile(member), raw.tell()
        if any(bounded.last):  # tarfile takes a damaged header for the end if it is not the first
            raise tarfile.ReadError("a damaged header")
        # The checksum of the compressed stream stands at its end, behind the last member.
        while stream.read(_BLOCK):
            total += _BLOCK
            if problems is not None and total > limit:
                raise DamagedArchive(f"{archive} unpacks to more than a kit can be; leave it out.")


class _Room:
    """What may still be written where a folder is.

    Args:
        archive: that is unpacked.
        folder: to unpack to.
    """

    def __init__(self, archive: Path, folder: Path):
        self._archive, self._folder = archive, folder
        self._free = shutil.disk_usage(folder).free
        self._total = 0

    def take(self, size: int) -> None:
        """Take the room of one file, or raise."""
        self._total += max(size, _LEAST_SIZE)
        if self._total > self._free:
            raise DrumblenderError(
                f"{self._archive} unpacks to more than the {self._free / 1e9:.1f} GB that are free "
                f"at {self._folder.parent}; make room or set another data_dir."
            )


def _bar(archive: Path):
    return progress(f"Unpack {printable(archive.name)}", archive.stat().st_size, **BYTES)


@contextlib.contextmanager
def _explained(archive: Path, place: Path) -> Iterator[None]:
    """Turn what can happen to an archive into sentences."""
    try:
        yield
    except FileExistsError as error:
        raise DrumblenderError(
            f"{archive} holds {Path(error.filename).name} twice; get it again from its source."
        ) from error
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError) as error:
        raise _damaged(archive, error) from error
    except OSError as error:
        if error.errno is None:  # of a decompressor
            raise _damaged(archive, error) from error
        raise DrumblenderError(
            f"{archive} cannot be unpacked to {place} ({error.strerror}); make room or "
            "check the folder's permissions, and run the command again."
        ) from error
    except Exception as error:
        if type(error).__name__ in ("ZstdError", "LZMAError"):  # imported only where needed
            raise _damaged(archive, error) from error
        raise


def _safe_name(archive: Path, member: tarfile.TarInfo, is_kit: bool) -> PurePosixPath:
    # Kits also come from Windows.
    text = member.name.replace("\\", "/") if is_kit else member.name
    if leads_outside(text) or "\\" in text or "\0" in text:
        raise _unsafe(archive, member, "points outside the archive")
    return PurePosixPath(text)


def _is_link_inside(member: tarfile.TarInfo, name: PurePosixPath) -> bool:
    """Whether a member is a link to something in the same archive."""
    start = name.parent if member.issym() else PurePosixPath()
    target = posixpath.normpath(start / member.linkname)
    return (member.issym() or member.islnk()) and not target.startswith(("/", ".."))


def _unsafe(archive: Path, member: tarfile.TarInfo, why: str) -> DrumblenderError:
    return DrumblenderError(
        f"{archive} is unsafe, {member.name!r} in it {why}; do not use it, "
        "and get it again from a source that you trust."
    )


def _damaged(archive: Path, error: BaseException) -> DrumblenderError:
    return DamagedArchive(
        f"{archive} is damaged or no tar archive ({error}); remove it and run the command again."
    )


class _Bounded(io.RawIOBase):
    """A stream that refuses to be read in gigabytes, which a header in an archive may ask for.

    Attributes:
        last: what was read last.
    """

    def __init__(self, stream: IO[bytes]):
        self._stream = stream
        self.last = b""

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _LONGEST_READ:
            raise tarfile.ReadError(f"a header of {size} bytes")
        self.last = self._stream.read(size)
        return self.last

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(position, whence)

    def tell(self) -> int:
        return self._stream.tell()


# --- Compression ---------------------------------------------------------------------------------


@contextlib.contextmanager
def _compressed(raw: IO[bytes], name: str) -> Iterator[IO[bytes]]:
    if name.endswith(GZIP_NAMES):
        # gzip would write the time and the file's name into the header.
        with gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as stream:
            yield stream
        return
    zstd = _zstd()
    options = {
        zstd.CompressionParameter.compression_level: 9,
        zstd.CompressionParameter.checksum_flag: 1,
        # The bytes do not depend on the number of threads, provided that there is one.
        zstd.CompressionParameter.nb_workers: min(os.cpu_count() or 1, 16),
    }
    with zstd.ZstdFile(raw, "w", options=options) as stream:
        yield stream


def _plain(raw: IO[bytes]) -> IO[bytes]:
    """A stream of the tar file in whatever it is compressed with."""
    start = raw.read(6)
    raw.seek(0)
    if start[:2] == b"\x1f\x8b":
        return gzip.GzipFile(fileobj=raw, mode="rb")
    if start[:4] == _ZSTD_MAGIC:
        return _zstd().ZstdFile(raw, "r")
    if start[:3] == b"BZh":
        import bz2

        return bz2.BZ2File(raw, "rb")
    if start == b"\xfd7zXZ\x00":
        import lzma

        return lzma.LZMAFile(raw, "rb")
    return contextlib.nullcontext(raw)


def _zstd():
    """The standard library's Zstandard, which the backport brings to Python before 3.14."""
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd
