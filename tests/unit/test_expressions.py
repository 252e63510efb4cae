"""Expressions: what is allowed, what it is typed as, and that nothing else gets through."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from tagline.definitions import DataType
from tagline.errors import ExpressionError
from tagline.expressions import (
    Scope,
    parse_aggregate,
    parse_condition,
    parse_pick,
    parse_value,
)
from tagline.expressions.functions import FUNCTIONS

SCOPE = Scope(
    {
        "amount": DataType.NUMBER,
        "count": DataType.INTEGER,
        "status": DataType.TEXT,
        "ordered_at": DataType.TIMESTAMP,
        "born_on": DataType.DATE,
        "is_vip": DataType.BOOLEAN,
        "tags": DataType.TEXT_LIST,
        "product.department": DataType.TEXT,
        "as_of": DataType.TIMESTAMP,
    },
    {"long": DataType.INTEGER},
)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("amount * 2", DataType.NUMBER),
        ("count + 1", DataType.INTEGER),
        ("count / 2", DataType.NUMBER),
        ("case when is_vip then 'a' else status end", DataType.TEXT),
        ("date_diff('day', ordered_at, as_of)", DataType.INTEGER),
        ("date_part('hour', ordered_at)", DataType.INTEGER),
        ("date_trunc('month', ordered_at)", DataType.DATE),
        ("coalesce(amount, count, 0)", DataType.NUMBER),
        ("standard('long')", DataType.INTEGER),
        ("list_contains(tags, 'x')", DataType.BOOLEAN),
        ("product.department like 'GRO%'", DataType.BOOLEAN),
        ("ordered_at >= '2017-01-01'", DataType.BOOLEAN),
        ("status is null or not is_vip", DataType.BOOLEAN),
        ("amount between 1 and 2 and status in ('a', 'b')", DataType.BOOLEAN),
        ("null", None),
    ],
)
def test_a_value_has_the_type_of_its_parts(text: str, kind: DataType | None) -> None:
    assert parse_value(text, SCOPE).type is kind


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("amount = status", "compares number with text"),
        ("status > 3", "compares text with integer"),
        ("ordered_at > 'soon'", "compares timestamp with text"),
        ("ordered_at > '20260131'", "a day is written '2026-01-31'"),  # engines do not read it
        ("ordered_at > '2026-W05-1'", "a day is written '2026-01-31'"),
        ("sum(status)", "aggregate is not allowed here"),
        ("is_vip and amount", "amount is number, where boolean is needed"),
        ("case when is_vip then 1 else 'a' end", "mixes integer and text"),
        ("amount in (select amount from orders)", "needs a list of values"),
        ("exists (select 1)", "no subquery"),
        ("orders.amount.cents", "at most one dot"),
        ("amout", "Did you mean 'amount'?"),
        ("lenght(status)", "Did you mean 'length'?"),
        ("standard('lang')", "Did you mean 'long'?"),
        ("standard(status)", "write standard('name')"),
        ("now()", "looks at the clock"),
        ("current_date", "looks at the clock"),
        ("random() < 0.5", "at chance"),
        ("amount as x", "no alias"),
        ("amount, count", "one expression"),
        ("amount from orders", "one expression"),
        ("amount; count", "remove the semicolon"),
        ("", "not an expression|one expression"),
        ("*", "no star"),
        ("amount::json", "cannot cast to JSON"),
        ("date_part('epoch', ordered_at)", "unknown date part 'epoch'"),
        ("(" * 200 + "1" + ")" * 200, "nested at most|not an expression"),
        ("1 + " * 2000 + "1", "at most 4000 characters"),
    ],
)
def test_what_is_not_a_pure_typed_expression_is_refused_with_the_reason(
    text: str, said: str
) -> None:
    with pytest.raises(ExpressionError) as refused:
        parse_value(text, SCOPE)
    assert any(part in str(refused.value) for part in said.split("|"))


def test_a_condition_must_be_true_or_false() -> None:
    with pytest.raises(ExpressionError, match="where a condition"):
        parse_condition("amount + 1", SCOPE)


def test_columns_of_an_aggregate_stand_inside_one_but_as_of_may_stand_alone() -> None:
    assert parse_aggregate("date_diff('day', max(ordered_at), as_of)", SCOPE).names == {
        "ordered_at",
        "as_of",
    }
    with pytest.raises(ExpressionError, match="stands outside of an aggregate"):
        parse_aggregate("max(amount) + count", SCOPE)
    with pytest.raises(ExpressionError, match="aggregate inside an aggregate"):
        parse_aggregate("sum(max(amount))", SCOPE)
    with pytest.raises(ExpressionError, match="has no aggregate"):
        parse_aggregate("1 + 1", SCOPE)


def test_a_pick_names_an_aggregate_and_how_many() -> None:
    assert parse_pick("top(sum(amount), 5)", SCOPE)[1] == 5
    assert parse_pick("top(count(*))", SCOPE)[1] is None
    for wrong in ("sum(amount)", "top(amount)", "top(sum(amount), 0)", "top(sum(amount), 1, 2)"):
        with pytest.raises(ExpressionError):
            parse_pick(wrong, SCOPE)


WORDS = """
    amount count status ordered_at is_vip tags as_of product.department 1 2.5 'a' null true
    + - * / // % || = <> < > <= >= ( ) , ; and or not in like between is case when then else end
    sum( count( max( avg( date_diff( date_part( 'day' coalesce( nullif( now() random() select from
    where orders union * -- /* */ :: cast( as json [ ] { } read_csv( getenv( over ( order by )
    filter exists( standard('long') . $1 ? := -> lambda x: pragma attach
"""
PARTS = st.sampled_from(WORDS.split())
ALLOWED_NODES: tuple[type, ...] = (
    exp.Column, exp.Identifier, exp.Literal, exp.Boolean, exp.Null, exp.Paren, exp.Connector,
    exp.Not, exp.Neg, exp.Binary, exp.Is, exp.In, exp.Between, exp.Case, exp.If, exp.Cast,
    exp.TryCast, exp.DataType, exp.DataTypeParam, exp.Count, exp.Distinct, exp.Star, exp.Coalesce,
    exp.Greatest, exp.Least, exp.Concat, exp.DateDiff, exp.TimestampTrunc, exp.DateTrunc,
    exp.Extract, exp.Anonymous, exp.Var, *FUNCTIONS,
)  # fmt: skip


@settings(max_examples=600, deadline=None)
@given(st.lists(PARTS, min_size=1, max_size=9))
def test_random_text_is_a_pure_expression_or_an_expression_error(parts: list[str]) -> None:
    for parse in (parse_value, parse_aggregate):
        try:
            parsed = parse(" ".join(parts), SCOPE)
        except ExpressionError:
            continue
        for node in parsed.tree.walk():
            assert isinstance(node, ALLOWED_NODES), (parts, node)
            if isinstance(node, exp.Anonymous):
                assert str(node.this).lower() in ("standard", "date_part")
