"""What the loaded source rows say of a canonical table: typed rows, and those refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tagline.casting import cast_sql, engine_type
from tagline.definitions import TableDefinition
from tagline.definitions.source import SourceTable
from tagline.definitions.types import DataType
from tagline.engines import Engine, Relation, identifier, literal
from tagline.errors import QueryRefused, TaglineError, did_you_mean
from tagline.loads import merged, newest_parts, parts_sql, without
from tagline.registry.schema import Load
from tagline.rules import reason_sql
from tagline.sources import Interval
from tagline.sources.delivery import instant
from tagline.sqlfiles import parse_sql
from tagline.versions import BEGINNING, REASON, SOURCE, delivered_columns, row_columns

if TYPE_CHECKING:
    from tagline.deployment import Deployment

_ROWS = "_delivered"  # the SQL file's result


@dataclass(frozen=True)
class Delivered:
    """Rows of a canonical table in a Parquet file, one per key and valid_at, that meet `only`.

    `refused` is a file of (reason, position, row); `rows` counts kept and refused ones;
    `single`: no key comes twice, not even with another valid_at.
    """

    path: str
    rows: int
    undated: bool
    single: bool
    counts: Mapping[str, int]
    refused: str | None
    only: str | None = None  # a condition on the file's columns; what does not meet it is refused


def deliver_rows(
    deployment: Deployment,
    table: str,
    source: str,
    loads: Mapping[str, Sequence[Load]],
    scope: Sequence[Interval] | None,
    scratch: Path,
    load: int,
) -> Delivered:
    """Run sql/sources/<source>/<table>.sql over what is loaded, and judge each row.

    `scope` are the intervals asked for (None: a snapshot); refused rows name `load`.
    """
    query, relations = _query(deployment, table, source, loads, scope)
    tables = deployment.catalog.sources[source].tables
    seen = [part for name in loads for part in _seen(scope, tables[name]) or ()]
    before = None if scope is None else without(seen, scope)
    made = _Judging(deployment, table, source, query, relations, scope, before, scratch)
    return made.run(load)


def _seen(scope: Sequence[Interval] | None, table: SourceTable) -> list[Interval] | None:
    """The intervals whose rows the SQL sees: those asked for, and what they look back on."""
    if scope is None:
        return None
    return merged(Interval(part.start - table.lookback, part.end) for part in scope)


def _query(
    deployment: Deployment,
    table: str,
    source: str,
    loads: Mapping[str, Sequence[Load]],
    scope: Sequence[Interval] | None,
) -> tuple[str, dict[str, Relation]]:
    """A WITH clause that ends in the SQL file's result, and the relations that it reads."""
    catalog = deployment.catalog
    relations: dict[str, Relation] = {}
    parts = []
    for name, loaded in loads.items():
        definition = catalog.sources[source].tables[name]
        if definition.time is None:
            newest = Relation(tuple(loaded[-1].files), definition.columns)
            relations[f"raw {name}"] = newest
            sql = f"SELECT * FROM {identifier(f'raw {name}')}"
        else:
            chosen = newest_parts(loaded, _seen(scope, definition))
            sql, found = parts_sql(name, chosen, definition.columns, definition.time)
            relations.update(found)
        parts.append(f"{identifier(name)} AS ({sql})")
    written = catalog.source_sql(source, table).strip().rstrip(";")
    returned = parse_sql(f"sql/sources/{source}/{table}.sql", written).columns
    canonical = catalog.tables[table]
    absent = [
        f", CAST(NULL AS {column.type.sql}) AS {identifier(name)}"
        for name, column in canonical.columns.items()
        if returned and name not in returned and column.nullable and name not in canonical.key
    ]
    parts.append(f"{_ROWS} AS (SELECT *{''.join(absent)} FROM (\n{written}\n))")
    return "WITH " + ",\n".join(parts), relations


