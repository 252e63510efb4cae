"""Values as definition files write them: whether they are of a type, and as SQL."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from tagline.definitions import DataType


def literal_fits(value: Any, kind: DataType) -> bool:
    """Whether a YAML value is of a type."""
    if kind is DataType.BOOLEAN:
        return isinstance(value, bool)
    if kind is DataType.INTEGER:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind is DataType.NUMBER:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is DataType.TEXT:
        return isinstance(value, str)
    if kind is DataType.TEXT_LIST:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    return not isinstance(value, bool | int | float | list)


def literal(value: Any, kind: DataType) -> exp.Expr:
    """A YAML value as an SQL literal of a type."""
    if value is None:
        return exp.cast(exp.null(), kind.sql)
    if kind is DataType.TEXT_LIST:
        items = [exp.Literal.string(item) for item in value]
        return exp.cast(exp.Array(expressions=items), kind.sql)
    if kind in (DataType.DATE, DataType.TIMESTAMP):
        return exp.cast(exp.Literal.string(str(value)), kind.sql)
    return exp.convert(value)
