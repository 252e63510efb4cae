"""Quarantine: rows that were refused, with the reason, kept until they are replayed."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from tagline.definitions.types import DataType
from tagline.engines import Relation, literal
from tagline.errors import UnknownName
from tagline.registry.schema import Load
from tagline.sources.delivery import instant
from tagline.storage import remove

if TYPE_CHECKING:
    from tagline.deployment import Deployment

COLUMNS: Mapping[str, DataType] = {
    "reason": DataType.TEXT,
    "source": DataType.TEXT,
    "position": DataType.TEXT,
    "row": DataType.TEXT,
    "run_id": DataType.TEXT,
    "load_id": DataType.INTEGER,
    "quarantined_at": DataType.TIMESTAMP,
}
REFUSED: Mapping[str, DataType] = {
    "reason": DataType.TEXT,
    "position": DataType.TEXT,
    "row": DataType.TEXT,
}
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Origin:
    """Where refused rows come from."""

    source: str
    run_id: str
    load_id: int | None
    at: datetime


@dataclass(frozen=True)
class ReplayReport:
    """Rows in quarantine before and after a replay, per table and reason."""

    before: dict[str, dict[str, int]]
    after: dict[str, dict[str, int]]

    def as_json(self) -> dict[str, Any]:
        """The report as one JSON document."""
        return {"before": self.before, "after": self.after}


def table_name(source_table: str) -> str:
    """The quarantine's name of a source table, whose rows cannot even be read.

    >>> table_name("complete_journey.transactions")
    'complete_journey__transactions'
    """
    return source_table.replace(".", "__")


def add(deployment: Deployment, table: str, refused: str, origin: Origin) -> int:
    """Keep the rows of a Parquet file of (reason, position, row); the number of new ones.

    A row that already is in quarantine for the same reason is not kept twice, so a repeated
    attempt or delivery adds nothing.
    """
    path = deployment.lake.new_file(_stored(table))
    rows = _write(deployment, table, refused, origin, path, known=_relation(deployment, table))
    if rows:
        deployment.lake.ensure(_stored(table), COLUMNS)
        deployment.lake.append(_stored(table), [path])
        log.info(
            "%s: %s rows of %s went to quarantine",
            table,
            f"{rows:,}",
            origin.source,
            extra={"table": table, "source": origin.source, "rows": rows},
        )
    else:
        remove(path)
    return rows


def replace(
    deployment: Deployment,
    table: str,
    loads: Sequence[int],
    refused: Sequence[str],
    origin: Origin,
) -> None:
    """Keep the rows of the files `refused` in the place of all that stem from these loads.

    One commit exchanges them, so that a kill loses none.
    """
    kept = _relation(deployment, table)
    if not kept.files:
        for each in refused:
            add(deployment, table, each, origin)
        return
    listed = ", ".join(str(load) for load in loads) or "NULL"
    rest = (
        f"SELECT * FROM kept WHERE source <> {literal(origin.source)} "
        f"OR load_id IS NULL OR load_id NOT IN ({listed})"
    )
    files: list[str] = []
    path = deployment.lake.new_file(_stored(table))
    if deployment.engine.write(rest, {"kept": kept}, path):
        files.append(path)
    else:
        remove(path)
    for each in refused:
        path = deployment.lake.new_file(_stored(table))
        known = Relation(tuple(files), COLUMNS)
        if _write(deployment, table, each, origin, path, known):
            files.append(path)
        else:
            remove(path)
    deployment.lake.follow(_stored(table), files)


def counts(deployment: Deployment) -> dict[str, dict[str, int]]:
    """Rows in quarantine per table and reason."""
    found: dict[str, dict[str, int]] = {}
    for table in _tables(deployment):
        relation = _relation(deployment, table)
        if not relation.files:
            continue
        made = deployment.engine.fetch(
            "SELECT reason, count(*) AS n FROM q GROUP BY reason ORDER BY reason", {"q": relation}
        )
        if made.num_rows:
            found[table] = {row["reason"]: row["n"] for row in made.to_pylist()}
    return found


def rows(deployment: Deployment, table: str, limit: int = 100) -> list[dict[str, Any]]:
    """The newest rows in quarantine of a canonical or source table."""
    if table not in _tables(deployment):
        raise UnknownName("quarantine table", table, _tables(deployment))
    made = deployment.engine.fetch(
        f"SELECT * FROM q ORDER BY quarantined_at DESC, reason, position LIMIT {int(limit)}",
        {"q": _relation(deployment, table)},
    )
    return list(made.to_pylist())


def replay(
    deployment: Deployment, table: str | None, at: datetime, run_id: str = "replay"
) -> ReplayReport:
    """Clean again, by today's definitions, what the quarantined rows came with.

    Canonical tables are cleaned again from their loads; rows that a source delivered unreadable
    are read again from the source.
    """
    from tagline.clean import clean_again
    from tagline.extract import extract_again

    before = counts(deployment)
    if table is not None and table not in _tables(deployment):
        raise UnknownName("quarantine table", table, _tables(deployment))
    names = _source_tables(deployment)
    for name in [table] if table else sorted(before, key=lambda each: each not in names):
        if name in names:
            extract_again(deployment, names[name], _loads(deployment, name), run_id, at)
        else:
            clean_again(deployment, name, _loads(deployment, name), run_id, at)
    return ReplayReport(before, counts(deployment))


def _write(
    deployment: Deployment,
    table: str,
    refused: str,
    origin: Origin,
    path: str,
    known: Relation,
) -> int:
    load = "NULL" if origin.load_id is None else str(origin.load_id)
    return deployment.engine.write(
        f"SELECT reason, {literal(origin.source)} AS source, position, row, "
        f"{literal(origin.run_id)} AS run_id, CAST({load} AS BIGINT) AS load_id, "
        f"{instant(origin.at)} AS quarantined_at FROM refused AS r WHERE NOT EXISTS ("
        f"SELECT 1 FROM known AS k WHERE k.reason = r.reason AND k.row = r.row "
        f"AND k.source = {literal(origin.source)})",
        {"refused": Relation((refused,), REFUSED), "known": known},
        path,
    )


def _loads(deployment: Deployment, table: str) -> list[int]:
    """The loads that the rows in quarantine of a table came with."""
    made = deployment.engine.fetch(
        "SELECT DISTINCT load_id FROM q WHERE load_id IS NOT NULL ORDER BY load_id",
        {"q": _relation(deployment, table)},
    )
    with deployment.registry.session() as session:
        known = set(session.scalars(select(Load.id)))
    return [load for load in made.column("load_id").to_pylist() if load in known]


def _tables(deployment: Deployment) -> list[str]:
    return [*deployment.catalog.tables, *_source_tables(deployment)]


def _source_tables(deployment: Deployment) -> dict[str, str]:
    """Quarantine name -> `source.table`."""
    from tagline.extract import source_tables

    return {table_name(name): name for name in source_tables(deployment.catalog)}


def _relation(deployment: Deployment, table: str) -> Relation:
    return deployment.lake.relation(_stored(table), COLUMNS)


def _stored(table: str) -> str:
    return f"quarantine.{table}"
