"""Mutated expressions: each is refused with a reason, or is pure and the engine takes it.

What is pure is judged by DuckDB's own parser, with a list of its own. `TAGLINE_TEST_MUTANTS=200000`
makes that many; `TAGLINE_TEST_SEED` makes others.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlglot import exp
from tests.mutations import Mutator
from tests.stored_worlds import write_state
from tests.worlds import Worlds

from tagline.catalog import Catalog, load_catalog
from tagline.compile import compile_tags
from tagline.compile.instant import Moment, sql
from tagline.definitions import DataType, RuleTag
from tagline.engines import identifier, open_engine
from tagline.errors import TaglineError
from tagline.expressions import (
    Expression,
    Scope,
    parse_aggregate,
    parse_condition,
    parse_pick,
    parse_value,
)
from tagline.meaning import table_scope
from tagline.settings import PROJECT, Settings

MUTANTS = int(os.environ.get("TAGLINE_TEST_MUTANTS", "20000"))
SEED = os.environ.get("TAGLINE_TEST_SEED", "1")
AS_OF = datetime(2017, 10, 1, tzinfo=UTC)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PURE_NODES = _words(
    "COMPARISON CONJUNCTION CONSTANT COLUMN_REF FUNCTION CASE CAST OPERATOR BETWEEN"
)
PURE_OPERATORS = _words(
    "OPERATOR_NOT OPERATOR_IS_NULL OPERATOR_IS_NOT_NULL OPERATOR_COALESCE COMPARE_IN "
    "COMPARE_NOT_IN OPERATOR_NULLIF"
)
PURE_FUNCTIONS = _words(
    "+ - * / // % || ~~ !~~ ~~* !~~* like_escape not_like_escape "
    "sum avg min max median stddev stddev_samp stddev_pop quantile_cont arg_min arg_max bool_or "
    "bool_and count count_star abs round floor ceil ln log log10 exp sqrt power pow sign lower "
    "upper trim length substr substring replace starts_with ends_with contains list_contains "
    "array_contains nullif hour day month quarter year isodow coalesce greatest least concat if "
    "date_diff date_part date_trunc "
    "row make_timestamp epoch_us timezone"  # of the compiler itself
)
PURE_TYPES = _words(
    "boolean bool bigint int integer double varchar text date timestamp decimal hugeint"
)
CLOCK_TEXTS = frozenset({"now", "today", "tomorrow", "yesterday", "epoch", "infinity"})
FAMILIES: Mapping[DataType | None, tuple[str, ...]] = {
    DataType.BOOLEAN: ("BOOLEAN",),
    DataType.INTEGER: ("BIGINT", "INTEGER", "HUGEINT", "SMALLINT", "TINYINT"),
    DataType.NUMBER: ("DOUBLE", "DECIMAL", "BIGINT", "INTEGER", "HUGEINT"),
    DataType.TEXT: ("VARCHAR",),
    DataType.DATE: ("DATE",),
    DataType.TIMESTAMP: ("TIMESTAMP",),
    DataType.TEXT_LIST: ("VARCHAR[]",),
}


def impure(connection: duckdb.DuckDBPyConnection, text: str) -> str | None:
    """What in an expression is not pure, by DuckDB's own parser; None where all is."""
    rows = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [f"SELECT {text}"])
    read = json.loads(rows.fetchall()[0][0])
    if read["error"]:
        return f"does not parse: {read['error_message']}"
    if len(read["statements"]) != 1:
        return "several statements"
    node = read["statements"][0]["node"]
    if node["type"] != "SELECT_NODE" or node["from_table"]["type"] != "EMPTY":
        return "not one plain select"
    rest = {key: value for key, value in node.items() if key not in _PLAIN_KEYS}
    if any(_filled(value) for value in rest.values()) or len(node["select_list"]) != 1:
        return f"more than an expression: {[key for key in rest if _filled(rest[key])]}"
    return next(filter(None, map(_impure_node, _nodes(node["select_list"]))), None)


_PLAIN_KEYS = {"type", "from_table", "select_list", "aggregate_handling", "query_location"}


def structure(connection: duckdb.DuckDBPyConnection, text: str) -> str:
    """How DuckDB reads an expression, whatever brackets it has."""
    rows = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [f"SELECT {text}"])
    return re.sub(r'"query_location(_length)?":\d+,?', "", rows.fetchall()[0][0])


