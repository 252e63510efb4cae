"""What scores and the tags of a policy mean: typed expressions, hidden parts included."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

from sqlglot import exp

from tagline.definitions import DataType, GradeTag, ScoreTag
from tagline.expressions import Expression, Scope, typed
from tagline.grading import grades, trees
from tagline.grading.points import input_points, is_rising, mean

Parts = dict[str, Expression]


def score(
    tag: ScoreTag, scope: Scope, polarities: Mapping[str, str | None]
) -> tuple[Expression, Parts]:
    """The score and the points of each input; `scope` holds the tags of the score's subject."""
    parts = {}
    for each in tag.inputs:
        rising = is_rising(each, polarities.get(each.tag))
        points = input_points(each, scope.columns[each.tag], rising=rising)
        parts[f"__{each.tag}"] = typed(trees.double(points), scope)
    columns = {each.tag: f"__{each.tag}" for each in tag.inputs}
    return typed(mean(tag.inputs, columns), _with_parts(scope, parts)), parts


def grade(tag: GradeTag, scope: Scope) -> tuple[Expression, Parts]:
    """A tag of a policy; `scope` holds the tags of the policy's subject and those it makes."""
    policy, kinds = tag.policy, scope.columns
    parts: Parts = {}
    if tag.output == "grade":
        for part, tree in grades.grade_parts(policy, tag, kinds).items():
            parts[part] = typed(tree, _with_parts(scope, parts))
        return typed(grades.grade(tag), _with_parts(scope, parts)), parts
    if tag.output == "since":
        return typed(grades.since(policy), scope), {}
    if tag.output == "before":
        return typed(grades.before(policy), scope), {}
    if tag.output == "care":
        parts = {part: typed(tree, scope) for part, tree in grades.care_parts(tag, kinds).items()}
        return typed(grades.care(tag), _with_parts(scope, parts)), parts
    return _reasons(tag, scope), {}


def _reasons(tag: GradeTag, scope: Scope) -> Expression:
    """The tags that decide the grade; of a grade that is kept, those that decided it then."""
    policy = tag.policy
    hidden = {f"{policy}_points__{each.tag}": DataType.NUMBER for each in tag.inputs}
    places = (grades.POINTS, grades.TODAY, grades.WAS, grades.NOW)
    hidden |= {policy + part: DataType.INTEGER for part in places}
    limits = range(len(tag.limits))
    hidden |= {f"{policy}{grades.LIMIT}_{at}": DataType.BOOLEAN for at in limits}
    inner = Scope({**scope.columns, **hidden}, scope.standards, scope.previous)
    conditions = {slug: typed(tree, inner) for slug, tree in grades.deciding(policy, tag).items()}
    kept = typed(grades.kept(policy), inner)
    earlier = typed(trees.previous(f"{policy}_reasons"), inner)
    decide = reduce(_joined, [_listed(slug, each.tree) for slug, each in conditions.items()])
    stays = exp.and_(kept.tree, trees.known(earlier.tree))
    tree = trees.case([(stays, earlier.tree)], decide)
    used = [*conditions.values(), kept, earlier]
    return Expression(
        tree.sql(dialect="duckdb"),
        tree,
        DataType.TEXT_LIST,
        frozenset(name for each in used for name in each.names),
        frozenset(name for each in used for name in each.standards),
        frozenset(name for each in used for name in each.previous),
    )


def _with_parts(scope: Scope, parts: Mapping[str, Expression]) -> Scope:
    """A scope in which hidden parts can be named, too; one without a value is a number."""
    known = {part: each.type or DataType.INTEGER for part, each in parts.items()}
    return Scope({**scope.columns, **known}, scope.standards, scope.previous)


def _listed(slug: str, condition: exp.Expr) -> exp.Expr:
    """A list of a slug where a condition is true, else an empty one."""
    item = exp.Array(expressions=[exp.Literal.string(slug)])
    return trees.case([(condition, item)], exp.cast(exp.Array(expressions=[]), "TEXT[]"))


def _joined(first: exp.Expr, second: exp.Expr) -> exp.Expr:
    return exp.ArrayConcat(this=first, expressions=[second])
