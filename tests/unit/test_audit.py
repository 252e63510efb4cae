"""Measuring a candidate and comparing it with an earlier release, on real Parquet files."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagline.audit import AuditReport, audit, earlier_release
from tagline.audit.measures import Measured, groups, measure
from tagline.audit.stability import (
    compare,
    earlier_histogram,
    population_stability_index,
)
from tagline.definitions import DataType
from tagline.definitions.tag import Quality
from tagline.engines.duckdb import DuckDBEngine

AS_OF = datetime(2026, 3, 9, tzinfo=UTC)
TYPES = {
    "amount": DataType.NUMBER,
    "orders": DataType.INTEGER,
    "last_on": DataType.DATE,
    "seen_at": DataType.TIMESTAMP,
    "segment": DataType.TEXT,
    "active": DataType.BOOLEAN,
    "likes": DataType.TEXT_LIST,
}
ARROW = {
    DataType.NUMBER: pa.float64(),
    DataType.INTEGER: pa.int64(),
    DataType.DATE: pa.date32(),
    DataType.TIMESTAMP: pa.timestamp("us", "UTC"),
    DataType.TEXT: pa.string(),
    DataType.BOOLEAN: pa.bool_(),
    DataType.TEXT_LIST: pa.list_(pa.string()),
}


@pytest.fixture
def engine(tmp_path: Path) -> DuckDBEngine:
    return DuckDBEngine("1GB", 1, str(tmp_path / "spill"))


def write(path: Path, customers: list[str], **columns: list[Any]) -> str:
    table: dict[str, Any] = {"customer_id": pa.array(customers, pa.string())}
    for name, values in columns.items():
        table[name] = pa.array(values, ARROW[TYPES[name]])
    pq.write_table(pa.table(table), path)
    return str(path)


def names(count: int) -> list[str]:
    return [f"c{number:03d}" for number in range(count)]


def test_ordered_tags_are_measured_exactly_whatever_their_type(
    engine: DuckDBEngine, tmp_path: Path
) -> None:
    amounts = [*(n / 4 for n in range(1, 18)), None, math.nan, math.inf]
    seen = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=n) for n in range(20)]
    path = write(
        tmp_path / "tags.parquet",
        names(20),
        amount=amounts,
        orders=[0] * 15 + [1, 2, 3, None, None],
        last_on=[moment.date() for moment in seen],
        seen_at=seen,
    )
    chosen = {name: TYPES[name] for name in ("amount", "orders", "last_on", "seen_at")}
    found = measure(engine, [path], chosen, 20)

    amount = found["amount"]
    assert (amount.present, amount.not_finite, amount.distinct) == (19, 2, 17)
    assert (amount.minimum, amount.maximum) == (0.25, 4.25)
    assert amount.mean == pytest.approx(statistics.mean(n / 4 for n in range(1, 18)))
    assert amount.deciles == (0.5, 1.0, 1.5, 1.75, 2.25, 2.75, 3.0, 3.5, 4.0)
    orders = found["orders"]
    assert (orders.present, orders.distinct, orders.deciles) == (18, 4, (0,) * 8 + (2,))
    assert orders.reached == (15,) * 8 + (17,)
    assert found["last_on"].minimum == date(2026, 1, 1)
    assert found["last_on"].mean is None
    assert found["seen_at"].maximum == seen[-1]
    assert found["seen_at"].deciles[4] == seen[9]


def test_other_tags_are_measured_by_their_most_frequent_values(
    engine: DuckDBEngine, tmp_path: Path
) -> None:
    path = write(
        tmp_path / "tags.parquet",
        names(26),
        segment=["a"] * 3 + [f"s{n:02d}" for n in range(22)] + [None],
        active=[True] * 6 + [False] * 14 + [None] * 6,
        likes=[["tea", "milk"]] * 20 + [["tea"]] * 5 + [None],
    )
    chosen = {name: TYPES[name] for name in ("segment", "active", "likes")}
    found = measure(engine, [path], chosen, 26, {"segment": ["a", "s00"]})
    segment = found["segment"]
    assert (segment.present, segment.distinct, segment.undeclared) == (25, 23, 21)
    assert segment.top[:2] == (("a", 3), ("s00", 1)) and len(segment.top) == 20
    assert found["active"].true_share == pytest.approx(0.3)
    assert found["active"].top == (("false", 14), ("true", 6))
    assert found["likes"].top == (("tea, milk", 20), ("tea", 5))


def test_an_empty_candidate_is_measured_as_empty(engine: DuckDBEngine, tmp_path: Path) -> None:
    path = write(tmp_path / "tags.parquet", [], **{name: [] for name in TYPES})
    found = measure(engine, [path], TYPES, 0)
    assert {figures.present for figures in found.values()} == {0}
    assert found["amount"].deciles == () and found["active"].true_share is None
    moved = compare(engine, [path], [path], TYPES, found, 0)
    assert {(movement.psi, movement.changed) for movement in moved.values()} == {(None, None)}


def test_columns_are_measured_in_groups_that_memory_can_hold() -> None:
    assert list(groups("abcde", 10)) == [list("abcde")]
    assert list(groups("abcde", 10_000_000)) == [["a", "b"], ["c", "d"], ["e"]]
    assert list(groups("ab", 10**12)) == [["a"], ["b"]]


def test_an_unmoved_release_has_no_psi_and_no_changed_customer(
    engine: DuckDBEngine, tmp_path: Path
) -> None:
    columns: dict[str, list[Any]] = {
        "amount": [float(n % 7) / 3 if n % 9 else None for n in range(60)],
        "orders": [n % 4 for n in range(60)],
        "last_on": [date(2026, 1, 1 + n % 20) for n in range(60)],
        "seen_at": [datetime(2026, 1, 1, n % 24, tzinfo=UTC) for n in range(60)],
        "segment": [f"s{n % 30}" for n in range(60)],
        "active": [n % 3 == 0 for n in range(60)],
        "likes": [[str(n % 2)] if n % 5 else None for n in range(60)],
    }
    one = write(tmp_path / "one.parquet", names(60), **columns)
    two = write(tmp_path / "two.parquet", names(60), **columns)
    moved = compare(engine, [two], [one], TYPES, measure(engine, [one], TYPES, 60), 60)
    assert {name: (m.psi, m.changed) for name, m in moved.items()} == dict.fromkeys(
        TYPES, (0.0, 0.0)
    )


def test_movement_is_seen_in_values_categories_and_missing_ones(
    engine: DuckDBEngine, tmp_path: Path
) -> None:
    before = write(
        tmp_path / "before.parquet",
        names(100),
        amount=[float(n) for n in range(100)],
        orders=[1] * 100,
        segment=["a"] * 50 + ["b"] * 50,
        active=[True] * 100,
    )
    now = write(
        tmp_path / "now.parquet",
        [*names(100)[20:], "new"],  # twenty left, one is new
        amount=[n * (1 + 1e-13) for n in range(20, 100)] + [5.0],  # summed in another order
        orders=[0] * 81,
        segment=["b"] * 81,
        active=[True] * 40 + [None] * 41,
    )
    chosen = {name: TYPES[name] for name in ("amount", "orders", "segment", "active")}
    moved = compare(engine, [now], [before], chosen, measure(engine, [before], chosen, 100), 100)
    assert moved["amount"].changed == 0.0
    assert moved["orders"].changed == 1.0
    assert moved["orders"].psi is not None and moved["orders"].psi > 10  # constant 1, now 0
    assert moved["segment"].changed == pytest.approx(30 / 80)
    assert moved["active"].changed == pytest.approx(40 / 80)
    for slug in ("segment", "active"):
        psi = moved[slug].psi
        assert psi is not None and psi > 0.25, slug


@given(st.lists(st.one_of(st.none(), st.integers(-5, 5)), min_size=1, max_size=60))
def test_the_earlier_histogram_is_read_off_the_deciles(values: list[int | None]) -> None:
    present = sorted(value for value in values if value is not None)
    at = [present[math.ceil(len(present) * t / 10) - 1] for t in range(1, 10)] if present else []
    earlier = Measured(
        rows=len(values),
        present=len(present),
        deciles=tuple(at),
        reached=tuple(sum(value <= edge for value in present) for edge in at),
    )
    counted = earlier_histogram(earlier, DataType.INTEGER)
    assert sum(counted.values()) == len(values)
    assert min(counted.values()) >= 0
    edges = sorted(set(at))
    for number, edge in enumerate(edges, start=1):
        below = edges[number - 2] if number > 1 else -math.inf
        assert counted[number] == sum(below < value <= edge for value in present)


shares = st.lists(st.integers(0, 1000), min_size=2, max_size=12).filter(any)


@given(shares, st.integers(1, 50))
def test_psi_of_equal_distributions_is_zero_whatever_the_number_of_customers(
    histogram: list[int], times: int
) -> None:
    larger = [count * times for count in histogram]
    assert population_stability_index(histogram, larger) == pytest.approx(0, abs=1e-12)


@given(st.data(), st.integers(2, 12))
def test_psi_is_symmetric_and_never_negative(data: st.DataObject, bins: int) -> None:
    sized = st.lists(st.integers(0, 1000), min_size=bins, max_size=bins).filter(any)
    one, two = data.draw(sized), data.draw(sized)
    psi = population_stability_index(one, two)
    assert psi >= 0
    assert psi == pytest.approx(population_stability_index(two, one))


@given(st.integers(10, 1000), st.integers(0, 9), st.integers(1, 10))
def test_psi_grows_with_the_share_that_moved(size: int, moved: int, more: int) -> None:
    size *= 10
    further = min(moved + more, 10)
    if further == moved:
        return
    step = size // 10

    def after(tenths: int) -> float:
        return population_stability_index(
            [size, size], [size - tenths * step, size + tenths * step]
        )

    assert after(further) > after(moved)


def test_psi_agrees_with_a_computed_example() -> None:
    expected, actual = [120, 300, 380, 200], [100, 250, 400, 250]
    by_hand = sum(
        (a / 1000 - e / 1000) * math.log(a / e) for e, a in zip(expected, actual, strict=True)
    )
    assert population_stability_index(expected, actual) == pytest.approx(by_hand)
    assert population_stability_index([0, 0], [0, 0]) == 0
    with pytest.raises(ValueError, match="2 and 3 bins"):
        population_stability_index([1, 2], [1, 2, 3])


class RememberedRun:
    """The registry's part that an audit uses, in memory."""

    def __init__(self, score: Mapping[str, Any], releases: list[Any]) -> None:
        self.stages: dict[str, Any] = {"score": score}
        self.releases = releases

    def stage(self, run_id: str, name: str) -> Any:
        return self.stages[name]

    def save_stage(self, run_id: str, name: str, output: Any, seconds: float) -> None:
        self.stages[name] = json.loads(json.dumps(output, allow_nan=False))

    def release_before(self, as_of: datetime) -> Any:
        earlier = [release for release in self.releases if release.as_of < as_of]
        return max(earlier, key=lambda release: release.as_of, default=None)

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        yield


