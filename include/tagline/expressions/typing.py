"""Types an expression tree, refusing every node that is not known to be pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from math import isfinite

from sqlglot import exp

from tagline.definitions.types import DataType
from tagline.errors import ExpressionError, did_you_mean
from tagline.expressions import functions as known
from tagline.expressions.functions import TS, B, D, I, N, T, Types

OF_NUMBERS = "of_numbers"  # mark on a sum or average of numbers that are not integers

_CASTS = {
    "BOOLEAN": B, "BIGINT": I, "INT": I, "DOUBLE": N, "TEXT": T, "VARCHAR": T, "DATE": D,
    "TIMESTAMP": TS, "TIMESTAMPNTZ": TS,
}  # fmt: skip
_CASTABLE = {  # from what a type can be made; a text can be made of anything
    B: known.NUMERIC | {B, T},
    I: known.NUMERIC | {B, T},
    N: known.NUMERIC | {B, T},
    D: known.MOMENT | {T},
    TS: known.MOMENT | {T},
    T: known.ANY,
}
_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ)
_HARMLESS = (
    exp.Identifier, exp.Literal, exp.Null, exp.Boolean, exp.Var, exp.Star, exp.Distinct,
    exp.DataType,
)  # fmt: skip
_ARITHMETIC = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod)


@dataclass
class Typer:
    """Walks one tree; collects the names, standards and aggregates that it uses.

    `columns` are the names in reach with their types; `None` stands for the type of null.
    """

    columns: Mapping[str, DataType]
    standard_type: Callable[[str], DataType]
    allow_aggregates: bool
    previous_types: Mapping[str, DataType] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    standards: set[str] = field(default_factory=set)
    previous: set[str] = field(default_factory=set)
    aggregates: int = 0
    _inside_aggregate: bool = False
    _typed: set[int] = field(default_factory=set)

    def type_of_all(self, tree: exp.Expr) -> DataType | None:
        """The type of a whole expression; raises ExpressionError for any part without a type.

        The parser hangs rare options on nodes of functions that are allowed; what nothing here
        has looked at does not reach an engine.
        """
        found = self.type_of(tree)
        for node in tree.walk():
            of_case = isinstance(node, exp.If) and isinstance(node.parent, exp.Case)
            if not (id(node) in self._typed or of_case or isinstance(node, _HARMLESS)):
                raise ExpressionError(f"{_sql(node)} is not allowed in {_sql(node.parent or tree)}")
        return found

    def type_of(self, node: exp.Expr) -> DataType | None:
        """The type of `node`; raises ExpressionError for whatever is not allowed in it."""
        self._typed.add(id(node))
        if isinstance(node, exp.Paren):
            return self.type_of(node.this)
        if isinstance(node, exp.Column):
            return self._column(node)
        if isinstance(node, exp.Literal):
            return T if node.is_string else _number(node)
        if isinstance(node, exp.Boolean):
            return B
        if isinstance(node, exp.Null):
            return None
        if isinstance(node, exp.And | exp.Or):
            self._want(node.left, known.BOOL)
            self._want(node.right, known.BOOL)
            return B
        if isinstance(node, exp.Not):
            self._want(node.this, known.BOOL)
            return B
        if isinstance(node, exp.Neg):
            return self._want(node.this, known.NUMERIC)
        if isinstance(node, _COMPARISONS):
            if isinstance(node.left, _COMPARISONS) or isinstance(node.right, _COMPARISONS):
                raise ExpressionError(
                    f"{_sql(node)}: put brackets around each comparison, or join them with 'and'"
                )
            self._comparable(node, node.left, node.right)
            return B
        if isinstance(node, _ARITHMETIC):
            return self._arithmetic(node)
        if isinstance(node, exp.DPipe):
            self._want(node.left, known.TEXT)
            self._want(node.right, known.TEXT)
            return T
        return self._predicate(node)

    def _predicate(self, node: exp.Expr) -> DataType | None:
        if isinstance(node, exp.Is):
            self.type_of(node.this)
            if not isinstance(node.expression, exp.Null | exp.Boolean):
                raise ExpressionError(f"{_sql(node)}: write 'is null', 'is true' or 'is false'")
            return B
        if isinstance(node, exp.In):
            if set(node.args) - {"this", "expressions"} and any(
                node.args.get(key) for key in ("query", "unnest", "field", "is_global")
            ):
                raise ExpressionError(f"{_sql(node)}: 'in' needs a list of values")
            if not node.expressions:
                raise ExpressionError(f"{_sql(node)}: 'in' needs at least one value")
            for option in node.expressions:
                self._comparable(node, node.this, option)
            return B
        if isinstance(node, exp.Between):
            self._comparable(node, node.this, node.args["low"])
            self._comparable(node, node.this, node.args["high"])
            return B
        if isinstance(node, exp.Like | exp.ILike):
            self._want(node.this, known.TEXT)
            self._want(node.expression, known.TEXT)
            return B
        return self._function(node)

    def _function(self, node: exp.Expr) -> DataType | None:
        if isinstance(node, exp.Case):
            return self._case(node)
        if isinstance(node, exp.If):
            self._want(node.this, known.BOOL)
            branches = [node.args["true"]]
            if node.args.get("false") is not None:
                branches.append(node.args["false"])
            return self._same(node, branches)
        if isinstance(node, exp.Cast) and not isinstance(node, exp.JSONCast):
            target = node.to.this.name if isinstance(node.to, exp.DataType) else ""
            if target not in _CASTS or node.to.expressions:
                raise ExpressionError(f"cannot cast to {node.to.sql()}.{did_you_mean('', _CASTS)}")
            self._want(node.this, _CASTABLE[_CASTS[target]])
            return _CASTS[target]
        if isinstance(node, exp.Count):
            return self._count(node)
        if isinstance(node, exp.IgnoreNulls):
            return self.type_of(node.this)
        if isinstance(node, exp.Coalesce | exp.Greatest | exp.Least):
            return self._same(node, [node.this, *node.expressions])
        if type(node) is exp.Concat:  # not concat_ws
            for part in node.expressions:
                self.type_of(part)
            return T
        if isinstance(node, exp.DateDiff | exp.TimestampTrunc | exp.DateTrunc | exp.Extract):
            return self._date(node)
        if isinstance(node, exp.Anonymous):
            return self._anonymous(node)
        signature = known.FUNCTIONS.get(type(node))
        if signature is None:
            raise ExpressionError(_refusal(node))
        if signature.is_aggregate:
            return self._aggregate(lambda: self._call(signature, node), node)
        return self._call(signature, node)

    def _call(self, signature: known.Function, node: exp.Expr) -> DataType | None:
        given = [value for value in _arguments(node) if isinstance(value, exp.Expr)]
        least = len(signature.arguments) - signature.optional
        if not least <= len(given) <= len(signature.arguments):
            raise ExpressionError(f"{_sql(node)}: {signature.name} takes {least} argument(s)")
        types = [
            self._want(value, allowed)
            for value, allowed in zip(given, signature.arguments, strict=False)
        ]
        if isinstance(node, exp.Trim) and node.args.get("position"):
            raise ExpressionError(_unknown_function(_sql(node).partition("(")[0].lower()))
        if isinstance(node, exp.PercentileCont) and not _is_share(given[1]):
            raise ExpressionError(f"{_sql(node)}: write the share as a number from 0 to 1")
        if isinstance(node, exp.Nullif):
            self._comparable(node, given[0], given[1])
        if isinstance(node, exp.Round) and len(given) == 2 and not _is_written_out(given[1]):
            raise ExpressionError(f"{_sql(node)}: write the decimals as a number, such as 2")
        if isinstance(node, exp.Sum | exp.Avg) and types[0] is N:
            node.meta[OF_NUMBERS] = True
        return types[signature.result] if isinstance(signature.result, int) else signature.result

    def _aggregate(self, inner: Callable[[], DataType | None], node: exp.Expr) -> DataType | None:
        if not self.allow_aggregates:
            raise ExpressionError(f"{_sql(node)}: an aggregate is not allowed here")
        if self._inside_aggregate:
            raise ExpressionError(f"{_sql(node)}: an aggregate inside an aggregate")
        self.aggregates += 1
        self._inside_aggregate = True
        try:
            return inner()
        finally:
            self._inside_aggregate = False

    def _count(self, node: exp.Count) -> DataType:
        def inner() -> DataType:
            what = node.this
            if what is None:
                raise ExpressionError("count() takes 1 argument; write count(*)")
            if isinstance(what, exp.Distinct):
                if len(what.expressions) != 1:
                    raise ExpressionError(f"{_sql(node)}: count distinct takes one expression")
                self.type_of(what.expressions[0])
            elif not isinstance(what, exp.Star):
                self.type_of(what)
            return I

        self._aggregate(inner, node)
        return I

    def _date(self, node: exp.Expr) -> DataType:
        unit_node = node.this if isinstance(node, exp.Extract) else node.args.get("unit")
        if not isinstance(unit_node, exp.Literal | exp.Var | None):  # it is not typed
            raise ExpressionError(f"{_sql(node)}: write the date part as a text, such as 'day'")
        unit = unit_node.name.upper() if unit_node is not None else "DAY"
        if isinstance(node, exp.Extract):
            _known_unit(node, unit, known.DATE_PARTS)
            self._want(node.expression, known.MOMENT)
            return I
        _known_unit(node, unit, known.DATE_UNITS | known.CLOCK_UNITS)
        self._want(node.this, known.MOMENT)
        if isinstance(node, exp.DateDiff):
            self._want(node.expression, known.MOMENT)
            return I
        return TS if unit in known.CLOCK_UNITS else D

    def _anonymous(self, node: exp.Anonymous) -> DataType:
        name = str(node.this).lower()
        given = node.expressions
        if name == "standard":
            if len(given) != 1 or not (isinstance(given[0], exp.Literal) and given[0].is_string):
                raise ExpressionError(f"{_sql(node)}: write standard('name')")
            self.standards.add(given[0].this)
            return self.standard_type(given[0].this)
        if name == "previous":
            return self._previous(node)
        if name == "date_part":
            if len(given) != 2 or not (isinstance(given[0], exp.Literal) and given[0].is_string):
                raise ExpressionError(f"{_sql(node)}: write date_part('hour', column)")
            _known_unit(node, given[0].this.upper(), known.DATE_PARTS)
            self._want(given[1], known.MOMENT)
            return I
        raise ExpressionError(_unknown_function(name))

    def _previous(self, node: exp.Anonymous) -> DataType:
        if not self.previous_types:
            raise ExpressionError(f"{_sql(node)}: previous() stands only in the cases of a rule")
        given = node.expressions
        if len(given) != 1 or not isinstance(given[0], exp.Column) or given[0].table:
            raise ExpressionError(f"{_sql(node)}: write previous(tag)")
        slug = given[0].name
        if slug not in self.previous_types:
            raise ExpressionError(f"unknown tag {slug!r}.{did_you_mean(slug, self.previous_types)}")
        self._typed.add(id(given[0]))
        self.previous.add(slug)
        return self.previous_types[slug]

    def _case(self, node: exp.Case) -> DataType | None:
        results = []
        for branch in node.args["ifs"]:
            if node.this is not None:
                self._comparable(node, node.this, branch.this)
            else:
                self._want(branch.this, known.BOOL)
            results.append(branch.args["true"])
        if node.args.get("default") is not None:
            results.append(node.args["default"])
        return self._same(node, results)

    def _column(self, node: exp.Column) -> DataType:
        if node.args.get("db") or node.args.get("catalog") or isinstance(node.this, exp.Star):
            raise ExpressionError(f"{_sql(node)}: a name has at most one dot")
        name = f"{node.table}.{node.name}" if node.table else node.name
        if name not in self.columns:
            if name.lower() in known.CLOCK_AND_CHANCE:
                raise ExpressionError(_unknown_function(name.lower()))
            raise ExpressionError(f"unknown name {name!r}.{did_you_mean(name, self.columns)}")
        self.names.add(name)
        return self.columns[name]

    def _want(self, node: exp.Expr, allowed: Types) -> DataType | None:
        found = self.type_of(node)
        if found is None or found in allowed:
            return found
        wanted = " or ".join(sorted(kind.value for kind in allowed))
        raise ExpressionError(f"{_sql(node)} is {found.value}, where {wanted} is needed")

    def _arithmetic(self, node: exp.Binary) -> DataType | None:
        left = self._want(node.left, known.NUMERIC)
        right = self._want(node.right, known.NUMERIC)
        return N if isinstance(node, exp.Div) or N in (left, right) else I

    def _comparable(self, node: exp.Expr, left: exp.Expr, right: exp.Expr) -> None:
        kinds = self.type_of(left), self.type_of(right)
        if _joined(*kinds, left, right) is False:
            shown = " with ".join(kind.value for kind in kinds if kind)
            is_day = T in kinds and any(kind in known.MOMENT for kind in kinds)
            hint = "; a day is written '2026-01-31'" if is_day else ""
            raise ExpressionError(f"{_sql(node)} compares {shown}{hint}")

    def _same(self, node: exp.Expr, branches: Iterable[exp.Expr]) -> DataType | None:
        result: DataType | None = None
        previous: exp.Expr | None = None
        for branch in branches:
            found = self.type_of(branch)
            joined = _joined(result, found, previous, branch)
            if isinstance(joined, bool):
                shown = " and ".join(kind.value for kind in (result, found) if kind)
                raise ExpressionError(f"{_sql(node)} mixes {shown}")
            result, previous = joined, branch
        return result


def _joined(
    left: DataType | None,
    right: DataType | None,
    left_node: exp.Expr | None = None,
    right_node: exp.Expr | None = None,
) -> DataType | bool | None:
    """The common type of two values, or False where they cannot meet."""
    if left is None or right is None or left == right:
        return left or right
    pair = frozenset({left, right})
    if pair <= known.NUMERIC:
        return N
    if pair <= known.MOMENT:
        return TS
    if pair & known.MOMENT and T in pair:
        literal = left_node if left is T else right_node
        if isinstance(literal, exp.Literal) and _is_date(literal.this):
            return D if D in pair else TS
    return False


def _number(node: exp.Literal) -> DataType:
    """The type of a literal number; raises ExpressionError where it is too large for it."""
    try:
        value = float(node.this)
    except ValueError:  # sqlglot takes 3e for a number
        raise ExpressionError(f"{node.this!r} is not a number") from None
    if node.is_int and abs(int(node.this)) >= 2**63:
        raise ExpressionError(f"{node.this} is too large for an integer, which has 64 bits")
    if not isfinite(value):
        raise ExpressionError(f"{node.this} is too large for a number")
    return I if node.is_int else N


def _is_share(node: exp.Expr) -> bool:
    return isinstance(node, exp.Literal) and not node.is_string and 0 <= float(node.this) <= 1


def _is_written_out(node: exp.Expr) -> bool:
    """Whether a node is a literal number, perhaps with a minus."""
    return isinstance(node.this if isinstance(node, exp.Neg) else node, exp.Literal)


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text  # Python reads more forms than engines
    except ValueError:
        return False


def _arguments(node: exp.Expr) -> list[exp.Expr | None]:
    if isinstance(node, exp.Log):  # log10(x) parses as log(10, x)
        return [node.expression or node.this]
    order = list(node.arg_types)
    values: list[exp.Expr | None] = []
    for key in order:
        value = node.args.get(key)
        values.extend(value if isinstance(value, list) else [value])
    return values


def _known_unit(node: exp.Expr, unit: str, allowed: frozenset[str]) -> None:
    if unit not in allowed:
        names = [name.lower() for name in allowed]
        raise ExpressionError(
            f"unknown date part {unit.lower()!r}.{did_you_mean(unit.lower(), names)}"
        )


def _refusal(node: exp.Expr) -> str:
    if isinstance(node, exp.Query | exp.Subquery | exp.Exists):
        return f"{_sql(node)}: an expression holds no subquery; make a derived table instead"
    if isinstance(node, exp.Window):
        return f"{_sql(node)}: window functions are not allowed; make a derived table instead"
    if isinstance(node, exp.Func):
        return _unknown_function(node.sql_name().lower())
    return f"{_sql(node)} is not allowed in an expression"


def _unknown_function(name: str) -> str:
    if name in known.CLOCK_AND_CHANCE:
        return f"{name}() looks at the clock or at chance; write as_of for the instant of the value"
    return f"unknown function {name!r}.{did_you_mean(name, known.NAMES)}"


def _sql(node: exp.Expr) -> str:
    text = node.sql(dialect="duckdb", comments=False)
    return text if len(text) <= 80 else text[:77] + "..."
