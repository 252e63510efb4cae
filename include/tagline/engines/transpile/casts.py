"""Casts with DuckDB's meaning, in Spark SQL.

A text that DuckDB may read and Spark would read otherwise (an exponent in an integer, an
underscore between digits) is an error of the query, never another value.
"""

from __future__ import annotations

from sqlglot import exp

from tagline.engines.transpile import numbers, texts
from tagline.engines.transpile.trees import (
    BOOLEAN,
    DATE,
    DECIMAL,
    INSTANT,
    INTEGER,
    LOCAL,
    MOMENTS,
    NULL,
    NUMBER,
    NUMERIC,
    SPARK_TYPES,
    TEXT,
    Kind,
    NotOnSpark,
    Typed,
    binary,
    bound,
    call,
    cast,
    either,
    failure,
    list_of,
    number,
    text,
)

_WHOLE = {"BIGINT": "BIGINT", "INT": "INT", "SMALLINT": "SMALLINT", "TINYINT": "TINYINT"}
_OTHER = {
    "DOUBLE": NUMBER,
    "TEXT": TEXT,
    "VARCHAR": TEXT,
    "BOOLEAN": BOOLEAN,
    "DATE": DATE,
    "TIMESTAMP": LOCAL,
    "TIMESTAMPNTZ": LOCAL,
    "TIMESTAMPTZ": INSTANT,
}
_SPACE = r"[ \t\n\x0B\f\r]*"
_DIGITS = rf"^{_SPACE}[+-]?[0-9]+{_SPACE}$"
_FRACTION = rf"^{_SPACE}[+-]?([0-9]+[.][0-9]*|[.][0-9]+){_SPACE}$"
_FLOAT = rf"^{_SPACE}[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?{_SPACE}$"
_WORD = rf"^(?i){_SPACE}([+-]?(inf|infinity)|[+]?nan){_SPACE}$"
_NUMBER_LIKE = (
    rf"^{_SPACE}[+-]?(0[xXbBoO][0-9a-fA-F_]+|[0-9_]*[0-9][0-9_]*[.]?[0-9_]*([eE][+-]?[0-9_]+)?"
    rf"|[.][0-9_]+([eE][+-]?[0-9_]+)?|(?i)-nan){_SPACE}$"
)
_DAY = "[0-9]{4}-(0?[1-9]|1[0-2])-(0?[1-9]|[12][0-9]|3[01])"
_TIME = "([01]?[0-9]|2[0-3]):[0-5]?[0-9](:[0-5]?[0-9]([.][0-9]+)?)?"
_DATE_TEXT = f"^{_SPACE}{_DAY}([ T]{_TIME})?{_SPACE}$"
_LOCAL_TEXT = f"^{_DAY}([ T]{_TIME})?$"
_DATE_LIKE = (
    rf"^{_SPACE}([+-]?[0-9]+[-/\\ ][0-9]+[-/\\ ][0-9]+.*"
    rf"|(?i)[+-]?(inf|infinity)|(?i)epoch){_SPACE}$"
)


def to_type(value: Typed, to: exp.DataType, *, safe: bool) -> Typed:
    """CAST, or TRY_CAST where `safe`."""
    name = to.this.name
    if name == "DECIMAL":
        return _to_decimal(value, to, safe=safe)
    if name in _WHOLE:
        return Typed(_to_integer(value, _WHOLE[name], safe=safe), INTEGER)
    if name in ("ARRAY", "LIST"):
        return _to_list(value, to)
    if name not in _OTHER:
        raise NotOnSpark(f"a cast to {to.sql(dialect='duckdb')}")
    kind = _OTHER[name]
    if value.kind is NULL:
        return Typed(cast(value.tree, SPARK_TYPES[kind]), kind)
    if value.kind is kind:
        return value
    makers = {NUMBER: _to_number, TEXT: _to_text, BOOLEAN: _to_boolean}
    made = makers[kind](value, safe) if kind in makers else _to_moment(value, kind, safe)
    return Typed(made, kind)


def _to_decimal(value: Typed, to: exp.DataType, *, safe: bool) -> Typed:
    sizes = [int(each.this.this) for each in to.expressions] or [18, 3]
    precision, scale = sizes[0], sizes[1] if len(sizes) > 1 else 0
    if value.kind is NUMBER and not safe:
        return Typed(numbers.to_decimal(value.tree, precision, scale), DECIMAL)
    if value.kind in (INTEGER, DECIMAL, NULL):
        return Typed(cast(value.tree, f"DECIMAL({precision}, {scale})", safe=safe), DECIMAL)
    raise NotOnSpark(f"a cast of {value.kind.name} to a decimal")


