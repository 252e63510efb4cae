"""What the demo shows in the end: days, tags by dimension, grades, models, the links."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import select

from tagline.catalog import Catalog
from tagline.registry import Registry
from tagline.registry.schema import ModelVersion, Run
from tagline.servers.airflow_api import AirflowApi
from tagline.servers.dimensions import coverage_table, grade_lines
from tagline.settings import Settings


def sentence(
    registry: Registry, catalog: Catalog, as_of: datetime, dag_run: Mapping[str, Any]
) -> str:
    """One line on a finished day, which is named as the business names it."""
    day = catalog.day(as_of)
    run = _newest_run(registry, as_of)
    seconds = f"{dag_run['duration'] or 0:.0f} s"
    if run is None or dag_run["state"] != "success":
        return f"{day}: {dag_run['state']} after {seconds}"
    made = run.stages.get("release", {})
    return (
        f"{day}: {run.status}, release {made.get('release', '-')}, "
        f"{made.get('customers', 0):,} customers, {made.get('tags', 0)} tags, {seconds}"
    )


def show(console: Console, registry: Registry, catalog: Catalog, days: Sequence[date]) -> None:
    """Print what was loaded, the days, the newest day's tags and grades, the models' figures."""
    loaded = _newest_run(registry, catalog.midnight(days[0]), training=True)
    if loaded is not None:
        console.print(_history(catalog, loaded), highlight=False)
    table = Table(
        title=f"{catalog.definition.name.en}: released customer tags", title_justify="left"
    )
    for column in ("as of", "customers", "tags"):
        table.add_column(column, justify="left" if column == "as of" else "right")
    for column in ("quarantined", "gate", "release", "seconds"):
        table.add_column(column, justify="right" if column == "seconds" else "left")
    for day in days:
        run = _newest_run(registry, catalog.midnight(day))
        if run is not None:
            table.add_row(*_cells(day, run))
    console.print(table)
    newest = _newest_run(registry, catalog.midnight(days[-1]))
    if newest is not None:
        console.print(coverage_table(catalog, newest))
        for line in grade_lines(catalog, newest):
            console.print(line, highlight=False)
    for model in catalog.models:
        console.print(
            _model_line(registry, model, days[0], catalog.midnight(days[0])), highlight=False
        )


def show_links(console: Console, airflow: AirflowApi, mlflow_url: str, settings: Settings) -> None:
    """Print where to look, and how to sign in."""
    name, password = airflow.login()
    for what, where in (
        ("Airflow", f"{airflow.url}   user {name}, password {password}"),
        ("MLflow", mlflow_url),
        ("Data Docs", f"{settings.home_path / 'data_docs'}"),
        ("Logs", f"{settings.home_path / 'logs'}"),
    ):
        console.print(f"{what:<10} {where}", markup=False, highlight=False, soft_wrap=True)


def quarantined(run: Run) -> Counter[str]:
    """The rows that a run's cleaning refused, by reason."""
    reasons: Counter[str] = Counter()
    for table in run.stages.get("clean", {}).get("tables", {}).values():
        reasons.update(table.get("quarantined", {}))
    return reasons


def _history(catalog: Catalog, run: Run) -> str:
    tables = run.stages.get("clean", {}).get("tables", {})
    rows = ", ".join(f"{table['added']:,} {name}" for name, table in tables.items())
    return (
        f"Loaded up to {catalog.day(run.as_of)}: {rows}; quarantined: {_reasons(quarantined(run))}"
    )


def _reasons(refused: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {rows:,}" for reason, rows in sorted(refused.items())) or "none"


def _cells(day: date, run: Run) -> list[str]:
    made = run.stages.get("release", {})
    refused = quarantined(run)
    return [
        day.isoformat(),
        f"{made.get('customers', 0):,}",
        str(made.get("tags", 0)),
        _reasons(refused),
        str(run.stages.get("gate", {}).get("verdict", run.status)),
        str(made.get("release", "-")),
        f"{sum(run.seconds.values()):.1f}",
    ]


def _model_line(registry: Registry, model: str, day: date, as_of: datetime) -> str:
    with registry.session() as session:
        found = session.scalars(
            select(ModelVersion)
            .where(ModelVersion.model == model, ModelVersion.trained_as_of == as_of)
            .order_by(ModelVersion.id.desc())
            .limit(1)
        ).first()
    if found is None:
        return f"{model}: not trained"
    shown = [
        f"{label} {metric['value']:.3f} ({metric['low']:.3f} to {metric['high']:.3f})"
        for name, label in _FIGURES.items()
        if (metric := found.metrics.get(name)) and None not in metric.values()
    ]
    reasons = f" ({'; '.join(found.reasons)})" if found.reasons else ""
    return ", ".join([f"{model} as of {day}: {found.verdict}{reasons}", *shown])


_FIGURES = {
    "roc_auc": "holdout ROC AUC",
    "rule_roc_auc": "the plain rule's",
    "gain_over_rule": "gain",
    "brier_gain_over_rule": "gain in Brier score",
    "mae": "holdout mean absolute error",
    "past_rate_mae": "going on as in the past",
    "gain_over_past_rate": "gain",
    "weekly_agreement": "agreement between weeks",
    "seed_agreement": "between seeds",
    "likeness": "likeness on other tags",
    "hit_share": "share of interests bought again",
    "popular_hit_share": "of the most popular items",
    "gain_over_popular": "gain",
    "answered": "share of customers answered",
    "gain_over_mode": "gain over the commonest value",
}


def _newest_run(registry: Registry, as_of: datetime, *, training: bool = False) -> Run | None:
    """The newest run of customer_tags for an as_of, or the newest training run."""
    kind = Run.status == "trained" if training else Run.status != "trained"
    with registry.session() as session:
        return session.scalars(
            select(Run).where(Run.as_of == as_of, kind).order_by(Run.started_at.desc()).limit(1)
        ).first()