def bracketed(tree: exp.Expr) -> str:
    """An expression with brackets around each of its parts, as it was typed."""
    parts = exp.Binary | exp.Unary | exp.Between | exp.In | exp.Is | exp.Cast | exp.Case

    def wrap(node: exp.Expr) -> exp.Expr:
        if isinstance(node, parts) and not isinstance(node, exp.Paren | exp.Dot):
            return exp.Paren(this=node)
        return node

    return sql(_bottom_up(tree.copy(), wrap))


def _bottom_up(node: exp.Expr, change: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    for child in list(node.iter_expressions()):
        changed = _bottom_up(child, change)
        if changed is not child:
            child.replace(changed)
    return change(node)


def _filled(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_filled(inner) for inner in value.values())
    return bool(value)


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if "class" in value:
            yield value
        for inner in value.values():
            yield from _nodes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _nodes(inner)


def _impure_node(node: Mapping[str, Any]) -> str | None:
    kind = node["class"]
    if kind == "TYPE":
        known = node["type_name"].lower() in PURE_TYPES
        return None if known else f"type {node['type_name']}"
    if kind not in PURE_NODES:
        return f"a {kind}"
    if kind == "OPERATOR" and node["type"] not in PURE_OPERATORS:
        return f"operator {node['type']}"
    if kind == "FUNCTION":
        if node["function_name"].lower() not in PURE_FUNCTIONS:
            return f"function {node['function_name']}"
        if node["schema"] or node["catalog"] or node["order_bys"]["orders"] or node["filter"]:
            return f"function {node['function_name']} with more than arguments"
        if any(given["name"] for given in node["arguments"]):
            return f"function {node['function_name']} with a named argument"
    if kind == "CAST" and node["child"].get("literal", {}).get("text", "").lower() in CLOCK_TEXTS:
        return "a cast of a text that is the clock"
    return None


@dataclass(frozen=True, eq=False)
class Place:
    """Where an expression may stand: over a table or over tags, and what it must be there."""

    role: str  # value, condition, aggregate or pick
    scope: Scope

    def parse(self, text: str) -> Expression:
        if self.role == "pick":
            return parse_pick(text, self.scope)[0]
        how = {"value": parse_value, "condition": parse_condition, "aggregate": parse_aggregate}
        return how[self.role](text, self.scope)


def places(catalog: Catalog) -> dict[Place, list[str]]:
    """Every expression of the definitions, by where it stands."""
    world = catalog.world()
    tags = Scope({**world.tag_types, "as_of": DataType.TIMESTAMP}, world.standards)
    made: dict[tuple[str, str], list[str]] = {}
    for tag in catalog.tags.values():
        if isinstance(tag.definition, RuleTag):
            made.setdefault(("condition", ""), []).extend(
                case.when for case in tag.definition.cases
            )
            continue
        aggregates = tag.definition.kind == "statistic"
        for key, role in (
            ("value", "aggregate" if aggregates else "value"),
            ("where", "condition"),
            ("by", "value"),
            ("pick", "pick"),
        ):
            text = getattr(tag.definition, key, None)
            if text is not None:
                made.setdefault((role, tag.table or ""), []).append(text)
    for model in catalog.models.values():
        made.setdefault(("condition", ""), []).append(model.population)
    return {
        Place(role, table_scope(world, table) if table else tags): texts
        for (role, table), texts in made.items()
    }


class Binder:
    """Compiles what was accepted as a tag's query does, and lets the engine bind it."""

    def __init__(self, catalog: Catalog, connection: duckdb.DuckDBPyConnection) -> None:
        self.moment = Moment(catalog, AS_OF)
        self.connection = connection
        self._readers: dict[Place, str] = {}

    def tree(self, expression: Expression, place: Place) -> exp.Expr:
        """The expression as a tag's query holds it."""

        def column(name: str) -> exp.Expr:
            near, _, far = name.rpartition(".")
            return exp.column(far, table=near or "r", quoted=True)

        return self.moment.rewrite(expression, column, place.scope.columns)

    def reader(self, place: Place) -> str:
        """Empty tables with the names in scope."""
        if place not in self._readers:
            tables: dict[str, list[str]] = {}
            for name, kind in place.scope.columns.items():
                near, _, far = name.rpartition(".")
                tables.setdefault(near or "r", []).append(f'CAST(NULL AS {kind.sql}) AS "{far}"')
            self._readers[place] = ", ".join(
                f"(SELECT {', '.join(columns)} WHERE false) AS {identifier(near)}"
                for near, columns in tables.items()
            )
        return self._readers[place]

    def refusals(self, place: Place, found: Sequence[tuple[str, Expression, str]]) -> list[str]:
        """What the engine says of those that it does not take, or gives another type to."""
        shown = ", ".join(text for _, _, text in found)
        try:
            rows = self.connection.execute(
                f"DESCRIBE SELECT {shown} FROM {self.reader(place)}"
            ).fetchall()
        except duckdb.Error as error:
            if len(found) == 1:
                return [f"{found[0][0]!r} → {shown}: {str(error).splitlines()[0]}"]
            middle = len(found) // 2
            return self.refusals(place, found[:middle]) + self.refusals(place, found[middle:])
        return [
            f"{text!r} is {expression.type.value}, but for the engine {row[1]}"
            for (text, expression, _), row in zip(found, rows, strict=True)
            if expression.type is not None
            and row[1].partition("(")[0] not in (*FAMILIES[expression.type], '"NULL"')
        ]


@dataclass
class Trial:
    """What became of many mutants."""

    made: int = 0
    refused: int = 0
    accepted: int = 0
    crashed: list[str] = field(default_factory=list)
    impure: list[str] = field(default_factory=list)
    misread: list[str] = field(default_factory=list)  # the engine groups its parts otherwise
    unbound: list[str] = field(default_factory=list)

    def run(self, catalog: Catalog, count: int, seed: str) -> None:
        """Make mutants of every expression in its own place, and try each."""
        found = places(catalog)
        every = [text for texts in found.values() for text in texts]
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            binder = Binder(catalog, connection)
            for number, (place, texts) in enumerate(found.items()):
                names = [*place.scope.columns, *(f"standard('{n}')" for n in place.scope.standards)]
                mutator = Mutator(texts * 3 + every[:: len(texts) + 1], names, f"{seed}.{number}")
                share = max(1, round(count * len(texts) / len(every)))
                self._try(place, [mutator.mutant() for _ in range(share)], binder)

    def _try(self, place: Place, mutants: Sequence[str], binder: Binder) -> None:
        accepted = []
        for text in mutants:
            self.made += 1
            try:
                expression = place.parse(text)
            except TaglineError as error:
                assert str(error), text
                self.refused += 1
                continue
            except Exception as error:
                self.crashed.append(f"{text!r}: {type(error).__name__}: {error}")
                continue
            compiled = sql(binder.tree(expression, place))
            said = impure(binder.connection, compiled)
            if said is not None:
                self.impure.append(f"{text!r} → {compiled}: {said}")
            elif structure(binder.connection, compiled) != structure(
                binder.connection, bracketed(binder.tree(expression, place))
            ):
                self.misread.append(f"{text!r} → {compiled}")
            else:
                self.accepted += 1
                accepted.append((text, expression, compiled))
        for start in range(0, len(accepted), 100):
            self.unbound += binder.refusals(place, accepted[start : start + 100])

    def judge(self) -> None:
        """Fail where a mutant crashed the check, or got through it though it must not."""
        print(f"{self.made} mutants: {self.refused} refused, {self.accepted} accepted")
        for what in ("crashed", "impure", "misread", "unbound"):
            found = getattr(self, what)
            assert not found, "\n".join([f"{len(found)} {what}", *sorted(found, key=len)[:20]])


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog(PROJECT / "include", "grocer")


@pytest.mark.parametrize("count", [2000, pytest.param(MUTANTS, marks=pytest.mark.slow)])
def test_a_mutated_expression_is_refused_or_is_pure_and_compiles(
    catalog: Catalog, count: int
) -> None:
    trial = Trial()
    trial.run(catalog, count, f"{SEED}.{count}")
    trial.judge()
    assert trial.made >= count * 0.99
    assert trial.accepted > count / 20  # the mutants are not all nonsense


SCOPE = Scope(
    {
        "amount": DataType.NUMBER,
        "count": DataType.INTEGER,
        "status": DataType.TEXT,
        "ordered_at": DataType.TIMESTAMP,
        "is_vip": DataType.BOOLEAN,
        "tags": DataType.TEXT_LIST,
        "as_of": DataType.TIMESTAMP,
    }
)


@pytest.mark.parametrize(
    ("text", "said"),
    [  # each was found by a mutant, and went through or crashed the check
        ("date_diff(left('day', random()), ordered_at, as_of)", "write the date part as a text"),
        ("concat_ws(status, 'a')", "unknown function 'concat_ws'"),
        ("rtrim(status)", "unknown function 'rtrim'. Did you mean 'trim'?"),
        ("amount > 1 = is_vip", "put brackets around each comparison"),
        ("status in ()", "'in' needs at least one value"),
        ("round(amount, 0.5)", "0.5 is number, where integer is needed"),
        ("round(amount, count)", "write the decimals as a number"),
        ("substr(status, 1.5)", "1.5 is number, where integer is needed"),
        ("nullif(status, 1)", "compares text with integer"),
        ("cast(tags as date)", "tags is list of text, where date or text or timestamp is needed"),
        ("cast(is_vip as date)", "is_vip is boolean, where date or text or timestamp is needed"),
        ("count + 99999999999999999999", "too large for an integer"),
        ("amount < 1e999", "too large for a number"),
        ("amount < 3e", "'3e' is not a number"),
        ("{'a':{,:{'a': 1}}}", "is not an expression"),
        ("amount; drop table orders", "remove the semicolon"),
    ],
)
def test_what_a_mutant_got_through_is_refused(text: str, said: str) -> None:
    with pytest.raises(TaglineError, match=re.escape(said)):
        parse_value(text, SCOPE)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("count(status, random())", "RANDOM() is not allowed in COUNT(status, RANDOM())"),
        ("count()", "write count(*)"),
        ("quantile_cont(amount, amount)", "write the share as a number from 0 to 1"),
        ("quantile_cont(amount, 2)", "write the share as a number from 0 to 1"),
    ],
)
def test_what_a_mutated_aggregate_got_through_is_refused(text: str, said: str) -> None:
    with pytest.raises(TaglineError, match=re.escape(said)):
        parse_aggregate(text, SCOPE)


