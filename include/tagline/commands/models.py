"""train and models: registered models."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tagline.commands.console import (
    AsOf,
    Context,
    Json,
    Reason,
    actor,
    answer,
    answer_fields,
    answer_json,
    answer_table,
    asked,
    deployment,
    instant,
    now,
)
from tagline.errors import ModelRefused

if TYPE_CHECKING:
    from datetime import datetime

    from tagline.catalog import Catalog
    from tagline.registry.schema import ModelVersion


def train(context: Context, model: str, as_of: AsOf = None, as_json: Json = False) -> None:
    """Train a model with what was known as of a day, and promote it if its gate accepts it.

    The day is today by default, or the day after the last one of a closed data set. Exits 1 if
    the gate refuses the model.
    """
    from tagline.training.train import train as train_model

    with deployment(context) as opened:
        at = instant(opened.catalog, as_of) if as_of else _latest(opened.catalog, now())
        report = train_model(opened, model, at, now()).as_json()
    if as_json:
        answer_json(report)
    else:
        answer_fields(report)
    if report["verdict"] != "accepted":
        raise ModelRefused(f"the gate refuses {model}: {'; '.join(report['reasons'])}")


app = typer.Typer(invoke_without_command=True)


@app.callback()
def models(context: Context, as_json: Json = False) -> None:
    """List the models with their champions, metrics and links; see or take steps of one."""
    if context.invoked_subcommand is not None:
        return
    with deployment(context) as opened:
        at = now()
        listed = [
            _summary(name, opened.registry.champion(name, at), opened.registry.model_versions(name))
            for name in sorted(opened.catalog.models)
        ]
    if as_json:
        answer_json({"models": listed})
        return
    if not listed:
        answer("this business uses no models; name them in businesses/<business>.yaml")
        return
    for each in listed:
        rows = [
            (
                str(version["version"]),
                _state(version, each["champion"]),
                version["trained_as_of"],
                version["label_end_at"],
                "; ".join(version["reasons"]),
                version["run_url"] or version["mlflow_run_id"],
            )
            for version in each["versions"]
        ]
        columns = ("version", "verdict", "trained as of", "serves from", "reasons", "MLflow run")
        answer_table(columns, rows, title=each["model"])
        for version in each["versions"]:
            if version["version"] == each["champion"]:
                answer_fields(version["metrics"], title=f"{each['model']}: champion's metrics")


@app.command()
def restore(
    context: Context,
    model: str,
    version: Annotated[int, typer.Argument(help="As `tagline models` lists it.")],
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Let an older champion serve again; the later ones are withdrawn, with the reason."""
    from tagline.training.promotion import restore as restore_version

    with deployment(context) as opened:
        found = restore_version(opened, model, version, reason, actor(), now())
        serves_from = asked(opened.catalog, found.label_end_at)
    if as_json:
        answer_json({"model": model, "champion": found.id, "serves_from": found.label_end_at})
    else:
        answer(f"version {found.id} of {model} serves again, from {serves_from} on")


@app.command()
def steps(context: Context, model: str, as_json: Json = False) -> None:
    """List who promoted, refused or withdrew versions of a model, when and why."""
    from tagline.training.inputs import model_definition

    with deployment(context) as opened:
        model_definition(opened.catalog, model)
        listed = [
            {
                "at": event.at,
                "version": event.model_version_id,
                "action": event.action,
                "actor": event.actor,
                "reason": event.reason,
            }
            for event in opened.registry.model_events(model)
        ]
    if as_json:
        answer_json({"model": model, "steps": listed})
    else:
        columns = ("at", "version", "action", "actor", "reason")
        answer_table(columns, [tuple(step.values()) for step in listed], title=model)


def _state(version: dict[str, Any], champion: int | None) -> str:
    if version["version"] == champion:
        return "champion"
    return str(version["status"] if version["verdict"] == "accepted" else version["verdict"])


def _latest(catalog: Catalog, at: datetime) -> datetime:
    """Midnight of today, or of the day after the last one of a closed data set."""
    today = catalog.midnight(catalog.day(at))
    ends_on = catalog.definition.ends_on
    return today if ends_on is None else min(today, catalog.midnight(ends_on + timedelta(days=1)))


def _summary(model: str, champion: ModelVersion | None, versions: Any) -> dict[str, Any]:
    return {
        "model": model,
        "champion": champion.id if champion else None,
        "versions": [
            {
                "version": version.id,
                "verdict": version.verdict,
                "status": version.status,
                "reasons": version.reasons,
                "trained_as_of": version.trained_as_of,
                "label_end_at": version.label_end_at,
                "metrics": version.metrics,
                "mlflow_version": version.mlflow_version,
                "mlflow_run_id": version.mlflow_run_id,
                "run_url": version.run_url,
            }
            for version in versions
        ],
    }
