"""Parses expressions into typed trees; text from users never reaches an engine unparsed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import TokenType

from tagline.definitions.types import DataType
from tagline.errors import ExpressionError, did_you_mean
from tagline.expressions.membership import inlined, is_audience, with_membership
from tagline.expressions.typing import Typer

MAX_LENGTH = 4000
MAX_DEPTH = 60
_DUCKDB = Dialect.get_or_raise("duckdb")


@dataclass(frozen=True)
class Scope:
    """The names that an expression may use.

    `columns` maps names to types (dotted ones as `product.department`), `standards` the names
    of standard values to theirs, `audiences` the names of saved audiences to their expressions
    (None where no audience may be named). `previous` holds the tags that `previous(tag)` may
    read, which is none outside of rules.
    """

    columns: Mapping[str, DataType]
    standards: Mapping[str, DataType] = field(default_factory=dict)
    previous: Mapping[str, DataType] = field(default_factory=dict)
    audiences: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Expression:
    """A parsed and typed expression; `type` is None for a bare null."""

    text: str
    tree: exp.Expr
    type: DataType | None
    names: frozenset[str]
    standards: frozenset[str]
    previous: frozenset[str] = frozenset()  # tags whose value of the release before it reads

    def sql(self, dialect: str = "duckdb") -> str:
        """The normalised text: the same meaning gives the same text."""
        return self.tree.sql(dialect=dialect, comments=False, normalize=False)

    def rewritten(
        self,
        column: Callable[[str], exp.Expr],
        standard: Callable[[str], exp.Expr] | None = None,
    ) -> exp.Expr:
        """A copy of the tree with names, standards and `previous(tag)` replaced."""

        def replace(node: exp.Expr) -> exp.Expr:
            if isinstance(node, exp.Column):
                return column(f"{node.table}.{node.name}" if node.table else node.name)
            if standard is not None and is_standard(node):
                return standard(node.expressions[0].this)
            if is_previous(node):
                return column(previous_name(node.expressions[0].name))
            return node

        rewritten: exp.Expr = self.tree.copy().transform(replace, copy=False)
        return rewritten


def is_standard(node: exp.Expr) -> bool:
    """Whether a node is standard('name')."""
    return isinstance(node, exp.Anonymous) and str(node.this).lower() == "standard"


def is_previous(node: exp.Expr) -> bool:
    """Whether a node is previous(tag)."""
    return isinstance(node, exp.Anonymous) and str(node.this).lower() == "previous"


def previous_name(slug: str) -> str:
    """A tag's value of the release before, as a name among others.

    >>> previous_name("grade")
    'previous(grade)'
    """
    return f"previous({slug})"


def parse_value(text: str, scope: Scope) -> Expression:
    """An expression without aggregates."""
    return _parse(text, scope, aggregates=False)


def parse_condition(text: str, scope: Scope | Mapping[str, DataType]) -> Expression:
    """A boolean expression without aggregates, such as an audience's."""
    scope = scope if isinstance(scope, Scope) else Scope(scope)
    expression = _parse(text, scope, aggregates=False)
    if expression.type not in (DataType.BOOLEAN, None):
        raise ExpressionError(
            f"{text!r} is {expression.type.value if expression.type else 'null'}, "
            "where a condition (true or false) is needed"
        )
    return expression


def names_in(text: str, audiences: Mapping[str, str]) -> frozenset[str]:
    """The names that an expression reads, with those of the audiences in it; not typed."""
    tree = inlined(_tree(text), audiences, _tree)
    return frozenset(column.name for column in tree.find_all(exp.Column))


def audiences_in(text: str) -> frozenset[str]:
    """The saved audiences that an expression names itself.

    >>> sorted(audiences_in("audience('a') and not audience('b')"))
    ['a', 'b']
    """
    calls = _tree(text).find_all(exp.Anonymous)
    return frozenset(
        call.expressions[0].name for call in calls if is_audience(call) and call.expressions
    )


def parse_aggregate(text: str, scope: Scope) -> Expression:
    """An expression whose columns all stand inside aggregates; `as_of` may stand anywhere."""
    expression = _parse(text, scope, aggregates=True)
    for column in expression.tree.find_all(exp.Column):
        if column.name == "as_of" and not column.table:
            continue
        if not _inside_aggregate(column):
            raise ExpressionError(
                f"{column.sql()!r} stands outside of an aggregate; "
                f"write for example max({column.sql()})"
            )
    if not any(_is_aggregate(node) for node in expression.tree.walk()):
        raise ExpressionError(f"{text!r} has no aggregate; write for example count(*)")
    return expression


