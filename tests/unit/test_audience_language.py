"""One language for rules and audiences: what is true, false and unknown of each row."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pyarrow
import pyarrow.parquet as parquet
import pytest
from pydantic import TypeAdapter

from tagline.catalog import Catalog, Tag, case_column, load_catalog
from tagline.compile import compile_over
from tagline.definitions import DataType
from tagline.definitions.tag import AnyTag
from tagline.engines import Engine, Relation, open_engine
from tagline.errors import ExpressionError, TaglineError, UnknownName
from tagline.expressions import Scope, names_in, parse_condition
from tagline.meaning import Meaning
from tagline.registry.schema import Release
from tagline.serve.audiences import condition_sql
from tagline.serve.released import relation_of
from tagline.settings import PROJECT, Settings

if TYPE_CHECKING:
    from tests.documents import blocks
else:
    from documents import blocks

AS_OF = datetime(2017, 6, 30, 23, tzinfo=UTC)  # midnight of 1 July in London
TYPES = {
    "orders": (pyarrow.int64(), DataType.INTEGER),
    "spent": (pyarrow.float64(), DataType.NUMBER),
    "city": (pyarrow.string(), DataType.TEXT),
    "member": (pyarrow.bool_(), DataType.BOOLEAN),
    "likes": (pyarrow.list_(pyarrow.string()), DataType.TEXT_LIST),
    "born": (pyarrow.date32(), DataType.DATE),
    "seen": (pyarrow.timestamp("us", "UTC"), DataType.TIMESTAMP),
}
ROWS: list[tuple[Any, ...]] = [
    ("a", 3, 10.5, "Ulm", True, ["tea", "jam"], date(1990, 5, 1), datetime(2017, 6, 30, 22, 30)),
    ("b", 1, 99.0, "Bonn", False, ["jam"], date(1985, 1, 1), datetime(2017, 6, 30, 23, 30)),
    ("c", 0, 0.0, "ulm", True, [], date(2000, 12, 31), datetime(2017, 1, 1)),
    ("d", None, None, None, None, None, None, None),
]
ALL = frozenset("abcd")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return open_engine(Settings(home=tmp_path_factory.mktemp("engine"), threads=1))


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    """The gift shop's time zone and standards, with a tag for each type."""
    found = load_catalog(PROJECT / "include", "gift_shop")
    return replace(found, tags={name: tag(name, kind.value) for name, (_, kind) in TYPES.items()})


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    path = tmp_path_factory.mktemp("release") / "tags.parquet"
    kinds = [
        ("customer_id", pyarrow.string()),
        *((name, kind) for name, (kind, _) in TYPES.items()),
    ]
    names = ["customer_id", *TYPES]
    rows = [dict(zip(names, row, strict=True)) for row in ROWS]
    parquet.write_table(pyarrow.Table.from_pylist(rows, pyarrow.schema(kinds)), path)
    return Release(id=1, as_of=AS_OF, customers=len(rows), files={"customer": [str(path)]}, tags={})


def tag(slug: str, type_: str, **rule: Any) -> Tag:
    common = {"name": {"en": "A", "zh": "甲"}, "owner": "crm", "description": "Made for a test."}
    made = rule or {"kind": "statistic", "table": "orders", "value": "count(*)"}
    definition = TypeAdapter[Any](AnyTag).validate_python({**common, "type": type_, **made})
    return Tag(slug, "value", "amount", definition, Meaning(), f"{slug}.yaml", "v1")


