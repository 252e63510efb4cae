"""Dates and times with DuckDB's meaning, in Spark SQL; the session's zone is UTC on both."""

from __future__ import annotations

from sqlglot import exp

from tagline.engines.transpile.trees import (
    DATE,
    INSTANT,
    INTEGER,
    LOCAL,
    MOMENTS,
    NUMBER,
    NotOnSpark,
    Typed,
    binary,
    bound,
    call,
    cast,
    double,
    either,
    number,
    require,
    text,
)

_PARTS = {
    "HOUR": "hour",
    "MINUTE": "minute",
    "DAY": "day",
    "MONTH": "month",
    "QUARTER": "quarter",
    "YEAR": "year",
    "WEEK": "weekofyear",
    "DOY": "dayofyear",
}
_CLOCK = {"HOUR": 3_600_000_000, "MINUTE": 60_000_000, "SECOND": 1_000_000}
_TRUNCATED = frozenset({*_CLOCK, "DAY", "WEEK", "MONTH", "QUARTER", "YEAR"})
_STEPS = frozenset({"SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "YEAR"})
_DAY_SECONDS = 86_400


def microseconds(value: Typed) -> exp.Expr:
    """Microseconds since 1970 of a wall clock in UTC, or of an instant."""
    require(value, MOMENTS, "an epoch")
    return call("unix_micros", cast(value.tree, "TIMESTAMP"))


def from_microseconds(value: Typed) -> Typed:
    """make_timestamp(microseconds)."""
    require(value, (INTEGER,), "make_timestamp()")
    return Typed(cast(call("timestamp_micros", value.tree), "TIMESTAMP_NTZ"), LOCAL)


def epoch(value: Typed) -> Typed:
    """Seconds since 1970, with a fraction; of an instant DuckDB adds it up in two parts."""
    micros = microseconds(value)
    if value.kind is not INSTANT:
        return Typed(binary(exp.Div, cast(micros, "DOUBLE"), double(1_000_000)), NUMBER)
    rest = call("pmod", micros, number(1000))
    millis = binary(exp.IntDiv, binary(exp.Sub, micros, rest), number(1000))
    seconds = binary(exp.Div, cast(millis, "DOUBLE"), double(1000))
    fraction = binary(exp.Div, cast(rest, "DOUBLE"), double(1_000_000))
    return Typed(binary(exp.Add, seconds, fraction), NUMBER)


def at_zone(value: Typed, zone: str) -> Typed:
    """AT TIME ZONE: an instant's wall clock in a zone, or the instant of a wall clock.

    A wall-clock time that comes twice is the later instant; one that is skipped is read with the
    offset before the gap.
    """
    name = text(zone)
    if value.kind is INSTANT:
        return Typed(cast(call("from_utc_timestamp", value.tree, name), "TIMESTAMP_NTZ"), LOCAL)
    require(value, (LOCAL,), "AT TIME ZONE")
    if zone.upper() == "UTC":
        return Typed(cast(value.tree, "TIMESTAMP"), INSTANT)

    def body(local: exp.Expr) -> exp.Expr:
        first = call("to_utc_timestamp", local, name)
        # A day on, the offset is that of after a change of clocks.
        next_day = call("timestampadd", exp.var("SECOND"), number(_DAY_SECONDS), first)
        ahead = call("from_utc_timestamp", next_day, name)
        offset = binary(exp.Sub, call("unix_micros", ahead), call("unix_micros", next_day))
        later = call("timestamp_micros", binary(exp.Sub, call("unix_micros", local), offset))
        again = binary(exp.EQ, call("from_utc_timestamp", later, name), local)
        return either((again, later), otherwise=first)

    return Typed(bound(cast(value.tree, "TIMESTAMP"), body), INSTANT)


def part(value: Typed, unit: str) -> Typed:
    """A part of a date or time, as an integer."""
    require(value, MOMENTS, f"a {unit.lower()}")
    if unit == "ISODOW":
        made: exp.Expr = binary(exp.Add, call("weekday", value.tree), number(1))
    elif unit in _PARTS:
        made = call(_PARTS[unit], value.tree)
    else:
        raise NotOnSpark(f"the date part {unit.lower()}")
    return Typed(cast(made, "BIGINT"), INTEGER)


def difference(later: Typed, earlier: Typed, unit: str) -> Typed:
    """date_diff(unit, earlier, later): how many bounds lie between; for weeks, whole weeks."""
    require(later, MOMENTS, "date_diff()")
    require(earlier, MOMENTS, "date_diff()")
    if unit in _CLOCK:
        length = number(_CLOCK[unit])
        starts = [_start_of(microseconds(each), length) for each in (later, earlier)]
        return Typed(binary(exp.IntDiv, binary(exp.Sub, *starts), length), INTEGER)
    days = [cast(each.tree, "DATE") for each in (later, earlier)]
    if unit == "DAY":
        return Typed(cast(call("datediff", *days), "BIGINT"), INTEGER)
    if unit == "WEEK":
        weeks = binary(exp.IntDiv, call("datediff", *days), number(7))
        return Typed(cast(weeks, "BIGINT"), INTEGER)
    per_year = {"YEAR": 1, "QUARTER": 4, "MONTH": 12}
    if unit not in per_year:
        raise NotOnSpark(f"date_diff() in {unit.lower()}s")
    counts = [_count_of(day, unit, per_year[unit]) for day in days]
    return Typed(cast(binary(exp.Sub, *counts), "BIGINT"), INTEGER)


def _start_of(micros: exp.Expr, length: exp.Expr) -> exp.Expr:
    return binary(exp.Sub, micros, call("pmod", micros, length))


def _count_of(day: exp.Expr, unit: str, per_year: int) -> exp.Expr:
    years = call("year", day)
    if unit == "YEAR":
        return years
    return binary(exp.Add, binary(exp.Mul, years, number(per_year)), call(_PARTS[unit], day))


def truncated(value: Typed, unit: str) -> Typed:
    """date_trunc(unit, x): a wall clock, or an instant of an instant."""
    require(value, MOMENTS, "date_trunc()")
    if unit not in _TRUNCATED:
        raise NotOnSpark(f"date_trunc() to a {unit.lower()}")
    made = call("date_trunc", text(unit), cast(value.tree, "TIMESTAMP"))
    if value.kind is INSTANT:
        return Typed(made, INSTANT)
    return Typed(cast(made, "TIMESTAMP_NTZ"), LOCAL)


def shifted(kind: type[exp.Binary], value: Typed, step: exp.Interval) -> Typed:
    """A date or time plus or minus an interval of a literal length."""
    require(value, MOMENTS, "an interval")
    count, unit = step.this, step.args.get("unit")
    name = (unit.name if unit is not None else "").upper().removesuffix("S")
    if not isinstance(count, exp.Literal) or name not in _STEPS:
        raise NotOnSpark(f"{step.sql(dialect='duckdb')}", "Write interval 3 day")
    try:
        length = int(count.this)
    except ValueError:
        raise NotOnSpark(f"{step.sql(dialect='duckdb')}", "Write interval 3 day") from None
    length = -length if issubclass(kind, exp.Sub) else length
    spark_type, made = ("TIMESTAMP", INSTANT) if value.kind is INSTANT else ("TIMESTAMP_NTZ", LOCAL)
    moved = call("timestampadd", exp.var(name), number(length), cast(value.tree, spark_type))
    return Typed(moved, made)


def days_moved(kind: type[exp.Binary], value: Typed, days: Typed) -> Typed:
    """A date plus or minus a number of days."""
    name = "date_sub" if issubclass(kind, exp.Sub) else "date_add"
    return Typed(call(name, value.tree, cast(days.tree, "INT")), DATE)


def days_between(later: Typed, earlier: Typed) -> Typed:
    """A date minus a date, in days."""
    return Typed(cast(call("datediff", later.tree, earlier.tree), "BIGINT"), INTEGER)
