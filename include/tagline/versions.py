"""Row versions: what a delivery adds to a stored table, and which stored rows it supersedes.

A stored row is named by its key, valid_at and loaded_at, and is never edited. An entry of
`<table>__superseded` hides it from readers as of later than the entry's until_at:

- a newer version of the key: until_at is the newer version's valid_at;
- a retracted row (vanished, or replaced at the same valid_at): until_at is its own valid_at;
- a key that vanished from an undated snapshot: until_at is the load's loaded_at, which is also
  the entry's recorded_at.

When the version that superseded a row is retracted, the row is written again and its old copy
retracted, since entries are never taken back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tagline.definitions import TableDefinition
from tagline.definitions.types import DataType
from tagline.engines import Engine, Relation, identifier, literal
from tagline.lake import Lake
from tagline.layout import row_bucket_sql
from tagline.sources import Interval
from tagline.sources.delivery import instant
from tagline.storage import remove

BEGINNING = datetime(1900, 1, 1, tzinfo=UTC)  # valid_at of rows without a date
SOURCE = "_source"
REASON = "_reason"  # of a delivered row: why it is refused
_INSTANTS = ("valid_at", "loaded_at")


@dataclass(frozen=True)
class Changes:
    """Files that a delivery adds to a table, not yet in it."""

    row_files: tuple[str, ...] = ()
    entry_files: tuple[str, ...] = ()
    added: int = 0
    superseded: int = 0

    def followed_by(self, later: Changes) -> Changes:
        """These changes, and those of a delivery that came upon them."""
        return Changes(
            self.row_files + later.row_files,
            self.entry_files + later.entry_files,
            self.added + later.added,
            self.superseded + later.superseded,
        )


def row_columns(table: TableDefinition) -> dict[str, DataType]:
    """The columns of a stored table."""
    return {
        **{name: column.type for name, column in table.columns.items()},
        SOURCE: DataType.TEXT,
        "valid_at": DataType.TIMESTAMP,
        "loaded_at": DataType.TIMESTAMP,
        "customer_bucket": DataType.INTEGER,
    }


def entry_columns(table: TableDefinition) -> dict[str, DataType]:
    """The columns of a table's superseded versions."""
    names = (*_INSTANTS, "until_at", "recorded_at")
    keys = {name: table.columns[name].type for name in table.key}
    return {**keys, **dict.fromkeys(names, DataType.TIMESTAMP)}


def delivered_columns(table: TableDefinition) -> dict[str, DataType]:
    """The columns of a delivery: the declared ones and valid_at."""
    declared = {name: column.type for name, column in table.columns.items()}
    return {**declared, "valid_at": DataType.TIMESTAMP}