CASES = [  # expression, true for, unknown for; false for all others
    ("orders > 1", "a", "d"),
    ("orders >= 1 and spent < 50", "a", "d"),
    ("orders = 3 or spent = 99", "ab", "d"),
    ("not orders > 1", "bc", "d"),
    ("orders <> 3", "bc", "d"),
    ("orders between 1 and 3", "ab", "d"),
    ("orders not between 1 and 2", "ac", "d"),
    ("orders in (0, 3)", "ac", "d"),
    ("orders not in (0, 3)", "b", "d"),
    ("orders in (0, null)", "c", "abd"),
    ("orders not in (0, null)", "", "abd"),
    ("orders is null", "d", ""),
    ("orders is not null", "abc", ""),
    ("orders is null or orders = 0", "cd", ""),
    ("orders > 0 or true", "abcd", ""),
    ("orders > 0 and false", "", ""),
    ("orders is distinct from 3", "bcd", ""),
    ("orders = null", "", "abcd"),
    ("coalesce(orders, 0) = 0", "cd", ""),
    ("spent / nullif(orders, 0) > 50", "b", "cd"),
    ("member", "ac", "d"),
    ("not member", "b", "d"),
    ("member is true", "ac", ""),
    ("member is not true", "bd", ""),
    ("member = false", "b", "d"),
    ("not member or orders > 0", "ab", "d"),
    ("member and orders is null", "", "d"),
    ("city = 'Ulm'", "a", "d"),
    ("lower(city) = 'ulm'", "ac", "d"),
    ("city like 'U%'", "a", "d"),
    ("city ilike 'u%'", "ac", "d"),
    ("city in ('Ulm', 'Bonn')", "ab", "d"),
    ("city > 'C'", "ac", "d"),
    ("starts_with(city, 'B')", "b", "d"),
    ("city is null and orders is null", "d", ""),
    ("'jam' in likes", "ab", "d"),
    ("'jam' not in likes", "c", "d"),
    ("not 'jam' in likes or likes is null", "cd", ""),
    ("list_contains(likes, 'tea')", "a", "d"),
    ("'tea' in likes and 'jam' in likes", "a", "d"),
    ("city in ('Ulm') and 'tea' in likes", "a", "d"),
    ("length(likes) = 0", "c", "d"),
    ("born < '1990-01-01'", "b", "d"),
    ("born between '1985-01-01' and '1990-05-01'", "ab", "d"),
    ("born >= date '2000-01-01'", "c", "d"),
    ("date_diff('year', born, as_of) > 30", "b", "d"),
    ("seen < as_of", "ac", "d"),
    ("seen >= '2017-07-01'", "b", "d"),  # of London: 23:30 in UTC is half past midnight there
    ("date_diff('day', seen, as_of) = 1", "a", "d"),
    ("date_part('hour', seen) = 0", "bc", "d"),
    ("spent < standard('wholesale_order_amount')", "abc", "d"),
    ("audience('near')", "ac", "d"),
    ("audience('near') and not audience('tea')", "c", "d"),
    ("audience('near') or audience('far')", "abc", "d"),
    ("audience('nested') and orders > 0", "a", "d"),
]  # fmt: skip
SAVED = {
    "near": "lower(city) = 'ulm' or false",
    "tea": "'tea' in likes",
    "far": "city = 'Bonn'",
    "nested": "audience('near') or audience('tea')",
    "one": "audience('two')",
    "two": "member or audience('three')",
    "three": "audience('one')",
    "lost": "orders > 0 and gone > 1",
}


@pytest.mark.parametrize(("text", "true", "unknown"), CASES, ids=[case[0] for case in CASES])
def test_an_audience_is_true_false_or_unknown_of_each_row(
    catalog: Catalog, engine: Engine, release: Release, text: str, true: str, unknown: str
) -> None:
    sql = condition_sql(catalog, release, text, SAVED)
    rows = engine.fetch(
        f"SELECT customer_id, {sql} AS held FROM tags", {"tags": relation_of(release)}
    ).to_pylist()
    said = {row["customer_id"]: row["held"] for row in rows}
    wanted = {row: None if row in unknown else row in true for row in ALL}
    assert said == wanted


@pytest.mark.slow
def test_a_rule_and_an_audience_of_the_same_words_hold_for_the_same_rows(
    catalog: Catalog, engine: Engine, release: Release
) -> None:
    types = {name: kind for name, (_, kind) in TYPES.items()}
    standards = {name: standard.type for name, standard in catalog.standards.items()}
    scope = Scope({**types, "as_of": DataType.TIMESTAMP}, standards)
    for text, true, _ in CASES:
        if "audience(" in text:
            continue
        parsed = parse_condition(text, scope)
        case = {"when": text, "value": True, "because": "it holds"}
        rule = tag(
            "rule", "boolean", kind="rule", cases=[case],
            otherwise={"value": False, "because": "it does not"},
        )  # fmt: skip
        reads = tuple(sorted(parsed.names - {"as_of"})) or ("orders",)
        rule = replace(rule, meaning=Meaning(reads=reads, cases=(parsed,)))
        compiled = compile_over(catalog, AS_OF, rule)
        given = Relation(relation_of(release).files, {"customer_id": DataType.TEXT, **types})
        rows = engine.fetch(compiled.sql, {"given": given}).to_pylist()
        assert {row["customer_id"] for row in rows if row["rule"]} == set(true), text
        assert {row["customer_id"] for row in rows if row[case_column("rule")] == 0} == set(true)


