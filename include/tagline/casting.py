"""SQL that casts a column to a declared type, or to null where its value does not fit."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyarrow

from tagline.definitions.types import DataType
from tagline.engines import literal

_SIGNED = frozenset(("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"))
_INTEGERS = _SIGNED | {"UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"}
_FRACTIONS = frozenset(("FLOAT", "DOUBLE", "DECIMAL"))
_NAIVE = frozenset(("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"))
_OFFSET = "[0-9]:[0-9]{2}.*([zZ]|[+-][0-9]{2}(:?[0-9]{2})?)$"
_AWARE = "TIMESTAMP WITH TIME ZONE"

_DECLARABLE: dict[DataType, frozenset[str]] = {
    DataType.BOOLEAN: frozenset(("BOOLEAN",)),
    DataType.INTEGER: _INTEGERS,
    DataType.NUMBER: _INTEGERS | _FRACTIONS,
    DataType.TEXT: frozenset(("VARCHAR", "ENUM", "UUID", "JSON")),
    DataType.DATE: frozenset(("DATE",)),
    DataType.TIMESTAMP: _NAIVE | {_AWARE, "TIMESTAMPTZ"},
    DataType.TEXT_LIST: frozenset(("VARCHAR[]",)),
}


def fits(found: str, declared: DataType) -> bool:
    """Whether a column of the engine's type `found` may be declared as `declared`.

    >>> fits("DECIMAL(18,2)", DataType.NUMBER), fits("DOUBLE", DataType.INTEGER)
    (True, False)
    """
    return _family(found) in _DECLARABLE[declared] or found in ('"NULL"', "NULL")


def cast_sql(
    value: str,
    found: str,
    declared: DataType,
    timezone: str,
    formats: Sequence[str] = (),
) -> str:
    """An expression of the declared type; null where `value` is null, blank or does not fit.

    Naive instants are in `timezone`. A fraction is no integer, and NaN is null. With `formats`, a
    text is a date or an instant only if it is written in one of them.
    """
    family = _family(found)
    if formats and family == "VARCHAR":
        return _formatted(value, declared, timezone, formats)
    match declared:
        case DataType.TEXT:
            return value if family == "VARCHAR" else f"CAST({value} AS VARCHAR)"
        case DataType.INTEGER:
            return _integer(value, family)
        case DataType.NUMBER:
            return _number(value, family)
        case DataType.BOOLEAN:
            return _boolean(value, family)
        case DataType.DATE:
            return _date(value, family, timezone)
        case DataType.TIMESTAMP:
            return _instant(value, family, timezone)
        case DataType.TEXT_LIST:
            return value if found == "VARCHAR[]" else f"TRY_CAST({value} AS VARCHAR[])"


def unfit_sql(value: str, cast: str, found: str, declared: DataType) -> str | None:
    """A condition that holds where `value` says something that the cast could not keep.

    None where every value fits.
    """
    family = _family(found)
    if declared is DataType.TEXT or (family in _INTEGERS and declared is DataType.NUMBER):
        return None
    if (family, declared) in {
        ("BIGINT", DataType.INTEGER),
        ("INTEGER", DataType.INTEGER),
        ("BOOLEAN", DataType.BOOLEAN),
        ("DATE", DataType.DATE),
        ("VARCHAR[]", DataType.TEXT_LIST),
    }:
        return None
    said = f"{value} IS NOT NULL"
    if family == "VARCHAR":
        said += f" AND trim({value}) <> ''"
    if family in ("FLOAT", "DOUBLE"):
        said += f" AND NOT isnan({value})"
    return f"({said} AND {cast} IS NULL)"


def engine_type(kind: pyarrow.DataType) -> str:
    """The engine's name of an Arrow type, as `cast_sql` takes it."""
    types = pyarrow.types
    if types.is_timestamp(kind):
        return _AWARE if kind.tz else "TIMESTAMP"
    for test, name in (
        (types.is_boolean, "BOOLEAN"),
        (types.is_integer, "BIGINT" if kind == pyarrow.int64() else "HUGEINT"),
        (types.is_decimal, "DECIMAL"),
        (types.is_floating, "DOUBLE"),
        (types.is_date, "DATE"),
        (types.is_null, "NULL"),
        (types.is_string, "VARCHAR"),
        (types.is_large_string, "VARCHAR"),
        (types.is_string_view, "VARCHAR"),
    ):
        if test(kind):
            return name
    if types.is_list(kind) and engine_type(kind.value_type) == "VARCHAR":
        return "VARCHAR[]"
    return str(kind).upper()


