"""DuckDB's SQL as Spark SQL of the same meaning, tree by tree.

Every construct is listed with its own translation, typed on the way; one that is not listed is
refused. The names and types of the result are DuckDB's own, asked of it with empty tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import pyarrow
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from tagline.engines import Relation, identifier
from tagline.engines.transpile.queries import Names, cte_of
from tagline.engines.transpile.trees import (
    BOOLEAN,
    DATE,
    DECIMAL,
    INSTANT,
    INTEGER,
    LOCAL,
    NULL,
    NUMBER,
    OF_COLUMN,
    TEXT,
    Kind,
    NotOnSpark,
    cast,
    list_of,
)
from tagline.errors import QueryRefused

__all__ = ["NotOnSpark", "Transpiled", "transpile"]

_RESULTS: Mapping[str, tuple[str, Kind]] = {
    "BOOLEAN": ("BOOLEAN", BOOLEAN),
    "TINYINT": ("TINYINT", INTEGER),
    "SMALLINT": ("SMALLINT", INTEGER),
    "BIGINT": ("BIGINT", INTEGER),
    "INTEGER": ("INT", INTEGER),
    "DOUBLE": ("DOUBLE", NUMBER),
    "VARCHAR": ("STRING", TEXT),
    "DATE": ("DATE", DATE),
    "TIMESTAMP": ("TIMESTAMP_NTZ", LOCAL),
    "TIMESTAMP WITH TIME ZONE": ("TIMESTAMP", INSTANT),
    "VARCHAR[]": ("ARRAY<STRING>", list_of(TEXT)),
}


@dataclass(frozen=True)
class Transpiled:
    """Queries to run in order: each of `kept` becomes a view that is kept, then `sql`.

    `schema` is that of the result as DuckDB gives it.
    """

    kept: tuple[tuple[str, str], ...]
    sql: str
    schema: pyarrow.Schema


def transpile(sql: str, relations: Mapping[str, Relation]) -> Transpiled:
    """One SELECT in Spark's SQL.

    `relations` name their columns. Raises QueryRefused where DuckDB would refuse the query, and
    NotOnSpark where Spark cannot give its meaning.
    """
    types, schema = _described(sql, relations)
    try:
        tree = sqlglot.parse_one(sql, dialect="duckdb")
    except SqlglotError as error:
        raise NotOnSpark("a query that SQLGlot cannot read", str(error).splitlines()[0]) from error
    names = Names(
        {
            name.lower(): {column: OF_COLUMN[kind] for column, kind in relation.columns.items()}
            for name, relation in relations.items()
        }
    )
    kept: list[tuple[str, str]] = []
    clause = tree.args.get("with_")
    pending: list[exp.CTE] = []
    if clause is not None:
        tree.set("with_", None)
        if clause.args.get("recursive"):
            raise NotOnSpark("a recursive query")
        for cte in clause.expressions:
            inner, columns = names.query(cte.this)
            names = names.knowing(cte.alias, columns)
            if cte.args.get("materialized"):
                kept.append((cte.alias, _text(_with(pending, inner))))
            else:
                pending.append(cte_of(cte.alias, inner))
    made, columns = names.query(tree)
    if list(columns) != list(types):
        raise NotOnSpark(f"the columns {', '.join(types)}", "Name each column with AS")
    for shown in made.expressions:
        shown.set("this", _result(shown, columns[shown.alias], types[shown.alias]))
    return Transpiled(tuple(kept), _text(_with(pending, made)), schema)


def _described(
    sql: str, relations: Mapping[str, Relation]
) -> tuple[dict[str, str], pyarrow.Schema]:
    """Names and types of a query's columns, from DuckDB; no row is read."""
    with duckdb.connect(config={"enable_external_access": False, "threads": 1}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        try:
            for name, relation in relations.items():
                columns = ", ".join(
                    f"CAST(NULL AS {kind.sql}) AS {identifier(column)}"
                    for column, kind in relation.columns.items()
                )
                view = f"CREATE TEMP VIEW {identifier(name)} AS SELECT {columns} WHERE false"
                connection.execute(view)
            described = connection.execute(f"DESCRIBE {sql}").fetchall()
            limited = connection.sql(f"SELECT * FROM ({sql}) LIMIT 0")
            return {str(row[0]): str(row[1]) for row in described}, limited.to_arrow_table().schema
        except duckdb.Error as error:
            raise QueryRefused(str(error)) from error


def _result(shown: exp.Expr, kind: Kind, duckdb_type: str) -> exp.Expr:
    """A column of the result as the type that DuckDB gives it."""
    if duckdb_type.startswith("DECIMAL") and kind in (DECIMAL, NULL):
        return cast(shown.this, duckdb_type)
    if duckdb_type not in _RESULTS:
        raise NotOnSpark(f"a result of type {duckdb_type} ({shown.alias})", "Cast it")
    spark_type, expected = _RESULTS[duckdb_type]
    if kind not in (expected, NULL) and not kind.name == expected.name == "list":
        what = f"{shown.alias}, a {duckdb_type} there and a {kind.name} here"
        raise NotOnSpark(what, "Cast it")
    return cast(shown.this, spark_type)


def _with(ctes: list[exp.CTE], query: exp.Expr) -> exp.Expr:
    """The query with those named queries before it that it reads."""
    read = _tables(query)
    used: list[exp.CTE] = []
    for cte in reversed(ctes):
        if cte.alias.lower() in read:
            used.insert(0, cte)
            read |= _tables(cte.this)
    if used:
        inner = query.args.get("with_")
        own = inner.expressions if inner is not None else []
        query.set("with_", exp.With(expressions=[*used, *own]))
    return query


def _tables(query: exp.Expr) -> set[str]:
    return {str(table.name).lower() for table in query.find_all(exp.Table)}


def _text(tree: exp.Expr) -> str:
    return tree.sql(dialect="spark", comments=False)
