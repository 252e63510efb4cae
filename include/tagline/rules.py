"""Row rules: which delivered rows are refused and why, as SQL from a table's definition."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from tagline.casting import cast_sql, unfit_sql
from tagline.definitions import Expectation, TableDefinition
from tagline.definitions.types import DataType
from tagline.engines import identifier, literal
from tagline.errors import TaglineError, did_you_mean
from tagline.sources import Interval
from tagline.sources.delivery import instant

LIMIT = 0.05  # of rules that no expectation states
NOT_NULL = "expect_column_values_to_not_be_null"


def broken_sql(expectation: Expectation, value: str, kind: DataType) -> str:
    """The condition under which `value` breaks a row expectation; null breaks only not-null."""
    build = _SUPPORTED.get(expectation.expect)
    if build is None:
        raise TaglineError(
            f"{expectation.expect} cannot be checked row by row."
            f"{did_you_mean(expectation.expect, _SUPPORTED)} "
            f"Row expectations are: {', '.join(sorted(_SUPPORTED))}."
        )
    options = dict(expectation.with_)
    condition = build(value, kind, options)
    if options:
        raise TaglineError(
            f"{expectation.expect} as a row expectation does not know "
            f"{', '.join(map(repr, sorted(options)))}; leave it out, or make it a warning."
        )
    return condition


def reason_sql(
    table: TableDefinition,
    found: Mapping[str, str],
    timezone: str,
    moment: str,
    scope: Sequence[Interval] | None,
) -> str:
    """An expression over a delivered row (as `d`): why it is refused, or null.

    `found` are the types of its columns, `moment` is the expression of its valid_at.

    In this order: a value that does not fit its type, row expectations, nulls in columns that
    allow none, and instants outside the loaded intervals.
    """
    cases = []
    for name, column in table.columns.items():
        value = f"d.{identifier(name)}"
        cast = cast_sql(value, found[name], column.type, timezone)
        unfit = unfit_sql(value, cast, found[name], column.type)
        if unfit:
            cases.append(f"WHEN {unfit} THEN {literal('unparsable_' + name)}")
    for expectation in row_expectations(table):
        assert expectation.column is not None and expectation.reason is not None
        column = table.columns[expectation.column]
        cast = cast_sql(
            f"d.{identifier(expectation.column)}", found[expectation.column], column.type, timezone
        )
        broken = broken_sql(expectation, f"({cast})", column.type)
        cases.append(f"WHEN {broken} THEN {literal(expectation.reason)}")
    for name, column in table.columns.items():
        if not column.nullable or name in table.key or name == table.event_at:
            cast = cast_sql(f"d.{identifier(name)}", found[name], column.type, timezone)
            cases.append(f"WHEN ({cast}) IS NULL THEN {literal('missing_' + name)}")
    if scope is not None:
        inside = " OR ".join(
            f"({moment} >= {instant(part.start)} AND {moment} < {instant(part.end)})"
            for part in scope
        )
        cases.append(f"WHEN NOT coalesce({inside or 'false'}, false) THEN 'outside_interval'")
    return f"CASE {' '.join(cases)} END" if cases else "CAST(NULL AS VARCHAR)"


def row_expectations(table: TableDefinition) -> list[Expectation]:
    """The expectations whose offending rows are refused."""
    return [each for each in table.expectations if each.severity == "row"]


def limits(table: TableDefinition) -> dict[str, float]:
    """The largest share of refused rows per reason, where it is not the usual one."""
    found: dict[str, float] = {}
    for expectation in row_expectations(table):
        assert expectation.reason is not None
        for reason in (
            expectation.reason,
            f"missing_{expectation.column}",
            f"unparsable_{expectation.column}",
        ):
            found[reason] = max(found.get(reason, 0.0), expectation.limit)
    return found


def over_limit(table: TableDefinition, refused: Mapping[str, int], rows: int) -> list[str]:
    """What to say of each reason that too many of the rows were refused for."""
    allowed = limits(table)
    return [
        f"{count / rows:.1%} of {rows} rows are {reason} (limit {allowed.get(reason, LIMIT):.1%})"
        for reason, count in sorted(refused.items())
        if count / rows > allowed.get(reason, LIMIT)
    ]


def _not_null(value: str, _kind: DataType, _options: dict[str, Any]) -> str:
    return f"{value} IS NULL"


def _between(value: str, kind: DataType, options: dict[str, Any]) -> str:
    return _outside(value, kind, options, "min_value", "max_value")


def _lengths(value: str, _kind: DataType, options: dict[str, Any]) -> str:
    return _outside(
        f"length(CAST({value} AS VARCHAR))", DataType.INTEGER, options, "min_value", "max_value"
    )


def _outside(value: str, kind: DataType, options: dict[str, Any], low: str, high: str) -> str:
    conditions = []
    for name, strict, sharp, plain in (
        (low, "strict_min", "<=", "<"),
        (high, "strict_max", ">=", ">"),
    ):
        limit = options.pop(name, None)
        excluded = options.pop(strict, False)
        if limit is not None:
            conditions.append(f"{value} {sharp if excluded else plain} {_value(limit, kind)}")
    if not conditions:
        raise TaglineError(f"a between expectation needs {low} or {high}.")
    return f"({' OR '.join(conditions)})"


def _in_set(value: str, kind: DataType, options: dict[str, Any]) -> str:
    allowed = options.pop("value_set", None)
    if not isinstance(allowed, list | tuple) or not allowed:
        raise TaglineError("expect_column_values_to_be_in_set needs a value_set.")
    return f"{value} NOT IN ({', '.join(_value(each, kind) for each in allowed)})"


def _regex(value: str, _kind: DataType, options: dict[str, Any]) -> str:
    pattern = str(options.pop("regex", ""))
    try:
        re.compile(pattern)
    except re.error as error:
        raise TaglineError(f"{pattern!r} is not a regular expression: {error}.") from error
    anchored = literal(f"^(?:{pattern})")
    return f"NOT regexp_matches(CAST({value} AS VARCHAR), {anchored})"


def _value(value: Any, kind: DataType) -> str:
    """A limit as a literal of the column's type."""
    if isinstance(value, datetime | date):
        value = value.isoformat()
    if kind is DataType.TEXT:
        return literal(str(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"CAST({literal(str(value))} AS {kind.sql})"


_SUPPORTED: dict[str, Callable[[str, DataType, dict[str, Any]], str]] = {
    NOT_NULL: _not_null,
    "expect_column_values_to_be_between": _between,
    "expect_column_values_to_be_in_set": _in_set,
    "expect_column_values_to_match_regex": _regex,
    "expect_column_value_lengths_to_be_between": _lengths,
}
