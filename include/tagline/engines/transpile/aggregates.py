"""Aggregate functions with DuckDB's meaning, in Spark SQL.

Each takes the condition of its FILTER, since what becomes of it may be more than one call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from sqlglot import exp

from tagline.engines.transpile.trees import (
    BOOLEAN,
    DATE,
    DECIMAL,
    INSTANT,
    INTEGER,
    LOCAL,
    NULL,
    NUMBER,
    NUMERIC,
    TEXT,
    NotOnSpark,
    Typed,
    as_double,
    binary,
    call,
    cast,
    closed,
    double,
    either,
    list_of,
    number,
    require,
    text,
)

_ORDERED = (BOOLEAN, *NUMERIC, TEXT, DATE, LOCAL, INSTANT)


def filtered(tree: exp.Expr, condition: exp.Expr | None) -> exp.Expr:
    """An aggregate of the rows that meet a condition."""
    if condition is None:
        return tree
    return exp.Filter(this=tree, expression=exp.Where(this=condition))


def count(value: Typed | None, condition: exp.Expr | None, *, distinct: bool) -> Typed:
    """count(*), count(x) or count(distinct x)."""
    if value is None:
        return Typed(filtered(exp.Count(this=exp.Star()), condition), INTEGER)
    inner: exp.Expr = value.tree
    if distinct:
        inner = exp.Distinct(expressions=[inner])
    return Typed(filtered(exp.Count(this=inner), condition), INTEGER)


def total(value: Typed, condition: exp.Expr | None, *, distinct: bool) -> Typed:
    """sum(x); of integers an integer, whose overflow is an error."""
    require(value, NUMERIC, "sum()")
    inner: exp.Expr = value.tree
    if distinct:
        if value.kind is NUMBER:
            raise NotOnSpark("sum(distinct) of a number")
        inner = exp.Distinct(expressions=[inner])
    return Typed(filtered(exp.Sum(this=inner), condition), value.kind)


def mean(value: Typed, condition: exp.Expr | None) -> Typed:
    """avg(x)."""
    if value.kind is DECIMAL:
        raise NotOnSpark("avg() of a decimal", "Cast it to double")
    require(value, NUMERIC, "avg()")
    return Typed(filtered(call("avg", as_double(value)), condition), NUMBER)


def extreme(name: str, value: Typed, condition: exp.Expr | None) -> Typed:
    """min(x) or max(x); NaN is the greatest number."""
    require(value, _ORDERED, f"{name}()")
    return Typed(filtered(call(name, value.tree), condition), value.kind)


def either_of(name: str, value: Typed, condition: exp.Expr | None) -> Typed:
    """bool_or(x) or bool_and(x)."""
    require(value, (BOOLEAN,), f"{name}()")
    return Typed(filtered(call(name, value.tree), condition), BOOLEAN)


def bits(name: str, value: Typed, condition: exp.Expr | None) -> Typed:
    """bit_or(x), bit_and(x) or bit_xor(x)."""
    require(value, (INTEGER,), f"{name}()")
    return Typed(filtered(call(name, value.tree), condition), INTEGER)


def spread(name: str, value: Typed, condition: exp.Expr | None) -> Typed:
    """stddev_samp(x) and its kin; null of one value."""
    require(value, NUMERIC, f"{name}()")
    return Typed(filtered(call(name, as_double(value)), condition), NUMBER)


def median(value: Typed, condition: exp.Expr | None) -> Typed:
    """median(x): the middle value, or the mean of the two middle ones."""
    return quantile(value, exp.Literal.number("0.5"), condition, between=True)


def quantile(value: Typed, shares: exp.Expr, condition: exp.Expr | None, *, between: bool) -> Typed:
    """quantile_cont or quantile_disc, of one share or of a list of shares.

    All values of a group are held in memory, as DuckDB does.
    """
    require(value, NUMERIC if between else _ORDERED, "a quantile")
    several = isinstance(shares, exp.Array | exp.List)
    given = [_share(each) for each in (shares.expressions if several else [shares])]
    ordered = as_double(value) if between else value.tree
    held = call("array_sort", filtered(call("collect_list", ordered), condition))
    kind = NUMBER if between else value.kind

    def body(held: exp.Expr) -> exp.Expr:
        size = call("size", held)
        found = [(_between if between else _at)(held, size, share) for share in given]
        made = call("array", *found) if several else found[0]
        return either((binary(exp.GT, size, number(0)), made))

    return Typed(_bound_once(held, body), list_of(kind) if several else kind)


def first_by(
    name: str,
    value: Typed,
    order: Sequence[Typed],
    condition: exp.Expr | None,
    *,
    is_row: bool,
) -> Typed:
    """arg_max or arg_min: the value of the row with the greatest or least order.

    Rows whose value or plain order is null are left out; a null within a row to order by is
    the greatest.
    """
    fields: list[exp.Expr] = []
    for index, each in enumerate(order):
        require(each, _ORDERED, f"the order of {name}()")
        missing = exp.Is(this=closed(each.tree), expression=exp.null())
        fields += [text(f"n{index}"), missing, text(f"v{index}"), each.tree]
    known: list[exp.Expr] = [exp.Not(this=exp.Is(this=closed(value.tree), expression=exp.null()))]
    if not is_row:
        known.append(exp.Not(this=exp.Is(this=closed(order[0].tree), expression=exp.null())))
    if condition is not None:
        known.insert(0, closed(condition))
    spark = {"arg_max": "max_by", "arg_min": "min_by"}[name]
    made = call(spark, value.tree, call("named_struct", *fields))
    return Typed(filtered(made, exp.and_(*known)), value.kind)


def collected(
    value: Typed, order: Sequence[tuple[Typed, bool, bool]], condition: exp.Expr | None
) -> Typed:
    """list(x ORDER BY …), nulls included; null where there are no rows.

    `order` gives values with whether they descend and whether nulls come first.
    """
    if not order:
        raise NotOnSpark("list() without an order", "Write list(x ORDER BY y)")
    descends = {each[1] for each in order}
    if len(descends) > 1:
        raise NotOnSpark("list() in rising and falling order at once")
    desc = descends.pop()
    fields: list[exp.Expr] = []
    for index, (each, _, nulls_first) in enumerate(order):
        require(each, _ORDERED, "the order of list()")
        missing = exp.Is(this=closed(each.tree), expression=exp.null())
        flag = missing if nulls_first == desc else exp.Not(this=missing)
        fields += [text(f"n{index}"), flag, text(f"v{index}"), each.tree]
    fields += [text("value"), value.tree]
    held = filtered(call("collect_list", call("named_struct", *fields)), condition)
    rising = exp.false() if desc else exp.true()
    item = exp.to_identifier("one")
    taken = exp.Lambda(
        this=exp.Dot(this=exp.column(item.copy()), expression=exp.to_identifier("value")),
        expressions=[item],
    )
    listed = call("transform", call("sort_array", held, rising), taken)
    size = binary(exp.GT, call("size", held), number(0))
    return Typed(either((size, listed)), list_of(value.kind if value.kind is not NULL else TEXT))


def _bound_once(held: exp.Expr, body: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    name = exp.to_identifier("held")
    made = exp.Lambda(this=body(exp.column(name.copy())), expressions=[name])
    return call("element_at", call("transform", call("array", held), made), number(1))


def _share(tree: exp.Expr) -> Decimal:
    if not isinstance(tree, exp.Literal) or tree.is_string:
        raise NotOnSpark("a quantile of a share that is not a number")
    return Decimal(tree.this)


def _at(held: exp.Expr, size: exp.Expr, share: Decimal) -> exp.Expr:
    """The least value that at least this share of the values does not exceed."""
    if share == 0:
        return call("get", held, number(0))
    exact = cast(text(f"{share:f}"), _decimal_type(share))
    reached = call("ceil", binary(exp.Mul, cast(size, "DECIMAL(10, 0)"), exact))
    place = call("greatest", binary(exp.Sub, reached, number(1)), number(0))
    return call("get", held, cast(place, "INT"))


def _between(held: exp.Expr, size: exp.Expr, share: Decimal) -> exp.Expr:
    place = binary(exp.Mul, cast(binary(exp.Sub, size, number(1)), "DOUBLE"), double(float(share)))
    below, above = (cast(call(name, place), "INT") for name in ("floor", "ceil"))
    part = binary(exp.Sub, place, cast(below, "DOUBLE"))
    low, high = call("get", held, below), call("get", held, above)
    rest = binary(exp.Sub, double(1), part)
    return binary(exp.Add, binary(exp.Mul, low, rest), binary(exp.Mul, high, part))


def _decimal_type(share: Decimal) -> str:
    scale = max(-int(share.as_tuple().exponent), 0)
    return f"DECIMAL({scale + 1}, {scale})"
