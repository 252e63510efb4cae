"""`previous(tag)`: what a rule reads of the release before, in examples and over days."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest
import yaml

from tagline.catalog import load_catalog
from tagline.compile import compile_tags
from tagline.deployment import Deployment, open_deployment
from tagline.engines import open_engine
from tagline.errors import DefinitionError
from tagline.examples import run_examples
from tagline.outdated import outdated
from tagline.release import release, rollback
from tagline.serve.released import files_of
from tagline.settings import Settings

pytestmark = pytest.mark.slow
NAME = {"en": "A", "zh": "甲"}
COMMON = {"name": NAME, "description": "Made for a test.", "owner": "crm"}
TABLES: dict[str, Any] = {
    "customers": {
        "key": ["customer_id"],
        "customer": "customer_id",
        "required": True,
        "columns": {"customer_id": "text", "since_at": "timestamp"},
    },
    "orders": {
        "key": ["order_id"],
        "customer": "customer_id",
        "event_at": "ordered_at",
        "required": True,
        "columns": {
            "order_id": "text",
            "customer_id": "text",
            "amount": "integer",
            "ordered_at": "timestamp",
        },
    },
}
SQL = {
    "customers": "SELECT buyer AS customer_id, min(sold_at) AS since_at, "
    "TIMESTAMP '1900-01-01' AS valid_at FROM sales GROUP BY buyer",
    "orders": "SELECT number AS order_id, buyer AS customer_id, amount, sold_at AS ordered_at, "
    "sold_at AS valid_at FROM sales",
}
TAGS: dict[str, dict[str, Any]] = {
    "amount_2d": {
        "kind": "statistic",
        "type": "integer",
        "table": "orders",
        "window": "2 days",
        "value": "sum(amount)",
        "empty": 0,
    },
    "grade": {
        "kind": "rule",
        "type": "text",
        "values": ["good", "plain"],
        "cases": [
            {"when": "amount_2d >= 100", "value": "good", "because": "Bought for {amount_2d}."},
            {
                "when": "previous(grade) = 'good' and amount_2d >= 60",
                "value": "good",
                "because": "Was good, and bought for {amount_2d} still.",
            },
        ],
        "otherwise": {"value": "plain", "because": "Bought for {amount_2d} only."},
        "examples": [
            {
                "as_of": date(2020, 1, 1),
                "tags": {"amount_2d": 70, "previous(grade)": "good"},
                "value": "good",
                "because": "Was good, and bought for 70 still.",
            },
            {"as_of": date(2020, 1, 1), "tags": {"amount_2d": 70}, "value": "plain"},
        ],
    },
    "is_rising": {
        "kind": "rule",
        "type": "boolean",
        "cases": [
            {
                "when": "amount_2d > previous(amount_2d)",
                "value": True,
                "because": "More than it was.",
            }
        ],
        "otherwise": {"value": False, "because": "It did not rise."},
    },
}
FIRST = datetime(2020, 1, 2, tzinfo=UTC)
SALES = {  # amounts of each buyer by day, from 1 January on
    "a": [100, 0, 65, 0, 0, 100],
    "b": [50, 20, 0, 90, 20, 40],
    "c": [0, 0, 30, 80, 10, 55],
}


def write(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), "utf-8")


def define(root: Path, business: str, tags: dict[str, dict[str, Any]] = TAGS) -> None:
    """A project of one shop with one table of sales."""
    described = {
        name: {
            **COMMON,
            **table,
            "columns": {
                column: {"type": kind, "description": "Made for a test."}
                for column, kind in table["columns"].items()
            },
        }
        for name, table in TABLES.items()
    }
    for name, table in described.items():
        write(root / "tables" / f"{name}.yaml", {k: v for k, v in table.items() if k != "owner"})
        (root / "sql" / "sources" / "till").mkdir(parents=True, exist_ok=True)
        (root / "sql" / "sources" / "till" / f"{name}.sql").write_text(SQL[name], "utf-8")
    source = {
        "name": NAME,
        "description": "Made for a test.",
        "type": "files",
        "location": str(root / "in"),
        "feeds": {"customers": "snapshot", "orders": "snapshot"},
        "tables": {
            "sales": {
                "path": "sales.csv",
                "columns": {
                    "number": "text", "buyer": "text", "amount": "integer", "sold_at": "timestamp",
                },
            }
        },
    }  # fmt: skip
    write(root / "sources" / "till.yaml", source)
    shop = {
        "name": NAME,
        "description": "Made for a test.",
        "currency": "EUR",
        "identity": "one_to_one",
        "sources": ["till"],
        "starts_on": date(2020, 1, 1),
    }
    write(root / "businesses" / f"{business}.yaml", shop)
    theme = {"name": NAME, "description": "Made for a test.", "dimensions": {"made": NAME}}
    write(root / "tags" / "test" / "theme.yaml", theme)
    for slug, tag in tags.items():
        write(root / "tags" / "test" / "made" / f"{slug}.yaml", COMMON | tag)


def sell(root: Path, sales: dict[str, list[int]]) -> None:
    lines = ["number,buyer,amount,sold_at"]
    for buyer, amounts in sales.items():
        lines.append(f"{buyer}-0,{buyer},0,2019-12-01 00:00:00")
        for day, amount in enumerate(amounts, start=1):
            lines.append(f"{buyer}-{day},{buyer},{amount},2020-01-{day:02} 12:00:00")
    (root / "in").mkdir(exist_ok=True)
    (root / "in" / "sales.csv").write_text("\n".join(lines) + "\n", "utf-8")


def by_hand(sales: dict[str, list[int]]) -> dict[tuple[str, int], tuple[str, bool]]:
    """Grade and rise of each buyer after each day, worked out in order."""
    found = {}
    for buyer, amounts in sales.items():
        grade, before = "plain", None
        for day, amount in enumerate(amounts):
            total = amount + (amounts[day - 1] if day else 0)
            grade = "good" if total >= (60 if grade == "good" else 100) else "plain"
            found[buyer, day] = grade, before is not None and total > before
            before = total
    return found


@dataclass
class Shop:
    """The deployment, a run of which stands for a day without its validation."""

    deployment: Deployment
    root: Path
    clock: datetime = datetime(2021, 1, 1, tzinfo=UTC)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def run(self, day: int) -> int:
        """Compute and release the day that ends at FIRST plus `day`; the release."""
        from tagline.audit import audit
        from tagline.clean import clean
        from tagline.compute import compute
        from tagline.extract import extract
        from tagline.gate import gate
        from tagline.training.score import score

        self.clock += timedelta(hours=1)
        run, as_of = f"run-{next(self.numbers)}", FIRST + timedelta(days=day)
        self.deployment.registry.start_run(run, as_of, self.clock)
        for stage in (extract, clean, compute, score, audit, gate):
            stage(self.deployment, run, as_of, self.clock)
        return release(self.deployment, run, self.clock).release

    def values(self) -> dict[tuple[str, int], tuple[str, bool]]:
        """Grade and rise of each buyer by day, from the active releases."""
        return {
            (row["customer_id"], (each.as_of - FIRST).days): (row["grade"], row["is_rising"])
            for each in self.deployment.registry.releases()
            if each.status == "active"
            for row in parquet.read_table(list(files_of(each))).to_pylist()
        }

    def read(self, number: int) -> int | None:
        """The release that the run of a release read as the one before it."""
        registry = self.deployment.registry
        run = next(each.run_id for each in registry.releases() if each.id == number)
        read: int | None = registry.stage(run, "compute")["previous"]["release"]
        return read


@pytest.fixture
def shop(settings: Settings, tmp_path: Path) -> Iterator[Shop]:
    root = tmp_path / "definitions"
    define(root, settings.business)
    sell(root, SALES)
    with open_deployment(settings.model_copy(update={"definitions": root})) as deployment:
        yield Shop(deployment, root)


def test_days_in_order_give_what_is_worked_out_by_hand(shop: Shop) -> None:
    made = [shop.run(day) for day in range(6)]
    assert shop.values() == by_hand(SALES)
    assert {grade for grade, _ in by_hand(SALES).values()} == {"good", "plain"}
    assert [shop.read(number) for number in made] == [None, *made[:-1]]
    assert outdated(shop.deployment) == []
    assert shop.run(5) not in made  # again, with the same release before it
    assert shop.values() == by_hand(SALES)


def test_an_older_day_made_again_lists_all_later_days_until_they_are(shop: Shop) -> None:
    made = [shop.run(day) for day in range(4)]
    later = SALES | {"b": [50, 60, 0, 90, 20, 40]}  # b is good after the second day
    sell(shop.root, later)
    shop.run(1)
    listed = outdated(shop.deployment)
    assert [(each.release, each.previous) for each in listed] == [
        (made[2], made[1]), (made[3], made[2]),
    ]  # fmt: skip
    early = shop.run(3)  # out of order: it reads the second day's values of before
    (second, third) = outdated(shop.deployment)
    assert (second.release, bool(second.tables)) == (made[2], True)
    assert (third.release, third.previous, third.tables) == (early, made[2], ())
    assert third.touched_at == second.touched_at
    shop.run(2)
    (third,) = outdated(shop.deployment)
    assert (third.release, third.previous, third.tables) == (early, made[2], ())
    assert third.touched_at == FIRST + timedelta(days=2)
    shop.run(3)
    assert outdated(shop.deployment) == []
    assert shop.values() == {key: v for key, v in by_hand(later).items() if key[1] < 4}


def test_a_day_reads_the_newest_active_release_before_it(shop: Shop) -> None:
    first, third = shop.run(0), shop.run(2)
    assert shop.read(third) == first
    fourth = shop.run(3)
    rollback(shop.deployment, "a test", "tester", shop.clock)
    assert shop.read(shop.run(4)) == third
    assert [(each.previous, each.tables) for each in outdated(shop.deployment)] == []
    assert fourth not in {each.id for each in shop.deployment.registry.releases()[:1]}


def test_a_value_of_another_type_is_no_value(shop: Shop) -> None:
    """Such a day is computed, though the lake then refuses to keep two types under one name."""
    from tagline.compute import feature_table

    shop.run(0)
    at = FIRST + timedelta(days=1)
    risen = feature_table(shop.deployment, at, ["is_rising"]).to_pylist()
    assert [row["is_rising"] for row in risen] == [False, True, False]
    number = TAGS["amount_2d"] | {"type": "number", "empty": 0.0}
    define(shop.root, shop.deployment.settings.business, TAGS | {"amount_2d": number})
    with open_deployment(shop.deployment.settings) as changed:
        risen = feature_table(changed, at, ["is_rising"]).to_pylist()
    assert [row["is_rising"] for row in risen] == [False, False, False]


# Without a deployment


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    def make(**tags: dict[str, Any]) -> Path:
        define(tmp_path, "shop", TAGS | tags)
        return tmp_path

    return make


def rule(*cases: str, **keys: Any) -> dict[str, Any]:
    made = [{"when": case, "value": True, "because": "So."} for case in cases]
    otherwise = {"value": False, "because": "Not so."}
    return {"kind": "rule", "type": "boolean", "cases": made, "otherwise": otherwise} | keys


def test_an_example_gives_the_value_of_the_release_before(
    project: Callable[..., Path], settings: Settings
) -> None:
    catalog = load_catalog(project(), "shop")
    assert run_examples(catalog, open_engine(settings)) == (2, [])
    wrong = {**TAGS["grade"], "examples": [{**TAGS["grade"]["examples"][0], "value": "plain"}]}
    catalog = load_catalog(project(grade=wrong), "shop")
    (fault,) = run_examples(catalog, open_engine(settings))[1]
    assert "gives ['good'], not ['plain']" in fault.message


@pytest.mark.parametrize(
    ("tag", "said"),
    [
        (rule("previous(grde) = 'good'"), "unknown tag 'grde'. Did you mean 'grade'?"),
        (rule("previous('grade') = 'good'"), "write previous(tag)"),
        (rule("previous(amount_2d + 1) > 2"), "write previous(tag)"),
        (rule("previous(grade) > 2"), "compares text with integer"),
        (rule("previous(grade) = 'goood'"), "Did you mean 'good'?"),
        (rule("previous(grade) = 'good'", "previous(grade) in ('good')"), "can never be reached"),
        (TAGS["amount_2d"] | {"value": "sum(previous(amount_2d))"}, "only in the cases of a rule"),
        (
            rule(
                "is_rising",
                examples=[{"as_of": date(2020, 1, 1), "tags": {"previous(x)": 1}, "value": True}],
            ),
            "unknown tag 'x'",
        ),
    ],
)
def test_a_faulty_use_is_refused(
    project: Callable[..., Path], tag: dict[str, Any], said: str
) -> None:
    with pytest.raises(DefinitionError, match=r"^[^ ]*made_for_this\.yaml:") as refused:
        load_catalog(project(made_for_this=tag), "shop")
    assert said in str(refused.value)


def test_what_is_read_of_the_release_before_is_part_of_the_meaning(
    project: Callable[..., Path],
) -> None:
    before = load_catalog(project(made=rule("previous(is_rising)")), "shop").tags["made"]
    after = load_catalog(project(made=rule("is_rising")), "shop").tags["made"]
    assert (before.reads, before.meaning.previous) == ((), ("is_rising",))
    assert (after.reads, after.meaning.previous) == (("is_rising",), ())
    assert before.version != after.version


def test_tags_may_read_each_other_from_the_release_before(project: Callable[..., Path]) -> None:
    catalog = load_catalog(
        project(one=rule("previous(two)"), two=rule("not previous(one)")), "shop"
    )
    compiled = compile_tags(catalog, FIRST, ["one", "two"])
    assert set(compiled.previous) == {"customer"}
    assert set(compiled.previous["customer"]) == {"customer_id", "one", "two"}
    assert compile_tags(catalog, FIRST, ["amount_2d"]).previous == {}
