"""Objects of the lake as DuckDB reads them, through the process's S3 client."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from fsspec.spec import AbstractFileSystem

from tagline import storage
from tagline.errors import TaglineError

_UNCHANGED_SINCE = datetime(2000, 1, 1, tzinfo=UTC)  # files of the lake never change


class RemoteFiles(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """The named objects and no others, for reading; each is opened once.

    DuckDB says a failed read in words of its own, so the reason is kept in `failure`.
    """

    protocol = "s3"
    cachable = False

    def __init__(self, paths: Iterable[str]) -> None:
        super().__init__()
        self._paths = frozenset(paths)
        self._files: dict[str, Any] = {}
        self._opening = threading.Lock()
        self.failure: TaglineError | None = None

    def open(self, path: str, mode: str = "rb", *_: Any, **__: Any) -> _Reader:
        """An object as a file; threads may share it."""
        if mode != "rb":
            raise PermissionError(f"{path}: objects are only read here, not opened as {mode!r}")
        return _Reader(self, path)

    def glob(self, path: str, *_: Any, **__: Any) -> list[str]:
        """The path itself: the engine is given every file by its full name."""
        return [path] if path in self._paths else []

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Size and kind of an object."""
        size = self.file(path).size()
        return {"name": path, "size": size, "type": "file", "mtime": _UNCHANGED_SINCE}

    def modified(self, _path: str) -> datetime:
        """An instant that never changes."""
        return _UNCHANGED_SINCE

    def file(self, path: str) -> Any:
        """The open object, whose `read_at` is safe in threads."""
        if path not in self._paths:
            raise PermissionError(f"{path} is none of the files that this query may read")
        with self._opening:
            if path not in self._files:
                self._files[path] = self.tried(path, self._opened, path)
            return self._files[path]

    def tried(self, path: str, action: Any, *arguments: Any) -> Any:
        """The result of a request; what it fails of is kept, and nothing is asked after it."""
        if self.failure is not None:
            raise OSError(str(self.failure))
        try:
            return action(*arguments)
        except FileNotFoundError as error:
            self.failure = TaglineError(f"{path} is gone from the lake: {error}")
            raise
        except OSError as error:
            self.failure = storage.failure(path, error)
            raise

    @staticmethod
    def _opened(path: str) -> Any:
        return storage.client().open_input_file(path.removeprefix(storage.SCHEME))


class _Reader(io.RawIOBase):
    """A file that many threads of the engine share.

    The engine reads at an offset by seek, then read, without a lock around both; so each thread
    has a position of its own.
    """

    def __init__(self, files: RemoteFiles, path: str) -> None:
        self._files, self._path = files, path
        self._file = files.file(path)
        self._own = threading.local()

    def seekable(self) -> bool:
        """Yes."""
        return True

    def readable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move this thread's position."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: self._file.size()}
        self._own.position = start[whence] + offset
        return self.tell()

    def tell(self) -> int:
        """This thread's position."""
        return int(getattr(self._own, "position", 0))

    def read(self, size: int = -1) -> bytes:
        """The next bytes from this thread's position."""
        at = self.tell()
        wanted = self._file.size() - at if size < 0 else size
        data: bytes = self._files.tried(self._path, self._file.read_at, wanted, at)
        self._own.position = at + len(data)
        return data