def parse_pick(text: str, scope: Scope) -> tuple[Expression, int | None]:
    """`top(aggregate)` or `top(aggregate, n)`: the aggregate that ranks groups, and n."""
    tree = _tree(text)
    given = tree.expressions if isinstance(tree, exp.Anonymous) else []
    if not isinstance(tree, exp.Anonymous) or str(tree.this).lower() != "top" or len(given) > 2:
        raise ExpressionError(f"{text!r}: write top(aggregate) or top(aggregate, 3)")
    count = None
    if len(given) == 2:
        if not (isinstance(given[1], exp.Literal) and given[1].is_int and int(given[1].this) > 0):
            raise ExpressionError(f"{text!r}: the number of groups is a whole number above 0")
        count = int(given[1].this)
    return parse_aggregate(given[0].sql(dialect="duckdb"), scope), count


def _parse(text: str, scope: Scope, *, aggregates: bool) -> Expression:
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"an expression has at most {MAX_LENGTH} characters")
    tree = inlined(_tree(text), scope.audiences, _tree)
    if _depth(tree) > MAX_DEPTH:
        raise ExpressionError(f"with its audiences, {text!r} is nested more than {MAX_DEPTH} deep")
    typer = Typer(scope.columns, _standard_type(scope), aggregates, scope.previous)
    found = typer.type_of_all(tree)
    used = (frozenset(each) for each in (typer.names, typer.standards, typer.previous))
    return Expression(text, tree, found, *used)


def typed(tree: exp.Expr, scope: Scope) -> Expression:
    """A value's tree that was put together here, by the rules of those that people write.

    Raises ExpressionError like `parse_value`, but sets no limit to its size.
    """
    typer = Typer(scope.columns, _standard_type(scope), False, scope.previous)
    found = typer.type_of_all(tree)
    used = (frozenset(each) for each in (typer.names, typer.standards, typer.previous))
    return Expression(tree.sql(dialect="duckdb"), tree, found, *used)


def _tree(text: str) -> exp.Expr:
    """A tree of its own for each caller; a text is read once, however often a catalog is."""
    return _parsed(text).copy()


@lru_cache(maxsize=2048)
def _parsed(text: str) -> exp.Expr:
    try:
        tokens = _DUCKDB.tokenize(f"SELECT {text}")
        if any(token.token_type is TokenType.SEMICOLON for token in tokens):
            raise ExpressionError(f"{text!r} holds more than one expression; remove the semicolon")
        statements = _DUCKDB.parser().parse(tokens, f"SELECT {text}")
    except (SqlglotError, RecursionError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else "too deeply nested"
        if reason.startswith("Required keyword"):  # sqlglot would name its own classes
            reason = "an operator lacks one of its sides; texts stand in single quotes"
        raise ExpressionError(f"{text!r} is not an expression: {reason}") from error
    except (AttributeError, IndexError, KeyError, TypeError) as error:  # sqlglot's own slips
        raise ExpressionError(f"{text!r} is not an expression") from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Select):
        raise ExpressionError(f"{text!r} holds more than one expression; remove the semicolon")
    select = statements[0]
    extra = sorted(key for key, value in select.args.items() if value and key != "expressions")
    if extra or len(select.expressions) != 1:
        raise ExpressionError(f"{text!r} is a statement or a list, not one expression")
    tree: exp.Expr = select.expressions[0]
    if isinstance(tree, exp.Alias | exp.Star):
        raise ExpressionError(f"{text!r}: an expression has no alias and no star")
    if _depth(tree) > MAX_DEPTH:
        raise ExpressionError(f"an expression is nested at most {MAX_DEPTH} deep")
    tree.pop()
    return with_membership(tree)


def _depth(tree: exp.Expr) -> int:
    deepest, level = 0, [tree]
    while level:
        deepest += 1
        level = [child for node in level for child in node.iter_expressions()]
    return deepest


def _standard_type(scope: Scope) -> Callable[[str], DataType]:
    def look_up(name: str) -> DataType:
        if name not in scope.standards:
            raise ExpressionError(
                f"unknown standard {name!r}.{did_you_mean(name, scope.standards)}"
            )
        return scope.standards[name]

    return look_up


def _is_aggregate(node: exp.Expr) -> bool:
    return isinstance(node, exp.AggFunc)


def _inside_aggregate(node: exp.Expr) -> bool:
    parent = node.parent
    while parent is not None:
        if _is_aggregate(parent):
            return True
        parent = parent.parent
    return False
