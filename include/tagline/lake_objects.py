"""Iceberg's own files in an object store; a module of its own, since the library loads slowly."""

from __future__ import annotations

from pyarrow.fs import FileSystem
from pyiceberg.io.pyarrow import PyArrowFileIO

from tagline import storage


class LakeObjects(PyArrowFileIO):
    """Uses this process's one S3 client; the properties of the lake's catalog name this class."""

    def _initialize_fs(self, scheme: str, netloc: str | None = None) -> FileSystem:
        return storage.client() if scheme == "s3" else super()._initialize_fs(scheme, netloc)
