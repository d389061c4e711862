"""Places of all stores that fsspec [1] knows, such as ``gs://`` and ``az://``.

[1] https://filesystem-spec.readthedocs.io
"""

import functools
from pathlib import Path
from typing import Any, Iterator, List, Optional, Tuple, Union

from drumblender.data.bucket.pace import PACE
from drumblender.data.bucket.place import Item, Place, changed, check_size
from drumblender.data.sources.transfer import Fault
from drumblender.errors import DrumblenderError, UsageError


class FsspecPlace(Place):
    """A place of any store that fsspec knows.

    Args:
        address: its address.
    """

    def __init__(self, address: str):
        self.address = address
        self._system  # noqa: B018 (a store that is not there is reported at once)

    @property
    def _system(self) -> Any:
        """The file system, which fsspec keeps one of for each process."""
        return _file_system(self.address)

    def _path(self, name: str) -> str:
        """Return the path of an object in the file system."""
        root = self._system._strip_protocol(self.address)
        return f"{root.rstrip('/')}/{name}"

    def _ask(self, name: str, request: Any) -> Any:
        """Make a request; None if there is no such object."""

        def ask() -> Any:
            """Make the request once."""
            try:
                return request(self._system, self._path(name))
            except FileNotFoundError:
                return None
            except PermissionError:
                raise DrumblenderError(
                    f"{self.title(name)} is refused; check the credentials of this store."
                ) from None
            except Exception as error:  # every store has its own
                # Their texts may hold addresses with signatures.
                raise Fault(f"the store failed ({type(error).__name__})") from None

        return PACE.steadily(self.title(name), ask)

    def read(self, name: str, start: int = 0, end: Optional[int] = None) -> Optional[bytes]:
        """Return an object or a part of one, as :class:`Place` says."""
        if start or end is not None:
            return self._ask(name, lambda fs, path: fs.cat_file(path, start=start, end=end))
        return self._ask(name, lambda fs, path: fs.cat_file(path))

    def fetch(self, item: Item, path: Path) -> None:
        """Write an object to a file."""
        info = self._ask(item.name, lambda fs, where: fs.info(where))
        found = None if info is None else _from_info(item.name, info)
        if found is None or (found.size, found.tag) != (item.size, item.tag):
            raise changed(self.title(item.name))
        data = self.read(item.name)
        path.write_bytes(data or b"")
        check_size(self.title(item.name), item, path)

    def write(self, name: str, data: Union[bytes, Path]) -> None:
        """Write an object, from memory or from a file."""

        def put(fs: Any, path: str) -> bool:
            """Write it once."""
            if isinstance(data, bytes):
                fs.pipe_file(path, data)
            else:
                fs.put_file(str(data), path)
            return True

        if not self._ask(name, put):
            raise DrumblenderError(f"{self.title(name)} cannot be written; check the bucket.")

    def remove(self, name: str) -> None:
        """Remove an object, if it is there."""
        self._ask(name, lambda fs, path: fs.rm_file(path))

    def items(self, prefix: str = "") -> Iterator[Item]:
        """Yield the objects below a prefix, folder by folder."""
        root = self._path("")
        entries = self._ask(prefix, lambda fs, path: fs.ls(path.rstrip("/"), detail=True)) or []
        named = [(entry["name"][len(root) :].strip("/"), entry) for entry in entries]
        for name, entry in sorted(named, key=lambda pair: pair[0].encode("utf-8", "replace")):
            if entry["type"] == "directory":
                yield from self.items(f"{name}/")
            elif name:
                yield _from_info(name, entry)

    def top(self) -> Tuple[List[Item], List[str]]:
        """List what lies at the top."""
        root = self._path("")
        entries = self._ask("", lambda fs, path: fs.ls(path.rstrip("/"), detail=True)) or []
        named = sorted((entry["name"][len(root) :].strip("/"), entry["type"]) for entry in entries)
        infos = {entry["name"][len(root) :].strip("/"): entry for entry in entries}
        files = [_from_info(name, infos[name]) for name, kind in named if kind != "directory"]
        return files, [name for name, kind in named if kind == "directory"]


@functools.cache
def _file_system(address: str) -> Any:
    """Return the file system of an address."""
    import fsspec

    try:
        # Listings that are kept would hide what other machines have written.
        return fsspec.core.url_to_fs(address, use_listings_cache=False)[0]
    except (ImportError, ValueError) as error:
        scheme = address.partition("://")[0]
        package = {"gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}.get(scheme)
        remedy = f"pip install {package}" if package else "write s3://, gs://, az:// or file://"
        kind = type(error).__name__
        raise UsageError(f"{address} cannot be opened ({kind}); {remedy}.") from None


def _from_info(name: str, info: Any) -> Item:
    """Return what is known of an object of fsspec."""
    known = [info.get(key) for key in ("etag", "ETag", "mtime", "updated", "last_modified")]
    times = [
        info.get(key) for key in ("updated", "LastModified", "last_modified", "mtime", "created")
    ]
    tag = next((str(value) for value in known if value), str(info.get("size")))
    return Item(name, info["size"], tag, next((str(value) for value in times if value), ""))
