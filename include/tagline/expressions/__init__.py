"""Expressions of definitions and audiences: parsed, limited to allowed functions, typed."""

from tagline.expressions.parse import (
    Expression,
    Scope,
    audiences_in,
    is_previous,
    names_in,
    parse_aggregate,
    parse_condition,
    parse_pick,
    parse_value,
    previous_name,
    typed,
)

__all__ = [
    "Expression",
    "Scope",
    "audiences_in",
    "is_previous",
    "names_in",
    "parse_aggregate",
    "parse_condition",
    "parse_pick",
    "parse_value",
    "previous_name",
    "typed",
]