def test_whole_division_of_numbers_is_a_number_as_the_engine_says() -> None:
    assert parse_value("amount // 2", SCOPE).type is DataType.NUMBER
    assert parse_value("count // 2", SCOPE).type is DataType.INTEGER


def test_a_text_can_be_cast_to_a_timestamp() -> None:
    assert parse_value("cast(status as timestamp)", SCOPE).type is DataType.TIMESTAMP


def test_a_referenced_table_may_be_named_by_a_keyword(tmp_path: Path) -> None:
    catalog = load_catalog(PROJECT / "include", "grocer")
    tag = catalog.tags["department_count_total"]
    scope = table_scope(catalog.world(), "order_lines")
    value = parse_aggregate("count(distinct order.store_id)", scope)
    changed = replace(tag, meaning=replace(tag.meaning, value=value))
    catalog = replace(catalog, tags={**catalog.tags, tag.slug: changed})
    query = compile_tags(catalog, AS_OF, [tag.slug])
    state = write_state(Worlds(catalog, AS_OF), [], tmp_path / "state", lambda _: True)
    relations = state.relations(catalog, query.tables, query.superseded)
    assert open_engine(Settings(threads=1)).fetch(query.sql, relations).num_rows == 0


def test_the_judge_of_purity_tells_the_impure() -> None:
    with duckdb.connect() as connection:
        assert impure(connection, "sum(a) / nullif(count(*), 0) + case when b then 1 end") is None
        for text, said in {
            "random()": "function random",
            "1; select 2": "several statements",
            "a from x": "not one plain select",
            "a, b": "more than an expression",
            "a where true": "more than an expression",
            "(select 1)": "a SUBQUERY",
            "sum(a) over ()": "a WINDOW",
            "sum(a order by b)": "more than arguments",
            "list_transform(a, x -> x)": "function list_transform",
            "a[1]": "operator ARRAY_EXTRACT",
            "cast(a as json)": "type json",
            "cast('now' as timestamp)": "a text that is the clock",
            "a +": "does not parse",
        }.items():
            assert said in (impure(connection, text) or ""), text
