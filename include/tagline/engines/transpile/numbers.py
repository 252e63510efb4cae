"""Arithmetic and mathematical functions with DuckDB's meaning, in Spark SQL.

DuckDB follows IEEE 754 where Spark refuses or gives null (1/0 is infinite, ln(0) too), rounds
halves away from zero in binary (Spark: in decimal), and casts floating point to decimals by
scaling it.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from tagline.engines.transpile.trees import (
    BOOLEAN,
    DECIMAL,
    INTEGER,
    NULL,
    NUMBER,
    NUMERIC,
    NotOnSpark,
    Typed,
    as_double,
    binary,
    bound,
    call,
    cast,
    closed,
    common,
    double,
    either,
    number,
    require,
)

_WHOLE = 2.0**52  # beyond this every floating-point number is whole
_BIGINT = 2.0**62


def divided(left: Typed, right: Typed) -> Typed:
    """Division of numbers: floating point, infinite or NaN where the divisor is zero."""
    require(left, NUMERIC, "a division")
    require(right, NUMERIC, "a division")
    above, below = as_double(left), as_double(right)
    if right.kind is not NUMBER and _is_other_than_zero(right.tree):
        return Typed(binary(exp.Div, above, below), NUMBER)
    by_zero = binary(exp.Mul, above, call("power", below, double(-1)))
    return Typed(call("coalesce", call("try_divide", above, below), by_zero), NUMBER)


def whole_divided(left: Typed, right: Typed) -> Typed:
    """`//`: towards zero for integers, a plain division for others; an error by zero."""
    kind = common((left, right), "a division")
    if kind is INTEGER:
        return Typed(binary(exp.IntDiv, left.tree, right.tree), INTEGER)
    return Typed(binary(exp.Div, as_double(left), as_double(right)), NUMBER)


def remainder(left: Typed, right: Typed) -> Typed:
    """`%` with the dividend's sign; NaN for a floating-point divisor of zero."""
    kind = common((left, right), "a remainder")
    if kind is not NUMBER:
        return Typed(call("mod", left.tree, right.tree), kind)
    above, below = as_double(left), as_double(right)
    zero = binary(exp.EQ, below, double(0))
    nan = binary(exp.Mul, above, double(float("nan")))
    return Typed(either((zero, nan), otherwise=call("mod", above, below)), NUMBER)


def arithmetic(kind: type[exp.Binary], left: Typed, right: Typed) -> Typed:
    """Sum, difference or product of numbers; an overflow is an error on both engines."""
    made = common((left, right), "arithmetic")
    if made not in (*NUMERIC, NULL):
        raise NotOnSpark(f"arithmetic of a {made.name}")
    return Typed(binary(kind, left.tree, right.tree), made)


def nearest(value: exp.Expr) -> exp.Expr:
    """A floating-point number rounded to a whole one, halves away from zero."""

    def body(value: exp.Expr) -> exp.Expr:
        size = call("abs", value)
        return either(
            (binary(exp.LT, size, double(0.5)), binary(exp.Mul, value, double(0))),
            (binary(exp.LT, size, double(_WHOLE)), cast(_whole_nearest(value), "DOUBLE")),
            otherwise=value,
        )

    return bound(value, body)


def _whole_nearest(value: exp.Expr) -> exp.Expr:
    """The nearest integer of a number between 0.5 and 2**52 in size."""
    half = binary(exp.Mul, call("signum", value), double(0.5))
    return cast(binary(exp.Add, value, half), "BIGINT")


def rounded(value: Typed, places: exp.Expr | None) -> Typed:
    """round(x, n) for a literal n."""
    require(value, NUMERIC, "round()")
    digits = _literal_integer(places) if places is not None else 0
    if value.kind is not NUMBER:
        return Typed(call("round", value.tree, number(digits)), value.kind)

    def body(value: exp.Expr) -> exp.Expr:
        if digits == 0:
            return nearest(value)
        power = double(10.0 ** abs(digits))
        there, back = (exp.Mul, exp.Div) if digits > 0 else (exp.Div, exp.Mul)
        made = binary(back, nearest(binary(there, value, power)), power)
        finite = binary(exp.LT, call("abs", made), double(float("inf")))
        return either((finite, made), otherwise=value)

    if abs(digits) > 300:
        raise NotOnSpark(f"round() to {digits} places")
    return Typed(bound(value.tree, body), NUMBER)


def to_decimal(value: exp.Expr, precision: int, scale: int) -> exp.Expr:
    """A floating-point number as DECIMAL(precision, scale): scaled, then rounded, exactly so."""
    target = f"DECIMAL({precision}, {scale})"

    def body(scaled: exp.Expr) -> exp.Expr:
        size = call("abs", scaled)
        high = call("floor", binary(exp.Div, scaled, double(_BIGINT)))
        low = binary(exp.Sub, scaled, binary(exp.Mul, cast(high, "DOUBLE"), double(_BIGINT)))
        unit = cast(number(int(_BIGINT)), "DECIMAL(19, 0)")
        large = binary(
            exp.Add,
            binary(exp.Mul, cast(high, "DECIMAL(19, 0)"), unit),
            cast(cast(low, "BIGINT"), "DECIMAL(19, 0)"),
        )
        return either(
            (binary(exp.LT, size, double(0.5)), cast(number(0), "DECIMAL(38, 0)")),
            (
                binary(exp.LT, size, double(_WHOLE)),
                cast(_whole_nearest(scaled), "DECIMAL(38, 0)"),
            ),
            otherwise=cast(large, "DECIMAL(38, 0)"),
        )

    exact = bound(binary(exp.Mul, value, double(10.0**scale)), body)
    if scale == 0:
        return cast(exact, target)
    unit = cast(exp.Literal.string(f"1e-{scale}"), f"DECIMAL({scale}, {scale})")
    return cast(binary(exp.Mul, exact, unit), target)


