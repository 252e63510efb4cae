"""The functions and operators that an expression may use, with their types.

Anything that is not listed here is refused, so that nothing which looks at the clock, at
chance, at files or at other tables can reach an engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlglot import exp

from tagline.definitions.types import DataType

B, I, N, T, D, TS, L = (  # noqa: E741 - short names keep the tables below readable
    DataType.BOOLEAN,
    DataType.INTEGER,
    DataType.NUMBER,
    DataType.TEXT,
    DataType.DATE,
    DataType.TIMESTAMP,
    DataType.TEXT_LIST,
)
Types = frozenset[DataType]
WHOLE: Types = frozenset({I})
NUMERIC: Types = frozenset({I, N})
MOMENT: Types = frozenset({D, TS})
TEXT: Types = frozenset({T})
BOOL: Types = frozenset({B})
LIST: Types = frozenset({L})
ANY: Types = frozenset(DataType)


@dataclass(frozen=True)
class Function:
    """A function's arguments, in the order people write them, and its result.

    `result` is a type, or the number of the argument whose type it takes.
    `optional` counts trailing arguments that may be left out.
    """

    name: str
    arguments: tuple[Types, ...]
    result: DataType | int
    is_aggregate: bool = False
    optional: int = 0


_AGGREGATES: dict[type[exp.Expr], Function] = {
    exp.Sum: Function("sum", (NUMERIC,), 0, True),
    exp.Avg: Function("avg", (NUMERIC,), N, True),
    exp.Min: Function("min", (ANY,), 0, True),
    exp.Max: Function("max", (ANY,), 0, True),
    exp.Median: Function("median", (NUMERIC,), N, True),
    exp.Stddev: Function("stddev", (NUMERIC,), N, True),
    exp.StddevSamp: Function("stddev_samp", (NUMERIC,), N, True),
    exp.StddevPop: Function("stddev_pop", (NUMERIC,), N, True),
    exp.PercentileCont: Function("quantile_cont", (NUMERIC, NUMERIC), N, True),
    exp.ArgMin: Function("arg_min", (ANY, ANY), 0, True),
    exp.ArgMax: Function("arg_max", (ANY, ANY), 0, True),
    exp.LogicalOr: Function("bool_or", (BOOL,), B, True),
    exp.LogicalAnd: Function("bool_and", (BOOL,), B, True),
}

_SCALARS: dict[type[exp.Expr], Function] = {
    exp.Abs: Function("abs", (NUMERIC,), 0),
    exp.Round: Function("round", (NUMERIC, WHOLE), 0, optional=1),
    exp.Floor: Function("floor", (NUMERIC,), N),
    exp.Ceil: Function("ceil", (NUMERIC,), N),
    exp.Ln: Function("ln", (NUMERIC,), N),
    exp.Log: Function("log10", (NUMERIC,), N),
    exp.Exp: Function("exp", (NUMERIC,), N),
    exp.Sqrt: Function("sqrt", (NUMERIC,), N),
    exp.Pow: Function("power", (NUMERIC, NUMERIC), N),
    exp.Sign: Function("sign", (NUMERIC,), I),
    exp.Lower: Function("lower", (TEXT,), T),
    exp.Upper: Function("upper", (TEXT,), T),
    exp.Trim: Function("trim", (TEXT,), T),
    exp.Length: Function("length", (TEXT | LIST,), I),
    exp.Substring: Function("substr", (TEXT, WHOLE, WHOLE), T, optional=1),
    exp.Replace: Function("replace", (TEXT, TEXT, TEXT), T),
    exp.StartsWith: Function("starts_with", (TEXT, TEXT), B),
    exp.EndsWith: Function("ends_with", (TEXT, TEXT), B),
    exp.Contains: Function("contains", (TEXT, TEXT), B),
    exp.ArrayContains: Function("list_contains", (LIST, TEXT), B),
    exp.Nullif: Function("nullif", (ANY, ANY), 0),
    exp.Hour: Function("hour", (MOMENT,), I),
    exp.Day: Function("day", (MOMENT,), I),
    exp.Month: Function("month", (MOMENT,), I),
    exp.Quarter: Function("quarter", (MOMENT,), I),
    exp.Year: Function("year", (MOMENT,), I),
    exp.DayOfWeekIso: Function("isodow", (MOMENT,), I),
}

FUNCTIONS: Mapping[type[exp.Expr], Function] = {**_AGGREGATES, **_SCALARS}

DATE_PARTS = frozenset({"HOUR", "DAY", "MONTH", "QUARTER", "YEAR", "ISODOW", "DOY", "WEEK"})
DATE_UNITS = frozenset({"DAY", "WEEK", "MONTH", "QUARTER", "YEAR"})
CLOCK_UNITS = frozenset({"HOUR", "MINUTE", "SECOND"})

# Typed by branches of their own in typing.py: how each is written, and what it gives.
SPECIAL: Mapping[str, tuple[str, str]] = {
    "count": ("count(*), count(any), count(distinct any)", "integer"),
    "coalesce": ("coalesce(any, any, …)", "the type of its arguments"),
    "greatest": ("greatest(any, any, …)", "the type of its arguments"),
    "least": ("least(any, any, …)", "the type of its arguments"),
    "concat": ("concat(any, any, …)", "text"),
    "if": ("if(boolean, any, any)", "the type of its branches"),
    "case": ("case when boolean then any else any end", "the type of its branches"),
    "cast": ("cast(any as text)", "the type named"),
    "try_cast": ("try_cast(any as integer)", "the type named; null where it does not fit"),
    "date_diff": ("date_diff('day', moment, moment)", "integer"),
    "date_part": ("date_part('hour', moment)", "integer"),
    "date_trunc": ("date_trunc('month', moment)", "date; timestamp from hours down"),
    "extract": ("extract(year from moment)", "integer"),
    "previous": ("previous(tag)", "the tag's type"),
    "standard": ("standard('name')", "the standard's type"),
}

NAMES = tuple(sorted({function.name for function in FUNCTIONS.values()} | set(SPECIAL)))

CLOCK_AND_CHANCE = frozenset(
    {
        "now", "today", "current_date", "current_time", "current_timestamp", "get_current_time",
        "get_current_timestamp", "current_localtime", "current_localtimestamp", "localtime",
        "localtimestamp", "transaction_timestamp", "random", "rand", "setseed", "uuid",
        "gen_random_uuid",
        "currentdate", "currenttimestamp", "currenttime", "getdate", "age",
    }
)  # fmt: skip
