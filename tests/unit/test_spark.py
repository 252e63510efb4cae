"""Every allowed function means the same on Spark as on DuckDB, or is refused in words.

The tests that run Spark need PySpark and Java; the others read what is sent to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.spark_cluster import missing_for_spark

from tagline.catalog import load_catalog
from tagline.compile import compile_input, compile_label, compile_tags
from tagline.compile.previous import previous_table
from tagline.compute import column_types, superseded_columns
from tagline.definitions.types import DataType
from tagline.engines import Relation, open_engine
from tagline.engines.spark import SparkEngine, stop
from tagline.engines.transpile import NotOnSpark, transpile
from tagline.errors import EngineUnavailable, QueryRefused, TaglineError, WrongUsage
from tagline.expressions.functions import NAMES
from tagline.settings import PROJECT, Settings
from tagline.subjects import SUBJECTS

on_spark = [
    pytest.mark.slow,
    pytest.mark.skipif(missing_for_spark() is not None, reason=str(missing_for_spark())),
]
COLUMNS = {
    "k": DataType.INTEGER,
    "g": DataType.INTEGER,
    "i": DataType.INTEGER,
    "j": DataType.INTEGER,
    "x": DataType.NUMBER,
    "y": DataType.NUMBER,
    "t": DataType.TEXT,
    "u": DataType.TEXT,
    "b": DataType.BOOLEAN,
    "d": DataType.DATE,
    "e": DataType.DATE,
    "p": DataType.TIMESTAMP,
    "q": DataType.TIMESTAMP,
    "l": DataType.TEXT_LIST,
}
ARROW = {
    DataType.INTEGER: pa.int64(),
    DataType.NUMBER: pa.float64(),
    DataType.TEXT: pa.string(),
    DataType.BOOLEAN: pa.bool_(),
    DataType.DATE: pa.date32(),
    DataType.TIMESTAMP: pa.timestamp("us", "UTC"),
    DataType.TEXT_LIST: pa.list_(pa.string()),
}
ZONES = ("UTC", "Europe/London", "Asia/Shanghai", "Australia/Lord_Howe")
NUMBERS = (
    None, 0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 0.1, 2.675, 1.005, -1234.565, 79.8,
    623.92, 0.49999999999999994, 1e-7, 5e-7, 123456789012.345, 9007199254740993.0, 4.5e15 + 0.5,
    math.nan, math.inf, -math.inf, 1e300,
)  # fmt: skip
WHOLE = (None, 0, 1, -1, 2, 7, -7, 3, 45, 100, 2**53 + 1, -(2**40))
TEXTS = (
    None, "", " ", "a", "A", "abc", "  abc\t ", "Straße", "İstanbul", "ΣΑΣ", "é🎉x", "ﬁne",
    "a_c", "a%c", "a\\_c", "it's", "line\nbreak", "\u3000wide\u00a0", "12", "-3", " 42 ", "2.5",
    "-2.5", ".5", "7.", "abc12", "true", "F", "yes", "nan", "-inf", "1.5e3", "2020-02-29",
    "2021-2-3", "2021-02-30", "2021-02-03 04:05:06", "z", "Z", "ä", "日本",
)  # fmt: skip
DAYS = (
    None, date(1969, 12, 31), date(1970, 1, 1), date(2019, 12, 30), date(2020, 1, 31),
    date(2020, 2, 29), date(2020, 3, 31), date(2020, 12, 31), date(2021, 1, 1), date(2023, 3, 26),
    date(2023, 10, 29),
)  # fmt: skip
MOMENTS = (
    None,
    datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC),
    datetime(1986, 5, 3, 17, 30, tzinfo=UTC),  # clocks of Shanghai go forward
    datetime(1991, 9, 14, 17, 30, tzinfo=UTC),  # and back
    datetime(2020, 2, 29, 23, 30, tzinfo=UTC),
    datetime(2020, 12, 31, 16, 0, tzinfo=UTC),
    datetime(2023, 3, 26, 0, 59, 59, tzinfo=UTC),  # clocks of London go forward
    datetime(2023, 3, 26, 1, 0, tzinfo=UTC),
    datetime(2023, 4, 1, 14, 45, tzinfo=UTC),  # clocks of Lord Howe go back by half an hour
    datetime(2023, 4, 1, 15, 15, tzinfo=UTC),
    datetime(2023, 10, 29, 0, 30, tzinfo=UTC),  # clocks of London go back
    datetime(2023, 10, 29, 1, 30, 0, 500_000, UTC),
)
LISTS: tuple[list[str | None] | None, ...] = (
    None,
    [],
    ["a"],
    ["b", None],
    [None],
    ["a", "Straße", "z"],
)
CLOSE = ("ln(", "log10(", "exp(", "power(")  # the libraries differ in the last digit

NUMERIC_SQL = (
    "abs(x)", "abs(i)", "round(x)", "round(x, 2)", "round(x, 6)", "round(x, -2)", "round(i)",
    "round(2.345, 2)", "floor(x)", "floor(i)", "ceil(x)", "ceil(2.5)", "sign(x)", "sign(i)",
    "sqrt(abs(x))", "ln(abs(x))", "ln(x)", "log10(x)", "log10(abs(y))", "exp(x / 100)",
    "power(abs(y), 0.5)", "power(x, 2)", "-x", "-i", "x + y", "x - i", "x * y", "x / y", "i / j",
    "i / 4", "x / 0", "2.5 / i", "x % y", "x % 0.3", "i % nullif(j, 0)", "i // nullif(j, 0)",
    "i // 4", "nullif(i, j)", "nullif(x, 0)", "coalesce(x, i, 0)", "coalesce(i, 2.5)",
    "greatest(x, y)", "least(x, y)", "greatest(i, j, 0)", "least(i, x)", "x > y", "x = y",
    "x = 0.1", "i <> j", "i <= x", "x is not distinct from y", "x is distinct from y",
    "x between -1 and 2.5", "i in (1, 7, null)", "x in (0.1, 2.5)", "not (x in (1.5, null))",
    "cast(i as double)", "cast(x > 1 as bigint)",
    "cast(case when abs(x) < 1e15 then x end as bigint)", "try_cast(x as bigint)",
    "cast(2.5 as bigint)", "cast(-3.5 as bigint)", "cast(i as boolean)", "cast(x as boolean)",
    "cast(b as bigint)", "cast(b as double)", "i * 0.1 > 0.3",
    "cast(case when abs(x) < 1e30 then x end as decimal(38, 6))",
    "case i when 1 then 'one' when 2.0 then 'two' else 'many' end",
    "case when x > 0 then 1 when x < 0 then -1.5 end", "if(x > 0, i, 0.5)", "if(b, x, null)",
    "x > 0 and b", "x > 0 or b", "not b", "b is true", "b is not false", "b is null", "i & 6",
    "i | 8", "round(round(x / 3, 4) / 7, 2)", "x / y / (x / 3) / (y + 1)",
)  # fmt: skip
TEXT_SQL = (
    "lower(t)", "upper(t)", "trim(t)", "length(t)", "length(l)", "substr(t, 2)", "substr(t, 1, 2)",
    "substr(t, -2)", "substr(t, -2, 1)", "substr(t, 0, 2)", "substr(t, 2, -1)",
    "substr(t, i % 6, j % 5)", "replace(t, 'a', 'xy')", "replace(t, '', 'x')", "starts_with(t, u)",
    "ends_with(t, u)", "starts_with(t, '')", "contains(t, u)", "contains(t, '%')",
    "list_contains(l, 'a')", "list_contains(l, u)", "t || u", "concat(t, u, i, b, d)", "concat(t)",
    "t like 'a_c'", "t like 'a\\_c'", "t like '%' || u || '%'", "t ilike 'A%'", "t ilike 'STRASSE'",
    "t < u", "t = u", "t in ('a', 'Z')", "t between 'a' and 'z'", "greatest(t, u)", "least(t, u)",
    "coalesce(t, u, '')", "nullif(t, 'a')", "case t when 'a' then 1 end", "try_cast(t as double)",
    "try_cast(nullif(t, '1.5e3') as bigint)", "try_cast(t as boolean)",
    "try_cast(nullif(t, '-inf') as date)", "try_cast(nullif(t, '-inf') as timestamp)",
    "cast(i as varchar)", "cast(b as varchar)", "cast(d as varchar)", "cast(2.50 as varchar)",
    "t || '\\n\\'", "t = 'it''s'", "length(trim(upper(t)))",
)  # fmt: skip
DATE_SQL = (
    "hour({0})", "day({0})", "month({0})", "quarter({0})", "year({0})", "isodow({0})",
    "extract(doy from {0})", "extract(week from {0})", "date_part('hour', {0})",
    "date_part('isodow', {0})", "cast({0} as date)", "date_trunc('day', {0})",
    "date_trunc('week', {0})", "date_trunc('month', {0})", "date_trunc('quarter', {0})",
    "date_trunc('year', {0})", "date_trunc('hour', {0})", "date_trunc('minute', {0})",
    "date_diff('day', cast({0} as date), cast({1} as date))",
    "date_diff('week', cast({0} as date), cast({1} as date))",
    "date_diff('month', cast({0} as date), cast({1} as date))",
    "date_diff('quarter', cast({0} as date), cast({1} as date))",
    "date_diff('year', cast({0} as date), cast({1} as date))", "date_diff('hour', {0}, {1})",
    "date_diff('minute', {0}, {1})", "date_diff('second', {0}, {1})", "cast({0} as varchar)",
    "{0} < {1}", "greatest({0}, {1})", "{0} = d", "{0} + interval 1 month",
    "{0} at time zone '{2}'", "epoch({0})", "cast({0} as date) + 45",
)  # fmt: skip
PLAIN_DATE_SQL = (
    "hour(d)", "isodow(d)", "extract(week from d)", "date_trunc('month', d)", "d - e", "d + 31",
    "d - 1", "date_diff('month', d, e)", "date_diff('week', d, e)", "d < e", "d = '2020-02-29'",
    "d + interval 1 month", "coalesce(d, e)", "least(d, e)", "d between '2020-01-31' and e",
    "d in ('2020-01-31', '2021-01-01')", "epoch_us(p)", "epoch(q)", "p < q",
    "make_timestamp(epoch_us(p))", "timezone('Asia/Shanghai', q)", "date_trunc('hour', p)",
)  # fmt: skip
AGGREGATE_SQL = (
    "count(*)", "count(x)", "count(distinct x)", "count(distinct t)", "cast(sum(i) as bigint)",
    "min(x)", "max(x)", "min(t)", "max(t)", "min(d)", "max(p)", "min(b)", "bool_or(b)",
    "bool_and(b)", "sum(cast(z as decimal(38, 6)))",
    "cast(sum(cast(z as decimal(38, 6))) as double)", "avg(cast(j as double))", "median(x)",
    "median(z)", "median(i)", "round(quantile_cont(z, 0.9), 6)", "round(quantile_cont(z, 0.07), 6)",
    "quantile_disc(x, 0.25)", "quantile_disc(i, 0.8333333333333334)", "round(stddev(z), 6)",
    "round(stddev_samp(z), 6)", "round(stddev_pop(z), 6)", "arg_max(t, k)", "arg_min(t, -k)",
    "arg_max(x, row(d, x))", "arg_min(t, row(d, t))", "arg_max(d, k * 0.5)", "bit_or(i)",
    "list(t order by k)", "list(t order by x desc, k desc)", "count(*) / nullif(count(x), 0)",
    "quantile_disc(t, [0.25, 0.5])[2]",
)  # fmt: skip


def _rows() -> list[dict[str, Any]]:
    """Rows in which each column meets the traps of the others in turn."""
    rows = []
    for k in range(240):
        numbers, texts, moments = len(NUMBERS), len(TEXTS), len(MOMENTS)
        rows.append(
            {
                "k": k,
                "g": None if k % 12 == 11 else k % 12,
                "i": WHOLE[k % len(WHOLE)] if abs(WHOLE[k % len(WHOLE)] or 0) < 2**52 else 5,
                "j": WHOLE[(k // 12) % 10],
                "x": NUMBERS[k % numbers],
                "y": NUMBERS[(k * 7 + k // numbers) % numbers],
                "t": TEXTS[k % texts],
                "u": TEXTS[(k * 3 + k // texts) % texts],
                "b": (None, True, False)[k % 3] if k % 12 != 4 else None,
                "d": DAYS[k % len(DAYS)],
                "e": DAYS[(k * 5 + k // len(DAYS)) % len(DAYS)],
                "p": MOMENTS[k % moments],
                "q": MOMENTS[(k * 5 + k // moments) % moments],
                "l": LISTS[k % len(LISTS)],
            }
        )
    return rows


@pytest.fixture(scope="module")
def relation(tmp_path_factory: pytest.TempPathFactory) -> Relation:
    """The rows, in two files of which the second lacks a column."""
    folder = tmp_path_factory.mktemp("rows")
    schema = pa.schema([(name, ARROW[kind]) for name, kind in COLUMNS.items()])
    table = pa.Table.from_pylist(_rows(), schema)
    first, second = str(folder / "first.parquet"), str(folder / "second.parquet")
    pq.write_table(table.slice(0, 200), first)
    pq.write_table(table.slice(200).drop_columns(["l"]), second)
    return Relation((first, second), COLUMNS)


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkEngine]:
    """Spark in this process."""
    yield SparkEngine("local[2]", "1GB", str(tmp_path_factory.mktemp("spark")))
    stop()


@pytest.fixture(scope="module")
def duck() -> Any:
    """The engine that says what is right."""
    return open_engine(Settings(engine="duckdb", memory_limit="1GB"))


def _differences(
    spark: SparkEngine, duck: Any, relation: Relation, expressions: Mapping[str, str], rest: str
) -> list[str]:
    """What differs between the engines, in values or types, for expressions by column name."""
    shown = ", ".join(f"{sql} AS {name}" for name, sql in expressions.items())
    sql = rest.format(shown)
    ours, theirs = duck.fetch(sql, {"r": relation}), spark.fetch(sql, {"r": relation})
    assert ours.schema.equals(theirs.schema)
    assert ours.num_rows == theirs.num_rows > 0
    found = []
    for name, text in expressions.items():
        close = text.startswith(CLOSE)
        pairs = zip(ours.column(name).to_pylist(), theirs.column(name).to_pylist(), strict=True)
        for row, (right, got) in enumerate(pairs):
            if not _same(right, got, close=close):
                found.append(f"{text} in row {row}: {right!r}, on Spark {got!r}")
                break
    return found


def _same(right: Any, got: Any, *, close: bool) -> bool:
    if isinstance(right, float) and isinstance(got, float):
        if math.isnan(right) or math.isnan(got):
            return math.isnan(right) and math.isnan(got)
        if close and math.isfinite(right):
            return math.isclose(right, got, rel_tol=1e-15)
    return type(right) is type(got) and bool(right == got)


def _named(texts: Any) -> dict[str, str]:
    return {f"c{number}": text for number, text in enumerate(texts)}


def test_every_allowed_function_is_compared() -> None:
    texts = " ".join((*NUMERIC_SQL, *TEXT_SQL, *DATE_SQL, *PLAIN_DATE_SQL, *AGGREGATE_SQL))
    missing = {name for name in NAMES if f"{name}(" not in texts and f"{name} " not in texts}
    assert missing == {"standard", "previous"}  # a literal and a column by then


@pytest.mark.parametrize("kind", ["numbers", "texts", "dates", *ZONES])
def test_what_can_be_written_for_duckdb_can_be_sent_to_spark(kind: str) -> None:
    sql = ", ".join(f"{text} AS {name}" for name, text in _named(_scalars(kind)).items())
    made = transpile(f"SELECT {sql} FROM r", {"r": Relation((), COLUMNS)})
    assert len(made.schema) == len(_scalars(kind))


def _scalars(kind: str) -> tuple[str, ...]:
    plain = {"numbers": NUMERIC_SQL, "texts": TEXT_SQL, "dates": PLAIN_DATE_SQL}
    if kind in plain:
        return plain[kind]
    local = [f"({name} AT TIME ZONE '{kind}')" for name in ("p", "q")]
    return tuple(text.format(*local, kind) for text in DATE_SQL)


@pytest.mark.parametrize(
    ("folder", "business"),
    [("include", "grocer"), ("include", "gift_shop"), ("tests/fleet", "fleet")],
)
def test_every_query_of_a_business_can_be_sent_to_spark(folder: str, business: str) -> None:
    catalog = load_catalog(PROJECT / folder, business)
    as_of = datetime(2026, 3, 29, tzinfo=UTC)
    made = [compile_tags(catalog, as_of, subject=subject) for subject in catalog.subjects]
    for model in catalog.models.values():
        if model.label_query is not None:
            made.append(compile_label(catalog, model.label_query, as_of))
        made += [
            compile_input(catalog, name, columns, as_of)
            for name, columns in model.input_columns.items()
        ]
    for compiled in made:
        relations = {
            name: Relation((), column_types(catalog, name, columns))
            for name, columns in compiled.tables.items()
        }
        for name in compiled.superseded:
            relations[f"{name}__superseded"] = Relation((), superseded_columns(catalog, name))
        for name, before in compiled.previous.items():
            relations[previous_table(SUBJECTS[name])] = Relation((), before)
        sent = transpile(compiled.sql, relations)
        assert sent.schema.names == list(compiled.columns)
        is_leveled = "wide_0 AS MATERIALIZED" in compiled.sql
        assert bool(sent.kept) == is_leveled


class TestParity:
    pytestmark = on_spark

    @pytest.mark.parametrize("kind", ["numbers", "texts", "dates"])
    def test_functions_of_a_row_give_the_same_values_and_types(
        self, spark: SparkEngine, duck: Any, relation: Relation, kind: str
    ) -> None:
        rest = "SELECT k, {} FROM r ORDER BY k"
        assert _differences(spark, duck, relation, _named(_scalars(kind)), rest) == []

    def test_dates_agree_in_every_zone_on_the_days_when_clocks_change(
        self, spark: SparkEngine, duck: Any, relation: Relation
    ) -> None:
        texts = [text for zone in ZONES for text in _scalars(zone)]
        rest = "SELECT k, {} FROM r ORDER BY k"
        assert _differences(spark, duck, relation, _named(texts), rest) == []

    def test_aggregates_agree_in_every_group_and_with_every_filter(
        self, spark: SparkEngine, duck: Any, relation: Relation
    ) -> None:
        plain = list(AGGREGATE_SQL)
        filtered = [
            f"{text} FILTER (WHERE x > 0 OR b)"
            for text in AGGREGATE_SQL
            if text.count("(") - text.count("row(") == 1 and text.endswith(")")
        ]
        rest = (
            "WITH rows AS (SELECT *, CASE WHEN abs(x) < 1e6 THEN x END AS z FROM r) "
            "SELECT g, {} FROM rows GROUP BY g ORDER BY g"
        )
        assert len(filtered) > 20
        assert _differences(spark, duck, relation, _named(plain + filtered), rest) == []

    def test_queries_of_derived_tables_agree(
        self, spark: SparkEngine, duck: Any, relation: Relation
    ) -> None:
        query = """
            WITH numbered AS MATERIALIZED (
              SELECT *, row_number() OVER w AS place, lag(x) OVER w AS before,
                count(*) OVER (PARTITION BY g) AS size,
                max(d) OVER (PARTITION BY g ORDER BY k ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)
                  AS latest
              FROM r WINDOW w AS (PARTITION BY g ORDER BY x DESC, k)
            ),
            firsts AS (
              SELECT g, t FROM r QUALIFY row_number() OVER (PARTITION BY g ORDER BY k) = 1
            ),
            cut AS (SELECT g AS "within", quantile_disc(i, [0.25, 0.5]) AS c FROM r GROUP BY ALL)
            SELECT n.k, n.place, n.before, n.size, n.latest, f.t AS "first",
              CASE WHEN n.place > 3 THEN 'late' ELSE 'early' END AS label,
              upper("label") AS shout, c.c[2] AS middle,
              EXISTS (SELECT 1 FROM r AS o WHERE o.i = n.j AND o.k > n.k) AS again,
              true AS listed
            FROM numbered AS n LEFT JOIN firsts AS f ON f.g IS NOT DISTINCT FROM n.g
            LEFT JOIN cut AS c ON c."within" IS NOT DISTINCT FROM n.g
            WHERE n.k % 2 = 0 AND NOT EXISTS (SELECT 1 FROM r AS s WHERE s.k = n.k AND s.j = 100)
              AND n.k NOT IN (SELECT j FROM r WHERE j > 6) AND (n.g IN (SELECT i FROM r))
            UNION ALL SELECT k, 0, x, 0, d, t, 'none', u, j, b, false FROM r WHERE k < 9
            ORDER BY k, place
        """
        ours = duck.fetch(query, {"r": relation})
        theirs = spark.fetch(query, {"r": relation})
        assert theirs.schema.equals(ours.schema)
        pairs = list(zip(ours.to_pylist(), theirs.to_pylist(), strict=True))
        assert len(pairs) > 20
        found = [
            f"{name} of {right['k']}: {right[name]!r}, on Spark {got[name]!r}"
            for right, got in pairs
            for name in right
            if not _same(right[name], got[name], close=False)
        ]
        assert found == []

    def test_a_written_file_has_the_same_rows_and_types_and_appears_alone(
        self, spark: SparkEngine, duck: Any, relation: Relation, tmp_path: Path
    ) -> None:
        shown = ", ".join(name for name in COLUMNS if name not in ("x", "y"))
        sql = f"SELECT {shown} FROM r ORDER BY k DESC"
        mine, theirs = str(tmp_path / "duck" / "t.parquet"), str(tmp_path / "spark" / "t.parquet")
        assert duck.write(sql, {"r": relation}, mine) == 240
        assert spark.write(sql, {"r": relation}, theirs) == 240
        assert [path.name for path in (tmp_path / "spark").iterdir()] == ["t.parquet"]
        right, got = pq.read_table(mine), pq.read_table(theirs)
        assert got.schema.names == right.schema.names
        assert [field.type for field in got.schema] == [field.type for field in right.schema]
        assert got.to_pylist() == right.to_pylist()
        codecs = {pq.read_metadata(theirs).row_group(0).column(0).compression}
        assert codecs == {"ZSTD"}

    def test_a_failing_query_leaves_nothing_and_says_why(
        self, spark: SparkEngine, relation: Relation, tmp_path: Path
    ) -> None:
        with pytest.raises(TaglineError, match="Spark at local"):
            spark.write("SELECT i // (k - k) AS c FROM r", {"r": relation}, str(tmp_path / "a.pq"))
        with pytest.raises(TaglineError, match="not read as an integer"):
            spark.fetch("SELECT try_cast('1e3' || t AS bigint) AS c FROM r", {"r": relation})
        assert list(tmp_path.iterdir()) == []

    def test_a_hidden_column_is_shown_as_null(self, spark: SparkEngine, relation: Relation) -> None:
        hiding = Relation(relation.files, COLUMNS, frozenset({"t"}))
        made = spark.fetch("SELECT count(t) AS t, count(u) AS u FROM r", {"r": hiding})
        assert made.to_pylist()[0]["t"] == 0 < made.to_pylist()[0]["u"]

    def test_rows_that_do_not_meet_the_condition_are_not_shown(
        self, spark: SparkEngine, relation: Relation
    ) -> None:
        known = Relation(relation.files, COLUMNS, only="t IS NULL")
        made = spark.fetch("SELECT count(k) AS n, count(t) AS t FROM r", {"r": known}).to_pylist()
        every = spark.fetch("SELECT count(k) AS n FROM r", {"r": relation}).to_pylist()
        assert made[0]["t"] == 0 < made[0]["n"] < every[0]["n"]

    def test_an_empty_relation_gives_an_empty_file_with_all_columns(
        self, spark: SparkEngine, tmp_path: Path
    ) -> None:
        path = str(tmp_path / "none.parquet")
        assert spark.write("SELECT k, l, p FROM r", {"r": Relation((), COLUMNS)}, path) == 0
        assert pq.read_schema(path).names == ["k", "l", "p"]


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT cast(x AS varchar) AS c FROM r", "the text of a number"),
        ("SELECT string_agg(t, ',') AS c FROM r", "(?i)string_agg|listagg"),
        ("SELECT list(t) AS c FROM r", "list\\(\\) without an order"),
        ("SELECT any_value(t) AS c FROM r", "(?i)any_value"),
        ("SELECT sum(i) AS c FROM r", "a result of type HUGEINT"),
        ("SELECT max(l) AS c FROM r", "max\\(\\) of a list"),
        ("SELECT regexp_matches(t, 'a') AS c FROM r", "(?i)regexp"),
        ("SELECT DISTINCT ON (g) k FROM r", "distinct on"),
        ("SELECT unnest(l) AS c FROM r", "(?i)unnest"),
        ("SELECT log(2, x) AS c FROM r", "another base"),
        ("SELECT k IN (SELECT j FROM r) AS c FROM r", "outside of where"),
    ],
)
def test_what_cannot_be_kept_is_refused_in_words(sql: str, words: str) -> None:
    with pytest.raises(NotOnSpark, match=words):
        transpile(sql, {"r": Relation((), COLUMNS)})


def test_a_query_that_duckdb_refuses_is_refused_before_spark_sees_it() -> None:
    with pytest.raises(QueryRefused, match="nothing"):
        transpile("SELECT nothing FROM r", {"r": Relation((), COLUMNS)})


def test_a_wrong_master_or_path_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="spark://host:port"):
        open_engine(Settings(engine="spark"))
    nowhere = SparkEngine("spark://127.0.0.1:1", "1GB", str(tmp_path))
    if missing_for_spark() is None:
        with pytest.raises(EngineUnavailable, match="no Spark master answers"):
            nowhere.fetch("SELECT 1 AS one", {})
    with pytest.raises(WrongUsage, match="not s3://"):
        nowhere.fetch("SELECT k FROM r", {"r": Relation(("s3://bucket/a.parquet",), COLUMNS)})
