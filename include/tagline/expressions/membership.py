"""Forms that stand for others: a value in a list tag, and a saved audience in an expression."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlglot import exp

from tagline.errors import ExpressionError, UnknownName

AUDIENCE = "audience"
MOST_INLINED = 20_000  # characters of the audiences in one expression, each time it is named


def with_membership(tree: exp.Expr) -> exp.Expr:
    """A tree in which `'x' in tag` is written list_contains(tag, 'x'), which it means.

    The list is a name; a list of values stays as it is. Unknown (null) where the tag is.
    """

    def replace(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.In) and isinstance(node.args.get("field"), exp.Column):
            return exp.ArrayContains(this=node.args["field"], expression=node.this)
        return node

    found: exp.Expr = tree.transform(replace, copy=False)
    return found


def is_audience(node: exp.Expr) -> bool:
    """Whether a node is audience('name')."""
    return isinstance(node, exp.Anonymous) and str(node.this).lower() == AUDIENCE


def inlined(
    tree: exp.Expr, audiences: Mapping[str, str] | None, parse: Callable[[str], exp.Expr]
) -> exp.Expr:
    """A tree in which each audience('name') is the tree of that audience, in parentheses.

    `audiences` are the saved expressions by name, None where no audience may be named. Raises
    ExpressionError for a cycle, which it names, and for audiences that grow without measure by
    naming each other; UnknownName for an audience that is not saved.
    """
    length = 0

    def within(tree: exp.Expr, inside: tuple[str, ...]) -> exp.Expr:
        def replace(node: exp.Expr) -> exp.Expr:
            nonlocal length
            if not is_audience(node):
                return node
            name = _audience_name(node, audiences)
            assert audiences is not None
            if name in inside:
                cycle = " → ".join((*inside[inside.index(name) :], name))
                raise ExpressionError(f"audiences name each other in a cycle: {cycle}")
            if name not in audiences:
                raise UnknownName("audience", name, audiences)
            length += len(audiences[name])
            if length > MOST_INLINED:
                raise ExpressionError(
                    f"with its audiences, an expression has at most {MOST_INLINED} characters; "
                    "name fewer of them"
                )
            return exp.Paren(this=within(parse(audiences[name]), (*inside, name)))

        found: exp.Expr = tree.transform(replace, copy=False)
        return found

    return within(tree, ())


def _audience_name(node: exp.Expr, audiences: Mapping[str, str] | None) -> str:
    """The name in audience('name')."""
    if audiences is None:
        raise ExpressionError("audience('name') stands in expressions of audiences only")
    given = node.expressions
    if len(given) != 1 or not (isinstance(given[0], exp.Literal) and given[0].is_string):
        raise ExpressionError("write audience('name') with the name of a saved audience")
    return str(given[0].this)
