"""Rows of input queries: what the customers of a population did, item by item."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tagline.compute import write_input
from tagline.definitions.types import DataType
from tagline.engines import Relation
from tagline.scratch import scratch_folder
from tagline.training.inputs import BATCH, load_tags, population_at, population_rows

if TYPE_CHECKING:
    from tagline.definitions.models import AnyModel
    from tagline.deployment import Deployment
    from tagline.training.kinds import Scoring


def load_input(
    deployment: Deployment,
    definition: AnyModel,
    name: str,
    instant: datetime,
    most: int | None = None,
) -> pd.DataFrame:
    """What an input query returns of the model's population at one past instant, in order.

    Of `most` customers if there are more: always the same ones, as far as they are there.
    """
    columns = definition.input_columns[name]
    with scratch_folder(deployment.settings, f"input-{name}") as folder:
        people = str(folder / "people.parquet")
        found = population_at(deployment, definition, (), instant)
        pq.write_table(found if most is None else sample(found, most), people)
        path = _joined(deployment, definition, name, instant, people, folder)
        return _frame(pq.read_table(path), columns)


def sample(people: pa.Table, most: int) -> pa.Table:
    """At most so many rows of a table with customer_id: those whose ids have the least hashes."""
    if len(people) <= most:
        return people
    hashed = pd.util.hash_array(np.asarray(people.column("customer_id").to_pylist(), dtype=object))
    return people.take(pa.array(np.sort(np.argpartition(hashed, most)[:most])))


def load_indexed(
    deployment: Deployment, definition: AnyModel, slugs: Iterable[str], instant: datetime
) -> pd.DataFrame:
    """Tags of the model's population at one past instant, with customer_id as the index."""
    slugs = list(dict.fromkeys(slugs))
    return load_tags(deployment, definition, slugs, instant).set_index("customer_id")[slugs]


def input_parts(asked: Scoring, name: str, size: int = BATCH) -> Iterator[pd.DataFrame]:
    """What an input query returns of a candidate's population, in parts of about `size` rows.

    A customer is never split.
    """
    columns = asked.definition.input_columns[name]
    people = asked.folder / "people.parquet"
    with pq.ParquetWriter(str(people), pa.schema([("customer_id", pa.string())])) as writer:
        for part in population_rows(asked):
            ids = pa.array(part["customer_id"].tolist(), pa.string())
            writer.write_table(pa.table({"customer_id": ids}))
    path = _joined(asked.deployment, asked.definition, name, asked.as_of, str(people), asked.folder)
    waiting = pd.DataFrame()
    with pq.ParquetFile(path) as rows:
        for batch in rows.iter_batches(batch_size=size):
            part = pd.concat([waiting, _frame(pa.Table.from_batches([batch]), columns)])
            last = part["customer_id"] == part["customer_id"].iloc[-1]
            whole, waiting = part[~last], part[last]
            if len(whole):
                yield whole.reset_index(drop=True)
    if len(waiting):
        yield waiting.reset_index(drop=True)


def _joined(
    deployment: Deployment,
    definition: AnyModel,
    name: str,
    instant: datetime,
    people: str,
    folder: Path,
) -> str:
    """A Parquet file of the input's rows of the people, ordered by customer."""
    columns = definition.input_columns[name]
    everything, path = str(folder / f"{name}.parquet"), str(folder / f"{name}-rows.parquet")
    write_input(deployment, name, columns, instant, everything)
    relations = {
        "asked": Relation((everything,), {"customer_id": DataType.TEXT, **columns}),
        "people": Relation((people,), {"customer_id": DataType.TEXT}),
    }
    shown = ", ".join(f'asked."{column}"' for column in ("customer_id", *columns))
    deployment.engine.write(
        f"SELECT {shown} FROM asked JOIN people ON people.customer_id = asked.customer_id "
        "ORDER BY ALL",
        relations,
        path,
    )
    return path


def _frame(table: pa.Table, columns: Iterable[str]) -> pd.DataFrame:
    """The rows with ids and texts as objects, each different one once; numbers as floats."""
    frame = pd.DataFrame({"customer_id": _texts(table["customer_id"])})
    for column in columns:
        values = table.column(column)
        if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
            frame[column] = _texts(values)
        else:
            frame[column] = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return frame


def _texts(column: pa.ChunkedArray) -> pd.Series[Any]:
    encoded = column.combine_chunks().dictionary_encode()
    known = np.asarray([*encoded.dictionary.to_pylist(), None], dtype=object)
    return pd.Series(known[encoded.indices.fill_null(len(known) - 1).to_numpy()], dtype=object)
