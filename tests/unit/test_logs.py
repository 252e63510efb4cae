"""Logs: one JSON object per line that says of which run and stage it is, or a line of text."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tagline.errors import NoData, TaglineError
from tagline.logs import JsonLines, TextLines, about, logged_stage
from tagline.release import release, rollback

if TYPE_CHECKING:
    from tests.conftest import SmallShop

AS_OF = datetime(2017, 10, 1, tzinfo=UTC)
AT = datetime(2017, 12, 1, 12, tzinfo=UTC)
log = logging.getLogger("tagline.test")


@pytest.fixture
def written() -> Iterator[StringIO]:
    """What the project's loggers write as JSON."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("tagline")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield stream
    logger.removeHandler(handler)
    logger.setLevel(level)


def lines(stream: StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_says_what_it_is_about_and_its_own_values(written: StringIO) -> None:
    with about(run="r1", stage="clean"):
        log.info("%s of %s\nrows", 2, 3, extra={"table": "orders"})
    log.warning("after")
    first, second = lines(written)
    assert first.pop("at").endswith("+00:00")
    assert first == {
        "level": "info",
        "logger": "tagline.test",
        "message": "2 of 3\nrows",
        "run": "r1",
        "stage": "clean",
        "table": "orders",
    }
    assert set(second) == {"at", "level", "logger", "message"}


def test_a_stage_logs_its_begin_and_its_end_with_counts(written: StringIO) -> None:
    report = {"tables": {"a": {"rows": 2, "quarantined": {"late": 1}}, "b": {"rows": 40}}}
    assert logged_stage("clean", "r1", AS_OF, lambda: report) is report
    begun, ended = lines(written)
    assert begun["message"] == "clean begins"
    assert ended["counts"] == {"rows": 42, "quarantined": 1}
    assert ended["seconds"] >= 0
    assert (ended["run"], ended["as_of"], ended["stage"]) == ("r1", AS_OF.isoformat(), "clean")


@pytest.mark.parametrize(
    ("error", "level"), [(TaglineError("the shop is closed"), "error"), (NoData("idle"), "info")]
)
def test_a_stage_that_fails_says_so_and_raises(
    written: StringIO, error: TaglineError, level: str
) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error)):
        logged_stage("clean", "r1", AS_OF, fail)
    ended = lines(written)[-1]
    assert ended["level"] == level
    assert str(error) in ended["message"] + ended.get("error", "")


def test_an_exception_is_a_part_of_its_line(written: StringIO) -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        log.exception("it did not work")
    (line,) = lines(written)
    assert "ValueError: broken" in line["exception"]


def test_text_ends_with_what_it_is_about() -> None:
    record = logging.makeLogRecord({"msg": "clean begins\nwith care"})
    with about(run="r1", stage="clean"):
        assert TextLines().format(record) == "clean begins [run=r1 stage=clean]\nwith care"
    assert TextLines().format(record) == "clean begins\nwith care"


@pytest.mark.slow
def test_a_rollback_is_logged_with_its_actor_and_reason(shop: SmallShop, written: StringIO) -> None:
    for day in (1, 2):
        as_of = AS_OF.replace(day=day)
        shop.audited(f"r{day}", as_of, [{"customer_id": "1", "recency_days": 3}])
        release(shop.deployment, f"r{day}", AT)
    rollback(shop.deployment, "wrong prices", "ann", AT)
    *made, rolled = [line for line in lines(written) if line["logger"] == "tagline.release"]
    assert [line["release"] for line in made] == [1, 2]
    assert {"release": 1, "withdrawn": 2, "actor": "ann", "reason": "wrong prices"}.items() <= (
        rolled.items()
    )
    assert rolled["level"] == "warning"


@pytest.mark.slow
def test_the_command_line_writes_only_json_to_stderr_when_asked(tmp_path: Path) -> None:
    environment = os.environ | {"TAGLINE_LOG_FORMAT": "json", "TAGLINE_HOME": str(tmp_path)}
    call = [sys.executable, "-c", "from tagline.cli import main; main()", "tag", "recency_day"]
    environment |= {"TAGLINE_BUSINESS": "no_such_shop"}
    done = subprocess.run(call, env=environment, capture_output=True, text=True)
    assert done.returncode != 0
    said = [json.loads(line) for line in done.stderr.splitlines()]
    assert said[-1]["level"] == "error"
    assert "no_such_shop" in said[-1]["message"]
    assert done.stdout == ""
