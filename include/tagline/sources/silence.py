"""Reading from a source that may fall silent: the read ends once nothing has come for too long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Generic, TypeVar

from tagline.definitions.types import spell_duration
from tagline.errors import SourceUnavailable

Result = TypeVar("Result")
_LOOK_SECONDS = 0.05


class _Reading(threading.Thread, Generic[Result]):
    """A read in a thread of its own, which can be left behind."""

    def __init__(self, read: Callable[[], Result]) -> None:
        super().__init__(daemon=True, name="source")
        self._read = read
        self.error: BaseException | None = None
        self.result: Result

    def run(self) -> None:
        """Read; the caller raises what this raises."""
        try:
            self.result = self._read()
        except BaseException as error:
            self.error = error


def unless_silent(
    read: Callable[[], Result],
    timeout: timedelta,
    what: str,
    progress: Callable[[], object] = lambda: None,
    hang_up: Callable[[], None] = lambda: None,
) -> Result:
    """The result of `read`; SourceUnavailable when `progress` has not changed for `timeout`.

    Whatever driver reads, and wherever it hangs: the call returns. `hang_up` then breaks the
    connection, so that the thread that is left behind ends too.
    """
    reading = _Reading(read)
    reading.start()
    seen, changed = progress(), time.monotonic()
    while True:
        reading.join(_LOOK_SECONDS)
        if not reading.is_alive():
            break
        now = progress()
        if now != seen:
            seen, changed = now, time.monotonic()
        elif time.monotonic() - changed > timeout.total_seconds():
            hang_up()
            raise SourceUnavailable(
                f"{what}: nothing has come for {spell_duration(timeout)} (its timeout). "
                "Run again when it answers, or raise `timeout` in its definition."
            )
    if reading.error is not None:
        raise reading.error
    return reading.result