@dataclass(frozen=True)
class Versions:
    """The versions of one stored table, brought up to date with deliveries of one source."""

    engine: Engine
    lake: Lake
    name: str
    table: TableDefinition
    source: str
    buckets: int
    scratch: Path

    def changes(
        self,
        delivered: str,
        scope: Sequence[Interval] | None,
        at: datetime,
        *,
        undated: bool = False,
        single: bool = False,
        only: str | None = None,
        before: Changes | None = None,
    ) -> Changes:
        """Write what a delivery changes.

        It holds all rows of `scope` (None: the whole table) and no others: `delivered` is a
        Parquet file with one row per key and valid_at, of those that meet `only`, a condition on
        its columns and `REASON`. An undated delivery is the present state
        of the table; in a single one no key comes twice. A delivery that is already stored
        changes nothing. `before` are changes of other scopes that are not in the lake yet.
        """
        rows, ends = f"clean.{self.name}", f"clean.{self.name}__superseded"
        before = before or Changes()
        there = self.lake.relation(rows, row_columns(self.table))
        stored = Relation(there.files + before.row_files, there.columns)
        ended = self.lake.relation(ends, entry_columns(self.table))
        entries = Relation(ended.files + before.entry_files, ended.columns)
        at = self._later_than(stored, at)
        changed = Relation((delivered,), self._changed_columns, only=only)
        compared = self._pruned(there, scope)
        if compared.files:
            relations = {
                "stored": compared,
                "entries": entries,
                "delivered": Relation((delivered,), self._changed_columns, only=only),
            }
            sql = self._undated_sql(at) if undated else self._dated_sql(scope)
            path = str(self.scratch / "changed.parquet")
            if not self.engine.write(sql, relations, path):
                return Changes()
            changed = Relation((path,), self._changed_columns)
        relations = {"stored": stored, "entries": entries, "changed": changed}
        touched, chain, links = str(self.scratch / "touched.parquet"), "", 0
        if (stored.files or not single) and self.engine.write(
            self._touched_sql(), relations, touched
        ):
            keys = {name: self.table.columns[name].type for name in self.table.key}
            relations["touched"] = Relation((touched,), keys)
            chain = str(self.scratch / "chain.parquet")
            links = self.engine.write(self._chain_sql(at), relations, chain)
        columns = {**row_columns(self.table), **_LINK}
        found = {"changed": changed, "chain": Relation((chain,) if links else (), columns)}
        return self._write(found, at)

    def _write(self, relations: Mapping[str, Relation], at: datetime) -> Changes:
        """The files of what changed; none is left behind where one cannot be written."""
        rows: dict[str, int] = {}
        entry_file = self.lake.new_file(f"clean.{self.name}__superseded")
        try:
            for bucket in range(self.buckets):
                path = self.lake.new_file(f"clean.{self.name}")
                rows[path] = 0
                only = f" WHERE customer_bucket = {bucket}" if self.buckets > 1 else ""
                rows[path] = self.engine.write(
                    f"SELECT * FROM ({self._rows_sql(at)}) AS r{only}", relations, path
                )
            superseded = self.engine.write(self._entries_sql(at), relations, entry_file)
        except BaseException:
            for path in (*rows, entry_file):
                remove(path)
            raise
        files = tuple(path for path, added in rows.items() if added)
        for path in set(rows) - set(files):
            remove(path)
        if not superseded:
            remove(entry_file)
        entry_files = (entry_file,) if superseded else ()
        return Changes(files, entry_files, sum(rows.values()), superseded)

    # Names and lists of columns

    @property
    def _declared(self) -> str:
        return ", ".join(identifier(name) for name in self.table.columns)

    @property
    def _keys(self) -> str:
        return ", ".join(identifier(name) for name in self.table.key)

    @property
    def _changed_columns(self) -> dict[str, DataType]:
        """Columns of what changed; a delivery read so is all inserted (no action, no old copy)."""
        extra = {
            "_action": DataType.TEXT,
            "_old_loaded_at": DataType.TIMESTAMP,
            REASON: DataType.TEXT,
        }
        return {**delivered_columns(self.table), **extra}

    def _same(self, left: str, right: str, instants: Sequence[str] = ()) -> str:
        names = [identifier(name) for name in self.table.key] + list(instants)
        return " AND ".join(f"{left}.{name} = {right}.{name}" for name in names)

    def _differs(self) -> str:
        names = [identifier(name) for name in self.table.columns if name not in self.table.key]
        return " OR ".join(f"d.{name} IS DISTINCT FROM m.{name}" for name in names) or "false"

    def _later_than(self, stored: Relation, at: datetime) -> datetime:
        """`at`, or just after the newest loaded_at where a clock went backwards."""
        if not stored.files:
            return at
        made = self.engine.fetch("SELECT max(loaded_at) AS newest FROM stored", {"stored": stored})
        newest = made.column("newest").to_pylist()[0]
        return max(at, newest + timedelta(microseconds=1)) if newest else at

    def _pruned(self, stored: Relation, scope: Sequence[Interval] | None) -> Relation:
        if not scope:
            return stored
        return self.lake.relation(
            f"clean.{self.name}",
            stored.columns,
            before=("valid_at", scope[-1].end),
            after=("valid_at", scope[0].start),
        )

    # SQL: what changed

    def _live_sql(self) -> str:
        """Stored rows that are not retracted."""
        return (
            "live AS (SELECT * FROM stored AS s WHERE NOT EXISTS (SELECT 1 FROM entries AS e "
            f"WHERE {self._same('e', 's', _INSTANTS)} AND e.until_at <= s.valid_at))"
        )

    def _ended_sql(self) -> str:
        """From when on a stored row is hidden, and when that was recorded."""
        return (
            f"ended AS (SELECT {self._keys}, valid_at, loaded_at, min(until_at) AS _ended_at, "
            "arg_min(recorded_at, until_at) AS _ended_recorded FROM entries "
            "WHERE until_at > valid_at GROUP BY ALL)"
        )

    def _mine_sql(self, scope: Sequence[Interval] | None) -> str:
        where = f"{SOURCE} = {literal(self.source)}"
        if scope is not None:
            inside = " OR ".join(
                f"(valid_at >= {instant(part.start)} AND valid_at < {instant(part.end)})"
                for part in scope
            )
            where += f" AND ({inside or 'false'})"
        return f"mine AS (SELECT * FROM live WHERE {where})"

    def _joined_columns(self) -> str:
        """Keys of either side, the other columns as delivered."""
        shown = []
        for name in map(identifier, self.table.columns):
            key = name.strip('"') in self.table.key
            shown.append(f"coalesce(d.{name}, m.{name}) AS {name}" if key else f"d.{name}")
        return ", ".join(shown)

    def _dated_sql(self, scope: Sequence[Interval] | None) -> str:
        return (
            f"WITH {self._live_sql()}, {self._mine_sql(scope)}, "
            "d AS (SELECT *, true AS _here FROM delivered) "
            f"SELECT {self._joined_columns()}, coalesce(d.valid_at, m.valid_at) AS valid_at, "
            "CASE WHEN m.loaded_at IS NULL THEN 'insert' WHEN d._here IS NULL THEN 'retract' "
            "ELSE 'replace' END AS _action, m.loaded_at AS _old_loaded_at "
            f"FROM d FULL JOIN mine AS m ON {self._same('d', 'm', ('valid_at',))} "
            f"WHERE m.loaded_at IS NULL OR d._here IS NULL OR {self._differs()}"
        )

    def _undated_sql(self, at: datetime) -> str:
        """Compare the delivered state with each key's newest version."""
        snapshot_row = f"(m.valid_at = {instant(BEGINNING)} OR m.valid_at = m.loaded_at)"
        return (
            f"WITH {self._live_sql()}, {self._mine_sql(None)}, {self._ended_sql()}, "
            f"newest AS (SELECT * FROM mine QUALIFY row_number() OVER "
            f"(PARTITION BY {self._keys} ORDER BY valid_at DESC, loaded_at DESC) = 1), "
            f"m AS (SELECT n.*, e._ended_at FROM newest AS n LEFT JOIN ended AS e "
            f"ON {self._same('e', 'n', _INSTANTS)}), "
            "d AS (SELECT *, true AS _here FROM delivered), "
            "compared AS ("
            f"SELECT {self._joined_columns()}, "
            f"CASE WHEN m.loaded_at IS NULL THEN {instant(BEGINNING)} WHEN d._here IS NULL "
            f"THEN m.valid_at ELSE {instant(at)} END AS valid_at, "
            "CASE WHEN d._here IS NOT NULL THEN 'insert' "
            f"WHEN {snapshot_row} THEN 'tombstone' ELSE 'vanished' END AS _action, "
            "CASE WHEN d._here IS NULL THEN m.loaded_at END AS _old_loaded_at "
            f"FROM d FULL JOIN m ON {self._same('d', 'm')} "
            "WHERE m.loaded_at IS NULL OR (d._here IS NULL AND m._ended_at IS NULL) "
            f"OR (d._here IS NOT NULL AND (m._ended_at IS NOT NULL OR {self._differs()}))) "
            "SELECT * FROM compared WHERE _action <> 'vanished' UNION ALL "
            f"SELECT {', '.join('o.' + identifier(name) for name in self.table.columns)}, "
            "o.valid_at, 'retract', o.loaded_at FROM mine AS o JOIN compared AS c "
            f"ON {self._same('o', 'c')} WHERE c._action = 'vanished'"
        )

    # SQL: chains of versions

    def _touched_sql(self) -> str:
        """The keys that changed and have versions beside the one that came; mostly few."""
        new = "FROM changed AS c WHERE coalesce(_action, 'insert') <> 'tombstone'"
        return (
            f"SELECT DISTINCT {self._keys} {new} AND EXISTS (SELECT 1 FROM stored AS s "
            f"WHERE {self._same('s', 'c')}) UNION SELECT {self._keys} {new} "
            f"GROUP BY {self._keys} HAVING count(*) > 1"
        )

    def _chain_sql(self, at: datetime) -> str:
        """The versions, of keys that changed, whose end must be stated or stated anew.

        `_next_at` is the valid_at of the key's next version; a stale row has an end that no
        version is the reason for any more.
        """
        keys, declared = self._keys, self._declared
        return (
            f"WITH {self._live_sql()}, {self._ended_sql()}, "
            f"kept AS (SELECT s.*, e._ended_at, e._ended_recorded FROM live AS s "
            f"LEFT JOIN ended AS e ON {self._same('e', 's', _INSTANTS)} "
            f"WHERE EXISTS (SELECT 1 FROM touched AS t WHERE {self._same('t', 's')}) "
            "AND NOT EXISTS (SELECT 1 FROM changed AS c "
            f"WHERE {self._same('c', 's', ('valid_at',))} AND c._old_loaded_at = s.loaded_at "
            "AND c._action IN ('retract', 'replace'))), "
            f"versions AS (SELECT {declared}, {SOURCE}, valid_at, loaded_at, customer_bucket, "
            "_ended_at, _ended_recorded, false AS _fresh FROM kept UNION ALL "
            f"SELECT {declared}, {literal(self.source)}, valid_at, {instant(at)}, "
            "CAST(NULL AS BIGINT), NULL, NULL, true FROM changed AS c "
            "WHERE coalesce(_action, 'insert') IN ('insert', 'replace') "
            f"AND EXISTS (SELECT 1 FROM touched AS t WHERE {self._same('t', 'c')})), "
            f"several AS (SELECT {keys} FROM versions GROUP BY ALL "
            "HAVING count(*) > 1 OR count(_ended_at) > 0), "
            f"chain AS (SELECT v.*, lead(v.valid_at) OVER (PARTITION BY "
            f"{', '.join('v.' + identifier(name) for name in self.table.key)} "
            "ORDER BY v.valid_at) AS _next_at FROM versions AS v "
            f"WHERE EXISTS (SELECT 1 FROM several AS t WHERE {self._same('t', 'v')})) "
            f"SELECT {declared}, {SOURCE}, valid_at, loaded_at, customer_bucket, _fresh, _next_at, "
            "_ended_at, coalesce(_ended_at <> _ended_recorded "
            "AND (_next_at IS NULL OR _ended_at < _next_at), false) AS _stale "
            "FROM chain WHERE _ended_at IS DISTINCT FROM _next_at"
        )

    def _rows_sql(self, at: datetime) -> str:
        """New rows, and copies of rows whose old end no longer holds."""
        bucket = row_bucket_sql(self.table, self.buckets)
        return (
            f"SELECT {self._declared}, {literal(self.source)} AS {SOURCE}, valid_at, "
            f"{instant(at)} AS loaded_at, {bucket} AS customer_bucket FROM changed "
            "WHERE coalesce(_action, 'insert') IN ('insert', 'replace') UNION ALL "
            f"SELECT {self._declared}, {SOURCE}, valid_at, {instant(at)}, customer_bucket "
            "FROM chain WHERE _stale"
        )

    def _entries_sql(self, at: datetime) -> str:
        keys, now = self._keys, instant(at)
        selects = (
            f"SELECT {keys}, valid_at, _old_loaded_at AS loaded_at, valid_at AS until_at "
            "FROM changed WHERE _action IN ('retract', 'replace')",
            f"SELECT {keys}, valid_at, _old_loaded_at, {now} FROM changed "
            "WHERE _action = 'tombstone'",
            f"SELECT {keys}, valid_at, loaded_at, valid_at FROM chain WHERE _stale",
            f"SELECT {keys}, valid_at, {now}, _next_at FROM chain "
            "WHERE (_fresh OR _stale) AND _next_at IS NOT NULL",
            f"SELECT {keys}, valid_at, loaded_at, _next_at FROM chain WHERE NOT _fresh AND NOT "
            "_stale AND _next_at IS NOT NULL AND (_ended_at IS NULL OR _ended_at > _next_at)",
        )
        return f"SELECT *, {now} AS recorded_at FROM ({' UNION ALL '.join(selects)}) AS e"


_LINK = {
    "_fresh": DataType.BOOLEAN,
    "_next_at": DataType.TIMESTAMP,
    "_ended_at": DataType.TIMESTAMP,
    "_stale": DataType.BOOLEAN,
}
