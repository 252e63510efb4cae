"""Reads a model's inputs: past panels for training, today's candidate for scoring."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from tagline.compute import feature_table, label_table
from tagline.definitions.model import ModelDefinition
from tagline.definitions.types import DataType
from tagline.engines import Engine, Relation
from tagline.errors import ModelRefused
from tagline.expressions import parse_condition
from tagline.training.panels import CATEGORIES, NUMBERS, Panel, typed_frame

if TYPE_CHECKING:
    from tagline.catalog import Catalog
    from tagline.deployment import Deployment


def tags_read(catalog: Catalog, definition: ModelDefinition) -> dict[str, DataType]:
    """The tags that a model reads to score: its features, then those of its population.

    ModelRefused when one is unavailable here, or a feature has a type that no model reads.
    """
    types = {slug: tag.definition.type for slug, tag in catalog.tags.items()}
    condition = parse_condition(definition.population, types)
    slugs = dict.fromkeys((*definition.features, *sorted(condition.names)))
    for slug in slugs:
        if slug not in types:
            reason = catalog.unavailable.get(slug, "no such tag")
            raise ModelRefused(f"the model reads tag {slug!r}, which is unavailable: {reason}")
    for slug in definition.features:
        if types[slug] not in NUMBERS | CATEGORIES:
            raise ModelRefused(
                f"feature {slug!r} is a {types[slug].value}, which a model cannot read; "
                "use a number, a boolean or a text, such as the days since a date"
            )
    return {slug: types[slug] for slug in slugs}


def load_panel(deployment: Deployment, model: str, instant: datetime) -> Panel:
    """Features, rule and label of the model's population at one past instant.

    Customers without a label, of whom it cannot be said, are left out.
    """
    definition = deployment.catalog.models[model]
    types = tags_read(deployment.catalog, definition)
    rule = definition.rule.tag
    types.setdefault(rule, deployment.catalog.tags[rule].definition.type)
    table = feature_table(deployment, instant, tuple(types))
    labels = label_table(deployment, definition, instant).to_pandas()
    with tempfile.TemporaryDirectory(prefix="tagline-panel-") as folder:
        path = str(Path(folder) / "features.parquet")
        pq.write_table(table, path)
        kept = (*definition.features, rule)
        rows = population(deployment.engine, path, types, definition.population, kept)
    frame = typed_frame(rows, {slug: types[slug] for slug in dict.fromkeys(kept)})
    frame.insert(0, "customer_id", rows.column("customer_id").to_pandas().astype(object))
    labels["customer_id"] = labels["customer_id"].astype(object)
    frame = frame.merge(labels.dropna(subset=["label"]), on="customer_id", validate="one_to_one")
    frame = frame.sort_values("customer_id", ignore_index=True)
    label = frame.pop("label").to_numpy(dtype=float)
    return Panel(instant, frame.pop("customer_id").to_numpy(), frame, label)


def population(
    engine: Engine, path: str, types: Mapping[str, DataType], condition: str, columns: Iterable[str]
) -> pa.Table:
    """customer_id and `columns` of the rows of a wide Parquet file that fulfil the condition."""
    sql, relations = _population_query(path, types, condition, columns)
    return engine.fetch(sql, relations)


def write_population(
    engine: Engine,
    path: str,
    types: Mapping[str, DataType],
    condition: str,
    columns: Iterable[str],
    target: str,
) -> int:
    """Write what `population` returns as a Parquet file, however long it is; the rows."""
    sql, relations = _population_query(path, types, condition, columns)
    return engine.write(sql, relations, target)


def _population_query(
    path: str, types: Mapping[str, DataType], condition: str, columns: Iterable[str]
) -> tuple[str, dict[str, Relation]]:
    where = parse_condition(condition, types).sql(dialect="duckdb")
    selected = ", ".join(f'"{column}"' for column in ("customer_id", *dict.fromkeys(columns)))
    relation = Relation((path,), {"customer_id": DataType.TEXT, **types})
    return f"SELECT {selected} FROM wide WHERE {where}", {"wide": relation}