def tag(slug: str, quality: Quality | None = None, values: Any = None) -> Any:
    definition = SimpleNamespace(type=TYPES[slug], quality=quality or Quality(), values=values)
    return SimpleNamespace(slug=slug, version="v2", definition=definition)


def run(
    engine: DuckDBEngine,
    home: Path,
    path: str,
    releases: list[Any],
    *tags: Any,
    unavailable: Mapping[str, str] | None = None,
) -> tuple[AuditReport, RememberedRun]:
    registry = RememberedRun({"path": path, "unavailable": dict(unavailable or {})}, releases)
    of_all = {each.slug: each for each in tags}
    deployment: Any = SimpleNamespace(
        settings=SimpleNamespace(home_path=home),
        catalog=SimpleNamespace(tags=of_all, tags_of=lambda _subject: of_all, zone=ZoneInfo("UTC")),
        registry=registry,
        engine=engine,
    )
    return audit(deployment, "run", AS_OF, AS_OF + timedelta(hours=2)), registry


def release(path: str, as_of: datetime, **versions: str) -> Any:
    return SimpleNamespace(
        id=7,
        as_of=as_of,
        files={"customer": [path]},
        customers=4,
        tags={slug: {"version": version} for slug, version in versions.items()},
    )


@pytest.mark.slow
def test_an_audit_reports_figures_failures_and_movement_as_json(
    engine: DuckDBEngine, tmp_path: Path
) -> None:
    before = write(tmp_path / "before.parquet", names(4), amount=[1.0, 2.0, 3.0, 4.0])
    now = write(
        tmp_path / "now.parquet",
        names(4),
        amount=[1.0, 2.0, 3.0, None],
        segment=["a", "b", "c", "zz"],
    )
    report, registry = run(
        engine,
        tmp_path,
        now,
        [release(before, AS_OF - timedelta(days=1), amount="v1")],
        tag("amount", Quality(coverage={"min": 0.9})),
        tag("segment", values=("a", "b", "c")),
        tag("active"),
        unavailable={"active": "no champion"},
    )
    saved = registry.stages["audit"]
    assert saved == report.as_json()
    assert saved["customers"] == 4 and saved["failing"] == 2
    assert saved["compared_with"] == {"release": 7, "as_of": "2026-03-08T00:00:00+00:00"}
    amount, segment = saved["tags"]["amount"], saved["tags"]["segment"]
    assert amount["failures"] == ["coverage is 0.75, at least 0.9 is allowed"]
    assert (amount["coverage"], amount["changed"], amount["redefined"]) == (0.75, 0.25, True)
    assert segment["failures"] == [
        "1 values are not among the tag's declared values, none is allowed"
    ]
    assert (segment["psi"], segment["changed"]) == (None, None), "the release has no such tag"
    assert "active" not in saved["tags"]
    assert Path(saved["docs"]).exists()


