"""Reads a model's inputs: past panels for training, today's candidate for scoring."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tagline.compute import feature_table, label_table
from tagline.definitions.types import DataType
from tagline.engines import Engine, Relation
from tagline.errors import ModelRefused, UnknownName
from tagline.expressions import parse_condition
from tagline.scratch import scratch_folder
from tagline.subjects import CUSTOMER, SUBJECTS
from tagline.tag_versions import digest
from tagline.training.panels import CATEGORIES, NUMBERS, Array, Panel, part_of, typed_frame

if TYPE_CHECKING:
    from tagline.catalog import Catalog
    from tagline.definitions.models import AnyModel
    from tagline.deployment import Deployment
    from tagline.training.kinds import Scoring

BATCH = 50_000  # rows of the population that are scored at once
WHAT_IS_PREDICTED = "what is predicted"  # no tag or query has spaces in its name
_MEANING = {"task", "label", "label_set", "horizon", "classes", "history", "attribute"}


def model_definition(catalog: Catalog, model: str) -> AnyModel:
    """The definition of a model of this business; UnknownName with the closest one."""
    try:
        return catalog.models[model]
    except KeyError:
        raise UnknownName("model", model, catalog.models) from None


def tags_read(catalog: Catalog, definition: AnyModel) -> dict[str, DataType]:
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


def load_panel(
    deployment: Deployment, definition: AnyModel, compared: Iterable[str], instant: datetime
) -> Panel:
    """Features, compared tags and the label of the model's population at one past instant.

    Customers without a label, of whom it cannot be said, are left out.
    """
    customers, rows, outcomes = load_rows(deployment, definition, compared, instant)
    known = outcomes["label"].notna().to_numpy()
    label: Array = np.asarray(outcomes["label"].astype(float), dtype=float)
    return part_of(Panel(instant, customers, rows, label), known)


def load_rows(
    deployment: Deployment, definition: AnyModel, compared: Iterable[str], instant: datetime
) -> tuple[np.ndarray[Any, np.dtype[Any]], pd.DataFrame, pd.DataFrame]:
    """The population at one past instant, ordered by its key: keys, tags, and how it went.

    The tags are the features and the compared ones; the outcomes are the label query's columns,
    of those that it names.
    """
    query = definition.label_query
    assert query is not None
    subject = SUBJECTS[definition.subject]
    key = subject.key
    frame = load_tags(deployment, definition, compared, instant)
    kept = [slug for slug in frame.columns if slug != key]
    labels = label_table(deployment, query, instant, subject).to_pandas()
    labels[key] = labels[key].astype(object)
    if labels[key].duplicated().any():
        often = labels[key].value_counts(dropna=False)
        raise ModelRefused(
            f"sql/labels/{query.name}.sql returns {key} {often.index[0]!r} {often.iloc[0]} times "
            f"as of {instant.isoformat()}; return one row per {key}"
        )
    outcomes = {column: f"outcome {column}" for column in query.columns}  # no tag has a space
    labels = labels.rename(columns=outcomes)
    frame = frame.merge(labels, on=key, validate="one_to_one")
    frame = frame.sort_values(key, ignore_index=True)
    told = frame[list(outcomes.values())].set_axis(list(outcomes), axis="columns")
    return frame[key].to_numpy(), frame[kept], told


def load_tags(
    deployment: Deployment, definition: AnyModel, compared: Iterable[str], instant: datetime
) -> pd.DataFrame:
    """The key, features and compared tags of the population at one instant, by key."""
    key = SUBJECTS[definition.subject].key
    kept = tuple(dict.fromkeys((*definition.features, *compared)))
    rows = population_at(deployment, definition, kept, instant)
    types = types_of(deployment.catalog, definition, kept)
    frame = typed_frame(rows, {slug: types[slug] for slug in kept})
    frame.insert(0, key, rows.column(key).to_pandas().astype(object))
    return frame.sort_values(key, ignore_index=True)


def population_at(
    deployment: Deployment, definition: AnyModel, slugs: Sequence[str], instant: datetime
) -> pa.Table:
    """The key and these tags of the model's population at one past instant."""
    types = types_of(deployment.catalog, definition, slugs)
    key = SUBJECTS[definition.subject].key
    with scratch_folder(deployment.settings, "population") as folder:
        path = str(folder / "features.parquet")
        pq.write_table(feature_table(deployment, instant, tuple(types)), path)
        return population(deployment.engine, path, types, definition.population, slugs, key)


