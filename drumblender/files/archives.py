"""Archives of files. The same folder gives the same bytes, and only plain files come out.

An archive may come from anywhere. Its members are checked one by one here, without relying on the
filters of tarfile: they have to be regular files with relative paths, and they must fit on the
disk.
"""

import contextlib
import gzip
import io
import posixpath
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO, Callable, Dict, Iterator, Mapping, Optional, Sequence, Tuple

from tqdm import tqdm

from drumblender.errors import DrumblenderError, UsageError
from drumblender.files.atomic import in_one_step
from drumblender.files.compression import GZIP_NAMES, ZSTD_NAMES, compressed, plain
from drumblender.files.paths import leads_outside
from drumblender.files.progress import BYTES, progress
from drumblender.files.text import printable

_BLOCK = 1 << 20
# What each file takes on disk at least. An archive that is meant to fill it may hold empty files.
_LEAST_SIZE = 4096
# Names and headers may not be larger than this, because tarfile reads each at once.
_LONGEST_READ = 16 << 20
# How many files an archive of a kit may hold, and how large it may become when it is unpacked: in
# bytes, or in multiples of its own size.
_MOST_FILES = 100_000
_LEAST_LIMIT = 1 << 30
_MOST_TIMES = 200


Problems = Dict[PurePosixPath, str]


class DamagedArchive(DrumblenderError):
    """The error of an archive that is not what was written, or that never was an archive."""


def create_archive(folder: Path, destination: Path, top: str, leave_out: Sequence[str] = ()) -> int:
    """Write a folder to an archive, whose bytes depend only on the names and contents of files.

    Args:
        folder: folder to archive.
        destination: archive to write, ``.tar.gz`` or ``.tar.zst``.
        top: name of the one folder in the archive that holds everything.
        leave_out: names of files at the top of ``folder`` that the archive does not get.

    Returns:
        The number of files in the archive.

    Raises:
        UsageError: if the name says no compression, or if the archive would lie inside ``folder``.
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
        compressed(raw, destination.name) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive,
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
    """Refuse a name that says no compression, before hours of work.

    Raises:
        UsageError: if the name ends in neither ``.tar.gz`` nor ``.tar.zst``.
    """
    if not archive.name.endswith((*GZIP_NAMES, *ZSTD_NAMES)):
        raise UsageError(f"--archive {archive} has to end in .tar.gz or .tar.zst.")


def extract(archive: Path, folder: Path) -> None:
    """Extract the files of an archive into a new folder.

    Raises:
        DrumblenderError: if the archive is damaged or unsafe, or if the disk is full.
    """
    with _explained(archive, folder.parent), _bar(archive) as bar:
        folder.mkdir(parents=True, exist_ok=True)
        room = _Room(archive, folder)
        for name, size, source, position in _files(archive):
            room.take(size)
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                shutil.copyfileobj(source, file, _BLOCK)
            bar.update(position - bar.n)


def extract_some(archive: Path, targets: Mapping[PurePosixPath, Path]) -> None:
    """Extract some files of an archive. If two have one name, the last one counts, as with tar.

    Members that would make :func:`extract` refuse the archive are allowed here if they do no harm.

    Args:
        archive: tar file, plain or compressed.
        targets: maps names in the archive to files to write, all in one folder that exists.

    Raises:
        DrumblenderError: if the archive is damaged or unsafe, or if the disk is full.
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


def read_some(
    archive: Path, wanted: Callable[[PurePosixPath], bool], problems: Problems
) -> Iterator[Tuple[PurePosixPath, Optional[bytes]]]:
    """List the files of an archive, and read some of them, with the checks of :func:`extract_some`.

    Args:
        archive: tar file, plain or compressed.
        wanted: function that says of a name whether to read the file.
        problems: gets the name of each file that cannot be used, and the reason.

    Yields:
        The name of a file, and its content, which is None if it is not wanted.

    Raises:
        DrumblenderError: if the archive is damaged or unsafe.
    """
    with _explained(archive, archive.parent):
        for name, _, source, _ in _files(archive, problems):
            yield name, source.read(_LONGEST_READ) if wanted(name) else None