@dataclass(frozen=True)
class _Judging:
    deployment: Deployment
    name: str
    source: str
    query: str
    relations: Mapping[str, Relation]
    scope: Sequence[Interval] | None
    before: Sequence[Interval] | None  # what is looked back on: its rows are not delivered
    scratch: Path

    @property
    def table(self) -> TableDefinition:
        return self.deployment.catalog.tables[self.name]

    @property
    def engine(self) -> Engine:
        return self.deployment.engine

    def run(self, load: int) -> Delivered:
        judged = str(self.scratch / "judged.parquet")
        rows = self.engine.write(self._judged_sql(load), self.relations, judged)
        columns = {
            **delivered_columns(self.table),
            "_undated": DataType.BOOLEAN,
            "_reason": DataType.TEXT,
            "_position": DataType.TEXT,
            "_row": DataType.TEXT,
        }
        found = {"judged": Relation((judged,), columns)}
        repeated = self._find_repeated(found)
        counts, dated = self._count(found, repeated)
        path, refused, only = judged, None, None
        if repeated:
            path = str(self.scratch / "delivered.parquet")
            self.engine.write(self._kept_sql(), found, path)
        elif counts:
            only = f"{REASON} IS NULL"
        if counts:
            refused = str(self.scratch / "refused.parquet")
            self.engine.write(self._refused_sql(repeated, load), found, refused)
        undated = dated == 0 and self.scope is None and self.table.event_at is None
        return Delivered(path, rows, undated, "several" not in found, counts, refused, only)

    def _judged_sql(self, load: int) -> str:
        """Every delivered row: typed columns, valid_at, and the reason if it is refused."""
        found = self._found_types()
        zone = self.deployment.catalog.sources[self.source].timezone
        typed = {
            name: cast_sql(f"d.{identifier(name)}", found[name], column.type, zone)
            for name, column in self.table.columns.items()
        }
        moment = "CAST(NULL AS TIMESTAMPTZ)"
        if "valid_at" in found:
            moment = cast_sql("d.valid_at", found["valid_at"], DataType.TIMESTAMP, zone)
        elif self.table.event_at is not None:
            moment = typed[self.table.event_at]
        elif self.scope is not None:
            raise TaglineError(
                f"sql/sources/{self.source}/{self.name}.sql: an interval feed must return "
                "valid_at, or its table must have event_at. Return it, or feed a snapshot."
            )
        reason = reason_sql(self.table, found, zone, "d._valid_at", self.scope)
        shown = ", ".join(f"{self._stored(n, sql)} AS {identifier(n)}" for n, sql in typed.items())
        return (
            f"{self.query}, judged AS (SELECT *, {moment} AS _valid_at FROM {_ROWS} AS d), "
            f"reasoned AS (SELECT d.*, {reason} AS _reason "
            f"FROM judged AS d{self._asked_for()}) "
            f"SELECT {shown}, coalesce(d._valid_at, {instant(BEGINNING)}) AS valid_at, "
            "d._valid_at IS NULL AS _undated, d._reason AS _reason, "
            f"CASE WHEN d._reason IS NOT NULL THEN {self._position('d', load, typed)} END "
            f"AS _position, CASE WHEN d._reason IS NOT NULL THEN {self._row()} END AS _row "
            "FROM reasoned AS d"
        )

    def _asked_for(self) -> str:
        """Leaves out rows that were only looked back on: they came with their own interval."""
        if not self.before:
            return ""
        moment = "d._valid_at"
        inside = " OR ".join(
            f"({moment} >= {instant(part.start)} AND {moment} < {instant(part.end)})"
            for part in self.before
        )
        return f" WHERE NOT coalesce({inside}, false)"

    def _found_types(self) -> dict[str, str]:
        """The columns that the SQL file returns, with their types."""
        sql = f"{self.query} SELECT * FROM {_ROWS} LIMIT 0"
        try:
            schema = self.engine.fetch(sql, self.relations).schema
        except QueryRefused as error:
            file = f"sql/sources/{self.source}/{self.name}.sql"
            raise TaglineError(f"{file}: not valid SQL: {error.reason}") from error
        found = {field.name: engine_type(field.type) for field in schema}
        missing = [name for name in self.table.columns if name not in found]
        if missing:
            raise TaglineError(
                f"sql/sources/{self.source}/{self.name}.sql returns no column "
                + "; ".join(f"{name!r}.{did_you_mean(name, found)}" for name in missing)
            )
        return found

    def _stored(self, name: str, value: str) -> str:
        """A column as it is stored: direct personal data only as a salted hash."""
        column = self.table.columns[name]
        if column.pii != "direct":
            return value
        if column.type is not DataType.TEXT:
            raise TaglineError(
                f"tables/{self.name}.yaml: {name} is direct personal data and must be of type "
                "text, since only its hash is stored."
            )
        salt = literal(self.deployment.settings.hash_salt)
        return f"sha256({salt} || CAST({value} AS VARCHAR))"

    def _row(self) -> str:
        """The row as delivered, as JSON; direct personal data hashed."""
        pairs = ", ".join(
            f"{literal(name)}, {self._stored(name, f'd.{identifier(name)}')}"
            for name in self.table.columns
        )
        return f"CAST(json_object({pairs}) AS VARCHAR)"

    def _position(self, alias: str, load: int, typed: Mapping[str, str] | None = None) -> str:
        keys = ", ".join(
            f"{literal(key)}, "
            + (self._stored(key, typed[key]) if typed else f"{alias}.{identifier(key)}")
            for key in self.table.key
        )
        return f"CAST(json_object('load', {load}, 'key', json_object({keys})) AS VARCHAR)"

    # Rows of the same key and valid_at

    def _find_repeated(self, found: dict[str, Relation]) -> bool:
        """Whether rows repeat; adds the relation `conflicts`, of those that contradict."""
        keys = ", ".join(map(identifier, self.table.key))
        types = {name: self.table.columns[name].type for name in self.table.key}
        types["valid_at"] = DataType.TIMESTAMP
        path = str(self.scratch / "repeated.parquet")
        several = str(self.scratch / "several.parquet")
        repeated = self.engine.write(
            f"SELECT {keys} FROM judged WHERE _reason IS NULL GROUP BY ALL HAVING count(*) > 1",
            found,
            several,
        )
        if repeated:
            found["several"] = Relation((several,), {name: types[name] for name in self.table.key})
            same = " AND ".join(f"k.{identifier(n)} = j.{identifier(n)}" for n in self.table.key)
            repeated = self.engine.write(
                f"SELECT {keys}, valid_at FROM judged AS j WHERE _reason IS NULL AND EXISTS "
                f"(SELECT 1 FROM several AS k WHERE {same}) GROUP BY ALL HAVING count(*) > 1",
                found,
                path,
            )
        others = self._held_by_others(keys, found)
        conflicts = str(self.scratch / "conflicts.parquet")
        selects = []
        if repeated:
            content = ", ".join(f"j.{identifier(name)}" for name in self.table.columns)
            j_keys = ", ".join(f"j.{identifier(name)}" for name in self.table.key)
            selects.append(
                f"SELECT {j_keys}, j.valid_at FROM judged AS j JOIN repeated AS r "
                f"ON {self._same('r', 'j')} WHERE j._reason IS NULL GROUP BY ALL "
                f"HAVING count(DISTINCT ({content})) > 1"
            )
        if others:
            selects.append(others)
        found["repeated"] = Relation((path,) if repeated else (), types)
        rows = self.engine.write(" UNION ".join(selects), found, conflicts) if selects else 0
        found["conflicts"] = Relation((conflicts,) if rows else (), types)
        return bool(repeated) or bool(rows)

    def _held_by_others(self, keys: str, found: dict[str, Relation]) -> str | None:
        """Delivered rows whose key another source of the table has already filled."""
        if len(self.deployment.catalog.feeds(self.name)) < 2:
            return None
        relation = self.deployment.lake.relation(f"clean.{self.name}", row_columns(self.table))
        found["stored"] = relation
        same = " AND ".join(f"s.{identifier(k)} = j.{identifier(k)}" for k in self.table.key)
        j_keys = ", ".join(f"j.{identifier(name)}" for name in self.table.key)
        return (
            f"SELECT DISTINCT {j_keys}, j.valid_at FROM judged AS j WHERE j._reason IS NULL AND "
            f"EXISTS (SELECT 1 FROM stored AS s WHERE {same} "
            f"AND s.{SOURCE} <> {literal(self.source)})"
        )

    def _same(self, left: str, right: str) -> str:
        names = [*map(identifier, self.table.key), "valid_at"]
        return " AND ".join(f"{left}.{name} = {right}.{name}" for name in names)

    def _conflicting(self) -> str:
        return f"EXISTS (SELECT 1 FROM conflicts AS c WHERE {self._same('c', 'j')})"

    def _count(self, found: Mapping[str, Relation], repeated: bool) -> tuple[dict[str, int], int]:
        """Refused rows by reason, and how many rows have a date."""
        made = self.engine.fetch(
            "SELECT _reason AS reason, count(*) AS n, count(*) FILTER (NOT _undated) AS dated "
            "FROM judged GROUP BY _reason ORDER BY _reason",
            found,
        ).to_pylist()
        counts = {row["reason"]: row["n"] for row in made if row["reason"] is not None}
        if repeated:
            conflicts = self.engine.fetch(
                f"SELECT count(*) AS n FROM judged AS j "
                f"WHERE j._reason IS NULL AND {self._conflicting()}",
                found,
            ).to_pylist()[0]["n"]
            if conflicts:
                counts["conflicting_duplicate"] = conflicts
        return counts, sum(row["dated"] for row in made if row["reason"] is None)

    def _kept_sql(self) -> str:
        """Each row once: those alone that repeat are compared as a whole."""
        columns = ", ".join(f"j.{identifier(name)}" for name in self.table.columns)
        rows = f"{columns}, j.valid_at FROM judged AS j WHERE j._reason IS NULL"
        kept = f"AND NOT {self._conflicting()}"
        again = f"EXISTS (SELECT 1 FROM repeated AS r WHERE {self._same('r', 'j')})"
        return (
            f"SELECT {rows} {kept} AND NOT {again} UNION ALL "
            f"SELECT DISTINCT {rows} {kept} AND {again}"
        )

    def _refused_sql(self, repeated: bool, load: int) -> str:
        sql = (
            "SELECT _reason AS reason, _position AS position, _row AS row FROM judged "
            "WHERE _reason IS NOT NULL"
        )
        if not repeated:
            return sql
        pairs = ", ".join(f"{literal(n)}, j.{identifier(n)}" for n in self.table.columns)
        return (
            f"{sql} UNION ALL SELECT 'conflicting_duplicate', {self._position('j', load)}, "
            f"CAST(json_object({pairs}) AS VARCHAR) FROM judged AS j "
            f"WHERE j._reason IS NULL AND {self._conflicting()}"
        )
