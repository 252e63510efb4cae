"""Whether a feature is made of what came after as_of: computed again from data that ends there.

The compiler bounds what tags read. This does not trust it: every stored table is cut at as_of
first, and a feature whose value changes by that has seen what it must not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tagline import storage
from tagline.compile import compile_tags
from tagline.compile.instant import instant
from tagline.compute import changed_tables, column_types, released_before, superseded_columns
from tagline.definitions.types import DataType
from tagline.engines import Relation, identifier
from tagline.scratch import scratch_folder
from tagline.subjects import CUSTOMER, subject_of_table
from tagline.training.panels import NUMBERS, Panel, typed_frame

if TYPE_CHECKING:
    from tagline.deployment import Deployment

SAME = 1e-9  # relative difference that summing in another order may make


def looking_ahead(
    deployment: Deployment, features: Mapping[str, DataType], panel: Panel
) -> tuple[str, ...]:
    """Reasons that name each feature of the panel that reads what lies at or after its instant."""
    table = features_until(deployment, panel.as_of, tuple(features))
    frame = typed_frame(table, features)
    frame.index = pd.Index(table.column(0).to_pylist(), dtype=object)
    known = np.isin(panel.customers, frame.index.to_numpy())
    told = []
    if not known.all():
        told.append(
            f"the population looks past as_of: {int((~known).sum())} of its {len(known)} customers "
            f"are none when the data from {panel.as_of.isoformat()} on is taken away"
        )
    again = frame.loc[panel.customers[known]].reset_index(drop=True)
    for slug, type_ in features.items():
        before = panel.rows.loc[known, slug].reset_index(drop=True)
        differs = _differs(before, again[slug], is_number=type_ in NUMBERS)
        if differs.any():
            first = int(np.argmax(differs))
            told.append(
                f"feature {slug!r} looks past as_of: of {int(differs.sum())} of {len(again)} "
                f"customers its value as of {panel.as_of.isoformat()} changes when the data from "
                f"then on is taken away, for example from {_shown(before[first])} to "
                f"{_shown(again[slug][first])}"
            )
    return tuple(told)


def features_until(deployment: Deployment, as_of: datetime, slugs: Sequence[str]) -> pa.Table:
    """The key and tags, of one subject, as of an instant, from tables with nothing at or after it.

    Derived tables are made anew. What a tag reads of an earlier release is read as it is.
    """
    changed = changed_tables(deployment)
    compiled = compile_tags(deployment.catalog, as_of, slugs, changed=changed)
    with scratch_folder(deployment.settings, "looking-ahead") as folder:
        found = released_before(deployment, compiled, as_of)
        for name, columns in compiled.tables.items():
            found[name] = _cut(deployment, name, columns, as_of, folder)
        for name in compiled.superseded:
            found[f"{name}__superseded"] = _cut_superseded(deployment, name, as_of, folder)
        table = deployment.engine.fetch(compiled.sql, found)
    subject = deployment.catalog.tag(slugs[0]).subject if slugs else CUSTOMER
    return table.select([subject.key, *slugs])


def _cut(
    deployment: Deployment, name: str, columns: Sequence[str], as_of: datetime, folder: Path
) -> Relation:
    """A stored table's rows before as_of: files that lie before it, and copies of the others."""
    definition = deployment.catalog.tables[name]
    bounds = ["valid_at", *filter(None, [definition.event_at])]
    if subject_of_table(name) is not None and "since_at" in definition.columns:
        bounds.append("since_at")
    types = column_types(deployment.catalog, name, dict.fromkeys((*columns, *bounds)))
    return _rows_before(deployment, name, types, bounds, as_of, folder)


def _cut_superseded(deployment: Deployment, name: str, as_of: datetime, folder: Path) -> Relation:
    types = superseded_columns(deployment.catalog, name)
    table = f"{name}__superseded"
    return _rows_before(deployment, table, types, ["until_at"], as_of, folder)


def _rows_before(
    deployment: Deployment,
    name: str,
    types: Mapping[str, DataType],
    bounds: Sequence[str],
    as_of: datetime,
    folder: Path,
) -> Relation:
    remote = storage.is_remote(deployment.lake.location)
    kept: list[str] = []
    crossing: list[str] = []
    for file in deployment.lake.files(f"clean.{name}", bounds[0], as_of):
        past = all(each in file.highest and file.highest[each] < as_of for each in bounds)
        (kept if past and not remote else crossing).append(file.path)  # no engine reads both
    if crossing:
        target = str(folder / f"{name}.parquet")
        shown = ", ".join(map(identifier, types))
        before = " AND ".join(f"{identifier(each)} < {instant(as_of)}" for each in bounds)
        stored = {"stored": Relation(tuple(sorted(crossing)), dict(types))}
        deployment.engine.write(f"SELECT {shown} FROM stored WHERE {before}", stored, target)
        kept.append(target)
    return Relation(tuple(kept), dict(types))


def _differs(
    before: pd.Series[Any], after: pd.Series[Any], *, is_number: bool
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    if is_number:
        one, other = before.to_numpy(dtype=float), after.to_numpy(dtype=float)
        return np.asarray(~np.isclose(one, other, rtol=SAME, atol=0, equal_nan=True))
    both_missing = before.isna().to_numpy() & after.isna().to_numpy()
    return np.asarray((before != after).to_numpy(dtype=bool) & ~both_missing)


def _shown(value: Any) -> str:
    return "none" if pd.isna(value) else f"{value:g}" if isinstance(value, float) else str(value)