def types_of(
    catalog: Catalog, definition: AnyModel, more: Iterable[str] = ()
) -> dict[str, DataType]:
    """The tags that a model reads, and `more` that it is compared by or told with.

    ModelRefused where one of them is unavailable.
    """
    types = tags_read(catalog, definition)
    for slug in more:
        if slug not in catalog.tags:
            reason = catalog.unavailable.get(slug, "no such tag")
            raise ModelRefused(f"the model is compared by {slug!r}, which is unavailable: {reason}")
        types.setdefault(slug, catalog.tags[slug].definition.type)
    return types


def population_rows(asked: Scoring, more: Iterable[str] = ()) -> Iterator[pd.DataFrame]:
    """The key, features and `more` tags of the population of a candidate, in batches."""
    definition = asked.definition
    key = SUBJECTS[definition.subject].key
    kept = tuple(dict.fromkeys((*definition.features, *more)))
    types = types_of(asked.deployment.catalog, definition, kept)
    path = str(asked.folder / "population.parquet")
    _write_population(
        asked.deployment.engine, asked.candidate, types, definition.population, kept, key, path
    )
    with pq.ParquetFile(path) as people:
        for batch in people.iter_batches(batch_size=BATCH):
            part = pa.Table.from_batches([batch])
            frame = typed_frame(part, {slug: types[slug] for slug in kept})
            frame.insert(0, key, part.column(key).to_pylist())
            yield frame


def read_versions(catalog: Catalog, definition: AnyModel) -> dict[str, str]:
    """The version of all that a model's answers depend on: what it reads, and what they mean.

    That is each tag and input query that it reads to score and, under WHAT_IS_PREDICTED, what
    it is asked: the label with its query and horizon, the classes, the attribute, and which tag
    plays which part of a history. A model that was fitted with others answers another question,
    and has perhaps seen what is now to judge it.
    """
    versions = {slug: catalog.tags[slug].version for slug in tags_read(catalog, definition)}
    for name in definition.input_columns:
        query = catalog.input_sql(name)
        versions[query.name] = digest(query.tree.sql(dialect="duckdb", comments=False))
    versions[WHAT_IS_PREDICTED] = _what_is_predicted(catalog, definition)
    return versions


def other_versions(trained: Mapping[str, str], read: Mapping[str, str]) -> tuple[str, ...]:
    """The names, in order, whose version is now another than the one that a model was fitted with.

    Both are of `read_versions`. A model that has any cannot serve: it would answer what is no
    longer asked.
    """
    return tuple(sorted(name for name in {*read, *trained} if trained.get(name) != read.get(name)))


def _what_is_predicted(catalog: Catalog, definition: AnyModel) -> str:
    meaning: dict[str, Any] = definition.model_dump(mode="json", include=_MEANING)
    label = definition.label_query
    if label is not None:
        meaning["sql"] = catalog.label_sql(label.name).tree.sql(dialect="duckdb", comments=False)
    attribute = catalog.tags.get(meaning.get("attribute", ""))
    if attribute is not None:
        meaning["attribute"] = attribute.version
    return digest(meaning)


def population(
    engine: Engine,
    path: str,
    types: Mapping[str, DataType],
    condition: str,
    columns: Iterable[str],
    key: str = CUSTOMER.key,
) -> pa.Table:
    """The key and `columns` of the rows of a wide Parquet file that fulfil the condition."""
    sql, relations = _population_query(path, types, condition, columns, key)
    return engine.fetch(sql, relations)


def _write_population(
    engine: Engine,
    path: str,
    types: Mapping[str, DataType],
    condition: str,
    columns: Iterable[str],
    key: str,
    target: str,
) -> int:
    """Write what `population` returns as a Parquet file, however long it is; the rows."""
    sql, relations = _population_query(path, types, condition, columns, key)
    return engine.write(sql, relations, target)


def _population_query(
    path: str, types: Mapping[str, DataType], condition: str, columns: Iterable[str], key: str
) -> tuple[str, dict[str, Relation]]:
    where = parse_condition(condition, types).sql(dialect="duckdb")
    selected = ", ".join(f'"{column}"' for column in (key, *dict.fromkeys(columns)))
    relation = Relation((path,), {key: DataType.TEXT, **types})
    return f"SELECT {selected} FROM wide WHERE {where}", {"wide": relation}
