"""Rows of Parquet files as pandas frames of bounded size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tagline.storage import opened

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

CHUNK_ROWS = 200_000


def to_frame(table: pa.Table) -> pd.DataFrame:
    """An Arrow table as a frame that keeps whole numbers whole and dates comparable."""
    import pandas as pd
    import pyarrow as pa

    nullable = {pa.int64(): pd.Int64Dtype(), pa.int32(): pd.Int32Dtype()}
    holes = any(column.null_count for column in table.columns if pa.types.is_integer(column.type))
    mapper: Any = nullable.get if holes else None
    frame: pd.DataFrame = table.to_pandas(date_as_object=False, types_mapper=mapper)
    return frame


def chunks(
    files: Sequence[str], columns: Sequence[str], rows: int = CHUNK_ROWS
) -> Iterator[pd.DataFrame]:
    """The rows of all files, in frames of at most `rows`; small files are read together."""
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    count = 0
    for batch in _batches(files, columns, rows):
        while count + batch.num_rows >= rows:
            room = rows - count
            held.append(batch.slice(0, room))
            yield to_frame(pa.Table.from_batches(held))
            batch, held, count = batch.slice(room), [], 0
        if batch.num_rows:
            held.append(batch)
            count += batch.num_rows
    if held:
        yield to_frame(pa.Table.from_batches(held))


def _batches(files: Sequence[str], columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for path in files:
        with opened(path) as file, pq.ParquetFile(file) as source:
            for batch in source.iter_batches(batch_size=min(rows, 50_000), columns=list(columns)):
                # an engine may write a column without nulls as required, in one file of several
                yield pa.RecordBatch.from_arrays(batch.columns, names=batch.schema.names)
