"""What customers are compared by: tags, and lists of what they bought."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tagline.compute import write_input
from tagline.definitions.models import SimilarCustomersModel
from tagline.definitions.types import DataType
from tagline.deployment import Deployment
from tagline.engines import Relation
from tagline.scratch import scratch_folder
from tagline.training.alike_space import ITEMS
from tagline.training.input_rows import load_indexed, sample
from tagline.training.inputs import BATCH, population_rows
from tagline.training.kinds import Scoring
from tagline.training.panels import NUMBERS


def known_rows(
    deployment: Deployment, definition: SimilarCustomersModel, instant: datetime
) -> pd.DataFrame:
    """The features, lists and attribute of the population who told it, as of an instant.

    customer_id is the first column; at most `max_customers` of them, always the same ones.
    """
    slugs = (*definition.features, definition.attribute)
    tags = load_indexed(deployment, definition, slugs, instant)
    known = tags[tags[definition.attribute].notna()].reset_index()
    table = sample(pa.Table.from_pandas(known, preserve_index=False), definition.max_customers)
    with scratch_folder(deployment.settings, "alike") as folder:
        people = str(folder / "people.parquet")
        pq.write_table(table, people)
        path = _with_lists(deployment, definition, people, instant, folder)
        return pd.concat(list(_parts(path, definition, len(table))), ignore_index=True)


def alike_parts(asked: Scoring) -> Iterator[pd.DataFrame]:
    """The features, lists and attribute of a candidate's population, in batches."""
    definition = asked.definition
    assert isinstance(definition, SimilarCustomersModel)
    people = asked.folder / "people.parquet"
    writer = None
    try:
        for part in population_rows(asked, (definition.attribute,)):
            table = pa.Table.from_pandas(part, _schema(asked.deployment, definition))
            writer = writer or pq.ParquetWriter(str(people), table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()
    if writer is not None:
        path = _with_lists(asked.deployment, definition, str(people), asked.as_of, asked.folder)
        yield from _parts(path, definition, BATCH)


def _types(deployment: Deployment, definition: SimilarCustomersModel) -> Mapping[str, DataType]:
    """The columns of the people as they are read: numbers, or texts."""
    tags = deployment.catalog.tags
    return {"customer_id": DataType.TEXT} | {
        slug: DataType.NUMBER if tags[slug].definition.type in NUMBERS else DataType.TEXT
        for slug in (*definition.features, definition.attribute)
    }


def _schema(deployment: Deployment, definition: SimilarCustomersModel) -> pa.Schema:
    kinds = {DataType.NUMBER: pa.float64(), DataType.TEXT: pa.string()}
    types = _types(deployment, definition)
    return pa.schema([(name, kinds[type_]) for name, type_ in types.items()])


def _with_lists(
    deployment: Deployment,
    definition: SimilarCustomersModel,
    people: str,
    instant: datetime,
    folder: Path,
) -> str:
    """A Parquet file of the people with what they bought, ordered by customer."""
    types = _types(deployment, definition)
    relations = {"people": Relation((people,), dict(types))}
    shown = ", ".join(f'people."{name}"' for name in types)
    sql = f"SELECT {shown} FROM people"
    for name, columns in definition.input_columns.items():
        rows = str(folder / f"{name}.parquet")
        write_input(deployment, name, columns, instant, rows)
        relations["asked"] = Relation((rows,), {"customer_id": DataType.TEXT, **columns})
        sql = f"""
            WITH summed AS (
              SELECT customer_id, item, sum(weight) AS weight
              FROM asked
              GROUP BY customer_id, item
            ),
            listed AS (
              SELECT
                customer_id,
                list(item ORDER BY item) AS items,
                list(weight ORDER BY item) AS weights
              FROM summed
              GROUP BY customer_id
            )
            SELECT {shown}, listed.items, listed.weights
            FROM people
            LEFT JOIN listed ON listed.customer_id = people.customer_id
        """
    path = str(folder / "alike.parquet")
    deployment.engine.write(f"{sql} ORDER BY people.customer_id", relations, path)
    return path


def _parts(path: str, definition: SimilarCustomersModel, size: int) -> Iterator[pd.DataFrame]:
    """The rows of a file in batches: numbers as floats, texts and lists as objects."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=max(1, size)):
            frame = pd.DataFrame(index=range(len(batch)))
            for name in batch.schema.names:
                column = batch.column(name)
                if pa.types.is_floating(column.type):
                    frame[name] = column.to_numpy(zero_copy_only=False)
                else:
                    values = column.to_pylist()
                    held = [value or [] for value in values] if name in ITEMS else values
                    frame[name] = pd.Series(held, dtype=object)
            yield frame
