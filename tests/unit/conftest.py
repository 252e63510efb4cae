"""A kiosk: a tiny deployment with one source of files, for tests from extract to clean."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tagline.registry import Registry
from tagline.settings import Settings

if TYPE_CHECKING:
    from tagline.cleanings import TableClean
    from tagline.deployment import Deployment
    from tagline.extract import TableExtract

NAME = {"en": "A", "zh": "甲"}
SOURCE: dict[str, Any] = {
    "name": NAME,
    "description": "Made for a test.",
    "type": "files",
    "location": "in",
    "feeds": {"orders": "interval", "products": "snapshot"},
    "tables": {
        "sales": {
            "path": "sales.csv",
            "time": "sold_at",
            "columns": {
                "number": "integer",
                "buyer": "text",
                "amount": "number",
                "sold_at": "timestamp",
            },
        },
        "articles": {"path": "articles.csv", "columns": {"article": "text", "price": "text"}},
    },
}
TABLES: dict[str, dict[str, Any]] = {
    "orders": {
        "name": NAME,
        "description": "Made for a test.",
        "key": ["order_id"],
        "customer": "customer_key",
        "event_at": "ordered_at",
        "required": True,
        "columns": {
            "order_id": {"type": "text", "nullable": False, "description": "The order."},
            "customer_key": {"type": "text", "nullable": False, "description": "The buyer."},
            "ordered_at": {"type": "timestamp", "nullable": False, "description": "When."},
            "amount": {"type": "number", "nullable": False, "description": "How much."},
        },
        "expectations": [
            {
                "expect": "expect_column_values_to_be_between",
                "column": "amount",
                "with": {"min_value": 0},
                "severity": "row",
                "reason": "negative_amount",
                "limit": 0.5,
            }
        ],
    },
    "products": {
        "name": NAME,
        "description": "Made for a test.",
        "key": ["product_id"],
        "columns": {
            "product_id": {"type": "text", "description": "The product."},
            "price": {"type": "number", "description": "What it costs."},
        },
    },
}
SQL = {
    "orders": "SELECT CAST(number AS VARCHAR) AS order_id, buyer AS customer_key, "
    "sold_at AS ordered_at, amount FROM sales -- all of them",
    "products": "SELECT article AS product_id, price FROM articles;",
}
READER = """
SELECT * EXCLUDE (valid_at, loaded_at) FROM t AS r
WHERE r.valid_at < TIMESTAMPTZ '{a}' AND r.loaded_at <= TIMESTAMPTZ '{k}' AND NOT EXISTS (
  SELECT 1 FROM s WHERE s.{key} = r.{key} AND s.valid_at = r.valid_at
  AND s.loaded_at = r.loaded_at AND s.until_at < TIMESTAMPTZ '{a}'
  AND s.recorded_at <= TIMESTAMPTZ '{k}') ORDER BY ALL
"""
FAR = datetime(2100, 1, 1, tzinfo=UTC)


@dataclass
class Kiosk:
    """A deployment whose definitions and source files a test writes; `clock` moves on by runs."""

    deployment: Deployment
    clock: datetime = datetime(2020, 1, 1, tzinfo=UTC)
    runs: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def source(self) -> dict[str, Any]:
        """A copy of the source's definition, to be changed."""
        return deepcopy(SOURCE)

    @property
    def tables(self) -> dict[str, Any]:
        """A copy of the tables' definitions, to be changed."""
        return deepcopy(TABLES)

    @property
    def folder(self) -> Path:
        return self.deployment.catalog.root / "in"

    def sales(self, *rows: str, header: str = "number,buyer,amount,sold_at") -> None:
        (self.folder / "sales.csv").write_text("\n".join([header, *rows]) + "\n", "utf-8")

    def articles(self, *rows: str) -> None:
        (self.folder / "articles.csv").write_text("\n".join(["article,price", *rows]) + "\n")

    def define(
        self,
        source: dict[str, Any] | None = None,
        tables: dict[str, Any] | None = None,
        sql: dict[str, str] | None = None,
    ) -> None:
        """Change definitions; what is not given stays."""
        from pydantic import TypeAdapter

        from tagline.definitions import Source, TableDefinition

        catalog = self.deployment.catalog
        for name, text in (sql or {}).items():
            file = catalog.root / "sql" / "sources" / "till" / f"{name}.sql"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
        made = TypeAdapter[Any](Source).validate_python(source) if source else None
        changed = {
            name: TableDefinition.model_validate(each) for name, each in (tables or {}).items()
        }
        catalog = replace(
            catalog,
            sources={"till": made} if made else catalog.sources,
            tables={**catalog.tables, **changed},
        )
        self.deployment = replace(self.deployment, catalog=catalog)

    def start(self, as_of: datetime) -> tuple[str, datetime]:
        """A new run, a day later by the clock than the one before."""
        self.clock += timedelta(days=1)
        run_id = f"run-{next(self.runs)}"
        self.deployment.registry.start_run(run_id, as_of, self.clock)
        return run_id, self.clock

    def extract(self, as_of: datetime, *tables: str) -> dict[str, TableExtract]:
        from tagline.extract import extract

        run_id, at = self.start(as_of)
        return extract(self.deployment, run_id, as_of, at, tables or None).tables

    def run(self, as_of: datetime) -> dict[str, TableClean]:
        """Extract and clean; what the cleaning did per table."""
        from tagline.clean import clean
        from tagline.extract import extract

        run_id, at = self.start(as_of)
        extract(self.deployment, run_id, as_of, at)
        return clean(self.deployment, run_id, as_of, at).tables

    def read(
        self, table: str, as_of: datetime = FAR, known_at: datetime = FAR
    ) -> list[tuple[Any, ...]]:
        """The declared columns of the rows that hold, by the contract of the storage."""
        from tagline.versions import entry_columns, row_columns

        definition = self.deployment.catalog.tables[table]
        lake = self.deployment.lake
        columns = row_columns(definition)
        shown = {n: c for n, c in columns.items() if n in definition.columns or n.endswith("_at")}
        relations = {
            "t": lake.relation(f"clean.{table}", shown),
            "s": lake.relation(f"clean.{table}__superseded", entry_columns(definition)),
        }
        sql = READER.format(a=as_of, k=known_at, key=definition.key[0])
        rows = self.deployment.engine.fetch(sql, relations).to_pylist()
        return [tuple(row.values()) for row in rows]


@pytest.fixture
def kiosk(settings: Settings, registry: Registry, tmp_path: Path) -> Kiosk:
    """See Kiosk."""
    from tagline.catalog import Catalog
    from tagline.definitions import BusinessDefinition
    from tagline.deployment import Deployment
    from tagline.engines import open_engine
    from tagline.lake import open_lake

    business = BusinessDefinition.model_validate(
        {
            "name": NAME,
            "description": "Made for a test.",
            "currency": "EUR",
            "identity": "one_to_one",
            "sources": ["till"],
            "starts_on": date(2017, 1, 1),
        }
    )
    root = tmp_path / "definitions"
    (root / "in").mkdir(parents=True)
    catalog = Catalog(
        root=root,
        business=settings.business,
        definition=business,
        sources={},
        tables={},
        derived={},
        labels={},
        inputs={},
        tags={},
        unavailable={},
        models={},
        standards={},
        themes={},
    )
    lake, engine = open_lake(settings), open_engine(settings)
    kiosk = Kiosk(Deployment(settings, catalog, registry, lake, engine))
    kiosk.define(SOURCE, TABLES, SQL)
    kiosk.articles("apple,1.5", "pear,2")
    return kiosk
