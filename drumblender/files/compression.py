"""Files that are compressed with gzip, Zstandard, bzip2 or xz, as streams."""

import contextlib
import gzip
import os
import sys
from typing import IO, Any, Iterator

GZIP_NAMES = (".tar.gz", ".tgz")
ZSTD_NAMES = (".tar.zst", ".tzst")

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


@contextlib.contextmanager
def compressed(raw: IO[bytes], name: str) -> Iterator[Any]:
    """Give a stream that compresses what is written to it, in the way that a name's ending says.

    The bytes depend on nothing but the content.

    Args:
        raw: where the compressed bytes go.
        name: ends in one of ``GZIP_NAMES``, or else in one of ``ZSTD_NAMES``.
    """
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


def plain(raw: IO[bytes]) -> Any:
    """Return a stream of the content of a file, whether it is compressed or not."""
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


def _zstd() -> Any:
    """Return the module for Zstandard, which Python has since 3.14 and a backport has before."""
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd
