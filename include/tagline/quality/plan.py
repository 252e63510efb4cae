"""What is checked of a table: its expectations, split by how much of it each has to see.

A rule about single rows is validated in chunks of bounded size. A rule about the whole (a row
count, a mean, uniqueness) cannot be: its figure is computed once by the engine, and Great
Expectations checks the figure. Pure: nothing here imports Great Expectations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Literal

from tagline.definitions import DataType, TableDefinition
from tagline.engines import identifier
from tagline.errors import TaglineError
from tagline.quality.report import Severity

GroupMeasure = Literal["repeated_rows", "groups", "groups_by_rows", "share_alone"]

VERSION_COLUMNS = {"valid_at": DataType.TIMESTAMP, "loaded_at": DataType.TIMESTAMP}
BETWEEN = "expect_column_values_to_be_between"

# Column expectations whose meaning depends on other rows, though they look at single values.
_NOT_BY_ROW = frozenset(
    {
        "expect_column_values_to_be_unique",
        "expect_column_values_to_be_increasing",
        "expect_column_values_to_be_decreasing",
        "expect_column_value_z_scores_to_be_less_than",
        "expect_column_values_to_not_be_outliers",
        "expect_compound_columns_to_be_unique",
    }
)
_AGGREGATES = {
    "expect_column_min_to_be_between": "min({column})",
    "expect_column_max_to_be_between": "max({column})",
    "expect_column_mean_to_be_between": "avg({column})",
    "expect_column_median_to_be_between": "median({column})",
    "expect_column_sum_to_be_between": "sum({column})",
    "expect_column_stdev_to_be_between": "stddev_samp({column})",
    "expect_column_proportion_of_non_null_values_to_be_between": (
        "count({column}) * 1.0 / nullif(count(*), 0)"
    ),
}
_DISTINCT: Mapping[str, GroupMeasure] = {
    "expect_column_unique_value_count_to_be_between": "groups",
    "expect_column_proportion_of_unique_values_to_be_between": "groups_by_rows",
}
_VALUE_SETS = frozenset(
    {
        "expect_column_distinct_values_to_be_in_set",
        "expect_column_distinct_values_to_contain_set",
        "expect_column_distinct_values_to_equal_set",
    }
)


@dataclass(frozen=True)
class Rule:
    """One expectation as Great Expectations is asked to judge it on one frame.

    `expect` and `kwargs` are what is run; `shown_as` and `limits` what the author wrote. A
    `mostly` is kept apart: it holds for all rows together, not for each chunk.
    """

    expect: str
    kwargs: Mapping[str, Any]
    severity: Severity
    subject: str
    shown_as: str
    limits: str = ""
    mostly: float = 1.0
    note: str | None = None
    private: bool = False  # values of its column must not be shown


@dataclass(frozen=True)
class Groups:
    """Rows with equal values in `columns`, of those where `present` holds, and what is measured.

    repeated_rows: the rows that are not alone in their group; groups: the number of groups;
    groups_by_rows: that number by the number of rows; share_alone: the share of rows that are.
    """

    columns: tuple[str, ...]
    measure: GroupMeasure
    present: str = "true"
    newest: bool = False  # of the newest version of each key among the added rows


@dataclass(frozen=True)
class Figure:
    """A figure of all added rows, named as its column in the figures frame, and its rule.

    It is an aggregate in SQL, or a measure of groups.
    """

    name: str
    made_from: str | Groups
    rule: Rule


@dataclass(frozen=True)
class Plan:
    """Everything that is checked of one table."""

    columns: tuple[str, ...]  # what the chunks must hold
    by_row: tuple[Rule, ...] = ()
    figures: tuple[Figure, ...] = ()
    value_sets: tuple[Rule, ...] = field(default=())  # on the distinct values of their column


def plan_table(table: str, definition: TableDefinition, is_by_row: Callable[[str], bool]) -> Plan:
    """The checks of a table: those of its YAML, and those that its shape itself promises.

    The shape promises that stored rows have distinct (key, valid_at, loaded_at) and that
    columns that are not nullable have no null. `is_by_row` says of an expectation's name
    whether Great Expectations judges it row by row.
    """
    by_row: list[Rule] = []
    figures = _promised(definition)
    value_sets: list[Rule] = []
    columns: dict[str, None] = {}
    for expectation in definition.expectations:
        name = expectation.expect
        given = dict(expectation.with_)
        if expectation.column is not None:
            given["column"] = expectation.column
        named = _columns_of(given)
        unknown = [c for c in named if c not in definition.columns and c not in VERSION_COLUMNS]
        if unknown:
            raise TaglineError(
                f"tables/{table}.yaml: {name} names column {unknown[0]!r}, which is not declared"
            )
        rule = _rule(definition, name, given, expectation.severity, expectation.reason)
        if name in _VALUE_SETS:
            value_sets.append(rule)
        elif name not in _NOT_BY_ROW and is_by_row(name):
            by_row.append(rule)
            columns.update(dict.fromkeys(named))
        else:
            figures.append(_figure(table, rule))
    return Plan(tuple(columns), tuple(by_row), tuple(figures), tuple(value_sets))


def _promised(definition: TableDefinition) -> list[Figure]:
    """Figures that follow from the table's shape: an error of ours if one fails."""
    stored = (*definition.key, "valid_at", "loaded_at")
    shared = f"rows that share {', '.join(stored)}"
    key = Figure(
        shared,
        Groups(stored, "repeated_rows"),
        Rule(
            BETWEEN,
            {"column": shared, "max_value": 0},
            "critical",
            ", ".join(stored),
            "expect_compound_columns_to_be_unique",
        ),
    )
    nulls = [
        Figure(
            f"rows without {column}",
            f"count(*) - count({identifier(column)})",
            Rule(
                BETWEEN,
                {"column": f"rows without {column}", "max_value": 0},
                "critical",
                column,
                "expect_column_values_to_not_be_null",
            ),
        )
        for column, declared in definition.columns.items()
        if not declared.nullable
    ]
    return [key, *nulls]


def _rule(
    definition: TableDefinition,
    name: str,
    given: dict[str, Any],
    severity: Severity,
    reason: str | None,
) -> Rule:
    named = _columns_of(given)
    mostly = float(given.get("mostly", 1.0))
    limits = ", ".join(
        f"{key} {_shown(value)}" for key, value in given.items() if not key.startswith("column")
    )
    kwargs = {key: value for key, value in given.items() if key != "mostly"}
    column = given.get("column")
    declared = definition.columns.get(column) if column else None
    kind = declared.type if declared else VERSION_COLUMNS.get(str(column))
    if kind in (DataType.DATE, DataType.TIMESTAMP):
        kwargs = {key: _instants(value, kind) for key, value in kwargs.items()}
    note = f"Rows that break it go to quarantine as {reason}." if severity == "row" else None
    private = any(definition.columns[c].pii != "none" for c in named if c in definition.columns)
    subject = ", ".join(named) or "rows"
    return Rule(name, kwargs, severity, subject, name, limits, mostly, note, private)


def _figure(table: str, rule: Rule) -> Figure:
    """The figure that decides a whole-table expectation, with the rule for that figure."""
    name, kwargs = rule.expect, dict(rule.kwargs)
    column = kwargs.pop("column", None)
    limits = {
        k: kwargs[k]
        for k in ("min_value", "max_value", "strict_min", "strict_max")
        if kwargs.get(k) is not None
    }
    made_from: str | Groups | None = None
    label = ""
    if name == "expect_table_row_count_to_be_between":
        made_from, label = "count(*)", "rows"
    elif name == "expect_table_row_count_to_equal":
        made_from, label = "count(*)", "rows"
        limits = {"min_value": kwargs["value"], "max_value": kwargs["value"]}
    elif name in ("expect_column_values_to_be_unique", "expect_compound_columns_to_be_unique"):
        columns = [column] if column else list(kwargs["column_list"])
        label = f"share of rows whose {', '.join(columns)} is unique"
        ignored = str(kwargs.get("ignore_row_if", "all_values_are_missing"))
        made_from = Groups(tuple(columns), "share_alone", _present(columns, ignored), newest=True)
        limits = {"min_value": rule.mostly}
    elif name in _AGGREGATES:
        made_from = _AGGREGATES[name].format(column=identifier(str(column)))
        label = f"{_measured(name)} of {column}"
    elif name in _DISTINCT:
        present = f"{identifier(str(column))} is not null"
        made_from = Groups((str(column),), _DISTINCT[name], present, newest=True)
        label = f"{_measured(name)} of {column}"
    if made_from is None:
        raise TaglineError(
            f"tables/{table}.yaml: {name} needs the whole table at once and has no figure in SQL; "
            "use a rule about single rows, a row count, min, max, mean, median, sum, stdev, "
            "unique values or a set of distinct values"
        )
    judged = Rule(
        BETWEEN,
        {"column": label, **limits},
        rule.severity,
        rule.subject,
        name,
        rule.limits,
        1.0,
        rule.note,
        rule.private,
    )
    return Figure(label, made_from, judged)


def _present(columns: list[str], ignored: str) -> str:
    """The condition on rows that count: not those where all (or any) values are missing."""
    joined = {"all_values_are_missing": " or ", "any_value_is_missing": " and "}.get(ignored)
    if joined is None:
        return "true"
    return joined.join(f"{identifier(column)} is not null" for column in columns)


def _measured(name: str) -> str:
    return name.removeprefix("expect_column_").removesuffix("_to_be_between").replace("_", " ")


def _columns_of(given: Mapping[str, Any]) -> list[str]:
    named = [str(given[k]) for k in ("column", "column_A", "column_B") if k in given]
    return named + [str(column) for column in given.get("column_list", ())]


def _instants(value: Any, kind: DataType) -> Any:
    """Dates and instants of a YAML file as Great Expectations compares them with a frame."""
    if isinstance(value, list):
        return [_instants(item, kind) for item in value]
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return value
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if isinstance(value, datetime):
        if kind is DataType.DATE:
            return value.replace(tzinfo=None)
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return value


def _shown(value: Any) -> str:
    if isinstance(value, list) and len(value) > 8:
        return f"[{', '.join(map(str, value[:8]))}, …]"
    return str(value)
