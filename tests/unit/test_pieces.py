"""A long delivery is cleaned in pieces of months, and is whole or not there at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tagline import clean as cleaning
from tagline import pieces, quarantine
from tagline.engines.duckdb import DuckDBEngine
from tagline.errors import QuarantineLimitExceeded
from tagline.versions import Versions

if TYPE_CHECKING:
    from tests.unit.conftest import Kiosk

pytestmark = pytest.mark.slow
AS_OF = datetime(2017, 6, 1, tzinfo=UTC)
SALES = [f"{n},ann,{n},2017-{1 + n // 3:02}-{1 + 9 * (n % 3):02} 20:00:00" for n in range(1, 14)]
MOVED = "2,ann,22,2017-04-20 20:00:00"  # a later version of a number that was there in January


@pytest.fixture(autouse=True)
def _few_rows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "ROWS_AT_ONCE", 4)


def scopes(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The scopes of the changes that are made from now on."""
    seen: list[Any] = []
    made = Versions.changes

    def watched(self: Versions, delivered: str, scope: Any, *given: Any, **named: Any) -> Any:
        seen.append(scope)
        return made(self, delivered, scope, *given, **named)

    monkeypatch.setattr(Versions, "changes", watched)
    return seen


def test_pieces_are_months_with_few_rows_and_give_the_rows_of_one(
    kiosk: Kiosk, monkeypatch: pytest.MonkeyPatch
) -> None:
    kiosk.sales(*SALES, MOVED)
    seen = scopes(monkeypatch)
    made = kiosk.run(AS_OF)["orders"]
    orders = [scope for scope in seen if scope is not None]
    starts = [scope[0].start for scope in orders[1:]]
    assert starts == [datetime(2017, month, 1, tzinfo=UTC) for month in (2, 3, 4, 5)]
    assert [one[-1].end for one in orders[:-1]] == starts
    assert (made.rows, made.added, made.superseded, len(made.files)) == (14, 14, 1, 5)
    in_january = kiosk.read("orders", datetime(2017, 2, 1, tzinfo=UTC))
    assert [row[0] for row in in_january] == ["1", "2"]
    monkeypatch.setattr(pieces, "ROWS_AT_ONCE", 1_000)
    rows = kiosk.read("orders")
    assert len(rows) == 13
    kiosk.define(sql={"orders": f"{kiosk_sql(kiosk)} -- again, as a whole"})
    again = kiosk.run(AS_OF)["orders"]
    assert (again.rows, again.added, again.superseded) == (14, 0, 0)
    assert kiosk.read("orders") == rows


def kiosk_sql(kiosk: Kiosk) -> str:
    """The SQL of the orders as it stands."""
    return kiosk.deployment.catalog.source_sql("till", "orders")


def test_a_kill_between_pieces_leaves_nothing_and_marks_no_load(
    kiosk: Kiosk, monkeypatch: pytest.MonkeyPatch
) -> None:
    kiosk.sales(*SALES, "90,ann,-1,2017-01-03 10:00:00")
    kiosk.extract(AS_OF)
    run_id, at = kiosk.start(AS_OF)
    left = iter([True, True])
    made = Versions.changes

    def killed(self: Versions, *given: Any, **named: Any) -> Any:
        if not next(left, False):
            raise KeyboardInterrupt
        return made(self, *given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Versions, "changes", killed)
        with pytest.raises(KeyboardInterrupt):
            cleaning.clean(kiosk.deployment, run_id, AS_OF, at, ["orders"])
    assert kiosk.read("orders") == []
    folder = kiosk.deployment.settings.home_path / "lake" / "clean"
    assert list(folder.rglob("data/*.parquet")) == [], "what was written of it is removed"
    later = at + timedelta(hours=1)
    made_good = cleaning.clean(kiosk.deployment, run_id, AS_OF, later, ["orders"])
    assert made_good.tables["orders"].added == 13
    assert quarantine.counts(kiosk.deployment) == {"orders": {"negative_amount": 1}}


def test_a_piece_that_cannot_be_written_leaves_no_file(
    kiosk: Kiosk, monkeypatch: pytest.MonkeyPatch
) -> None:
    kiosk.sales(*SALES)
    made = DuckDBEngine.write

    def full(self: DuckDBEngine, sql: str, relations: Any, path: str, *more: Any) -> int:
        if "orders__superseded" in path and folder.is_dir() and any(folder.rglob("*.parquet")):
            raise OSError("No space left on device")
        return made(self, sql, relations, path, *more)

    folder = kiosk.deployment.settings.home_path / "lake" / "clean"
    monkeypatch.setattr(DuckDBEngine, "write", full)
    with pytest.raises(OSError, match="No space left"):
        kiosk.run(AS_OF)
    assert list(folder.rglob("data/*.parquet")) == []


def test_a_list_that_grew_while_no_day_is_new_cleans_no_piece(kiosk: Kiosk) -> None:
    source = kiosk.source
    source["tables"]["articles"]["append_only"] = True
    read = "sales LEFT JOIN articles ON article = buyer"
    kiosk.define(source, sql={"orders": kiosk_sql(kiosk).replace("FROM sales", f"FROM {read}")})
    kiosk.sales(*SALES)
    kiosk.run(AS_OF)
    kiosk.articles("apple,1.5", "pear,2", "plum,3")
    again = kiosk.run(AS_OF)["orders"]
    assert (again.rows, again.added, again.quarantined) == (0, 0, {})
    assert len(kiosk.read("orders")) == 13


def test_refused_rows_of_one_piece_are_judged_by_their_share_of_all(kiosk: Kiosk) -> None:
    bad = [f"{90 + n},ann,-1,2017-04-0{n} 10:00:00" for n in range(1, 7)]
    kiosk.sales(*SALES[:5], *bad)
    with pytest.raises(QuarantineLimitExceeded, match=r"54\.5% of 11 rows are negative_amount"):
        kiosk.run(AS_OF)
    assert kiosk.read("orders") == []
    kiosk.sales(*SALES[:5], *bad[:4])
    made = kiosk.run(AS_OF)["orders"]
    assert (made.added, made.quarantined) == (5, {"negative_amount": 4})
