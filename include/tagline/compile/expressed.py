"""Tags that are expressions over the wide row: rules, scores and the tags of policies."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from sqlglot import exp

from tagline.catalog import Tag, case_column
from tagline.compile.instant import Moment, sql
from tagline.compile.previous import previous_names, previous_table
from tagline.definitions import GradeTag, RuleTag, ScoreTag
from tagline.definitions.types import HIDDEN
from tagline.expressions import Expression
from tagline.literals import literal


def expressed(moment: Moment, tag: Tag) -> list[str]:
    """What to select from wide rows `w`, the hidden columns first; nothing of any other kind."""
    if isinstance(tag.definition, RuleTag):
        return _rule(moment, tag)
    if isinstance(tag.definition, ScoreTag | GradeTag):
        return _made(moment, tag)
    return []


def _rewriter(moment: Moment, tag: Tag) -> Callable[[Expression], str]:
    """What gives the SQL of a tag's expressions; its own hidden columns stand in the same list."""
    types = {slug: other.definition.type for slug, other in moment.catalog.tags.items()}
    previous = previous_names(moment.catalog, tag)
    types |= {name: column_type for name, (_, column_type) in previous.items()}

    def place(name: str) -> exp.Expr:
        if name in previous:
            return exp.column(previous[name][0], table=previous_table(tag.subject), quoted=True)
        if name.startswith(HIDDEN):
            return exp.column(tag.slug + name, quoted=True)
        return exp.column(name, table="w", quoted=True)

    return lambda expression: sql(moment.rewrite(expression, place, types))


def _rule(moment: Moment, tag: Tag) -> list[str]:
    definition, written = cast(RuleTag, tag.definition), _rewriter(moment, tag)
    case, kind = case_column(tag.slug), definition.type
    whens = " ".join(
        f"WHEN {written(when)} THEN {index}" for index, when in enumerate(tag.meaning.cases)
    )
    values = " ".join(
        f"WHEN {index} THEN {sql(literal(one.value, kind))}"
        for index, one in enumerate(definition.cases)
    )
    otherwise = sql(literal(definition.otherwise.value, kind))
    return [
        f'CAST(CASE {whens} ELSE {len(definition.cases)} END AS BIGINT) AS "{case}"',
        f'CAST(CASE "{case}" {values} ELSE {otherwise} END AS {kind.sql}) AS "{tag.slug}"',
    ]


def _made(moment: Moment, tag: Tag) -> list[str]:
    written, columns = _rewriter(moment, tag), tag.columns
    assert tag.meaning.value is not None
    made = {tag.slug + part: each for part, each in tag.meaning.parts.items()}
    shown = []
    for name, each in (made | {tag.slug: tag.meaning.value}).items():
        text, kind = written(each), columns[name]
        is_cast = isinstance(each.tree, exp.Cast) and each.type is kind
        shown.append(f'{text if is_cast else f"CAST({text} AS {kind.sql})"} AS "{name}"')
    return shown
