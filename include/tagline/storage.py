"""The few file operations that the lake needs, on local paths and on s3:// URLs alike.

Credentials, region and endpoint come from the standard AWS environment variables. A file of the
lake never changes once it is there.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from tagline.errors import LakeUnavailable, TaglineError, WrongUsage

SCHEME = "s3://"
_ATTEMPTS = 4  # of one request, with growing pauses: some seconds in all
_SETUP = (
    "NO_SUCH_BUCKET",
    "ACCESS_DENIED",
    "INVALID_ACCESS_KEY_ID",
    "INVALID_SIGNATURE",
    "SIGNATURE_DOES_NOT_MATCH",
    "MISSING_AUTHENTICATION_TOKEN",
    "UNRECOGNIZED_CLIENT",
)


def is_remote(path: str) -> bool:
    """Whether a path names an object, not a local file."""
    return path.startswith(SCHEME)


def location_of(text: str) -> str:
    """A folder as an absolute path, or s3://bucket/prefix without a slash at its end.

    >>> location_of("s3://bucket/shop/")
    's3://bucket/shop'
    """
    scheme, separator, rest = text.partition("://")
    if not separator or scheme == "file":
        return str(Path(rest if separator else text).absolute())
    if scheme != "s3" or not rest.strip("/") or rest.startswith("/"):
        raise WrongUsage(
            f"TAGLINE_LAKE_URL={text!r} is no place for a lake; "
            "give a folder, or s3://bucket/prefix."
        )
    return SCHEME + rest.rstrip("/")


def below(folder: str, *names: str) -> str:
    """The path of these names below a folder.

    >>> below("s3://bucket/shop", "raw", "a.parquet")
    's3://bucket/shop/raw/a.parquet'
    """
    return "/".join((folder, *names))


def beside(path: str, name: str) -> str:
    """The path of a file of this name in the folder of `path`.

    >>> beside("s3://bucket/shop/a.parquet", "b.parquet")
    's3://bucket/shop/b.parquet'
    """
    return f"{path.rpartition('/')[0]}/{name}" if "/" in path else name


def prepare(location: str) -> None:
    """Make a local folder, or see that the bucket is there and answers."""
    if not is_remote(location):
        Path(location).mkdir(parents=True, exist_ok=True)
        return
    from pyarrow.fs import FileType

    bucket = location.removeprefix(SCHEME).partition("/")[0]
    with explained(location):
        found = client().get_file_info(bucket)
    if found.type == FileType.NotFound:
        raise TaglineError(_setup_message(location, f"there is no bucket {bucket!r}"))


@contextmanager
def opened(path: str) -> Iterator[Any]:
    """A file for reading at any offset, as pyarrow takes it; FileNotFoundError without it."""
    with explained(path), _opened(path) as file:
        yield file


@contextmanager
def appearing_whole(path: str, scratch: str) -> Iterator[str]:
    """A local name to write to; after the block the file appears at `path`, durably.

    If the block fails, nothing appears and what was written is removed. What will be uploaded
    is written in the folder `scratch`; other files beside their target.
    """
    if is_remote(path):
        unfinished = Path(scratch) / f"upload-{uuid.uuid4().hex}"
    else:
        target = Path(path)
        unfinished = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield str(unfinished)
        if is_remote(path):
            _upload(str(unfinished), path)
        else:
            _rename(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)


def remove(path: str) -> None:
    """Remove a file, if it is there."""
    if not is_remote(path):
        Path(path).unlink(missing_ok=True)
        return
    with explained(path), suppress(FileNotFoundError):
        client().delete_file(path.removeprefix(SCHEME))


def listed(folder: str) -> dict[str, datetime]:
    """The files that lie directly in a folder, with when each was written; {} without it."""
    from pyarrow.fs import FileSelector, FileType, LocalFileSystem

    system, scheme = (client(), SCHEME) if is_remote(folder) else (LocalFileSystem(), "")
    with explained(folder):
        found = system.get_file_info(
            FileSelector(folder.removeprefix(SCHEME), allow_not_found=True)
        )
    return {scheme + each.path: each.mtime for each in found if each.type == FileType.File}


@contextmanager
def explained(place: str) -> Iterator[None]:
    """Say an object store's failure in the block as what it means and how to mend it.

    LakeUnavailable is worth another attempt; other errors are not. A file that is missing, and
    failures of the local disk, stay what they are.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        if not is_remote(place) or not _is_of_store(error):
            raise
        raise failure(place, error) from error


def failure(place: str, error: OSError) -> TaglineError:
    """What a failed request to an object store means."""
    said = str(error)
    if isinstance(error, PermissionError) or any(code in said for code in _SETUP):
        return TaglineError(_setup_message(place, said))
    return LakeUnavailable(
        f"the lake at {place} does not answer ({_endpoint_text()}): {said}. "
        "Nothing was written there; run again when the store is back, or correct "
        "AWS_ENDPOINT_URL or TAGLINE_LAKE_URL."
    )


def client() -> Any:
    """This process's one S3 client, a pyarrow.fs.S3FileSystem."""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    certificates = os.environ.get("AWS_CA_BUNDLE")
    return _client(os.getpid(), endpoint(), region, certificates)


def endpoint() -> str | None:
    """The S3-compatible server that the environment names; None for Amazon's own."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None


@lru_cache(maxsize=1)
def _client(
    _process: int,  # a forked process cannot use its parent's client
    server: str | None,
    region: str | None,
    certificates: str | None,
) -> Any:
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem

    if server and not region:
        region = "us-east-1"  # such servers have no regions, but requests are signed with one
    given = {
        "region": region,
        "endpoint_override": server,
        "tls_ca_file_path": certificates,
    }
    options: dict[str, Any] = {name: value for name, value in given.items() if value}
    return S3FileSystem(
        connect_timeout=5,
        request_timeout=60,
        allow_delayed_open=True,  # a small file is one request, not three
        retry_strategy=AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS),
        **options,
    )


def _opened(path: str) -> Any:
    from pyarrow.fs import LocalFileSystem

    if is_remote(path):
        return client().open_input_file(path.removeprefix(SCHEME))
    return LocalFileSystem().open_input_file(path)


def _upload(local: str, path: str) -> None:
    """Put a finished file at a URL, where it is seen once the store has all of it."""
    import pyarrow

    with (
        explained(path),
        pyarrow.memory_map(local) as file,
        client().open_output_stream(path.removeprefix(SCHEME)) as stream,
    ):
        # One call: closing completes the object, also after an interrupt between two of them.
        stream.write(file.read_buffer())


def _rename(unfinished: Path, target: Path) -> None:
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    unfinished.replace(target)
    with suppress(OSError):  # some file systems cannot sync a folder
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _is_of_store(error: OSError) -> bool:
    """Whether an error is a store's answer (or silence), not the local disk's."""
    return "AWS Error" in str(error) or isinstance(error, PermissionError)


def _endpoint_text() -> str:
    return f"AWS_ENDPOINT_URL {endpoint()}" if endpoint() else "Amazon S3"


def _setup_message(place: str, said: str) -> str:
    return (
        f"the lake at {place} cannot be used ({_endpoint_text()}): {said}. "
        "Create the bucket or correct TAGLINE_LAKE_URL; give an account that may read, write, "
        "list and delete there by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and the bucket's "
        "AWS_REGION."
    )