REFUSED: Mapping[str, tuple[type[TaglineError], str]] = {
    "audience('one')": (ExpressionError, "in a cycle: one → two → three → one"),
    "audience('neer')": (UnknownName, "Did you mean 'near'"),
    "audience(near)": (ExpressionError, "write audience"),
    "audience()": (ExpressionError, "write audience"),
    "audience('near') > 1": (ExpressionError, "compares boolean with integer"),
    "audience('lost')": (ExpressionError, "'lost' reads tag 'gone', which release 1 .* no longer"),
    "gone > 1": (ExpressionError, "unknown name 'gone'"),
    "'jam' in city": (ExpressionError, "text, where list of text is needed"),
    "1 in likes": (ExpressionError, "1 is integer, where text is needed"),
    "orders in ()": (ExpressionError, "at least one value"),
    "orders in (select 1)": (ExpressionError, "needs a list of values"),
    "likes = 'jam'": (ExpressionError, "compares list of text with text"),
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_means_nothing_is_refused_with_the_reason(
    catalog: Catalog, release: Release, text: str
) -> None:
    kind, said = REFUSED[text]
    with pytest.raises(kind, match=said):
        condition_sql(catalog, release, text, SAVED)


def test_the_way_a_membership_is_written_does_not_change_its_meaning() -> None:
    scope = Scope({"likes": DataType.TEXT_LIST})
    texts = ("'tea' in likes", "list_contains(likes, 'tea')")
    assert len({parse_condition(text, scope).sql() for text in texts}) == 1


def test_rules_name_no_audiences() -> None:
    with pytest.raises(ExpressionError, match="expressions of audiences only"):
        parse_condition("audience('near')", Scope({}))


def test_audiences_that_grow_by_naming_each_other_are_bounded() -> None:
    deep = {"a0": "member"} | {f"a{n}": f"not (audience('a{n - 1}'))" for n in range(1, 40)}
    with pytest.raises(ExpressionError, match="nested more than"):
        parse_condition("audience('a39')", Scope({"member": DataType.BOOLEAN}, audiences=deep))
    assert names_in("audience('a9')", deep) == {"member"}
    wide = {"a0": "member"}
    wide |= {f"a{n}": f"audience('a{n - 1}') or audience('a{n - 1}')" for n in range(1, 25)}
    with pytest.raises(ExpressionError, match="at most 20000 characters"):
        parse_condition("audience('a24')", Scope({"member": DataType.BOOLEAN}, audiences=wide))


def test_a_tag_that_the_release_lacks_is_explained(catalog: Catalog, release: Release) -> None:
    tags = {"machine_hours": {"version": None, "state": "unavailable", "reason": "no machines"}}
    without = Release(id=7, as_of=AS_OF, customers=4, files=release.files, tags=tags)
    with pytest.raises(ExpressionError, match=r"release 7 .* does not have: no machines"):
        condition_sql(catalog, without, "machine_hours > 5", {})
    newer = replace(catalog, tags={**catalog.tags, "fresh": tag("fresh", "integer")})
    with pytest.raises(ExpressionError, match="newer than the release"):
        condition_sql(newer, without, "fresh > 5", {})


def test_every_expression_of_the_page_is_one(catalog: Catalog) -> None:
    page = PROJECT / "docs" / "audiences.md"
    tags = load_catalog(PROJECT / "include", "grocer").tags
    types = {slug: each.definition.type for slug, each in tags.items()}
    standards = {name: standard.type for name, standard in catalog.standards.items()}
    lines = [
        shlex.split(line) for block in blocks(page) if block.language == "sh"
        for line in block.text.splitlines()
    ]  # fmt: skip
    saved = {words[3]: words[4] for words in lines if words[:3] == ["tagline", "audiences", "save"]}
    texts = [words[2] for words in lines if words[1] == "audience"]
    texts += [words[-1] for words in lines if words[2:3] == ["overlap"]]
    rows = re.findall(r"^\| [\w ]+ \| (`.+`) \|$", page.read_text("utf-8"), flags=re.M)
    texts += [text for row in rows for text in re.findall("`([^`]+)`", row) if " " in text]
    assert len(saved) >= 3 and len(texts) > 20
    scope = Scope({**types, "as_of": DataType.TIMESTAMP}, standards, audiences=saved)
    for text in [*saved.values(), *texts]:
        assert parse_condition(text, scope).names <= {*types, "as_of"}
