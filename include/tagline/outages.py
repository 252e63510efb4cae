"""Faults of the machines: a lost database or a full disk, told with what and the fix."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tagline.errors import DatabaseUnavailable, DiskFull, TaglineError
from tagline.settings import Settings

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_SAID_WHEN_FULL = ("No space left on device", "Disk quota exceeded", "File too large")


@contextmanager
def explained(settings: Settings) -> Iterator[None]:
    """Raise what the machines fail with inside the block as a TaglineError; a retry may mend it."""
    try:
        yield
    except Exception as error:
        told = explanation(error, settings)
        if told is None:
            raise
        raise told from error


def explanation(error: BaseException, settings: Settings) -> TaglineError | None:
    """The error to raise in place of one that a lost database or a full disk is the reason of.

    None where it says what happened already, or has another reason.
    """
    if isinstance(error, DatabaseUnavailable | DiskFull):
        return None
    for each in _chain(error):
        if _is_disk_full(each):
            return DiskFull(_disk_full(each, settings))
        if not isinstance(error, TaglineError) and _is_database_lost(each):
            said = str(getattr(each, "orig", None) or each).strip().splitlines()[0]
            return DatabaseUnavailable(
                f"PostgreSQL was lost, or gave up: {said}. What was live stays so. See that the "
                "server runs (TAGLINE_DATABASE_URL), then run again."
            )
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it was raised from."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _is_database_lost(error: BaseException) -> bool:
    """Whether the connection is gone, and not merely a statement refused."""
    kind = type(error)
    if kind.__module__.partition(".")[0] == "sqlalchemy":
        lost = bool(getattr(error, "connection_invalidated", False))
        return lost or kind.__name__ in ("OperationalError", "PendingRollbackError")
    return kind.__module__.partition(".")[0] == "psycopg2" and kind.__name__ in (
        "OperationalError",
        "InterfaceError",
        "AdminShutdown",
        "CrashShutdown",
        "CannotConnectNow",
    )


def _is_disk_full(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    from_disk = isinstance(error, OSError | TaglineError) or type(error).__module__.startswith(
        ("_duckdb", "duckdb", "sqlalchemy", "psycopg2", "pyarrow")
    )
    return from_disk and any(words in str(error) for words in _SAID_WHEN_FULL)


def _disk_full(error: BaseException, settings: Settings) -> str:
    places = {"TAGLINE_HOME": settings.home_path}
    if settings.lake_url and "://" not in settings.lake_url.removeprefix("file://"):
        places["TAGLINE_LAKE_URL"] = Path(settings.lake_url.removeprefix("file://"))
    free = "; ".join(f"{path} ({name}) has {_free(path)} free" for name, path in places.items())
    return (
        f"the disk is full: {str(error).strip().splitlines()[0]}. {free}. What was live stays so. "
        f"Free some space, or move the state by {' or '.join(places)}, then run again."
    )


def _free(path: Path) -> str:
    try:
        return f"{shutil.disk_usage(path).free / 1e6:,.0f} MB"
    except OSError:
        return "an unknown amount"