def _to_integer(value: Typed, spark_type: str, *, safe: bool) -> exp.Expr:
    if value.kind is not TEXT:
        if value.kind not in (*NUMERIC, BOOLEAN, NULL):
            raise NotOnSpark(f"a cast of {value.kind.name} to an integer")
        return numbers.to_integer(value, safe=safe, spark_type=spark_type)

    def body(value: exp.Expr) -> exp.Expr:
        whole = call("regexp_extract", value, text("([+-]?)([0-9]*)[.]?([0-9]?)"), number(2))
        first = call("regexp_extract", value, text("([+-]?)([0-9]*)[.]?([0-9]?)"), number(3))
        size = cast(call("concat", text("0"), whole), "BIGINT", safe=safe)
        up = call("if", binary(exp.GTE, first, text("5")), number(1), number(0))
        minus = binary(exp.GT, call("instr", value, text("-")), number(0))
        nearest = binary(exp.Add, size, up)
        signed = call("if", minus, exp.Neg(this=exp.Paren(this=nearest)), nearest)
        return either(
            (_like(value, _DIGITS), cast(value, spark_type, safe=safe)),
            (_like(value, _FRACTION), cast(signed, spark_type, safe=safe)),
            (_like(value, _NUMBER_LIKE), failure("not read as an integer on Spark", value)),
            otherwise=_unread(value, spark_type, safe=safe),
        )

    return bound(value.tree, body)


def _to_number(value: Typed, safe: bool) -> exp.Expr:
    if value.kind is not TEXT:
        return numbers.as_number(value)

    def body(value: exp.Expr) -> exp.Expr:
        plain = exp.or_(_like(value, _FLOAT), _like(value, _WORD))
        return either(
            (plain, cast(value, "DOUBLE", safe=safe)),
            (_like(value, _NUMBER_LIKE), failure("not read as a number on Spark", value)),
            otherwise=_unread(value, "DOUBLE", safe=safe),
        )

    return bound(value.tree, body)


def _to_text(value: Typed, safe: bool) -> exp.Expr:
    return texts.to_text(value)


def _to_boolean(value: Typed, safe: bool) -> exp.Expr:
    if value.kind is not TEXT:
        if value.kind not in NUMERIC:
            raise NotOnSpark(f"a cast of {value.kind.name} to a boolean")
        return numbers.to_boolean(value)

    def body(value: exp.Expr) -> exp.Expr:
        word = call("lower", value)
        yes, no = (
            exp.In(this=word, expressions=[text(each) for each in words])
            for words in (("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0"))
        )
        unread = _unread(value, "BOOLEAN", safe=safe)
        return either((yes, exp.true()), (no, exp.false()), otherwise=unread)

    return bound(value.tree, body)


def _to_moment(value: Typed, kind: Kind, safe: bool) -> exp.Expr:
    spark_type = SPARK_TYPES[kind]
    if value.kind in MOMENTS:
        return cast(value.tree, spark_type)
    if value.kind is not TEXT:
        raise NotOnSpark(f"a cast of {value.kind.name} to a {kind.name}")
    if isinstance(value.tree, exp.Literal):
        return cast(value.tree, spark_type)
    if kind is INSTANT:
        raise NotOnSpark("a cast of text to an instant", "Cast to timestamp")
    shape = _DATE_TEXT if kind is DATE else _LOCAL_TEXT

    def body(value: exp.Expr) -> exp.Expr:
        return either(
            (_like(value, shape), cast(value, spark_type, safe=safe)),
            (_like(value, _DATE_LIKE), failure(f"not read as a {kind.name} on Spark", value)),
            otherwise=_unread(value, spark_type, safe=safe),
        )

    return bound(value.tree, body)


def _to_list(value: Typed, to: exp.DataType) -> Typed:
    inner = to.expressions[0].this.name if to.expressions else ""
    wanted = {**_OTHER, **dict.fromkeys(_WHOLE, INTEGER)}.get(inner)
    if wanted is None or value.kind not in (NULL, list_of(wanted), list_of(NULL)):
        raise NotOnSpark(f"a cast of {value.kind.name} to {to.sql(dialect='duckdb')}")
    return Typed(cast(value.tree, f"ARRAY<{SPARK_TYPES[wanted]}>"), list_of(wanted))


def _like(value: exp.Expr, pattern: str) -> exp.Expr:
    return call("rlike", value, text(pattern))


def _unread(value: exp.Expr, spark_type: str, *, safe: bool) -> exp.Expr:
    empty = cast(exp.null(), spark_type)
    if safe:
        return empty
    missing = exp.Is(this=value, expression=exp.null())
    return either((missing, empty), otherwise=failure("could not convert text", value))