@pytest.mark.slow
def test_the_first_release_is_compared_with_nothing(engine: DuckDBEngine, tmp_path: Path) -> None:
    path = write(tmp_path / "now.parquet", names(2), amount=[1.0, math.inf])
    report, registry = run(engine, tmp_path, path, [], tag("amount"))
    assert report.compared_with is None
    (amount,) = report.tags
    assert amount.psi is None and amount.changed is None
    assert amount.failures == ("1 values are infinite or not a number, none is allowed",)
    assert registry.stages["audit"]["tags"]["amount"]["max"] == 1.0


@pytest.mark.parametrize(
    ("days", "found"), [(0.5, False), (1, True), (3, True), (7, True), (7.5, False)]
)
def test_only_releases_of_one_to_seven_days_before_are_compared(days: float, found: bool) -> None:
    deployment: Any = SimpleNamespace(
        catalog=SimpleNamespace(zone=ZoneInfo("UTC")),
        registry=RememberedRun({}, [release("f", AS_OF - timedelta(days=days))]),
    )
    assert (earlier_release(deployment, AS_OF) is not None) is found


def test_yesterday_is_yesterday_on_the_day_that_the_clocks_change() -> None:
    zone = ZoneInfo("Europe/London")
    as_of = datetime(2026, 3, 30, tzinfo=zone).astimezone(UTC)
    yesterday = datetime(2026, 3, 29, tzinfo=zone).astimezone(UTC)
    assert as_of - yesterday == timedelta(hours=23)
    deployment: Any = SimpleNamespace(
        catalog=SimpleNamespace(zone=zone),
        registry=RememberedRun({}, [release("f", yesterday)]),
    )
    assert earlier_release(deployment, as_of) is not None
