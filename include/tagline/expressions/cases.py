"""Faults of a rule's cases that show without data: unreachable ones, and undeclared texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sqlglot import exp

from tagline.definitions.types import DataType
from tagline.errors import did_you_mean
from tagline.expressions.parse import Expression, is_previous
from tagline.expressions.reach import unreachable

Place = tuple[str | int, ...]


def case_faults(
    cases: Sequence[Expression],
    types: Mapping[str, DataType],
    values: Mapping[str, tuple[str, ...]],
) -> Iterator[tuple[Place, str]]:
    """The place in the tag's file and the message of every fault.

    `types` are those of the names in reach, `values` the texts that tags declare.
    """
    for index, case in enumerate(cases):
        for message in undeclared_texts(case, values):
            yield ("cases", index, "when"), f"cases.{index}.when: {message}"
    for found in unreachable(cases, types):
        if found.index == len(cases):
            fix = "give its value to otherwise and remove that case"
            yield ("otherwise",), f"otherwise can never be reached: {found.reason}; {fix}"
        else:
            place = ("cases", found.index, "when")
            message = f"case {found.index + 1} can never be reached: {found.reason}"
            fix = "; change the condition, the order, or remove the case"
            yield place, message + fix


def undeclared_texts(condition: Expression, values: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """A message for each text that a tag with `values` is compared with and cannot have."""
    for node in condition.tree.walk():
        if isinstance(node, exp.In):
            pairs = [(node.this, option) for option in node.expressions]
        elif isinstance(node, exp.EQ | exp.NEQ | exp.ArrayContains):
            pairs = [(node.this, node.expression), (node.expression, node.this)]
        else:
            continue
        for tag, text in pairs:
            read = tag.expressions[0] if is_previous(tag) else tag
            name = read.name if isinstance(read, exp.Column) and not read.table else ""
            known = values.get(name)
            if known is None or not (isinstance(text, exp.Literal) and text.is_string):
                continue
            if text.this not in known:
                close = did_you_mean(text.this, known)
                yield f"{name} is never {text.this!r}, which is not among its values.{close}"
