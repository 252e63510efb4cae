"""A till whose customers are graded by a policy, and days of grades from values that are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet as parquet
import yaml
from tests.stored_worlds import ARROW
from tests.till import define, write

from tagline.catalog import Catalog, Tag
from tagline.compile.given import compile_given
from tagline.definitions import DataType
from tagline.engines import Engine, Relation
from tagline.grading.companions import companions

WINDOW = {"kind": "statistic", "table": "orders", "window": "10 days"}
PLACED = {"kind": "statistic", "table": "orders", "where": "amount > 0"}
OTHERWISE = {"value": False, "because": "It did not."}
TAGS: dict[str, dict[str, Any]] = {
    "amount_10d": {
        **WINDOW, "type": "integer", "value": "sum(amount)", "empty": 0, "polarity": "positive",
    },
    "silent_days": {
        **PLACED,
        "type": "integer",
        "value": "date_diff('day', max(ordered_at), as_of)",
        "polarity": "negative",
    },
    "bought_large": {
        "kind": "rule",
        "type": "boolean",
        "polarity": "positive",
        "cases": [{"when": "amount_10d >= 90", "value": True, "because": "It did."}],
        "otherwise": OTHERWISE,
    },
    "is_sleepy": {
        "kind": "rule",
        "type": "boolean",
        "polarity": "special",
        "cases": [{"when": "silent_days >= 4", "value": True, "because": "It did."}],
        "otherwise": OTHERWISE,
    },
}  # fmt: skip
POLICY: dict[str, Any] = {
    "name": {"en": "Buyer grade", "zh": "买家等级"},
    "description": "How a buyer is to be served.",
    "owner": "crm",
    "theme": "test",
    "dimension": "made",
    "grades": [
        {"grade": "A", "from": "standard('grade_a')"},
        {"grade": "B", "from": 50},
        {"grade": "C", "from": 30},
        {"grade": "D"},
    ],
    "positive": [
        {
            "tag": "amount_10d",
            "weight": 60,
            "between": {"worst": 0, "best": 100},
            "missing": 0,
            "because": {"en": "bought for {amount_10d}", "zh": "购买{amount_10d}"},
        },
        {
            "tag": "bought_large",
            "weight": 10,
            "missing": 0,
            "because": {"en": "bought much: {bought_large}", "zh": "大额购买：{bought_large}"},
        },
    ],
    "negative": [
        {
            "tag": "silent_days",
            "weight": 30,
            "steps": [{"from": 2, "points": 50}, {"from": 5, "points": 0}],
            "missing": 0,
            "because": {"en": "silent for {silent_days} days", "zh": "{silent_days}天未购买"},
        }
    ],
    "special": [{"tag": "is_sleepy", "because": {"en": "it sleeps", "zh": "沉睡"}}],
    "limits": [
        {
            "tag": "silent_days",
            "from": "standard('long_silence')",
            "at_best": "D",
            "because": {"en": "silent for {silent_days} days", "zh": "{silent_days}天未购买"},
        }
    ],
    "hysteresis": {"stay": "30 days", "margin": 4},
}
GRADES = ("A", "B", "C", "D")
PLACES = {grade: place for place, grade in enumerate(GRADES)}


def standard(*values: tuple[str, float]) -> dict[str, Any]:
    dated = [{"from": date.fromisoformat(day), "value": value} for day, value in values]
    return {"description": "Made for a test.", "type": "number", "values": dated}


STANDARDS = {"grade_a": standard(("2000-01-01", 75)), "long_silence": standard(("2000-01-01", 9))}


def project(
    root: Path,
    business: str = "shop",
    policy: Mapping[str, Any] = POLICY,
    tags: Mapping[str, dict[str, Any]] | None = None,
    standards: Mapping[str, Any] = STANDARDS,
    names: Sequence[str] = ("buyer_grade",),
) -> Path:
    """The till's project with these tags, standards and one policy, `buyer_grade`."""
    define(root, business, TAGS | dict(tags or {}))
    write(root / "standards.yaml", {"standards": dict(standards)})
    write(root / "policies" / "buyer_grade.yaml", dict(policy))
    path = root / "businesses" / f"{business}.yaml"
    write(path, yaml.safe_load(path.read_text("utf-8")) | {"policies": list(names)})
    return root


INPUTS = {
    "amount_10d": DataType.INTEGER, "bought_large": DataType.BOOLEAN,
    "silent_days": DataType.INTEGER, "is_sleepy": DataType.BOOLEAN,
}  # fmt: skip


class Grader:
    """Grades rows of a policy's input tags as of a day, each with what a release before it held."""

    def __init__(
        self,
        catalog: Catalog,
        engine: Engine,
        folder: Path,
        policy: str = "buyer_grade",
        inputs: Mapping[str, DataType] = INPUTS,
    ) -> None:
        self.catalog = catalog
        self.policy = policy
        self._engine = engine
        self._folder = folder
        self.inputs = dict(inputs)

    @property
    def tags(self) -> list[Tag]:
        """What the policy makes, in order."""
        made = companions(self.policy, self.catalog.policies[self.policy])
        return [tag for slug, tag in self.catalog.tags.items() if slug in made]

    def grade(
        self,
        as_of: datetime,
        rows: Sequence[Mapping[str, Any]],
        before: Sequence[Mapping[str, Any]] = (),
        *,
        reasons: bool = True,
    ) -> list[dict[str, Any]]:
        """The rows, in order of their keys, with all that the policy makes; `before` are such rows.

        A row without `customer_id` gets its number as one. Days in a row are quicker without
        `reasons`.
        """
        tags = [tag for tag in self.tags if reasons or tag.slug != f"{self.policy}_reasons"]
        given = [{"customer_id": f"{number:06}"} | dict(row) for number, row in enumerate(rows)]
        compiled = compile_given(self.catalog, as_of, {"given": self.inputs}, tags)
        key = {"customer_id": DataType.TEXT}
        found = {"given": self._relation("given", key | self.inputs, given)}
        for columns in compiled.previous.values():
            found["previous"] = self._relation("previous", columns, before)
        made: list[dict[str, Any]] = self._engine.fetch(compiled.sql, found).to_pylist()
        return made

    def _relation(
        self, name: str, columns: Mapping[str, DataType], rows: Sequence[Mapping[str, Any]]
    ) -> Relation:
        path = self._folder / f"{name}.parquet"
        schema = pyarrow.schema([(column, ARROW[kind]) for column, kind in columns.items()])
        known = [{column: row.get(column) for column in columns} for row in rows]
        parquet.write_table(pyarrow.Table.from_pylist(known, schema), path)
        return Relation((str(path),), columns)
