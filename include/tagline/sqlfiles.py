"""SQL files of the project: one SELECT each, checked for what it reads and for purity."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from tagline.errors import DefinitionError, Fault, did_you_mean
from tagline.expressions.functions import CLOCK_AND_CHANCE


@dataclass(frozen=True)
class SqlFile:
    """A parsed SQL file: the tables it reads and the columns it returns (empty for a star)."""

    name: str
    tree: exp.Query
    tables: tuple[str, ...]
    columns: tuple[str, ...]

    def bound(
        self, table: Callable[[str], str], names: Mapping[str, exp.Expr] | None = None
    ) -> exp.Expr:
        """A copy with tables renamed, and names such as as_of replaced by values."""
        own = {cte.alias for cte in self.tree.find_all(exp.CTE)}

        def replace(node: exp.Expr) -> exp.Expr:
            if isinstance(node, exp.Table) and node.name not in own:
                if not node.alias:
                    node.set("alias", exp.TableAlias(this=exp.to_identifier(node.name)))
                node.set("this", exp.to_identifier(table(node.name)))
            if isinstance(node, exp.Column) and not node.table and names and node.name in names:
                return names[node.name].copy()
            return node

        return self.tree.copy().transform(replace, copy=False)


@lru_cache(maxsize=512)
def parse_sql(name: str, text: str) -> SqlFile:
    """Parse one SQL file; raises DefinitionError unless it is a single, pure SELECT."""
    try:
        statements = [tree for tree in sqlglot.parse(text, dialect="duckdb") if tree is not None]
    except (SqlglotError, RecursionError) as error:
        details = getattr(error, "errors", None) or [{}]
        line = int(details[0].get("line") or 1)
        reason = details[0].get("description") or str(error).splitlines()[0]
        raise DefinitionError([Fault(name, line, f"not valid SQL: {reason}")]) from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise DefinitionError([Fault(name, 1, "the file must hold one SELECT and nothing else")])
    tree = statements[0]
    faults = [_impure(name, text, node) for node in tree.walk()]
    if any(faults):
        raise DefinitionError(fault for fault in faults if fault)
    own = {cte.alias for cte in tree.find_all(exp.CTE)}
    tables = sorted({node.name for node in tree.find_all(exp.Table)} - own)
    columns = () if tree.is_star else tuple(tree.named_selects)
    return SqlFile(name, tree, tuple(tables), columns)


def unknown_tables(file: SqlFile, known: Collection[str], what: str) -> list[Fault]:
    """Faults for tables that the file reads and that are not among `known`."""
    return [
        Fault(file.name, 1, f"reads unknown {what} {table!r}.{did_you_mean(table, known)}")
        for table in file.tables
        if table not in known
    ]


def _impure(name: str, text: str, node: exp.Expr) -> Fault | None:
    called = ""
    if isinstance(node, exp.Anonymous):
        called = str(node.this).lower()
    elif isinstance(node, exp.Func):
        called = node.sql_name().lower()
    if called in CLOCK_AND_CHANCE:
        message = f"{called}() looks at the clock or at chance; the past must be repeatable"
        return Fault(name, _line(text, called), message)
    if isinstance(node, exp.Table) and not isinstance(node.this, exp.Identifier):
        return Fault(name, 1, f"{node.sql()}: only tables may be read, no files and no functions")
    if isinstance(node, exp.Table) and (node.db or node.catalog):
        return Fault(name, 1, f"{node.sql()}: write the table's name without a schema")
    return None


def _line(text: str, word: str) -> int:
    for number, line in enumerate(text.lower().splitlines(), start=1):
        if word.replace("_", "") in line.replace("_", ""):
            return number
    return 1