def _files(
    archive: Path, problems: Optional[Problems] = None
) -> Iterator[Tuple[PurePosixPath, int, IO[bytes], int]]:
    """Check each file of an archive.

    Args:
        archive: tar file, plain or compressed.
        problems: gets the name of each file that cannot be used, and the reason. If this is None,
            such a file makes the whole archive refused.

    Yields:
        The name, the size in bytes, the content, and the position in the archive where it ends.
    """
    with (
        archive.open("rb") as raw,
        plain(raw) as stream,
        _Bounded(stream) as bounded,
        tarfile.open(fileobj=bounded, mode="r:") as tar,
    ):
        limit = max(_LEAST_LIMIT, _MOST_TIMES * archive.stat().st_size)
        total = count = 0
        while True:
            member = tar.next()
            tar.members.clear()  # type: ignore[attr-defined]  # it would keep them all
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
            content = tar.extractfile(member)
            assert content is not None  # as it is a regular file
            yield name, member.size, content, raw.tell()
        if any(bounded.last):  # tarfile takes a damaged header for the end if it is not the first
            raise tarfile.ReadError("a damaged header")
        # The checksum of the compressed stream stands at its end, behind the last member.
        while stream.read(_BLOCK):
            total += _BLOCK
            if problems is not None and total > limit:
                raise DamagedArchive(f"{archive} unpacks to more than a kit can be; leave it out.")


class _Room:
    """A count of the room on the disk that an archive may still take.

    Args:
        archive: the archive, for messages.
        folder: folder where it is unpacked.
    """

    def __init__(self, archive: Path, folder: Path):
        self._archive, self._folder = archive, folder
        self._free = shutil.disk_usage(folder).free
        self._total = 0

    def take(self, size: int) -> None:
        """Count one file, or raise if the disk has no room for it."""
        self._total += max(size, _LEAST_SIZE)
        if self._total > self._free:
            raise DrumblenderError(
                f"{self._archive} unpacks to more than the {self._free / 1e9:.1f} GB that are free "
                f"at {self._folder.parent}; make room or set another data_dir."
            )


def _bar(archive: Path) -> tqdm:
    """Return a progress bar that counts the bytes of an archive."""
    return progress(f"Unpack {printable(archive.name)}", archive.stat().st_size, **BYTES)


@contextlib.contextmanager
def _explained(archive: Path, place: Path) -> Iterator[None]:
    """Turn the errors of libraries into sentences about an archive."""
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
    """Return the name of a member, or refuse a name that leads out of the archive."""
    # Kits also come from Windows.
    text = member.name.replace("\\", "/") if is_kit else member.name
    if leads_outside(text) or "\\" in text or "\0" in text:
        raise _unsafe(archive, member, "points outside the archive")
    return PurePosixPath(text)


def _is_link_inside(member: tarfile.TarInfo, name: PurePosixPath) -> bool:
    """Return whether a member is a link to something in the same archive."""
    start = name.parent if member.issym() else PurePosixPath()
    target = posixpath.normpath(start / member.linkname)
    return (member.issym() or member.islnk()) and not target.startswith(("/", ".."))


def _unsafe(archive: Path, member: tarfile.TarInfo, why: str) -> DrumblenderError:
    """Make the error that refuses an archive because of one member."""
    return DrumblenderError(
        f"{archive} is unsafe, {member.name!r} in it {why}; do not use it, "
        "and get it again from a source that you trust."
    )


def _damaged(archive: Path, error: BaseException) -> DrumblenderError:
    """Make the error that says what a library found wrong with an archive."""
    return DamagedArchive(
        f"{archive} is damaged or no tar archive ({error}); remove it and run the command again."
    )


class _Bounded(io.RawIOBase):
    """A stream that refuses to be read in gigabytes, which a header in an archive may ask for.

    Attributes:
        last: the bytes that were read last.
    """

    def __init__(self, stream: IO[bytes]):
        self._stream = stream
        self.last = b""

    def read(self, size: int = -1) -> bytes:
        """Read bytes, or refuse a number that no header needs."""
        if not 0 <= size <= _LONGEST_READ:
            raise tarfile.ReadError(f"a header of {size} bytes")
        self.last = self._stream.read(size)
        return self.last

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position, and return it."""
        return self._stream.seek(position, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._stream.tell()