def _family(found: str) -> str:
    return re.sub(r"\(.*\)$", "", found)


def _integer(value: str, family: str) -> str:
    if family == "VARCHAR":
        whole = f"regexp_full_match(trim({value}), '[+-]?[0-9]+([.]0*)?')"
        return f"CASE WHEN {whole} THEN TRY_CAST(trim({value}) AS BIGINT) END"
    if family in _FRACTIONS:
        return f"CASE WHEN {value} = floor({value}) THEN TRY_CAST({value} AS BIGINT) END"
    return value if family == "BIGINT" else f"TRY_CAST({value} AS BIGINT)"


def _number(value: str, family: str) -> str:
    if family in _INTEGERS or family == "DECIMAL":
        return f"CAST({value} AS DOUBLE)"
    double = f"TRY_CAST({'trim(' + value + ')' if family == 'VARCHAR' else value} AS DOUBLE)"
    return f"CASE WHEN isfinite({double}) THEN {double} END"


def _boolean(value: str, family: str) -> str:
    if family == "BOOLEAN":
        return value
    text = f"lower(trim(CAST({value} AS VARCHAR)))"
    return (
        f"CASE WHEN {text} IN ('true', 't', 'yes', 'y', '1') THEN true "
        f"WHEN {text} IN ('false', 'f', 'no', 'n', '0') THEN false END"
    )


def _date(value: str, family: str, timezone: str) -> str:
    if family == "DATE":
        return value
    if family in (_AWARE, "TIMESTAMPTZ"):
        return f"CAST(timezone({literal(timezone)}, {value}) AS DATE)"
    if family in _NAIVE:
        return f"CAST({value} AS DATE)"
    return f"TRY_CAST(trim(CAST({value} AS VARCHAR)) AS DATE)"


def _instant(value: str, family: str, timezone: str) -> str:
    if family in (_AWARE, "TIMESTAMPTZ"):
        return f"CASE WHEN isfinite({value}) THEN {value} END"
    if family in _NAIVE or family == "DATE":
        return _in_zone(f"CAST({value} AS TIMESTAMP)", timezone)
    text = f"trim(CAST({value} AS VARCHAR))"
    has_offset = (
        f"regexp_matches({text}, '[0-9]:[0-9]{{2}}.*([zZ]|[+-][0-9]{{2}}(:?[0-9]{{2}})?)$')"
    )
    aware = f"TRY_CAST({text} AS TIMESTAMPTZ)"
    naive = _in_zone(f"TRY_CAST({text} AS TIMESTAMP)", timezone)
    parsed = f"CASE WHEN {has_offset} THEN {aware} ELSE {naive} END"
    return f"CASE WHEN isfinite({parsed}) THEN {parsed} END"


def _formatted(value: str, declared: DataType, timezone: str, formats: Sequence[str]) -> str:
    """The first format that fits, each by itself: one with an offset has another type.

    A year of less than four digits is none: the engine takes 16 for the year 16.
    """
    read = []
    for each in formats:
        parsed = f"try_strptime(trim({value}), {literal(each)})"
        parsed = f"CASE WHEN year({parsed}) > 999 THEN {parsed} END"
        if declared is DataType.DATE:
            read.append(f"CAST({parsed} AS DATE)")
        else:
            read.append(parsed if "%z" in each else _in_zone(parsed, timezone))
    return f"coalesce({', '.join(read)})"


def _in_zone(naive: str, timezone: str) -> str:
    if timezone == "UTC":  # the session's zone: much cheaper than a look-up per row
        return f"CAST({naive} AS TIMESTAMPTZ)"
    return f"timezone({literal(timezone)}, {naive})"
