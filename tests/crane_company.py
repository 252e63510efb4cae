"""A simulated crane maker whose models are trained as they really are, and how they are judged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tests.conftest import drop_databases
from tests.crane_lake import fill_lake
from tests.crane_world import CraneWorld
from tests.definition_copies import copied_definitions

from tagline.compute import label_table
from tagline.deployment import Deployment, open_deployment
from tagline.registry.schema import Load, ModelVersion
from tagline.settings import Settings
from tagline.subjects import SUBJECTS
from tagline.training.evaluate import roc_auc
from tagline.training.inputs import load_tags
from tagline.training.tracking import load_pipeline
from tagline.training.train import TrainReport, train

AS_OF = date(2025, 12, 30)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, eq=False)
class Company:
    """A simulated company whose models are trained as of the last day."""

    world: CraneWorld
    deployment: Deployment

    @cached_property
    def at(self) -> datetime:
        """The instant of the training."""
        return self.midnight(AS_OF)

    def midnight(self, day: date) -> datetime:
        """The instant at which a day begins."""
        return self.world.catalog.midnight(day)

    @cache  # noqa: B019  the company lives as long as the module's tests
    def trained(self, model: str) -> TrainReport:
        """What training a model makes, once."""
        return train(self.deployment, model, self.at, NOW)

    def told(self, model: str, day: date) -> pd.DataFrame:
        """The features and the `chance` that the model gives the population of a day, by key.

        That is the trained model, whether it is accepted or refused.
        """
        definition = self.world.catalog.models[model]
        with self.deployment.registry.session() as session:
            version = session.get(ModelVersion, self.trained(model).version)
        assert version is not None and version.model_uri is not None
        pipeline = load_pipeline(self.deployment.settings, version.model_uri)
        compared = tuple(definition.compared.values())
        rows = load_tags(self.deployment, definition, compared, self.midnight(day))
        rows = rows.set_index(SUBJECTS[definition.subject].key)
        return rows.assign(chance=pipeline.predict_proba(rows)[:, 1])

    def labels(self, model: str, day: date) -> pd.Series[Any]:
        """What happened after a day, by key."""
        definition = self.world.catalog.models[model]
        subject, query = SUBJECTS[definition.subject], definition.label_query
        assert query is not None
        at = self.world.catalog.midnight(day)
        found = label_table(self.deployment, query, at, subject).to_pandas()
        labels: pd.Series[Any] = found.set_index(subject.key)["label"]
        return labels


@contextmanager
def company_of(
    world: CraneWorld, home: Path, database_url: str, business: str
) -> Iterator[Company]:
    """A deployment whose lake has the world's tables, as if loads had left them there.

    The business has a name of its own, and so its databases: MLflow remembers in a process which
    ones it has made.
    """
    definitions = home / "definitions"
    copied_definitions(definitions)
    for folder in ("businesses", "identity"):
        (definitions / folder / "crane_works.yaml").rename(
            definitions / folder / f"{business}.yaml"
        )
    settings = Settings(
        business=business,
        definitions=definitions,
        home=home,
        database_url=database_url,
        mlflow_url=None,
        threads=1,
    )
    with open_deployment(settings) as deployment:
        fill_lake(deployment, world)
        _say_loaded(deployment)
        yield Company(world, deployment)
    drop_databases(settings)


def _say_loaded(deployment: Deployment) -> None:
    """Write that every timed table of a source has been read to the end of the business."""
    catalog = deployment.catalog
    assert catalog.definition.ends_on is not None
    start, end = (
        catalog.midnight(day) for day in (catalog.definition.starts_on, catalog.definition.ends_on)
    )
    with deployment.registry.session() as session:
        for name, source in catalog.sources.items():
            for table in (each for each, read in source.tables.items() if read.time is not None):
                load = Load(
                    source=name, table_name=table, start_at=start, end_at=end, loaded_at=end,
                    checked_at=end, rows=1, digest=table, files=[], watermark_at=end, run_id="load",
                )  # fmt: skip
                session.add(load)


def ranks_agree(one: pd.Series[Any], other: pd.Series[Any]) -> float:
    """Spearman's correlation over those who have both."""
    known = one.notna() & other.notna()
    assert known.sum() > 100
    return float(one[known].astype(float).rank().corr(other[known].astype(float).rank()))


def area(label: pd.Series[Any], chance: pd.Series[Any]) -> float:
    """The area under the ROC curve."""
    known = label.notna() & chance.notna()
    measure = roc_auc(label[known].to_numpy(dtype=float), chance[known].to_numpy(dtype=float))
    return float(measure(np.ones((1, int(known.sum()))))[0])


def accepted(report: TrainReport) -> dict[str, Any]:
    """The measures of a model that its gate accepted."""
    print(report.model, report.seconds, {k: v for k, v in report.metrics.items() if k != "gate"})
    assert report.verdict == "accepted", report.reasons
    return dict(report.metrics)