def to_integer(value: Typed, *, safe: bool, spark_type: str = "BIGINT") -> exp.Expr:
    """A number as an integer: floating point to the even neighbour of a half, decimals away."""
    if value.kind is NUMBER:
        return cast(call("rint", value.tree), spark_type, safe=safe)
    if value.kind is DECIMAL:
        return cast(call("round", value.tree, number(0)), spark_type, safe=safe)
    return cast(value.tree, spark_type, safe=safe)


def to_boolean(value: Typed) -> exp.Expr:
    """Whether a number is not zero."""
    return cast(value.tree, "BOOLEAN")


def absolute(value: Typed) -> Typed:
    """abs(x)."""
    require(value, NUMERIC, "abs()")
    return Typed(call("abs", value.tree), value.kind)


def sign(value: Typed) -> Typed:
    """sign(x): -1, 0 or 1, and 0 for NaN."""
    require(value, NUMERIC, "sign()")
    numbers = call("nanvl", call("signum", as_double(value)), double(0))
    return Typed(cast(numbers, "INT"), INTEGER)


def floor(value: Typed) -> Typed:
    """floor(x)."""
    return _whole(value, "floor")


def ceiling(value: Typed) -> Typed:
    """ceil(x)."""
    return _whole(value, "ceil")


def _whole(value: Typed, name: str) -> Typed:
    require(value, NUMERIC, f"{name}()")
    if value.kind is DECIMAL:
        return Typed(call(name, value.tree), DECIMAL)
    if value.kind is INTEGER:
        return Typed(cast(value.tree, "DOUBLE"), NUMBER)

    def body(value: exp.Expr) -> exp.Expr:  # Spark's result is an integer, which may overflow
        small = binary(exp.LT, call("abs", value), double(_WHOLE))
        made = cast(call(name, value), "DOUBLE")
        return either((small, made), otherwise=value)

    return Typed(bound(as_double(value), body), NUMBER)


def logarithm(name: str) -> Callable[[Typed], Typed]:
    """ln or log10: minus infinity of zero, NaN below it."""

    def made(value: Typed) -> Typed:
        require(value, NUMERIC, f"{name}()")

        def body(value: exp.Expr) -> exp.Expr:
            zero = binary(exp.EQ, value, double(0))
            below = binary(exp.LT, value, double(0))
            return either(
                (zero, double(float("-inf"))),
                (below, double(float("nan"))),
                otherwise=call(name, value),
            )

        return Typed(bound(as_double(value), body), NUMBER)

    return made


def of_double(name: str) -> Callable[[Typed], Typed]:
    """A function of one floating-point number that is alike on both engines."""

    def made(value: Typed) -> Typed:
        require(value, NUMERIC, f"{name}()")
        return Typed(call(name, as_double(value)), NUMBER)

    return made


def power(base: Typed, exponent: Typed) -> Typed:
    """power(x, y)."""
    require(base, NUMERIC, "power()")
    require(exponent, NUMERIC, "power()")
    return Typed(call("power", as_double(base), as_double(exponent)), NUMBER)


def negated(value: Typed) -> Typed:
    """-x."""
    require(value, NUMERIC, "a sign")
    return Typed(exp.Neg(this=closed(value.tree)), value.kind)


def bits(kind: type[exp.Binary]) -> Callable[[Typed, Typed], Typed]:
    """`&` or `|` of integers."""

    def made(left: Typed, right: Typed) -> Typed:
        require(left, (INTEGER,), "bits")
        require(right, (INTEGER,), "bits")
        return Typed(binary(kind, left.tree, right.tree), INTEGER)

    return made


def as_number(value: Typed) -> exp.Expr:
    """A number or boolean as floating point."""
    require(value, (*NUMERIC, BOOLEAN), "a cast to a number")
    return cast(value.tree, "DOUBLE")


def _is_other_than_zero(tree: exp.Expr) -> bool:
    return isinstance(tree, exp.Literal) and not tree.is_string and float(tree.this) != 0


def _literal_integer(tree: exp.Expr) -> int:
    sign, inner = 1, tree
    while isinstance(inner, exp.Paren | exp.Neg):
        sign *= -1 if isinstance(inner, exp.Neg) else 1
        inner = inner.this
    if not (isinstance(inner, exp.Literal) and inner.is_int):
        raise NotOnSpark("round() to places that are not a number", "Write round(x, 2)")
    return sign * int(inner.this)
